"""G-optimal designs over a pool of feature vectors, each with a certificate.

A design is a distribution q over K candidates with features z_a. The G-optimal one minimises the largest leverage
max_a z_a^T M(q)^-1 z_a, where M(q) = sum_a q_a z_a z_a^T. By Kiefer and Wolfowitz [1] the smallest possible value is
the rank r of the pool, and the designs that reach it are those that maximise log det M. So any q comes with a proof
of how good it is: C(q) = max_a g_a / r, at least 1, and 1 only at an optimum. Every result here carries that number,
recomputed from a QR factorisation over all rows, whatever solver made q.

    >>> from eagle_gym.actions import design
    >>> result = design.solve([[1, -1], [1, 0], [1, 1]])
    >>> result.weights.round(3).tolist()
    [0.5, 0.0, 0.5]

``solve`` and ``select`` take one pool ``[K, n]``; ``solve_batch`` and ``select_batch`` take many, ``[B, K, n]``, and
give each pool the very same bits that it would get alone.

References:
    1. J. Kiefer, J. Wolfowitz, "The equivalence of two extremum problems", Canadian J. Math. 12, 1960.
    2. T. Lattimore, C. Szepesvári, "Bandit Algorithms", chapter 21, 2020.
    3. G. Tennenholtz et al., "Embedding-Aligned Language Models", NeurIPS 2024 (the use made of it here).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from eagle_gym.actions import design_solvers as solvers
from eagle_gym.actions import design_subset as subset
from eagle_gym.actions.design_geometry import (
    Bools,
    Floats,
    Ints,
    Whitened,
    as_pools,
    certificate,
    merge_duplicates,
    rescale,
    whiten,
)
from eagle_gym.errors import ConfigurationError, DesignError

__all__ = [
    "Design",
    "Selection",
    "Solver",
    "UninformativeDesignWarning",
    "select",
    "select_batch",
    "solve",
    "solve_batch",
]

Solver = Literal[
    "auto", "interior-point", "exchange", "cvxpy", "cvxpy-scs", "cvxpy-clarabel", "cvxpy-logdet", "cvxpy-logdet-scs"
]

_RANK_TOL = 1e-8


class UninformativeDesignWarning(UserWarning):
    """The rank equals the number of distinct candidates: the design is uniform whatever the features say."""


@dataclass(frozen=True, eq=False)
class Design:
    """A distribution over the K candidates of a pool, with its certificate.

    Attributes:
        weights: q, ``[K]``, non-negative, summing to one.
        rank: r, the numerical rank of the pool.
        gap: max_a g_a / r - 1 over all rows; log det M is within r·log(1 + gap) of the largest possible.
        C: 1 + gap. The design is C-approximate.
        certified: whether gap <= tol. If not, this is the best design found, and no more is claimed.
        solver: the solver that made the weights ("closed-form" where the answer is exact).
        fallback: solvers that were tried before and fell short, in order.
        iterations: steps of that solver.
    """

    weights: Floats
    rank: int
    gap: float
    C: float
    certified: bool
    solver: str
    fallback: tuple[str, ...]
    iterations: int

    @property
    def support(self) -> Ints:
        """Indices of the candidates with positive weight."""
        return np.flatnonzero(self.weights > 0)


@dataclass(frozen=True, eq=False)
class Selection:
    """The k candidates offered out of a pool, and the distribution q_S over them.

    Attributes:
        indices: rows of the pool, ``[k]``, ascending and distinct.
        weights: q_S, ``[k]``, summing to one. Rows that only fill the set may have weight 0.
        rank: r, the numerical rank of the pool.
        C: max_a g_a / r of q_S over the *whole* pool; infinite if the k rows do not span it.
        bound: proved upper bound on C, max(k/(k - r + 1), k/r); infinite for k < r.
        method: "support" (an optimal design fits in k rows), "exchange", or "pivoted" (k < r).
        gap: gap of the design over the whole pool that the selection started from.
        energy: share of the pool's squared length that lies in the span of the offered rows.
        mean_length: mean length of the offered rows, in the features' units.
        pool_mean_length: the same over the pool. A design prefers long vectors; compare the two.
    """

    indices: Ints
    weights: Floats
    rank: int
    C: float
    bound: float
    method: Literal["support", "exchange", "pivoted"]
    gap: float
    energy: float
    mean_length: float
    pool_mean_length: float


def solve(
    features: npt.ArrayLike,
    *,
    solver: Solver = "auto",
    tol: float = 1e-6,
    rank_tol: float = _RANK_TOL,
    normalise: bool = False,
) -> Design:
    """Return a G-optimal design over the rows of ``features``.

    Args:
        features: ``[K, n]``, finite, not all zero. Rank-deficient pools are solved in their span.
        solver: "auto" runs the interior point (with a working set if K is large), and falls back to exchange and
            then cvxpy if the certificate fails. Any other name runs that solver alone.
        tol: the gap wanted.
        rank_tol: directions whose singular value is below this share of the largest count as noise and are dropped.
            The criterion does not know scale: a noise direction that is kept earns as much weight as any other.
        normalise: give every row unit length first (zero rows stay zero).

    Raises:
        DesignError: features that are not ``[K, n]``, not finite, or all zero.
        ConfigurationError: an unknown solver or a tolerance out of range.

    Warns:
        UninformativeDesignWarning: the rank equals the number of distinct candidates.
    """
    pools = as_pools(features, ndim=2)[None]
    return _solve(pools, solver=solver, tol=tol, rank_tol=rank_tol, normalise=normalise)[0]


def solve_batch(
    pools: npt.ArrayLike,
    *,
    solver: Solver = "auto",
    tol: float = 1e-6,
    rank_tol: float = _RANK_TOL,
    normalise: bool = False,
) -> list[Design]:
    """Return ``solve`` of each pool of ``[B, K, n]``, computed together; see ``solve``."""
    return _solve(as_pools(pools, ndim=3), solver=solver, tol=tol, rank_tol=rank_tol, normalise=normalise)


def _solve(pools: Floats, *, solver: str, tol: float, rank_tol: float, normalise: bool) -> list[Design]:
    if solver not in get_args(Solver):
        raise ConfigurationError(f"solver must be one of {', '.join(get_args(Solver))}; got {solver!r}")
    if not 0 < tol < 1 or not 0 < rank_tol < 1:
        raise ConfigurationError(f"tol and rank_tol must lie in (0, 1); got tol={tol!r}, rank_tol={rank_tol!r}")
    if normalise:
        pools = unit_rows(pools)
    first, count = merge_duplicates(pools)
    unique = pools * (first == np.arange(pools.shape[1]))[..., None]  # later copies become zero rows
    designs: list[Design | None] = [None] * len(pools)
    for which, group in whiten(unique, rank_tol):
        for b, result in zip(which, _solve_group(group, solver, tol), strict=True):
            designs[b] = _split(result, first[b], count[b])
    return [item for item in designs if item is not None]


def unit_rows(pools: Floats) -> Floats:
    """Give every row of ``[B, K, n]`` unit length; zero rows stay zero."""
    scaled = np.ldexp(pools, -np.frexp(np.abs(pools).max(axis=-1, keepdims=True))[1])
    lengths = np.sqrt(np.square(scaled).sum(axis=-1, keepdims=True))
    unit: Floats = np.divide(scaled, lengths, out=np.zeros_like(scaled), where=lengths > 0)
    return unit


def _split(result: Design, first: Ints, count: Ints) -> Design:
    """Share the weight of each merged row evenly among its copies."""
    weights = result.weights[first] / count
    return Design(**{**result.__dict__, "weights": weights / weights.sum()})


def _solve_group(group: Whitened, solver: str, tol: float) -> list[Design]:
    """Solve whitened pools of one rank ``[B, K, r]``: exact answers first, then the chain of solvers."""
    rows = group.rows
    rank = rows.shape[-1]
    moving: Bools = np.asarray(rows.any(axis=-1))  # [B, K]
    exact = moving.sum(axis=-1) == rank
    if exact.any() and rows.shape[1] > 1:
        warnings.warn(
            f"the rank, {rank}, equals the number of distinct candidates: the design is uniform and says nothing; "
            "use more candidates or project the features to fewer dimensions (about a quarter of the candidates)",
            UninformativeDesignWarning,
            stacklevel=4,
        )
    designs: list[Design | None] = [None] * len(rows)
    for b in np.flatnonzero(exact):
        weights = moving[b] / rank
        designs[b] = _certified(weights, rank, certificate(rows[b : b + 1], weights[None])[0], tol, "closed-form")
    rest = np.flatnonzero(~exact)
    if rest.size:
        for b, result in zip(rest, _run_chain(rows[rest], solver, tol), strict=True):
            designs[b] = result
    return [item for item in designs if item is not None]


def _certified(
    weights: Floats, rank: int, gap: float, tol: float, solver: str, fallback: Iterable[str] = (), iterations: int = 0
) -> Design:
    gap = float(gap)
    return Design(weights, rank, gap, 1 + gap, gap <= tol, solver, tuple(fallback), iterations)


def _run_chain(rows: Floats, solver: str, tol: float) -> list[Design]:
    """Run solvers on ``[B, K, r]`` until each pool is certified; keep the best design of each."""
    chain = ("interior-point", "exchange", "cvxpy") if solver == "auto" else (solver,)
    best: dict[int, Design] = {}
    tried: list[str] = []
    for name in chain:
        todo = [b for b in range(len(rows)) if b not in best or not best[b].certified]
        if not todo:
            break
        for b, found in zip(todo, _attempt(rows[todo], name, tol, tuple(tried)), strict=True):
            if found is not None and (b not in best or found.gap < best[b].gap):
                best[b] = found
        tried.append(name)
    failed = [b for b in range(len(rows)) if b not in best]
    if failed:
        raise DesignError(f"solver {solver!r} gave no design for {len(failed)} of {len(rows)} pools; use solver='auto'")
    return [best[b] for b in range(len(rows))]


def _attempt(rows: Floats, name: str, tol: float, tried: tuple[str, ...]) -> list[Design | None]:
    """Run one solver on ``[B, K, r]``; None where it broke down."""
    run = solvers.automatic if name == "interior-point" else partial(_one_by_one, name=name)
    found = run(rows, tol=tol / 2)
    weights, gap = _tidy(rows, found.weights, tol)
    rank = rows.shape[-1]
    return [
        _certified(weights[b], rank, gap[b], tol, name, tried, int(found.iterations[b]))
        if np.isfinite(gap[b])
        else None
        for b in range(len(rows))
    ]


def _one_by_one(rows: Floats, tol: float, name: str) -> solvers.Iterate:
    run = _single(name)
    parts = []
    for pool in rows:
        try:
            parts.append(run(pool, tol))
        except (np.linalg.LinAlgError, ArithmeticError):
            parts.append(solvers.Iterate(np.full((1, len(pool)), np.nan), np.array([np.inf]), np.zeros(1, np.intp)))
    return solvers.Iterate(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _single(name: str) -> Callable[[Floats, float], solvers.Iterate]:
    if name == "exchange":
        return solvers.exchange
    from eagle_gym.actions.design_cvxpy import conic

    form: Literal["mvee", "logdet"] = "logdet" if "logdet" in name else "mvee"
    clarabel = name in ("cvxpy-clarabel", "cvxpy-logdet")
    return lambda pool, tol: conic(pool, form, "CLARABEL" if clarabel else "SCS", tol)


def _tidy(rows: Floats, weights: Floats, tol: float) -> tuple[Floats, Floats]:
    """Set weights that mean nothing to exact zeros where the certificate allows it; return weights and gaps."""
    rank = rows.shape[-1]
    raw = np.where(np.isfinite(weights), np.maximum(weights, 0.0), 0.0)
    raw /= np.where(raw.sum(axis=-1) > 0, raw.sum(axis=-1), np.nan)[:, None]
    raw = np.nan_to_num(raw)
    gap = certificate(rows, raw)
    small = raw < 1e-3 * np.sqrt(tol) / rank
    clean = np.where(small, 0.0, raw)
    clean /= np.maximum(clean.sum(axis=-1, keepdims=True), 1e-300)
    gap_clean = certificate(rows, clean)
    use = gap_clean <= np.maximum(gap, tol)
    return np.where(use[:, None], clean, raw), np.where(use, gap_clean, gap)


def select(
    features: npt.ArrayLike, k: int, *, tol: float = 1e-6, rank_tol: float = _RANK_TOL, normalise: bool = False
) -> Selection:
    """Pick the k rows of a pool to offer, and the distribution over them.

    If an optimal design needs at most k rows, they are taken, and the set is filled greedily. Otherwise rows are
    picked greedily by log det and improved by swaps until none helps, which proves C <= max(k/(k - r + 1), k/r); the
    weights are uniform or the design over the k rows, whichever has the smaller C over the whole pool. With k < r no
    set can cover the pool: rows are picked by pivoted QR of the features, and C is infinite.

    Args:
        features: ``[K, n]``.
        k: rows to offer, 1 <= k <= K.
        tol: gap of the designs solved on the way.
        rank_tol: see ``solve``.
        normalise: choose by unit-length rows. Lengths and energy are still reported for the features as given.

    Raises:
        DesignError: as ``solve``.
        ConfigurationError: k out of range.
    """
    return _select(as_pools(features, ndim=2)[None], k, tol=tol, rank_tol=rank_tol, normalise=normalise)[0]


def select_batch(
    pools: npt.ArrayLike, k: int, *, tol: float = 1e-6, rank_tol: float = _RANK_TOL, normalise: bool = False
) -> list[Selection]:
    """Return ``select`` of each pool of ``[B, K, n]``, computed together; see ``select``."""
    return _select(as_pools(pools, ndim=3), k, tol=tol, rank_tol=rank_tol, normalise=normalise)


def _select(pools: Floats, k: int, *, tol: float, rank_tol: float, normalise: bool) -> list[Selection]:
    if not 1 <= k <= pools.shape[1]:
        raise ConfigurationError(f"k must lie in 1..{pools.shape[1]} (the size of the pool); got {k}")
    used = unit_rows(pools) if normalise else pools
    designs = _solve(used, solver="auto", tol=tol, rank_tol=rank_tol, normalise=False)
    full = np.stack([item.weights for item in designs])
    chosen = np.zeros(full.shape, dtype=np.bool_)
    weights = np.zeros(full.shape)
    C = np.full(len(pools), np.inf)
    for which, group in whiten(used, rank_tol):
        parts = _select_group(group.rows, rescale(used[which]), full[which], k, tol)
        chosen[which], weights[which], C[which] = parts
    scaled = rescale(pools)
    lengths = (
        np.sqrt(np.square(scaled).sum(axis=-1)) * np.ldexp(1.0, np.frexp(np.abs(pools).max(axis=(-2, -1)))[1])[:, None]
    )
    return [_selection(designs[b], chosen[b], weights[b], C[b], k, scaled[b], lengths[b]) for b in range(len(pools))]


def _selection(
    whole: Design, chosen: Bools, weights: Floats, C: float, k: int, pool: Floats, lengths: Floats
) -> Selection:
    indices = np.flatnonzero(chosen)
    support = np.count_nonzero(whole.weights) <= k
    return Selection(
        indices=indices,
        weights=weights[indices],
        rank=whole.rank,
        C=float(C),
        bound=subset.bound(k, whole.rank),
        method="pivoted" if k < whole.rank else "support" if support else "exchange",
        gap=whole.gap,
        energy=captured_energy(pool, indices),
        mean_length=float(lengths[indices].mean()),
        pool_mean_length=float(lengths.mean()),
    )


def captured_energy(pool: Floats, indices: Ints) -> float:
    """Return the share of the squared length of the rows ``[K, n]`` that lies in the span of the indexed rows."""
    _, values, right = np.linalg.svd(pool[indices], full_matrices=False)
    basis = right[values > _RANK_TOL * values[0]]
    return float(np.square(pool @ basis.T).sum() / np.square(pool).sum())


def _select_group(rows: Floats, raw: Floats, full: Floats, k: int, tol: float) -> tuple[Bools, Floats, Floats]:
    """Select in pools of one rank: rows whitened ``[B, K, r]``, raw ``[B, K, n]``, their designs ``[B, K]``."""
    chosen = np.zeros(full.shape, dtype=np.bool_)
    weights = full.copy()
    if k < rows.shape[-1]:
        np.put_along_axis(chosen, subset.pivoted(raw, k), True, axis=-1)
        return chosen, chosen / k, np.full(len(rows), np.inf)
    fits = (full > 0).sum(axis=-1) <= k
    if fits.any():
        chosen[fits] = subset.fill(rows[fits], full[fits] > 0, k)
    if not fits.all():
        picked, _ = subset.improve(rows[~fits], subset.greedy(rows[~fits], k))
        chosen[~fits], weights[~fits] = picked, _better_weights(rows[~fits], picked, tol)
    return chosen, weights, 1 + certificate(rows, weights)


def _better_weights(rows: Floats, chosen: Bools, tol: float) -> Floats:
    """Return uniform weights on the set or its own optimal design, whichever covers the whole pool better."""
    uniform = chosen / chosen.sum(axis=-1, keepdims=True)
    inside = np.nonzero(chosen)[1].reshape(len(rows), -1)
    found = solvers.automatic(np.take_along_axis(rows, inside[..., None], axis=1), tol)
    optimal = np.zeros_like(uniform)
    np.put_along_axis(optimal, inside, found.weights, axis=-1)
    better = certificate(rows, optimal) < certificate(rows, uniform)
    chosen_weights: Floats = np.where(better[:, None], optimal, uniform)
    return chosen_weights
