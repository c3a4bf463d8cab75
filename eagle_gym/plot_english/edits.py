"""Edits: what an action says, what it asks for, and what may come of it.

A *precise* edit names what it wants ("Set it on a submarine."). A *vague* edit names a direction ("Make it
darker.") and leaves the choice to whoever rewrites. A *macro* edit is several of them in one, joined by
semicolons. ``parse_edit`` reads an edit, ``outcomes`` says which changes would fulfil it, ``apply`` makes one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Literal

import numpy as np

from eagle_gym.errors import TextError
from eagle_gym.plot_english import grammar, lexicon
from eagle_gym.plot_english.attributes import Attributes, Pair
from eagle_gym.plot_english.wordings import DIRECTIONS, FORMS, LADDER

FIRST_OUTCOME = 0.5  # share of vague edits that take the first outcome they can
FIRST_SLOT = 0.7  # share of the others that take the first slot they can

Operation = Literal["set", "add", "remove", "replace", "intensify", "vague"]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that an edit asks for.

    Attributes:
        operation: ``set`` a single slot, ``add`` to a set, ``remove`` a value (of a single slot: whatever it holds),
            ``replace`` ``old`` by ``value``, ``intensify`` the tone, or a ``vague`` direction.
        slot: the slot concerned; "" where vague.
        value: the wanted value, the removed value, or the name of the direction.
        old: the value that gives way (``replace`` only).
    """

    operation: Operation
    slot: str = ""
    value: str = ""
    old: str = ""


@dataclass(frozen=True, slots=True)
class Direction:
    """A vague direction: its name, its wordings, and the pairs any one of which fulfils it."""

    name: str
    wordings: tuple[str, ...]
    pairs: tuple[Pair, ...]


@cache
def directions() -> Mapping[str, Direction]:
    """Every vague direction by name."""
    table = {}
    for line in DIRECTIONS.strip().splitlines():
        name, wordings, wanted = (part.strip() for part in line.split("|"))
        pairs = []
        for group in wanted.split(";"):
            slot, values = group.split(":")
            pairs += [(slot.strip(), value.strip()) for value in values.split(",")]
        table[name] = Direction(name, tuple(part.strip() for part in wordings.split("/")), tuple(pairs))
    return MappingProxyType(table)


def wordings(change: Change) -> tuple[str, ...]:
    """The templates that can ask for a change, the plain one first."""
    return directions()[change.value].wordings if change.operation == "vague" else FORMS[change.operation, change.slot]


def render_edit(changes: Change | Sequence[Change], rng: np.random.Generator | None = None) -> str:
    """The edit that asks for these changes; several make a macro edit.

    Args:
        changes: what to ask for, at least one.
        rng: picks the wording; the plain one without it.
    """
    several = (changes,) if isinstance(changes, Change) else tuple(changes)
    clauses = []
    for change in several:
        clauses.append(_clause(change, 0 if rng is None else int(rng.integers(len(wordings(change))))))
    return "; ".join([clauses[0], *(clause[0].lower() + clause[1:] for clause in clauses[1:])]) + "."


@lru_cache(maxsize=65536)
def parse_edit(edit: str) -> tuple[Change, ...]:
    """What an edit asks for.

    Raises:
        TextError: if the edit, or one of a macro edit's clauses, is none that ``render_edit`` makes.
    """
    if not isinstance(edit, str) or not edit.strip():
        raise TextError(f"expected an edit such as 'Set it on a submarine.', got {edit!r}")
    return tuple(_parse_clause(clause) for clause in edit.strip().removesuffix(".").split(";"))


