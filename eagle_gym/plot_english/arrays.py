"""Plot English as arrays: texts as one-hot vectors, and a table of every change that can be named without a state.

Every step of a batch proposes 64 edits for each of 64 states and predicts what they do. Whatever does not depend on the
state is therefore put into arrays once, and a step only looks it up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from eagle_gym import plot_english
from eagle_gym.plot_english import Change, Pair, grammar, lexicon
from eagle_gym.plot_english.edits import directions, wordings
from eagle_gym.plot_english.wordings import LADDER
from eagle_gym.seeding import stable_seed

SLOT_INDEX = {slot: index for index, slot in enumerate(plot_english.SLOTS)}
IS_SET = np.array([slot in lexicon.SET_SLOTS for slot in plot_english.SLOTS])


@cache
def feature_index() -> dict[Pair, int]:
    """The column of each (slot, value)."""
    return {pair: index for index, pair in enumerate(plot_english.FEATURES)}


@cache
def feature_slots() -> NDArray[np.intp]:
    """Slot of each column, as an index into `plot_english.SLOTS`, [F]."""
    return np.array([SLOT_INDEX[slot] for slot, _ in plot_english.FEATURES])


@cache
def slot_members() -> NDArray[np.bool_]:
    """Whether a column belongs to a slot, [S, F]."""
    members: NDArray[np.bool_] = feature_slots() == np.arange(len(plot_english.SLOTS))[:, None]
    return members


@cache
def ladder() -> NDArray[np.intp]:
    """Column of the tone that a tone becomes when it is intensified, -1 for other columns, [F]."""
    steps = np.full(len(plot_english.FEATURES), -1)
    for tone, further in LADDER.items():
        steps[feature_index()["tone", tone]] = feature_index()["tone", further]
    return steps


@lru_cache(maxsize=16384)
def columns(text: str) -> tuple[int, ...]:
    """The columns of what a text says; words outside plot English are ignored."""
    index = feature_index()
    return tuple(index[pair] for pair in plot_english.read(text).pairs())


def one_hot(texts: Iterable[str]) -> NDArray[np.bool_]:
    """Whether a text has a value, [B, F]; words outside plot English are ignored."""
    rows = [columns(text) for text in texts]
    held = np.zeros((len(rows), len(feature_index())), np.bool_)
    held[np.repeat(np.arange(len(rows)), [len(row) for row in rows]), [c for row in rows for c in row]] = True
    return held


@dataclass(frozen=True, eq=False)
class ChangeTable:
    """Every change that can be named without a state (all but replacements), with the edits that ask for it.

    Attributes:
        changes: The changes, [E]; the vague ones come first.
        edits: The edits that ask for each change, one per wording, [E].
        forms: Number of these edits, [E].
        kind: Index into `KINDS`, [E].
        column: Column that is set, added or removed, [E]; -1 where a single slot is removed, and for `intensify` and
            vague changes.
        slot: Slot that changes, [E]; -1 for vague changes.
        wanted: Columns, any one of which fulfils a vague change, [V, F].
        first: The columns among them in the slot that the direction names first, [V, F].
    """

    changes: tuple[Change, ...]
    edits: tuple[tuple[str, ...], ...]
    forms: NDArray[np.intp]
    kind: NDArray[np.intp]
    column: NDArray[np.intp]
    slot: NDArray[np.intp]
    wanted: NDArray[np.bool_]
    first: NDArray[np.bool_]

    @property
    def vague(self) -> int:
        """Number of vague changes."""
        return len(self.wanted)


KINDS = ("vague", "intensify", "remove", "ask")


@cache
def change_table() -> ChangeTable:
    """The table, made once."""
    changes = [*_vague(), Change("intensify", "tone"), *_removals(), *_askings()]
    edits = tuple(all_wordings(change) for change in changes)
    _KNOWN.update({edit: (change,) for change, forms in zip(changes, edits, strict=True) for edit in forms})
    return ChangeTable(
        changes=tuple(changes),
        edits=edits,
        forms=np.array([len(forms) for forms in edits]),
        kind=np.array([_kind(change) for change in changes]),
        column=np.array([feature_index().get((change.slot, change.value), -1) for change in changes]),
        slot=np.array([SLOT_INDEX.get(change.slot, -1) for change in changes]),
        wanted=np.stack([_columns(direction.pairs) for direction in directions().values()]),
        first=np.stack([_columns(_first_slot(direction.pairs)) for direction in directions().values()]),
    )


@cache
def fingerprint() -> str:
    """Hash of every value that texts can have and of every wording of every change."""
    replacements = [f"{slot}: {form}" for slot, forms in _replacement_forms().items() for form in forms]
    edits = [edit for forms in change_table().edits for edit in forms]
    return f"{stable_seed(*plot_english.FEATURES, *edits, *replacements):016x}"


def all_wordings(change: Change) -> tuple[str, ...]:
    """Every edit that asks for only this change, as `plot_english.render_edit` words it."""
    if change.operation == "replace":
        return tuple(_replacement(change, form) for form in range(len(_replacement_forms()[change.slot])))
    return _filled(change)


def _replacement(change: Change, form: int) -> str:
    """Tens of thousands of replacements exist, so each is worded when it is drawn, and in the quickest way."""
    surfaces = lexicon.surfaces()
    old, new = surfaces[change.slot, change.old], surfaces[change.slot, change.value]
    return _replacement_forms()[change.slot][form].replace("{old}", old).replace("{new}", new)


@cache
def _filled(change: Change) -> tuple[str, ...]:
    named = change.operation != "vague" and bool(change.value)
    phrases = {change.slot: lexicon.surfaces()[change.slot, change.value]} if named else {}
    return tuple(grammar.fill(wording, phrases) + "." for wording in wordings(change))


@cache
def _replacement_forms() -> dict[str, tuple[str, ...]]:
    """Wordings of the replacements in each set slot, with `{old}` and `{new}` to be filled in."""
    return {
        slot: tuple(form.replace(f"{{{slot}}}", "{new}") + "." for form in wordings(Change("replace", slot)))
        for slot in lexicon.SET_SLOTS
    }


# What edits ask for, where they were worded here: a cache of `plot_english.parse_edit`.
_KNOWN: dict[str, tuple[Change, ...]] = {}
_KNOWN_MOST = 200_000


@lru_cache(maxsize=65536)
def replacements(slot: str, value: str, old: str) -> tuple[str, ...]:
    """The edits that ask to replace a value of a set by another one; `changes_in` remembers them."""
    change = Change("replace", slot, value, old)
    edits = all_wordings(change)
    if len(_KNOWN) >= _KNOWN_MOST:
        _KNOWN.clear()
    _KNOWN.update(dict.fromkeys(edits, (change,)))
    return edits


def changes_in(edit: str) -> tuple[Change, ...]:
    """What an edit asks for.

    Raises:
        TextError: The text is not an edit of plot English.
    """
    return _KNOWN.get(edit) or plot_english.parse_edit(edit)


def _vague() -> list[Change]:
    return [Change("vague", "", name) for name in directions()]


def _removals() -> list[Change]:
    single = [Change("remove", slot) for slot in lexicon.SINGLE_SLOTS]
    return single + [Change("remove", *pair) for pair in plot_english.FEATURES if pair[0] in lexicon.SET_SLOTS]


def _askings() -> list[Change]:
    return [Change("add" if pair[0] in lexicon.SET_SLOTS else "set", *pair) for pair in plot_english.FEATURES]


def _kind(change: Change) -> int:
    return KINDS.index("ask" if change.operation in ("set", "add") else change.operation)


def _first_slot(pairs: Sequence[Pair]) -> list[Pair]:
    return [pair for pair in pairs if pair[0] == pairs[0][0]]


def _columns(pairs: Sequence[Pair]) -> NDArray[np.bool_]:
    row = np.zeros(len(plot_english.FEATURES), np.bool_)
    row[[feature_index()[pair] for pair in pairs]] = True
    return row


def applicable(held: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether a change of the table alters a state and leaves it readable (no set above its capacity).

    Args:
        held: What the states say, [B, F].

    Returns:
        Whether each change applies to each state, [B, E].
    """
    table = change_table()
    counts: NDArray[np.float64] = held.astype(np.float64) @ slot_members().T  # [B, S]
    capacity = np.array([lexicon.CAPACITY.get(slot, np.inf) for slot in plot_english.SLOTS])
    holds = held[:, table.column] & (table.column >= 0)
    room = np.asarray(counts[:, table.slot] < capacity[table.slot])
    fits = {
        "vague": np.ones_like(holds),
        "intensify": np.broadcast_to(np.any(held & (ladder() >= 0), axis=1, keepdims=True), holds.shape),
        "remove": np.where(table.column >= 0, holds, counts[:, table.slot] > 0),
        "ask": ~holds & room,
    }
    kinds = [table.kind == index for index in range(len(KINDS))]
    result: NDArray[np.bool_] = np.array(np.select(kinds, [fits[name] for name in KINDS], False))
    result[:, : table.vague] = (~held).astype(np.float32) @ table.wanted.T.astype(np.float32) > 0.5
    return result
