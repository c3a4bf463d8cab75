"""Edits: what an action says, which changes it asks for, and what may come of them.

A *precise* change names what it wants ("Set it on a submarine."). A *vague* change names a direction ("Make it
darker.") and leaves the choice to whoever rewrites. An edit asks for one change, a *macro* edit for several, joined by
semicolons. `parse_edit` reads the changes that an edit asks for, `outcomes` lists what would fulfil a change, and
`apply` makes changes.
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

FIRST_OUTCOME = 0.5  # share of vague changes that take the first possible outcome
FIRST_SLOT = 0.7  # share of the others that take an outcome in the slot of the first

Operation = Literal["set", "add", "remove", "replace", "intensify", "vague"]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that an edit asks for.

    Attributes:
        operation: "set" a single slot, "add" to a set, "remove" a value (from a single slot: whatever it holds),
            "replace" `old` by `value`, "intensify" the tone, or "vague" for a direction.
        slot: Slot that changes; "" where vague.
        value: Value that is wanted or removed, or name of the direction.
        old: Value that is replaced ("replace" only).
    """

    operation: Operation
    slot: str = ""
    value: str = ""
    old: str = ""


@dataclass(frozen=True, slots=True)
class Direction:
    """A vague direction: its name, its wordings, and the pairs, any one of which fulfils it."""

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
    """Templates that ask for a change, the plain one first."""
    return directions()[change.value].wordings if change.operation == "vague" else FORMS[change.operation, change.slot]


def render_edit(changes: Change | Sequence[Change], rng: np.random.Generator | None = None) -> str:
    """The edit that asks for these changes; several make a macro edit.

    Args:
        changes: What to ask for, at least one change.
        rng: Picks the wording; without it the wording is the plain one.
    """
    several = (changes,) if isinstance(changes, Change) else tuple(changes)
    clauses = []
    for change in several:
        clauses.append(_clause(change, 0 if rng is None else int(rng.integers(len(wordings(change))))))
    return "; ".join([clauses[0], *(clause[0].lower() + clause[1:] for clause in clauses[1:])]) + "."


@lru_cache(maxsize=65536)
def parse_edit(edit: str) -> tuple[Change, ...]:
    """The changes that an edit asks for.

    Raises:
        TextError: The edit, or a clause of a macro edit, is not one that `render_edit` makes.
    """
    if not isinstance(edit, str) or not edit.strip():
        raise TextError(f"expected an edit such as 'Set it on a submarine.', got {edit!r}")
    return tuple(_parse_clause(clause) for clause in edit.strip().removesuffix(".").split(";"))


def outcomes(attributes: Attributes, change: Change) -> tuple[tuple[Pair, ...], ...]:
    """The outcomes of a change, any one of which fulfils it. Each is a tuple of pairs to set or add.

    A removal adds nothing: its only outcome is the empty tuple. A change that cannot alter these attributes has no
    outcomes: it would be a no-op.
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
    """The attributes after some changes, made one after the other.

    A vague change mostly takes its direction's first outcome, or another one in the same slot. If all outcomes were
    equally likely, the likeliest value of every slot would be its old one, and a model that was trained on the results
    and decodes greedily would change nothing. A change that cannot alter the attributes is passed over.

    Args:
        attributes: The attributes before.
        changes: What is asked for.
        rng: Chooses among the outcomes of vague changes.
        first_outcome: Share of vague changes that take the first possible outcome.
        first_slot: Share of the others that take an outcome in the slot of the first.
    """
    for change in (changes,) if isinstance(changes, Change) else changes:
        possible = outcomes(attributes, change)
        if not possible:
            continue
        attributes = carry_out(attributes, change, _choose(possible, rng, first_outcome, first_slot))
    return attributes


def carry_out(attributes: Attributes, change: Change, outcome: Iterable[Pair]) -> Attributes:
    """The attributes after a change that had this outcome."""
    for slot, value in _removed(attributes, change):
        attributes = attributes.with_values(slot, (kept for kept in attributes.values(slot) if kept != value))
    for slot, value in outcome:
        attributes = put(attributes, slot, value)
    return attributes


def put(attributes: Attributes, slot: str, value: str) -> Attributes:
    """The attributes with a value, which a set gains and which replaces that of a single slot."""
    kept = attributes.values(slot) if slot in lexicon.SET_SLOTS else ()
    return attributes.with_values(slot, (*kept, value))


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
    """Whether none of the changes can alter these attributes."""
    return not any(outcomes(attributes, change) for change in changes)


def fulfilled(before: Attributes, changes: Iterable[Change], after: Attributes) -> bool:
    """Whether a rewrite made every change that could be made."""
    return all(_done(before, change, after) for change in changes if outcomes(before, change))


def unasked(before: Attributes, changes: Sequence[Change], after: Attributes) -> tuple[Pair, ...]:
    """Pairs that a rewrite lost or changed although no change asked for it (inventions are not among them)."""
    touched: set[Pair] = set()
    for change in changes:
        touched.update(_removed(before, change))
        touched.update(pair for outcome in outcomes(before, change) for pair in _displaced(before, outcome))
    held = set(after.pairs())
    return tuple(pair for pair in before.pairs() if pair not in held and pair not in touched)


def inventions(before: Attributes, changes: Sequence[Change], after: Attributes) -> tuple[Pair, ...]:
    """Pairs that a rewrite added although no outcome of a change has them."""
    asked = {pair for change in changes for outcome in outcomes(before, change) for pair in outcome}
    held = set(before.pairs())
    return tuple(pair for pair in after.pairs() if pair not in held and pair not in asked)


@cache
def slots_of(change: Change) -> frozenset[str]:
    """The slots that a change may alter."""
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
    raise TextError(f"expected an edit of plot English, got {shown[:200]!r}: see eagle_gym.plot_english.propose")


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
    """Direction by wording. Vague wordings are compared as words, because some contain phrases of the lexicon."""
    words = {wording: grammar.tokens(wording) for each in directions().values() for wording in each.wordings}
    names = {wording: each.name for each in directions().values() for wording in each.wordings}
    return {" ".join(token.word for token in stream): names[wording] for wording, stream in words.items()}


@cache
def _clauses() -> tuple[tuple[re.Pattern[str], Change], ...]:
    """Every precise wording as an expression over shapes, with the change that it asks for (its values still open)."""
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
