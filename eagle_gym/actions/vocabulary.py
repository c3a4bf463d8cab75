"""Plot English as arrays: texts as one-hot vectors, and a table of every edit that needs no state to be named.

Proposing 64 prompts for each of 64 states, and predicting what they do, happens at every step of a batch; so what can
be known beforehand is put into arrays once, and a state only gathers from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from eagle_gym import plot_english
from eagle_gym.actions.seeding import stable_seed
from eagle_gym.plot_english import Edit, Pair, grammar, lexicon
from eagle_gym.plot_english.edits import directions, wordings
from eagle_gym.plot_english.wordings import LADDER

SLOT_INDEX = {slot: index for index, slot in enumerate(plot_english.SLOTS)}
IS_SET = np.array([slot in lexicon.SET_SLOTS for slot in plot_english.SLOTS])


@cache
def feature_index() -> dict[Pair, int]:
    """The column of each (slot, value)."""
    return {pair: index for index, pair in enumerate(plot_english.FEATURES)}


@cache
def feature_slots() -> NDArray[np.intp]:
    """[F] the slot of each column, as an index into ``plot_english.SLOTS``."""
    return np.array([SLOT_INDEX[slot] for slot, _ in plot_english.FEATURES])


@cache
def slot_members() -> NDArray[np.bool_]:
    """[S, F] which columns belong to which slot."""
    members: NDArray[np.bool_] = feature_slots() == np.arange(len(plot_english.SLOTS))[:, None]
    return members


@cache
def ladder() -> NDArray[np.intp]:
    """[F] the column that a tone becomes when pushed further, -1 elsewhere."""
    steps = np.full(len(plot_english.FEATURES), -1)
    for tone, further in LADDER.items():
        steps[feature_index()["tone", tone]] = feature_index()["tone", further]
    return steps


def one_hot(texts: Iterable[str]) -> NDArray[np.bool_]:
    """[B, F] what each text says, read leniently."""
    index = feature_index()
    rows = [[index[pair] for pair in plot_english.read(text).pairs()] for text in texts]
    held = np.zeros((len(rows), len(index)), np.bool_)
    held[np.repeat(np.arange(len(rows)), [len(row) for row in rows]), [c for row in rows for c in row]] = True
    return held


@dataclass(frozen=True, eq=False)
class EditTable:
    """Every edit that can be named without a state (all but replacements), with its wordings.

    Attributes:
        edits: [E] the edits.
        prompts: [E] the prompts that ask for each, one per wording.
        forms: [E] how many prompts.
        kind: [E] index into ``KINDS``.
        column: [E] the column that is set, added or removed; -1 for a single slot's removal, ``intensify`` and vague.
        slot: [E] the slot concerned, -1 for vague.
        wanted: [V, F] the columns any one of which fulfils a vague edit; row v is edit v.
        first: [V, F] those of them in the slot that the direction names first.
    """

    edits: tuple[Edit, ...]
    prompts: tuple[tuple[str, ...], ...]
    forms: NDArray[np.intp]
    kind: NDArray[np.intp]
    column: NDArray[np.intp]
    slot: NDArray[np.intp]
    wanted: NDArray[np.bool_]
    first: NDArray[np.bool_]

    @property
    def vague(self) -> int:
        """How many edits, the first ones, are vague."""
        return len(self.wanted)


KINDS = ("vague", "intensify", "remove", "ask")


@cache
def edit_table() -> EditTable:
    """The table, made once."""
    edits = [*_vague(), Edit("intensify", "tone"), *_removals(), *_askings()]
    prompts = tuple(all_wordings(edit) for edit in edits)
    _KNOWN.update({prompt: (edit,) for edit, forms in zip(edits, prompts, strict=True) for prompt in forms})
    return EditTable(
        edits=tuple(edits),
        prompts=prompts,
        forms=np.array([len(forms) for forms in prompts]),
        kind=np.array([_kind(edit) for edit in edits]),
        column=np.array([feature_index().get((edit.slot, edit.value), -1) for edit in edits]),
        slot=np.array([SLOT_INDEX.get(edit.slot, -1) for edit in edits]),
        wanted=np.stack([_columns(direction.pairs) for direction in directions().values()]),
        first=np.stack([_columns(_first_slot(direction.pairs)) for direction in directions().values()]),
    )


@cache
def fingerprint() -> str:
    """A hash of every value that texts can have and of every wording of every edit."""
    replacements = [f"{slot}: {form}" for slot, forms in _replacement_forms().items() for form in forms]
    prompts = [prompt for forms in edit_table().prompts for prompt in forms]
    return f"{stable_seed(*plot_english.FEATURES, *prompts, *replacements):016x}"


def all_wordings(edit: Edit) -> tuple[str, ...]:
    """Every prompt that asks for just this edit, as ``plot_english.render_edit`` words it."""
    if edit.operation == "replace":
        return tuple(_replacement(edit, form) for form in range(len(_replacement_forms()[edit.slot])))
    return _filled(edit)


def _replacement(edit: Edit, form: int) -> str:
    """Tens of thousands of these are possible, so each is worded when it is drawn, and in the quickest way."""
    surfaces = lexicon.surfaces()
    old, new = surfaces[edit.slot, edit.old], surfaces[edit.slot, edit.value]
    return _replacement_forms()[edit.slot][form].replace("{old}", old).replace("{new}", new)


@cache
def _filled(edit: Edit) -> tuple[str, ...]:
    surfaces = lexicon.surfaces()
    phrases = {} if edit.operation == "vague" or not edit.value else {edit.slot: surfaces[edit.slot, edit.value]}
    return tuple(grammar.fill(wording, phrases) + "." for wording in wordings(edit))


@cache
def _replacement_forms() -> dict[str, tuple[str, ...]]:
    """How replacements in each set slot are worded, with ``{old}`` and ``{new}`` to be filled in."""
    return {
        slot: tuple(form.replace(f"{{{slot}}}", "{new}") + "." for form in wordings(Edit("replace", slot)))
        for slot in lexicon.SET_SLOTS
    }


# What prompts ask for, where that is known without reading them: a cache of ``plot_english.parse_edit``.
_KNOWN: dict[str, tuple[Edit, ...]] = {}
_KNOWN_MOST = 200_000


def word(edit: Edit, chance: float) -> str:
    """One of an edit's prompts; ``chance`` in [0, 1) says which. What it asks for is remembered."""
    if edit.operation == "replace":
        prompt = _replacement(edit, int(chance * len(_replacement_forms()[edit.slot])))
    else:
        forms = _filled(edit)
        prompt = forms[int(chance * len(forms))]
    if len(_KNOWN) >= _KNOWN_MOST:
        _KNOWN.clear()
    _KNOWN[prompt] = (edit,)
    return prompt


