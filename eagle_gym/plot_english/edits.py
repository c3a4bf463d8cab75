"""Edit prompts: what an action says, what it asks for, and what may come of it.

A *precise* prompt names what it wants ("Set it on a submarine."). A *vague* prompt names a direction ("Make it
darker.") and leaves the choice to whoever rewrites. A *macro* prompt is several of them in one, joined by
semicolons. ``parse_edit`` reads a prompt, ``outcomes`` says which changes would fulfil it, ``apply`` makes one.
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
class Edit:
    """One thing that a prompt asks for.

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


def wordings(edit: Edit) -> tuple[str, ...]:
    """The templates that can ask for an edit, the plain one first."""
    return directions()[edit.value].wordings if edit.operation == "vague" else FORMS[edit.operation, edit.slot]


def render_edit(edits: Edit | Sequence[Edit], rng: np.random.Generator | None = None) -> str:
    """The prompt that asks for these edits; several make a macro prompt.

    Args:
        edits: what to ask for, at least one.
        rng: picks the wording; the plain one without it.
    """
    several = (edits,) if isinstance(edits, Edit) else tuple(edits)
    clauses = []
    for edit in several:
        clauses.append(_clause(edit, 0 if rng is None else int(rng.integers(len(wordings(edit))))))
    return "; ".join([clauses[0], *(clause[0].lower() + clause[1:] for clause in clauses[1:])]) + "."


@lru_cache(maxsize=65536)
def parse_edit(prompt: str) -> tuple[Edit, ...]:
    """What a prompt asks for.

    Raises:
        TextError: if the prompt, or one of a macro prompt's clauses, is none that ``render_edit`` makes.
    """
    if not isinstance(prompt, str) or not prompt.strip():
        raise TextError(f"expected an edit prompt such as 'Set it on a submarine.', got {prompt!r}")
    return tuple(_parse_clause(clause) for clause in prompt.strip().removesuffix(".").split(";"))


def outcomes(attributes: Attributes, edit: Edit) -> tuple[tuple[Pair, ...], ...]:
    """The changes any one of which fulfils an edit, as tuples of pairs to be set or added; () where none is needed.

    A removal adds nothing: its one outcome is the empty change. An edit that cannot change these attributes has no
    outcome at all: it would be a no-op.
    """
    match edit.operation:
        case "remove":
            return ((),) if _removed(attributes, edit) else ()
        case "replace":
            possible = edit.old in attributes.values(edit.slot) and edit.value not in attributes.values(edit.slot)
            return (((edit.slot, edit.value),),) if possible else ()
        case "intensify":
            further = LADDER.get(attributes.tone or "")
            return ((("tone", further),),) if further else ()
        case "vague":
            return tuple((pair,) for pair in directions()[edit.value].pairs if not _holds(attributes, pair))
    return () if _holds(attributes, (edit.slot, edit.value)) else (((edit.slot, edit.value),),)


def apply(
    attributes: Attributes,
    edits: Edit | Iterable[Edit],
    rng: np.random.Generator,
    *,
    first_outcome: float = FIRST_OUTCOME,
    first_slot: float = FIRST_SLOT,
) -> Attributes:
    """The attributes after the edits, one after the other; ``rng`` chooses among a vague edit's outcomes.

    A vague edit mostly takes its direction's first outcome, or another one in the same slot: were all as likely,
    leaving each single slot alone would be the likeliest thing to do, and a greedy reader of the result would do
    nothing. An edit that cannot change the attributes leaves them as they are.

    Args:
        attributes: what there is.
        edits: what is asked for.
        rng: chooses.
        first_outcome: share of the vague edits that take the first outcome they can.
        first_slot: share of the others that take the first slot they can, and any value of it.
    """
    for edit in (edits,) if isinstance(edits, Edit) else edits:
        possible = outcomes(attributes, edit)
        if not possible:
            continue
        chosen = _choose(possible, rng, first_outcome, first_slot)
        for slot, value in _removed(attributes, edit):
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


def is_noop(attributes: Attributes, edits: Iterable[Edit]) -> bool:
    """Whether no edit of a prompt can change these attributes."""
    return not any(outcomes(attributes, edit) for edit in edits)


def fulfilled(before: Attributes, edits: Iterable[Edit], after: Attributes) -> bool:
    """Whether a rewrite did everything that a prompt asked and that could be done."""
    return all(_done(before, edit, after) for edit in edits if outcomes(before, edit))


