"""Candidate edits: the pool from which an action set is chosen.

`LexiconCandidates` draws edits in plot English from arrays, for a whole batch of states at once, in the proportions of
`plot_english.propose`. `proposals.ModelCandidates` asks the language model. Both propose generic edits (given the text)
and personalised ones (given the user's profile too). No edit is proposed twice, and edits that would change nothing are
left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eagle_gym import plot_english
from eagle_gym.errors import ConfigurationError, TextError
from eagle_gym.plot_english import Change, Pair, arrays, lexicon
from eagle_gym.plot_english.propose import SHARES, SLOT_WEIGHTS, asking_for

_MACRO_CHANGES = 3  # that a macro edit asks for


class Candidates(Protocol):
    """Proposes edits for a batch of states."""

    @property
    def settings(self) -> dict[str, str | float]:
        """What determines the proposals in addition to texts, profiles and seeds, as JSON values."""
        ...

    def propose(self, texts: Sequence[str], profiles: Sequence[str], n: int, seeds: Sequence[int]) -> list[list[str]]:
        """Up to `n` distinct edits for each state.

        Args:
            texts: [B] The states' texts.
            profiles: [B] The users' profiles, as text.
            n: Edits wanted for each state.
            seeds: [B] The states' seeds; a state's edits depend only on its text, profile and seed.
        """
        ...


class LexiconCandidates:
    """Edits in plot English, drawn from the lexicon.

    Args:
        personalised: Share of edits drawn given the profile, as far as there are enough: they ask for something the
            user likes, remove something the user dislikes, replace one by the other, or go in a direction that may
            bring something liked. If it is above 0, the other edits never ask for anything disliked.
        macro: Share of macro edits, which ask for three changes at once.

    Raises:
        ConfigurationError: A share is outside 0 to 1.
    """

    def __init__(self, personalised: float = 0.5, macro: float = 0.0) -> None:
        for name, share in (("personalised", personalised), ("macro", macro)):
            if not 0.0 <= share <= 1.0:
                raise ConfigurationError(f"expected {name} from 0 to 1, got {share!r}: give a share")
        self.personalised = personalised
        self.macro = macro

    @property
    def settings(self) -> dict[str, str | float]:
        """See `Candidates`."""
        return {"candidates": "lexicon", "personalised": self.personalised, "macro": self.macro}

    def propose(self, texts: Sequence[str], profiles: Sequence[str], n: int, seeds: Sequence[int]) -> list[list[str]]:
        """See `Candidates`; fewer than `n` only where the language has no more edits."""
        if n < 1:
            raise ConfigurationError(f"expected n of at least 1, got {n}: ask for one edit or more")
        fits = arrays.applicable(arrays.one_hot(texts))
        return [
            self._propose(_Said.by(text), _compiled(profile if self.personalised else ""), row, n,
                          np.random.default_rng(seed))
            for text, profile, row, seed in zip(texts, profiles, fits, seeds, strict=True)
        ]  # fmt: skip

    def _propose(
        self, said: _Said, taste: _Taste, fits: NDArray[np.bool_], n: int, rng: np.random.Generator
    ) -> list[str]:
        allowed = fits & taste.wanted
        macros = _macros(allowed, round(n * self.macro), rng)
        own = _personal(said, taste, fits, rng, round((n - len(macros)) * self.personalised))
        rest = _generic(said, taste, allowed, n - len(macros) - len(own), own, rng)
        edits = [*macros, *map(_word, own, rng.random(len(own)).tolist()), *rest]
        # Shuffled, so that the position in the pool does not reveal how an edit was made.
        return [edits[i] for i in rng.permutation(len(edits)).tolist()]


Replacement = tuple[str, str, str]  # slot, new value, old value
Drawn = int | Replacement  # a row of the table of changes, or a replacement, which the table does not hold


@dataclass(frozen=True, slots=True)
class _Said:
    """What a text says.

    Attributes:
        pairs: The (slot, value) pairs.
        sets: Those of them that belong to sets.
        counts: Number of values in each slot that has any.
    """

    pairs: tuple[Pair, ...]
    sets: tuple[Pair, ...]
    counts: Mapping[str, int]

    @staticmethod
    @lru_cache(maxsize=16384)
    def by(text: str) -> _Said:
        """What this text says."""
        pairs = tuple(plot_english.FEATURES[column] for column in arrays.columns(text))
        return _Said(pairs, tuple(pair for pair in pairs if pair[0] in lexicon.SET_SLOTS), Counter(s for s, _ in pairs))

    def has_room(self, slot: str) -> bool:
        """Whether a slot takes another value."""
        return slot not in lexicon.SET_SLOTS or self.counts.get(slot, 0) < lexicon.CAPACITY[slot]


@dataclass(frozen=True, slots=True)
class _Taste:
    """A user's taste, with what it means for the table of changes.

    Attributes:
        likes: What the user likes, with the row that asks for it.
        dislikes: What the user dislikes, with the row that removes it.
        leading: Rows of the vague directions that may bring something liked.
        wanted: False where a change asks for something disliked, [E].
    """

    likes: Mapping[Pair, int]
    dislikes: Mapping[Pair, int]
    leading: NDArray[np.intp]
    wanted: NDArray[np.bool_]


@lru_cache(maxsize=65536)
def tastes(profile: str) -> plot_english.Profile:
    """The likes and dislikes of a profile in plot English; none for free text."""
    try:
        return plot_english.parse_profile(profile)
    except TextError:
        return plot_english.Profile()


@lru_cache(maxsize=4096)
def _compiled(profile: str) -> _Taste:
    """The taste that a profile states; none for an empty one."""
    taste, table, columns = tastes(profile), arrays.change_table(), arrays.feature_index()
    liked, disliked = ([columns[pair] for pair in pairs] for pairs in (taste.likes, taste.dislikes))
    asks = table.kind == arrays.KINDS.index("ask")
    return _Taste(
        likes={pair: _row_of()[asking_for(pair)] for pair in taste.likes},
        dislikes={pair: _row_of()[_removing(pair)] for pair in taste.dislikes},
        leading=np.flatnonzero(table.wanted[:, liked].any(1)),
        wanted=~(asks & np.isin(table.column, disliked)),
    )


def _removing(pair: Pair) -> Change:
    slot, value = pair
    return Change("remove", slot, value if slot in lexicon.SET_SLOTS else "")


def _word(drawn: Drawn, chance: float) -> str:
    """One of the edits that ask for a change."""
    forms = arrays.replacements(*drawn) if isinstance(drawn, tuple) else arrays.change_table().edits[drawn]
    return forms[int(chance * len(forms))]


def _personal(
    said: _Said, taste: _Taste, fits: NDArray[np.bool_], rng: np.random.Generator, most: int
) -> list[Drawn]:
    """Up to so many personalised edits of a state, drawn from all there are."""
    held = set(said.pairs)
    likes = {pair: row for pair, row in taste.likes.items() if pair not in held}
    drawn: list[Drawn] = [row for (slot, _), row in likes.items() if said.has_room(slot)]
    drawn += [row for pair, row in taste.dislikes.items() if pair in held]
    old = [pair for pair in said.sets if pair not in taste.likes]
    drawn += [(slot, value, gone) for slot, value in likes for place, gone in old if place == slot]
    drawn += taste.leading[fits[taste.leading]].tolist()
    return [drawn[i] for i in rng.permutation(len(drawn))[:most].tolist()]


def _generic(
    said: _Said,
    taste: _Taste,
    allowed: NDArray[np.bool_],
    n: int,
    taken: Sequence[Drawn],
    rng: np.random.Generator,
) -> list[str]:
    """`n` edits drawn regardless of likes; none asks for a dislike or is in `taken`."""
    new = _replacements(said, taste, round(n * SHARES["replace"]), taken, rng)
    replacements = [_word(each, chance) for each, chance in new.items()]
    rows = _weighted_order(_without(allowed, taken), n - len(replacements), rng)
    forms, begin, edits_of_all = _forms()
    picked = begin[rows] + (rng.random(len(rows)) * forms[rows]).astype(np.intp)
    edits = [edits_of_all[i] for i in picked.tolist()]
    missing = n - len(replacements) - len(edits)
    more = _further_replacements(said, taste, missing, {*taken, *new}, rng) if missing else []
    return [*replacements, *edits, *more]


def _without(allowed: NDArray[np.bool_], taken: Sequence[Drawn]) -> NDArray[np.bool_]:
    rows = [row for row in taken if isinstance(row, int)]
    if not rows:
        return allowed
    left = allowed.copy()
    left[rows] = False
    return left


@cache
def _forms() -> tuple[NDArray[np.intp], NDArray[np.intp], tuple[str, ...]]:
    """[E] Number of edits of each change, [E] where they begin in the list of all, and this list."""
    table = arrays.change_table()
    return table.forms, np.cumsum(table.forms) - table.forms, tuple(edit for edits in table.edits for edit in edits)


def _weighted_order(allowed: NDArray[np.bool_], count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Up to `count` allowed rows of the table, drawn by weight without replacement, in the order drawn."""
    rows = np.flatnonzero(allowed)
    keys = rng.standard_exponential(len(rows)) / _weights(rows)
    if count < len(rows):
        first = np.argpartition(keys, count)[:count]
        rows, keys = rows[first], keys[first]
    return rows[np.argsort(keys)]