def edits_of(prompt: str) -> tuple[Edit, ...]:
    """What a prompt asks for.

    Raises:
        TextError: it is no edit prompt of plot English.
    """
    return _KNOWN.get(prompt) or plot_english.parse_edit(prompt)


def _vague() -> list[Edit]:
    return [Edit("vague", "", name) for name in directions()]


def _removals() -> list[Edit]:
    single = [Edit("remove", slot) for slot in lexicon.SINGLE_SLOTS]
    return single + [Edit("remove", *pair) for pair in plot_english.FEATURES if pair[0] in lexicon.SET_SLOTS]


def _askings() -> list[Edit]:
    return [Edit("add" if pair[0] in lexicon.SET_SLOTS else "set", *pair) for pair in plot_english.FEATURES]


def _kind(edit: Edit) -> int:
    return KINDS.index("ask" if edit.operation in ("set", "add") else edit.operation)


def _first_slot(pairs: Sequence[Pair]) -> list[Pair]:
    return [pair for pair in pairs if pair[0] == pairs[0][0]]


def _columns(pairs: Sequence[Pair]) -> NDArray[np.bool_]:
    row = np.zeros(len(plot_english.FEATURES), np.bool_)
    row[[feature_index()[pair] for pair in pairs]] = True
    return row


def applicable(held: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which edits of the table can change which states, and leave them readable (no set above its capacity).

    Args:
        held: [B, F] what the states say.

    Returns:
        [B, E].
    """
    table = edit_table()
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
