"""Action sets: the K edits that a state offers, chosen from a pool by optimal design.

For a batch of states, candidate edits are proposed and the expected next embedding of each is estimated. A G-optimal
design over these embeddings, or over the displacements to them, then picks K edits and their weights q_S [1].
Differences from the paper: displacements are the default features, and among edits with equal features only the first
is offered, unless too few edits remain.

An action set depends only on text, user profile and seed, and, where pools are kept for items, on the item's text.
Every random draw comes from a hash of these, and features are rounded before the selection, so the batch, the process
and the episode's own randomness make no difference.

[1] Tennenholtz et al., "Embedding-Aligned Language Models", NeurIPS 2024, arXiv 2406.00024.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from eagle_gym import design
from eagle_gym.actions.candidates import Candidates
from eagle_gym.actions.effects import Effects
from eagle_gym.errors import ConfigurationError, DesignError
from eagle_gym.seeding import stable_seed

DECIMALS: Final = 6  # to which features are rounded before the selection
SELECTIONS: Final = ("g_optimal", "g_optimal_unit", "longest", "uniform", "top_weight")


@dataclass(frozen=True, eq=False)
class ActionSet:
    """The K actions of a state. Arrays are read-only; rows after the last edit are zero.

    Attributes:
        edits: [K] Edits, "" where the mask is 0.
        expected: [K, n] Expected next embeddings.
        features: [K, n] Features of the design: displacements or next embeddings.
        weights: [K] Design weights q_S, which sum to 1.
        mask: [K] 1 where an edit is offered, int8.
        gap: Certified relative gap of the pool's design to the G-optimum.
        C: Approximation factor of the offered set: largest leverage over the pool, divided by the rank.
    """

    edits: tuple[str, ...]
    expected: NDArray[np.float64]
    features: NDArray[np.float64]
    weights: NDArray[np.float64]
    mask: NDArray[np.int8]
    gap: float
    C: float

    def taken(self, order: NDArray[np.intp]) -> ActionSet:
        """The same actions in another order, [K] row numbers."""
        arrays = {name: getattr(self, name)[order] for name in ("expected", "features", "weights", "mask")}
        for array in arrays.values():
            array.flags.writeable = False
        return replace(self, edits=tuple(self.edits[row] for row in order), **arrays)


@dataclass(frozen=True, eq=False)
class Pool:
    """The pool from which an action set is chosen.

    Attributes:
        edits: [P] Distinct edits.
        expected: [P, n] Expected next embeddings, rounded.
        features: [P, n] Features of the design.
    """

    edits: tuple[str, ...]
    expected: NDArray[np.float64]
    features: NDArray[np.float64]


class ActionSets:
    """Builds action sets and caches the most recently used.

    Args:
        candidates: Propose the pool.
        effects: Estimate the expected next embedding of each candidate.
        pool: Candidates per state.
        k: Actions offered per state.
        features: "displacement" (expected next embedding minus the state's) or "next".
        selection: How the k are chosen from the pool; all but the first exist for comparison.
            "g_optimal": by design. "g_optimal_unit": by a design over features of unit length. "longest": the longest
            features. "uniform": at random, from the state's own seed. "top_weight": the largest weights in an optimal
            design over the whole pool. The last three have uniform weights.
        seed: Enters every hash, so different seeds give independent action sets.
        cache_size: Action sets to keep; the least recently used is dropped first.

    Raises:
        ConfigurationError: `k` or `pool` is below 2, `k` exceeds `pool`, or the features or the selection are unknown.
    """

    def __init__(
        self,
        candidates: Candidates,
        effects: Effects,
        *,
        pool: int = 64,
        k: int = 16,
        features: Literal["displacement", "next"] = "displacement",
        selection: str = "g_optimal",
        seed: int = 0,
        cache_size: int = 8192,
    ) -> None:
        if not 2 <= k <= pool:
            raise ConfigurationError(f"expected 2 <= k <= pool, got k={k} and pool={pool}")
        if features not in ("displacement", "next"):
            raise ConfigurationError(f"expected features 'displacement' or 'next', got {features!r}")
        if selection not in SELECTIONS:
            raise ConfigurationError(f"expected one of {', '.join(SELECTIONS)} as selection, got {selection!r}")
        if cache_size < 1:
            raise ConfigurationError(f"expected cache_size of at least 1, got {cache_size}")
        self.candidates = candidates
        self.effects = effects
        self.pool = pool
        self.k = k
        self.features = features
        self.selection = selection
        self.seed = seed
        self.cache_size = cache_size
        self._cache: OrderedDict[_Key, ActionSet] = OrderedDict()

    def build(
        self,
        texts: Sequence[str],
        profiles: Sequence[str],
        z: NDArray[np.float64],
        subjects: Sequence[str] | None = None,
    ) -> list[ActionSet]:
        """The action sets of a batch of states.

        Args:
            texts: [B] The states' texts.
            profiles: [B] The users' profiles, as text.
            z: [B, n] The texts' embeddings.
            subjects: [B] The texts for which edits are proposed; None for the states' own.

        Returns:
            [B] Action sets; equal (text, profile) give the same object.
        """
        keys = list(zip(texts, profiles, subjects or texts, strict=True))
        first_row = {key: row for row, key in reversed(list(enumerate(keys)))}
        found = {key: self._cache[key] for key in first_row if key in self._cache}
        missing = [key for key in first_row if key not in found]
        if missing:
            rows = [first_row[key] for key in missing]
            found.update(zip(missing, self._make(missing, np.asarray(z)[rows]), strict=True))
        self._remember(found)
        return [found[key] for key in keys]

    def forget(self) -> None:
        """Empty the cache: action sets are built again, with the same results."""
        self._cache.clear()

    def _remember(self, used: dict[_Key, ActionSet]) -> None:
        for key, action_set in used.items():
            self._cache[key] = action_set
            self._cache.move_to_end(key)
        while len(self._cache) > self.cache_size:
            self._cache.popitem(last=False)

    def _make(self, keys: list[_Key], z: NDArray[np.float64]) -> list[ActionSet]:
        texts, profiles, subjects = ([key[part] for key in keys] for part in range(3))
        pools = self.pools(texts, profiles, z, subjects)
        offered = [_representatives(pool.features, self.k) for pool in pools]
        seeds = [stable_seed(self.seed, "selection", *_seeded(key)) for key in keys]
        features = [pool.features[rows] for pool, rows in zip(pools, offered, strict=True)]
        chosen = _select(features, self.k, self.selection, seeds)
        return [
            _assemble(self.k, pool, rows, choice) for pool, rows, choice in zip(pools, offered, chosen, strict=True)
        ]

    def pools(
        self,
        texts: Sequence[str],
        profiles: Sequence[str],
        z: NDArray[np.float64],
        subjects: Sequence[str] | None = None,
    ) -> list[Pool]:
        """The pools from which the action sets of a batch of states are chosen; they are not cached.

        Args:
            texts: [B] The states' texts.
            profiles: [B] The users' profiles, as text.
            z: [B, n] The texts' embeddings.
            subjects: [B] The texts for which edits are proposed; None for the states' own.

        Raises:
            DesignError: No edit was proposed for a state.
        """
        subjects = subjects or texts
        seeds = [stable_seed(self.seed, *_seeded(key)) for key in zip(texts, profiles, subjects, strict=True)]
        edits = [_distinct(pool) for pool in self.candidates.propose(subjects, profiles, self.pool, seeds)]
        if not all(edits):
            at = next(row for row, pool in enumerate(edits) if not pool)
            raise DesignError(f"expected candidate edits for the text {texts[at]!r}, got none that can be used")
        expected = [np.round(e, DECIMALS) for e in self.effects.expected(texts, edits, z, seeds)]
        return [Pool(tuple(pool), e, self._features(e, row)) for pool, e, row in zip(edits, expected, z, strict=True)]

    def _features(self, expected: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.features == "next":
            return expected
        return np.round(expected - z, DECIMALS)


_Key = tuple[str, str, str]  # text, profile, text for which edits are proposed


def _seeded(key: _Key) -> tuple[str, ...]:
    """What enters the hash of a state's seed."""
    text, profile, subject = key
    return (text, profile) if subject == text else key


@dataclass(frozen=True)
class _Choice:
    indices: NDArray[np.intp]
    weights: NDArray[np.float64]
    gap: float
    C: float


def _distinct(edits: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(edits))


def _representatives(features: NDArray[np.float64], k: int) -> NDArray[np.intp]:
    """The first of each set of equal rows, in order; if these are fewer than k, the earliest others join."""
    written, count = (features + 0.0).tobytes(), len(features)  # + 0.0 makes -0.0 and 0.0 one
    width = len(written) // count
    keys = [written[begin : begin + width] for begin in range(0, len(written), width)]
    first = dict(zip(reversed(keys), range(count - 1, -1, -1), strict=True))
    if len(first) == count:
        return np.arange(count)
    chosen = set(first.values())
    rest = [row for row in range(count) if row not in chosen]
    return np.array(sorted([*chosen, *rest[: max(0, k - len(chosen))]]), np.intp)


def _select(features: list[NDArray[np.float64]], k: int, selection: str, seeds: Sequence[int]) -> list[_Choice]:
    """One choice per state. States that offer the same number of edits, nearly always all, share a batched design."""
    choices: dict[int, _Choice] = {}
    groups: dict[int, list[int]] = {}
    for row, f in enumerate(features):
        count = min(k, len(f))
        if not np.any(f):  # nothing moves, so every choice is as good
            choices[row] = _Choice(np.arange(count), np.full(count, 1.0 / count), 0.0, 1.0)
        elif selection in _SIMPLE:
            choices[row] = _subset(f, _SIMPLE[selection](f, count, seeds[row]))
        else:
            groups.setdefault(count, []).append(row)
    for count, rows in groups.items():
        with warnings.catch_warnings():
            # A state with no more candidates than directions offers them all: no reason to warn.
            warnings.simplefilter("ignore", design.UninformativeDesignWarning)
            normalise = selection == "g_optimal_unit"
            selections = design.select_batch([features[row] for row in rows], count, normalise=normalise)
        for row, found in zip(rows, selections, strict=True):
            # Indices ascend, so the position in the set does not reveal how early the design picked it.
            choices[row] = _Choice(found.indices, found.weights, found.gap, found.C)
    return [choices[row] for row in range(len(features))]


def _subset(features: NDArray[np.float64], indices: NDArray[np.intp]) -> _Choice:
    """Rows chosen without a design, with uniform weights and the C and gap of these."""
    c = design.coverage(features, indices).C
    return _Choice(np.sort(indices), np.full(len(indices), 1.0 / len(indices)), c - 1.0, c)


def _longest(features: NDArray[np.float64], count: int, seed: int) -> NDArray[np.intp]:
    return np.argsort(-np.square(features).sum(axis=1), kind="stable")[:count]


def _uniform(features: NDArray[np.float64], count: int, seed: int) -> NDArray[np.intp]:
    return np.random.default_rng(seed).choice(len(features), count, replace=False)


def _top_weight(features: NDArray[np.float64], count: int, seed: int) -> NDArray[np.intp]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", design.UninformativeDesignWarning)
        weights = np.round(design.solve(features).weights, DECIMALS)
    return np.argsort(-weights, kind="stable")[:count]


_SIMPLE: Final[dict[str, Callable[[NDArray[np.float64], int, int], NDArray[np.intp]]]] = {
    "longest": _longest,
    "uniform": _uniform,
    "top_weight": _top_weight,
}


def _assemble(
    k: int,
    pool: Pool,
    rows: NDArray[np.intp],
    choice: _Choice,
) -> ActionSet:
    picked = rows[choice.indices]
    count = len(picked)
    weights = np.maximum(choice.weights, 0.0)
    return ActionSet(
        edits=tuple(pool.edits[i] for i in picked) + ("",) * (k - count),
        expected=_padded(pool.expected[picked], k),
        features=_padded(pool.features[picked], k),
        weights=_padded(weights / weights.sum(), k),
        mask=_padded(np.ones(count, np.int8), k),
        gap=choice.gap,
        C=choice.C,
    )


def _padded(rows: NDArray[Any], k: int) -> NDArray[Any]:
    """Rows that nobody else holds, with zeros up to `k` of them, read-only."""
    out = rows
    if len(rows) < k:
        out = np.zeros((k, *rows.shape[1:]), rows.dtype)
        out[: len(rows)] = rows
    out.flags.writeable = False
    return out