def unasked(before: Attributes, edits: Sequence[Edit], after: Attributes) -> tuple[Pair, ...]:
    """The given pairs that a rewrite lost or changed though nothing asked for it (inventions are not among them)."""
    touched: set[Pair] = set()
    for edit in edits:
        touched.update(_removed(before, edit))
        touched.update(pair for outcome in outcomes(before, edit) for pair in _displaced(before, outcome))
    held = set(after.pairs())
    return tuple(pair for pair in before.pairs() if pair not in held and pair not in touched)


def inventions(before: Attributes, edits: Sequence[Edit], after: Attributes) -> tuple[Pair, ...]:
    """The pairs that a rewrite added though no edit's outcome has them."""
    asked = {pair for edit in edits for outcome in outcomes(before, edit) for pair in outcome}
    held = set(before.pairs())
    return tuple(pair for pair in after.pairs() if pair not in held and pair not in asked)


@cache
def slots_of(edit: Edit) -> frozenset[str]:
    """The slots that an edit may change."""
    if edit.operation == "vague":
        return frozenset(slot for slot, _ in directions()[edit.value].pairs)
    return frozenset({edit.slot})


def _holds(attributes: Attributes, pair: Pair) -> bool:
    return pair[1] in attributes.values(pair[0])


def _removed(attributes: Attributes, edit: Edit) -> tuple[Pair, ...]:
    if edit.operation == "remove":
        doomed = attributes.values(edit.slot) if edit.slot in lexicon.SINGLE_SLOTS else (edit.value,)
    else:
        doomed = (edit.old,) if edit.operation == "replace" else ()
    return tuple((edit.slot, value) for value in doomed if _holds(attributes, (edit.slot, value)))


def _displaced(attributes: Attributes, outcome: Iterable[Pair]) -> list[Pair]:
    slots = [slot for slot, _ in outcome if slot in lexicon.SINGLE_SLOTS]
    return [(slot, value) for slot in slots for value in attributes.values(slot)]


def _done(before: Attributes, edit: Edit, after: Attributes) -> bool:
    gone = all(not _holds(after, pair) for pair in _removed(before, edit))
    return gone and any(all(_holds(after, pair) for pair in outcome) for outcome in outcomes(before, edit))


@lru_cache(maxsize=65536)
def _clause(edit: Edit, form: int) -> str:
    return grammar.fill(wordings(edit)[form], _phrases(edit))


def _phrases(edit: Edit) -> dict[str, str]:
    if edit.operation == "vague":
        return {}
    table = lexicon.surfaces()
    phrases = {}
    if edit.value:
        phrases[edit.slot] = table[edit.slot, edit.value]
    if edit.old:
        phrases["old"] = table[edit.slot, edit.old]
    return phrases


def _parse_clause(clause: str) -> Edit:
    stream = grammar.tokens(clause)
    if direction := _vague().get(" ".join(token.word for token in stream)):
        return Edit("vague", "", direction)
    written = grammar.shape(stream)
    for expression, edit in _clauses():
        if expression.fullmatch(written):
            return _with_values(edit, [token.value for token in stream if token.slot == edit.slot], expression)
    shown = " ".join(token.word for token in stream)
    raise TextError(f"not an edit prompt of plot English: {shown[:200]!r}; eagle_gym.plot_english.propose makes some")


def _with_values(edit: Edit, values: list[str], expression: re.Pattern[str]) -> Edit:
    if not values:
        return edit
    if edit.operation == "replace":
        first_is_old = expression.pattern.find("(?P<old>") < expression.pattern.find("(?P<new>")
        old, new = values if first_is_old else reversed(values)
        return Edit("replace", edit.slot, new, old)
    return Edit(edit.operation, edit.slot, values[0])


@cache
def _vague() -> dict[str, str]:
    """Wording -> direction. Vague wordings are read word by word: theirs may look like lexicon phrases."""
    words = {wording: grammar.tokens(wording) for each in directions().values() for wording in each.wordings}
    names = {wording: each.name for each in directions().values() for wording in each.wordings}
    return {" ".join(token.word for token in stream): names[wording] for wording, stream in words.items()}


@cache
def _clauses() -> tuple[tuple[re.Pattern[str], Edit], ...]:
    """Every precise wording as an expression over shapes, with the edit that it asks for (values still open)."""
    result = []
    for (operation, slot), forms in FORMS.items():
        for form in forms:
            result.append((_expression(form, slot), Edit(operation, slot)))  # type: ignore[arg-type]  # keys are ours
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