def outcomes(attributes: Attributes, change: Change) -> tuple[tuple[Pair, ...], ...]:
    """The outcomes any one of which fulfils a change, as tuples of pairs to be set or added; () where none is needed.

    A removal adds nothing: its one outcome is the empty change. A change that cannot alter these attributes has no
    outcome at all: it would be a no-op.
    """
    match change.operation:
        case "remove":
            return ((),) if _removed(attributes, change) else ()
        case "replace":
            there = attributes.values(change.slot)
            possible = change.old in there and change.value not in there
            return (((change.slot, change.value),),) if possible else ()
        case "intensify":
            further = LADDER.get(attributes.tone or "")
            return ((("tone", further),),) if further else ()
        case "vague":
            return tuple((pair,) for pair in directions()[change.value].pairs if not _holds(attributes, pair))
    return () if _holds(attributes, (change.slot, change.value)) else (((change.slot, change.value),),)


def apply(
    attributes: Attributes,
    changes: Change | Iterable[Change],
    rng: np.random.Generator,
    *,
    first_outcome: float = FIRST_OUTCOME,
    first_slot: float = FIRST_SLOT,
) -> Attributes:
    """The attributes after the changes, one after the other; ``rng`` chooses among a vague change's outcomes.

    A vague change mostly takes its direction's first outcome, or another one in the same slot: were all as likely,
    leaving each single slot alone would be the likeliest thing to do, and a greedy reader of the result would do
    nothing. A change that cannot alter the attributes leaves them as they are.

    Args:
        attributes: what there is.
        changes: what is asked for.
        rng: chooses.
        first_outcome: share of the vague edits that take the first outcome they can.
        first_slot: share of the others that take the first slot they can, and any value of it.
    """
    for change in (changes,) if isinstance(changes, Change) else changes:
        possible = outcomes(attributes, change)
        if not possible:
            continue
        chosen = _choose(possible, rng, first_outcome, first_slot)
        for slot, value in _removed(attributes, change):
            attributes = attributes.with_values(slot, (kept for kept in attributes.values(slot) if kept != value))
        for slot, value in chosen:
            kept = attributes.values(slot) if slot in lexicon.SET_SLOTS else ()
            attributes = attributes.with_values(slot, (*kept, value))
    return attributes


def _choose(
    possible: Sequence[tuple[Pair, ...]], rng: np.random.Generator, first_outcome: float, first_slot: float
) -> tuple[Pair, ...]:
    if len(possible) == 1:
        return possible[0]
    draw = rng.random()
    if draw < first_outcome:
        return possible[0]
    same_slot = [outcome for outcome in possible if outcome[0][0] == possible[0][0][0]]
    among = same_slot if draw < first_outcome + (1 - first_outcome) * first_slot else possible
    return among[int(rng.integers(len(among)))]


def is_noop(attributes: Attributes, changes: Iterable[Change]) -> bool:
    """Whether no change that an edit asks for can change these attributes."""
    return not any(outcomes(attributes, change) for change in changes)


def fulfilled(before: Attributes, changes: Iterable[Change], after: Attributes) -> bool:
    """Whether a rewrite did everything that an edit asked and that could be done."""
    return all(_done(before, change, after) for change in changes if outcomes(before, change))


def unasked(before: Attributes, changes: Sequence[Change], after: Attributes) -> tuple[Pair, ...]:
    """The given pairs that a rewrite lost or changed though nothing asked for it (inventions are not among them)."""
    touched: set[Pair] = set()
    for change in changes:
        touched.update(_removed(before, change))
        touched.update(pair for outcome in outcomes(before, change) for pair in _displaced(before, outcome))
    held = set(after.pairs())
    return tuple(pair for pair in before.pairs() if pair not in held and pair not in touched)


def inventions(before: Attributes, changes: Sequence[Change], after: Attributes) -> tuple[Pair, ...]:
    """The pairs that a rewrite added though no edit's outcome has them."""
    asked = {pair for change in changes for outcome in outcomes(before, change) for pair in outcome}
    held = set(before.pairs())
    return tuple(pair for pair in after.pairs() if pair not in held and pair not in asked)


