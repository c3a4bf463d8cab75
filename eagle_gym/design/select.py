"""Selection of k rows of a pool and of the distribution over them; coverage of a pool by a set; projection of pools.

`select` starts from the pool's optimal design (`solve`), chooses rows (`subset`) and certifies the result (`geometry`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from eagle_gym.design import geometry, solvers, subset
from eagle_gym.design.geometry import Bools, Floats, Ints, Stack
from eagle_gym.design.solve import RANK_TOL, Pools, check_tolerances, leverages, robust, solve_stack
from eagle_gym.errors import ConfigurationError, DesignError


@dataclass(frozen=True, eq=False)
class Coverage:
    """How well a set of rows, with uniform weights, covers its pool, and how biased it is.

    Attributes:
        C: max_a g_a / r over the pool, for uniform weights on the set; infinite if the set does not span the pool.
        energy: Share of the pool's squared length that lies in the span of the set, 0 to 1.
        alignment: Mean cosine between the set's rows and the pool's mean, -1 to 1; 0 if the pool's mean is zero. A high
            value is a bias towards the pool's mean. Long candidates dominate the mean, so a design, which prefers long
            candidates, may align more than a random set.
        crowding: Mean squared cosine between a row of the set and a candidate of the pool, 0 to 1. A high value is a
            bias towards axes along which many candidates lie, whatever their lengths and signs. It is 1/n if no axis
            is favoured.
        mean_length: Mean length of the set's rows, in the features' units.
        pool_mean_length: The same over the pool. A design prefers long vectors; compare the two.
    """

    C: float
    energy: float
    alignment: float
    crowding: float
    mean_length: float
    pool_mean_length: float


@dataclass(frozen=True, eq=False)
class Selection:
    """The candidates offered out of a pool, and the distribution q_S over them.

    Attributes:
        indices: Rows of the pool, `[k]`, ascending and distinct (all K rows if the pool has fewer than k).
        weights: q_S, `[k]`, which sums to one. Rows that only fill the set have weight 0.
        rank: r, the numerical rank of the pool.
        C: max_a g_a / r of q_S over the *whole* pool; infinite if the k rows do not span it.
        bound: Proven upper bound on C, max(k/(k - r + 1), k/r); infinite for k < r.
        method: "support" (an optimal design fits in k rows), "exchange", or "pivoted" (k < r).
        gap: Gap of the design over the whole pool from which the selection started.
        energy: Share of the pool's squared length that lies in the span of the offered rows.
        ridge_gap: Only for "pivoted", otherwise None: gap of q_S to the optimum of log det(M + lambda·I), with lambda a
            hundredth of the pool's mean squared length per dimension; finite even where C is infinite.
        mean_length: Mean length of the offered rows, in the features' units.
        pool_mean_length: The same over the pool. A design prefers long vectors; compare the two.
    """

    indices: Ints
    weights: Floats
    rank: int
    C: float
    bound: float
    method: Literal["support", "exchange", "pivoted"]
    gap: float
    energy: float
    ridge_gap: float | None
    mean_length: float
    pool_mean_length: float


def select(
    features: npt.ArrayLike, k: int, *, tol: float = 1e-6, rank_tol: float = RANK_TOL, normalise: bool = False
) -> Selection:
    """Select k rows of a pool to offer, and the distribution over them.

    If an optimal design needs at most k rows, they are taken, and the set is filled greedily. Otherwise rows are
    picked greedily by log det and improved by swaps until none helps, which proves C <= max(k/(k - r + 1), k/r); the
    weights are uniform or the design over the k rows, whichever has the smaller C over the whole pool. With k < r no
    set can cover the pool: rows are picked by pivoted QR of the features, and C is infinite.

    Copies of a row (up to sign) and zero rows are taken only if no others are left.

    Args:
        features: `[K, n]`.
        k: Rows to offer, at least 1; a pool with fewer rows offers them all.
        tol: Gap of the designs solved on the way.
        rank_tol: See `solve`.
        normalise: Scale rows to unit length for the selection; C, bound and gap refer to the scaled rows, lengths and
            energy to the features as given.

    Raises:
        DesignError: As `solve`.
        ConfigurationError: k is below 1, or a tolerance is out of range.
    """
    return _select([geometry.check_pool(features)], k, tol, rank_tol, normalise)[0]


def select_batch(
    pools: Pools, k: int, *, tol: float = 1e-6, rank_tol: float = RANK_TOL, normalise: bool = False
) -> list[Selection]:
    """Return `select` of each pool, computed together; see `select`.

    Args:
        pools: `[B, K, n]`, or a sequence of `[K_b, n]`.
        k: As in `select`.
        tol: As in `select`.
        rank_tol: As in `select`.
        normalise: As in `select`.

    Raises:
        DesignError: As `solve`; the message names the pool.
        ConfigurationError: As `select`.
    """
    return _select(geometry.check_pools(pools), k, tol, rank_tol, normalise)


def _select(pools: list[Floats], k: int, tol: float, rank_tol: float, normalise: bool) -> list[Selection]:
    if not isinstance(k, (int, np.integer)) or k < 1:
        raise ConfigurationError(f"expected k as a whole number of at least 1, got {k!r}")
    check_tolerances("auto", tol, rank_tol)
    used = [geometry.unit_rows(pool) for pool in pools] if normalise else pools
    selections: dict[int, Selection] = {}
    for stack in geometry.prepare(used, rank_tol):
        for b, item in zip(stack.which.tolist(), _select_stack(stack, k, tol), strict=True):
            item = _describe(item, pools[b]) if normalise or item.method == "pivoted" else item
            selections[b] = item
    return [selections[b] for b in range(len(pools))]


def _select_stack(stack: Stack, k: int, tol: float) -> list[Selection]:
    """Select in every pool of a stack."""
    whole = solve_stack(stack, "auto", tol)
    full = np.stack([item.weights for item in whole])
    target = np.minimum(stack.sizes, k)
    if k < stack.rank:
        chosen = subset.pivoted(np.where(stack.is_first[..., None], stack.features, 0.0), k)
        weights, gap = chosen / k, np.full(len(full), np.inf)
    else:
        certified = np.array([item.certified for item in whole])
        chosen, weights, gap = _cover(stack, full, certified, target, tol)
    lengths = np.sqrt(np.square(stack.features).sum(axis=-1))  # scaled; the means are scaled back
    lengths_in = np.ldexp(np.where(chosen, lengths, 0.0).sum(axis=-1) / chosen.sum(axis=-1), stack.scale)
    lengths_all = np.ldexp(lengths.sum(axis=-1) / stack.sizes, stack.scale)
    weights /= weights.sum(axis=-1, keepdims=True)
    selections = []
    for b, item in enumerate(whole):
        indices = np.flatnonzero(chosen[b])
        fits = item.certified and np.count_nonzero(item.weights) <= len(indices)
        selections.append(
            Selection(
                indices=indices,
                weights=weights[b, indices],
                rank=stack.rank,
                C=1 + float(gap[b]),
                bound=subset.bound(len(indices), stack.rank),
                method="pivoted" if k < stack.rank else "support" if fits else "exchange",
                gap=item.gap,
                energy=float(stack.energy[b]),
                ridge_gap=None,
                mean_length=float(lengths_in[b]),
                pool_mean_length=float(lengths_all[b]),
            )
        )
    return selections


def _cover(stack: Stack, full: Floats, certified: Bools, target: Ints, tol: float) -> tuple[Bools, Floats, Floats]:
    """Choose `target` rows, at least r, in each pool, given its design `full`; all `[B, K]`, gap `[B]`.

    The support of an uncertified design proves nothing, so such pools go through the swaps.
    """
    prior = np.where(stack.real, np.where(stack.features.any(axis=-1), -1.0, -2.0), -np.inf)
    fits = certified & ((full > 0).sum(axis=-1) <= target)
    chosen, weights = full > 0, full.copy()
    gap = np.empty(len(full))
    if fits.any():
        chosen[fits] = subset.fill(stack.rows[fits], chosen[fits], target[fits], prior[fits])
        gap[fits] = geometry.certificate(stack.rows[fits], full[fits])
    for wanted in np.unique(target[~fits]):
        these = np.flatnonzero(~fits & (target == wanted))
        rows = stack.rows[these]
        spanning = subset.fill(rows, subset.pivoted(rows, stack.rank), target[these], prior[these])
        chosen[these] = subset.improve(rows, spanning)
        weights[these], gap[these] = _set_weights(rows, chosen[these], tol)
    return chosen, weights, gap


def _set_weights(rows: Floats, chosen: Bools, tol: float) -> tuple[Floats, Floats]:
    """Return uniform weights on the set or its own optimal design, whichever covers the whole pool better."""
    uniform = chosen / chosen.sum(axis=-1, keepdims=True)
    inside = np.nonzero(chosen)[1].reshape(len(rows), -1)
    found = robust(solvers.working_set, np.take_along_axis(rows, inside[..., None], axis=1), tol)
    optimal = np.zeros_like(uniform)
    np.put_along_axis(optimal, inside, found.weights, axis=-1)
    gaps = np.stack([geometry.certificate(rows, uniform), geometry.certificate(rows, optimal)])
    better = gaps[1] < gaps[0]
    return np.where(better[:, None], optimal, uniform), gaps.min(axis=0)


def _describe(item: Selection, pool: Floats) -> Selection:
    """Fill in what needs the features as given: lengths and energy, and the ridge gap if C is infinite."""
    found = coverage(pool, item.indices)
    scaled = np.ldexp(pool, -int(np.frexp(np.abs(pool).max())[1]))
    weights = np.zeros(len(pool))
    weights[item.indices] = item.weights
    g, effective = solvers.ridge_leverages(scaled, weights, 1e-2 * float(np.square(scaled).mean()))
    return replace(
        item,
        energy=found.energy,
        ridge_gap=float(g.max() / effective - 1) if item.method == "pivoted" else None,
        mean_length=found.mean_length,
        pool_mean_length=found.pool_mean_length,
    )


def coverage(features: npt.ArrayLike, indices: npt.ArrayLike, *, rank_tol: float = RANK_TOL) -> Coverage:
    """Describe a set of rows of a pool: how well it covers the pool, and how biased it is.

    Args:
        features: The pool, `[K, n]`.
        indices: Rows of the set, `[k]`; a repeated row counts twice.
        rank_tol: See `solve`.

    Raises:
        DesignError: As `solve`; or indices are empty or not rows of the pool.
    """
    pool = geometry.check_pool(features)
    chosen = np.asarray(indices)
    if chosen.ndim != 1 or chosen.size == 0 or chosen.dtype.kind not in "iu":
        raise DesignError(f"expected indices as a non-empty list of whole numbers, got {indices!r}")
    if chosen.min() < 0 or chosen.max() >= len(pool):
        raise DesignError(f"expected indices in 0..{len(pool) - 1}, got {chosen.min()}..{chosen.max()}")
    scale = int(np.frexp(np.abs(pool).max())[1])
    scaled = np.ldexp(pool, -scale)
    _, gap = leverages(scaled, np.bincount(chosen, minlength=len(pool)), rank_tol=rank_tol)
    lengths = np.sqrt(np.square(scaled).sum(axis=-1))
    return Coverage(
        C=1 + gap,
        energy=geometry.captured_energy(scaled, chosen),
        alignment=_alignment(scaled, chosen),
        crowding=_crowding(scaled, chosen),
        mean_length=float(np.ldexp(lengths[chosen].mean(), scale)),
        pool_mean_length=float(np.ldexp(lengths.mean(), scale)),
    )


def _alignment(pool: Floats, chosen: Ints) -> float:
    """Return the mean cosine between the chosen rows and the pool's mean; zero rows count as 0."""
    mean = pool.mean(axis=0)
    if float(np.abs(mean).max()) <= 1e-12 * float(np.abs(pool).max()):
        return 0.0
    return float((geometry.unit_rows(pool[chosen]) @ geometry.unit_rows(mean[None])[0]).mean())