def _weights(rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Weight of each change in a draw: its kind's share. The possible removals divide theirs evenly."""
    static, (begin, end) = _static_weights()
    weights = static[rows]
    removed = slice(*np.searchsorted(rows, (begin, end)).tolist())
    weights[removed] /= max(removed.stop - removed.start, 1)
    return weights


@cache
def _static_weights() -> tuple[NDArray[np.float64], tuple[int, int]]:
    """[E] Weights, before removals divide theirs, and the range of the removals."""
    table = arrays.change_table()
    share = np.array([SHARES[kind] for kind in arrays.KINDS])[table.kind]
    share[: table.vague] /= table.vague
    slots = np.array([SLOT_WEIGHTS[slot] for slot in plot_english.SLOTS])
    per_value = slots / slots.sum() / arrays.slot_members().sum(1)
    asks = table.kind == arrays.KINDS.index("ask")
    share[asks] *= per_value[table.slot[asks]]
    removals = np.flatnonzero(table.kind == arrays.KINDS.index("remove"))  # they follow each other
    return share, (int(removals[0]), int(removals[-1]) + 1)


@cache
def _row_of() -> dict[Change, int]:
    return {change: row for row, change in enumerate(arrays.change_table().changes)}


def _replacements(
    said: _Said, taste: _Taste, count: int, taken: Sequence[Drawn], rng: np.random.Generator
) -> dict[Replacement, float]:
    """Up to `count` replacements of a value of a set by another one, each with the chance that picks its wording."""
    held = said.sets
    if not held or not count:
        return {}
    drawn: dict[Replacement, float] = {}
    olds, chances = rng.integers(len(held), size=count).tolist(), rng.random((count, 2)).tolist()
    for old_row, (which, wording) in zip(olds, chances, strict=True):
        slot, old = held[old_row]
        values = lexicon.values(slot)
        value = values[int(which * len(values))]
        if (slot, value) not in held and (slot, value) not in taste.dislikes:
            drawn[slot, value, old] = wording
    for each in drawn.keys() & set(taken):
        del drawn[each]
    return drawn


def _further_replacements(
    said: _Said, taste: _Taste, count: int, taken: set[Drawn], rng: np.random.Generator
) -> list[str]:
    """Up to `count` more replacements, to fill pools that are larger than the table of changes."""
    unwanted = {*said.pairs, *taste.dislikes}
    free = [
        (slot, value, old)
        for slot, old in said.sets
        for value in lexicon.values(slot)
        if (slot, value) not in unwanted and (slot, value, old) not in taken
    ]
    return [_word(free[i], rng.random()) for i in rng.permutation(len(free))[:count].tolist()]


def _macros(allowed: NDArray[np.bool_], count: int, rng: np.random.Generator) -> list[str]:
    """`count` edits that ask for three changes each, in three slots, so that none undoes another."""
    table = arrays.change_table()
    edits: dict[str, None] = {}
    for _ in range(4 * count):
        if len(edits) == count:
            break
        changes: dict[int, Change] = {}
        for row in _weighted_order(allowed, len(allowed), rng).tolist():
            changes.setdefault(int(table.slot[row]), table.changes[row])
            if len(changes) == _MACRO_CHANGES:
                break
        edits[plot_english.render_edit(tuple(changes.values()), rng)] = None
    return list(edits)