@cache
def slots_of(change: Change) -> frozenset[str]:
    """The slots that an edit may change."""
    if change.operation == "vague":
        return frozenset(slot for slot, _ in directions()[change.value].pairs)
    return frozenset({change.slot})


def _holds(attributes: Attributes, pair: Pair) -> bool:
    return pair[1] in attributes.values(pair[0])


def _removed(attributes: Attributes, change: Change) -> tuple[Pair, ...]:
    if change.operation == "remove":
        doomed = attributes.values(change.slot) if change.slot in lexicon.SINGLE_SLOTS else (change.value,)
    else:
        doomed = (change.old,) if change.operation == "replace" else ()
    return tuple((change.slot, value) for value in doomed if _holds(attributes, (change.slot, value)))


def _displaced(attributes: Attributes, outcome: Iterable[Pair]) -> list[Pair]:
    slots = [slot for slot, _ in outcome if slot in lexicon.SINGLE_SLOTS]
    return [(slot, value) for slot in slots for value in attributes.values(slot)]


def _done(before: Attributes, change: Change, after: Attributes) -> bool:
    gone = all(not _holds(after, pair) for pair in _removed(before, change))
    return gone and any(all(_holds(after, pair) for pair in outcome) for outcome in outcomes(before, change))


@lru_cache(maxsize=65536)
def _clause(change: Change, form: int) -> str:
    return grammar.fill(wordings(change)[form], _phrases(change))


def _phrases(change: Change) -> dict[str, str]:
    if change.operation == "vague":
        return {}
    table = lexicon.surfaces()
    phrases = {}
    if change.value:
        phrases[change.slot] = table[change.slot, change.value]
    if change.old:
        phrases["old"] = table[change.slot, change.old]
    return phrases


def _parse_clause(clause: str) -> Change:
    stream = grammar.tokens(clause)
    if direction := _vague().get(" ".join(token.word for token in stream)):
        return Change("vague", "", direction)
    written = grammar.shape(stream)
    for expression, change in _clauses():
        if expression.fullmatch(written):
            return _with_values(change, [token.value for token in stream if token.slot == change.slot], expression)
    shown = " ".join(token.word for token in stream)
    raise TextError(f"not an edit of plot English: {shown[:200]!r}; eagle_gym.plot_english.propose makes some")


def _with_values(change: Change, values: list[str], expression: re.Pattern[str]) -> Change:
    if not values:
        return change
    if change.operation == "replace":
        first_is_old = expression.pattern.find("(?P<old>") < expression.pattern.find("(?P<new>")
        old, new = values if first_is_old else reversed(values)
        return Change("replace", change.slot, new, old)
    return Change(change.operation, change.slot, values[0])


@cache
def _vague() -> dict[str, str]:
    """Wording -> direction. Vague wordings are read word by word: theirs may look like lexicon phrases."""
    words = {wording: grammar.tokens(wording) for each in directions().values() for wording in each.wordings}
    names = {wording: each.name for each in directions().values() for wording in each.wordings}
    return {" ".join(token.word for token in stream): names[wording] for wording, stream in words.items()}


@cache
def _clauses() -> tuple[tuple[re.Pattern[str], Change], ...]:
    """Every precise wording as an expression over shapes, with the edit that it asks for (values still open)."""
    result = []
    for (operation, slot), forms in FORMS.items():
        for form in forms:
            result.append((_expression(form, slot), Change(operation, slot)))  # type: ignore[arg-type]  # keys are ours
    return tuple(result)


def _expression(form: str, slot: str) -> re.Pattern[str]:
    code = grammar.code(slot)
    shaped = []
    for part in re.split(r"(\{\w+\})", form):
        if part == "{old}":
            shaped.append(f"(?P<old>{code})")
        elif part.startswith("{"):
            shaped.append(f"(?P<new>{code})")
        elif part.strip():
            shaped.append(re.escape(grammar.shape(grammar.tokens(part))))
    return re.compile(" ".join(shaped))