def _crowding(pool: Floats, chosen: Ints) -> float:
    """Return the mean squared cosine between chosen rows and rows of the pool; zero rows are left out."""
    ours, all_ = (geometry.unit_rows(rows[rows.any(axis=-1)]) for rows in (pool[chosen], pool))
    return float(np.square(ours @ all_.T).mean()) if len(ours) else 0.0


def project(features: npt.ArrayLike, dimensions: int, *, rng: np.random.Generator | None = None) -> Floats:
    """Project features to fewer dimensions, so that a design over them is informative.

    With as many dimensions as candidates every design is uniform; about a quarter as many dimensions as candidates
    leave a choice.

    Args:
        features: `[K, n]`.
        dimensions: Columns of the result, at most n.
        rng: If given, project by a random Gaussian matrix, which treats all directions equally; otherwise onto the
            leading right singular vectors, which keep the longest directions (features are not centred).

    Returns:
        `[K, dimensions]`.

    Raises:
        DesignError: As `solve`.
        ConfigurationError: `dimensions` is out of range.
    """
    pool = geometry.check_pool(features)
    if not isinstance(dimensions, (int, np.integer)) or not 1 <= dimensions <= pool.shape[1]:
        raise ConfigurationError(f"expected dimensions as a whole number in 1..{pool.shape[1]}, got {dimensions!r}")
    if rng is not None:
        basis = rng.normal(scale=dimensions**-0.5, size=(pool.shape[1], dimensions))
    else:
        basis = np.linalg.svd(pool, full_matrices=True)[2][:dimensions].T
    projected: Floats = pool @ basis
    return projected
