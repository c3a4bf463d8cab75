"""How a description is worded: the form and the place of each of its sentences, read back from its text.

A rewrite that keeps the wording keeps each sentence's form. Sentences that an edit brings in have any form.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final, Protocol

from eagle_gym.plot_english import grammar
from eagle_gym.plot_english.dialects import DIALECTS, Dialect
from eagle_gym.plot_english.grammar import KINDS, NUMBERS, ORDERS, Layout


class Draws(Protocol):
    """A source of whole numbers, such as a NumPy generator."""

    def integers(self, high: int, /) -> int:
        """A number in [0, high)."""
        ...


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a sentence.

    Attributes:
        dialect: The dialect.
        kind: Index into `KINDS`.
        index: Position among the templates of its group.
        size: Number of these templates.
    """

    dialect: Dialect
    kind: int
    index: int
    size: int


@dataclass(frozen=True, slots=True)
class Wording:
    """The forms of a description's sentences, in the order of the text."""

    forms: tuple[Form, ...] = ()

    def within(self, dialect: Dialect) -> bool:
        """Whether every sentence has a form of this dialect."""
        return all(form.dialect is dialect for form in self.forms)

    def layout(self, dialect: Dialect, draws: Draws | None = None) -> Layout:
        """A layout that words these sentences as they are. What it leaves open is drawn as `Layout.random` does.

        Args:
            dialect: The dialect, which the forms belong to.
            draws: Draws what is open; None takes the plain choice.
        """
        numbers = [0 if draws is None else int(draws.integers(NUMBERS)) for _ in KINDS]
        for form in self.forms:
            numbers[form.kind] += form.index - numbers[form.kind] % form.size
        places = _places(tuple(form.kind for form in self.forms))
        order = places[0] if draws is None else places[int(draws.integers(len(places)))]
        head, plot, content, close = numbers
        return Layout(head, plot, content, close, order, dialect)


@lru_cache(maxsize=16384)
def wording_of(text: str) -> Wording:
    """The wording of a description; sentences outside plot English are passed over."""
    known = grammar.rendered(text)
    if known is not None:
        dialect, sentences = known
        return Wording(tuple(Form(dialect, kind, index, len(templates)) for kind, templates, index in sentences))
    return _read_wording(text)


def _read_wording(text: str) -> Wording:
    return Wording(tuple(form for written in grammar.shapes(text) if (form := _form(written)) is not None))


_EMPTY: Final = "a film ."


@lru_cache(maxsize=16384)
def _form(written: str) -> Form | None:
    """The form of a sentence of this shape."""
    if written == _EMPTY:
        return None
    return next((form for form, expression in _expressions() if expression.fullmatch(written)), None)


@cache
def _expressions() -> tuple[tuple[Form, re.Pattern[str]], ...]:
    return tuple(
        (Form(dialect, kind, index, len(templates)), re.compile(grammar.pattern(template)))
        for dialect in DIALECTS.values()
        for kind, name in enumerate(KINDS)
        for templates in getattr(dialect, name).values()
        for index, template in enumerate(templates)
    )


@cache
def _places(kinds: Sequence[int]) -> tuple[int, ...]:
    """The orders in which sentences of these kinds follow each other so, each as often as `Layout.random` draws it."""
    fitting = [
        number
        for number in (0 if drawn < NUMBERS // 2 else drawn % len(ORDERS) for drawn in range(NUMBERS))
        if tuple(kind for kind in ORDERS[number] if kind in kinds) == tuple(kinds)
    ]
    return tuple(sorted(fitting)) or (0,)
