"""The content of a description: a record of attribute values, any of which may be missing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from eagle_gym.errors import ConfigurationError
from eagle_gym.plot_english import lexicon

Pair = tuple[str, str]
"""A (slot, value) pair, such as `("tone", "dark")`."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """The attributes of one description.

    The values of a set slot are kept in the lexicon's order, each once, so that equal sets are equal records.

    Raises:
        ConfigurationError: A value is not in the lexicon.
    """

    genres: tuple[str, ...] = ()
    decade: str | None = None
    tone: str | None = None
    setting: str | None = None
    protagonist: str | None = None
    trait: str | None = None
    goal: str | None = None
    antagonist: str | None = None
    themes: tuple[str, ...] = ()
    motifs: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    ending: str | None = None

    def __post_init__(self) -> None:
        """Check every value against the lexicon and put sets in its order."""
        ranks = _rank()
        for slot in lexicon.SET_SLOTS:
            given = getattr(self, slot)
            if not given:
                continue
            for value in given:
                _check(slot, value)
            if len(given) > 1:
                given = sorted(set(given), key=lambda value, slot=slot: ranks[slot, value])  # type: ignore[misc]
            object.__setattr__(self, slot, tuple(given))
        for slot in lexicon.SINGLE_SLOTS:
            value = getattr(self, slot)
            if value is not None:
                _check(slot, value)

    def values(self, slot: str) -> tuple[str, ...]:
        """The values of a slot: none, one, or several where the slot is a set."""
        value = getattr(self, slot)
        if isinstance(value, tuple):
            return value
        return () if value is None else (value,)

    def pairs(self) -> tuple[Pair, ...]:
        """Every (slot, value) pair, in the lexicon's order of slots."""
        found: list[Pair] = []
        for slot in lexicon.SLOTS:
            value = getattr(self, slot)
            if isinstance(value, str):
                found.append((slot, value))
            elif value:
                found.extend((slot, each) for each in value)
        return tuple(found)

    def with_values(self, slot: str, values: Iterable[str]) -> Attributes:
        """A copy whose slot holds only these values, of which a single slot takes the last."""
        changed = {name: getattr(self, name) for name in lexicon.SLOTS}
        chosen = tuple(values)
        if slot in lexicon.SET_SLOTS:
            changed[slot] = chosen
        else:
            changed[slot] = chosen[-1] if chosen else None
        return Attributes(**changed)

    @staticmethod
    def from_pairs(pairs: Iterable[Pair]) -> Attributes:
        """The record that holds these pairs; a single slot keeps the last of its values."""
        single: dict[str, str] = {}
        several: dict[str, tuple[str, ...]] = {}
        for slot, value in pairs:
            if slot in lexicon.SET_SLOTS:
                several[slot] = (*several.get(slot, ()), value)
            else:
                single[slot] = value
        return Attributes(**single, **several)  # type: ignore[arg-type]  # the slots are the fields


@cache
def features() -> tuple[Pair, ...]:
    """Every (slot, value) of the lexicon, in a fixed order: the columns of a text's feature vector."""
    return tuple((entry.slot, entry.value) for entry in lexicon.entries())


@cache
def _rank() -> dict[Pair, int]:
    return {pair: index for index, pair in enumerate(features())}


def _check(slot: str, value: str) -> None:
    if (slot, value) not in _rank():
        near = difflib.get_close_matches(str(value), lexicon.values(slot), n=3)
        hint = f": did you mean {', '.join(near)}?" if near else ""
        raise ConfigurationError(f"expected a {slot} of plot English, got {value!r}{hint}")
