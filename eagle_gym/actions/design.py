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

``solve`` and ``select`` take one pool ``[K, n]``; ``solve_batch`` and ``select_batch`` take many, and give each pool
the very same bits that it would get alone. ``coverage`` describes any set of rows, however it was chosen.

References:
    1. J. Kiefer, J. Wolfowitz, "The equivalence of two extremum problems", Canadian J. Math. 12, 1960.
    2. T. Lattimore, C. Szepesvári, "Bandit Algorithms", chapter 21, 2020.
    3. G. Tennenholtz et al., "Embedding-Aligned Language Models", NeurIPS 2024 (the use made of it here).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from eagle_gym.actions import design_geometry as geometry
from eagle_gym.actions import design_solvers as solvers
from eagle_gym.actions import design_subset as subset
from eagle_gym.actions.design_geometry import Bools, Floats, Ints, Stack
from eagle_gym.errors import ConfigurationError, DesignError

__all__ = [
    "Coverage",
    "Design",
    "Selection",
    "Solver",
    "UninformativeDesignWarning",
    "coverage",
    "leverages",
    "project",
    "select",
    "select_batch",
    "solve",
    "solve_batch",
    "solve_ridge",
    "thin",
]

Solver = Literal["auto", "interior-point", "exchange", "cvxpy", "cvxpy-clarabel", "cvxpy-logdet", "cvxpy-logdet-scs"]
_AUTO: Final = ("interior-point", "exchange", "cvxpy")  # what "auto" tries, in order
_RANK_TOL: Final = 1e-8
_ENTRIES: Final = 2**24  # of the K x K matrices that a stack may need at once (128 MiB)

Pools = npt.NDArray[np.floating] | Sequence[npt.ArrayLike]


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
class Coverage:
    """How well a set of rows, taken uniformly, covers its pool, and where it leans.

    Attributes:
        C: max_a g_a / r over the pool, for uniform weights on the set; infinite if the set does not span the pool.
        energy: share of the pool's squared length that lies in the span of the set, 0 to 1.
        alignment: mean cosine between the set's rows and the pool's mean, -1 to 1; 0 if the pool's mean is zero. High
            means bias: the set leans the way that the pool leans. Long candidates make the mean, so a design, which
            takes the long ones, may well align more than a random set.
        crowding: mean squared cosine between a row of the set and a candidate of the pool, 0 to 1. High means bias of
            another kind: the set lies along the axes where many candidates lie, whatever their lengths and signs. It
            is 1/n where no axis is favoured.
        mean_length: mean length of the set's rows, in the features' units.
        pool_mean_length: the same over the pool. A design prefers long vectors; compare the two.
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
        indices: rows of the pool, ``[k]``, ascending and distinct (all K rows if the pool has fewer than k).
        weights: q_S, ``[k]``, summing to one. Rows that only fill the set have weight 0.
        rank: r, the numerical rank of the pool.
        C: max_a g_a / r of q_S over the *whole* pool; infinite if the k rows do not span it.
        bound: proved upper bound on C, max(k/(k - r + 1), k/r); infinite for k < r.
        method: "support" (an optimal design fits in k rows), "exchange", or "pivoted" (k < r).
        gap: gap of the design over the whole pool that the selection started from.
        energy: share of the pool's squared length that lies in the span of the offered rows.
        ridge_gap: only for "pivoted", else None: how far q_S is from optimal for log det(M + lambda·I), with lambda
            a hundredth of the pool's mean squared length per dimension; finite where C is not.
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
    ridge_gap: float | None
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

    Candidates that are equal up to sign share one weight evenly. Rank-deficient pools are solved in their span.

    Args:
        features: ``[K, n]``, finite, not all zero; any real dtype and memory order, never written to.
        solver: "auto" runs the interior point on a working set, and falls back to exchange and then cvxpy where the
            certificate fails. Any other name runs that solver alone: "cvxpy" is the second-order-cone form with SCS,
            "cvxpy-clarabel" the same with Clarabel, "cvxpy-logdet" and "cvxpy-logdet-scs" the semidefinite form
            (Clarabel, SCS), for small n.
        tol: the gap wanted.
        rank_tol: directions whose singular value is below this share of the largest count as noise and are dropped.
            The criterion does not know scale: a noise direction that is kept earns as much weight as any other.
        normalise: give every row unit length first (zero rows stay zero).

    Raises:
        DesignError: features that are not ``[K, n]``, not real and finite, or all zero; or a single solver, asked
            for by name, that gave no answer.
        ConfigurationError: an unknown solver or a tolerance out of range.

    Warns:
        UninformativeDesignWarning: the rank equals the number of distinct candidates.
    """
    return _solve([geometry.check_pool(features)], solver, tol, rank_tol, normalise)[0]


def solve_batch(
    pools: Pools,
    *,
    solver: Solver = "auto",
    tol: float = 1e-6,
    rank_tol: float = _RANK_TOL,
    normalise: bool = False,
) -> list[Design]:
    """Return ``solve`` of each pool, computed together; see ``solve``.

    Args:
        pools: ``[B, K, n]``, or a sequence of ``[K_b, n]``.
        solver: as in ``solve``.
        tol: as in ``solve``.
        rank_tol: as in ``solve``.
        normalise: as in ``solve``.

    Raises:
        DesignError: as ``solve``; the message names the pool.
        ConfigurationError: as ``solve``.
    """
    return _solve(geometry.check_pools(pools), solver, tol, rank_tol, normalise)


def _solve(pools: list[Floats], solver: str, tol: float, rank_tol: float, normalise: bool) -> list[Design]:
    _check(solver, tol, rank_tol)
    used = [geometry.unit_rows(pool) for pool in pools] if normalise else pools
    designs: dict[int, Design] = {}
    for stack in geometry.prepare(used, rank_tol):
        for row, found in enumerate(_solve_stack(stack, solver, tol)):
            designs[int(stack.which[row])] = _share(found, stack.first[row, : stack.sizes[row]])
    return [designs[b] for b in range(len(pools))]


def _check(solver: str, tol: float, rank_tol: float) -> None:
    if solver not in get_args(Solver):
        raise ConfigurationError(f"solver must be one of {', '.join(get_args(Solver))}; got {solver!r}")
    if not (0 < tol < 1 and 0 < rank_tol < 1):
        raise ConfigurationError(f"tol and rank_tol must lie in (0, 1); got tol={tol!r}, rank_tol={rank_tol!r}")


def _share(found: Design, first: Ints) -> Design:
    """Cut the padding off, and share the weight of rows that are equal up to sign evenly among them."""
    weights = found.weights[first] / np.bincount(first, minlength=len(first))[first]
    return replace(found, weights=weights / weights.sum())


def _solve_stack(stack: Stack, solver: str, tol: float) -> list[Design]:
    """Solve the pools of a stack, weights ``[K]`` on the first of equal rows: exact answers, then solvers."""
    distinct: Bools = np.asarray(stack.rows.any(axis=-1))  # [B, K]
    exact = distinct.sum(axis=-1) == stack.rank
    if (exact & (stack.sizes > 1)).any():
        warnings.warn(
            f"the rank, {stack.rank}, equals the number of distinct candidates, so their design is uniform and says "
            "nothing; use more candidates or project the features (to about a quarter as many dimensions)",
            UninformativeDesignWarning,
            stacklevel=4,
        )
    designs: dict[int, Design] = {}
    for b in np.flatnonzero(exact):
        weights = distinct[b] / stack.rank
        gap = float(geometry.certificate(stack.rows[b : b + 1], weights[None])[0])
        designs[int(b)] = Design(weights, stack.rank, gap, 1 + gap, gap <= tol, "closed-form", (), 0)
    rest = np.flatnonzero(~exact)
    if rest.size:
        designs.update(zip(rest.tolist(), _run_chain(stack.rows[rest], solver, tol), strict=True))
    return [designs[b] for b in range(len(exact))]


def _run_chain(rows: Floats, solver: str, tol: float) -> list[Design]:
    """Run solvers on ``[B, K, r]`` until each pool is certified; keep the best design of each."""
    chain = _AUTO if solver == "auto" else (solver,)
    best: list[Design | None] = [None] * len(rows)
    for position, name in enumerate(chain):
        todo = [b for b, design in enumerate(best) if design is None or not design.certified]
        if not todo:
            break
        for b, found in zip(todo, _attempt(rows[todo], name, tol, chain[:position]), strict=True):
            held = best[b]
            if np.isfinite(found.gap) and (held is None or found.gap < held.gap):
                best[b] = found
    if solver != "auto" and None in best:
        raise DesignError(f"solver {solver!r} gave no design for pool {best.index(None)} of its stack; use 'auto'")
    return [_uniform(rows[b], tol) if design is None else design for b, design in enumerate(best)]


def _uniform(rows: Floats, tol: float) -> Design:
    """Return the uniform design on one pool ``[K, r]``: the last resort, with the certificate it has."""
    weights = rows.any(axis=-1) / rows.any(axis=-1).sum()
    gap = float(geometry.certificate(rows[None], weights[None])[0])
    return Design(weights, int(rows.shape[-1]), gap, 1 + gap, gap <= tol, "uniform", _AUTO, 0)


def _attempt(rows: Floats, name: str, tol: float, tried: tuple[str, ...]) -> list[Design]:
    """Run one solver on ``[B, K, r]`` and certify what it says; a breakdown has an infinite gap."""
    found = _robust(_solver(name), rows, tol)
    weights, gap = _tidy(rows, found.weights, tol)
    rank = int(rows.shape[-1])
    return [
        Design(q, rank, worst, 1 + worst, worst <= tol, name, tried, steps)
        for q, worst, steps in zip(weights, gap.tolist(), found.iterations.tolist(), strict=True)
    ]


def _solver(name: str) -> Callable[[Floats, float], solvers.Iterate]:
    """Return the solver of stacks with this name."""
    if name == "interior-point":
        return solvers.working_set
    if name == "exchange":
        return partial(_one_by_one, run=solvers.exchange)
    from eagle_gym.actions.design_cvxpy import FORMS, conic

    form, backend = FORMS[name]
    return partial(_one_by_one, run=partial(conic, form=form, backend=backend))


def _one_by_one(rows: Floats, tol: float, *, run: Callable[[Floats, float], solvers.Iterate]) -> solvers.Iterate:
    """Run a solver of single pools on a stack; zero rows are left out, for they carry no weight."""
    parts = []
    for pool in rows:
        some = pool.any(axis=-1)
        found = run(np.ascontiguousarray(pool[some]), tol)
        weights = np.zeros((1, len(pool)))
        weights[:, some] = found.weights
        parts.append(found._replace(weights=weights))
    return _stacked(parts)


def _stacked(parts: list[solvers.Iterate]) -> solvers.Iterate:
    return solvers.Iterate(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _robust(run: Callable[[Floats, float], solvers.Iterate], rows: Floats, tol: float) -> solvers.Iterate:
    """Run a solver on a stack, in parts that fit in memory; if it breaks down, on each pool alone.

    So only the pool that breaks fails, and its weights are zero.
    """
    part = max(1, _ENTRIES // rows.shape[1] ** 2)
    if len(rows) > part:
        return _stacked([_robust(run, rows[b : b + part], tol) for b in range(0, len(rows), part)])
    try:
        with np.errstate(all="ignore"):
            return run(rows, tol)
    except (np.linalg.LinAlgError, solvers.SolverBreakdown):
        if len(rows) > 1:
            return _stacked([_robust(run, rows[b : b + 1], tol) for b in range(len(rows))])
        return solvers.Iterate(np.zeros(rows.shape[:2]), np.array([np.inf]), np.zeros(1, dtype=np.intp))


def _tidy(rows: Floats, weights: Floats, tol: float) -> tuple[Floats, Floats]:
    """Take weights off rows that no optimal design can use, else off rows that hardly have any, if it does no harm.

    Returns:
        The weights ``[B, K]``, and their certified gaps ``[B]``, infinite where there is no design.
    """
    rank = rows.shape[-1]
    weights = _normalised(np.where(np.isfinite(weights), np.maximum(weights, 0.0), 0.0))
    g = geometry.leverages(rows, weights)
    gap: Floats = np.asarray(g.max(axis=-1) / rank - 1)
    allowed = np.maximum(gap, tol)
    with np.errstate(invalid="ignore"):
        idle = (solvers.removable(g, rank), weights < 1e-3 * np.sqrt(tol) / rank, weights < 0.1 * tol / rank)
    todo = np.arange(len(rows))
    for mask in idle:
        clean = _normalised(np.where(mask[todo], 0.0, weights[todo]))
        gap_clean = geometry.certificate(rows[todo], clean)
        use = gap_clean <= allowed[todo]
        weights[todo[use]], gap[todo[use]] = clean[use], gap_clean[use]
        todo = todo[~use]
        if not todo.size:
            break
    return weights, gap


def _normalised(weights: Floats) -> Floats:
    """Scale weights ``[B, K]`` to sum to one; those that are all zero stay zero."""
    total = weights.sum(axis=-1, keepdims=True)
    scaled: Floats = weights / np.where(total > 0, total, 1.0)
    return scaled


def leverages(features: npt.ArrayLike, weights: npt.ArrayLike, *, rank_tol: float = _RANK_TOL) -> tuple[Floats, float]:
    """Return g_a = z_a^T M(q)^+ z_a for every row, ``[K]``, and the gap max_a g_a / r - 1: the certificate itself.

    Args:
        features: ``[K, n]``.
        weights: any distribution over the rows, ``[K]``; it need not be a design made here.
        rank_tol: see ``solve``.

    Raises:
        DesignError: as ``solve``; or weights that are negative, not finite, all zero or not ``[K]``.
    """
    pool = geometry.check_pool(features)
    given = _check_weights(weights, len(pool))
    rows = _whole(pool, rank_tol)
    g = geometry.leverages(rows, (given / given.sum())[None])[0]
    return g, float(g.max() / rows.shape[-1] - 1)


def _check_weights(weights: npt.ArrayLike, count: int) -> Floats:
    try:
        given = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        given = np.full(0, np.nan)
    if given.shape != (count,) or not np.isfinite(given).all() or given.min() < 0 or given.sum() <= 0:
        raise DesignError(f"weights must be {count} finite non-negative numbers, not all zero; got {weights!r}")
    return given


def _whole(pool: Floats, rank_tol: float) -> Floats:
    """Whiten one pool with its copies, ``[1, K, r]``."""
    stack = geometry.prepare([pool], rank_tol)[0]
    first = stack.first[0, : len(pool)]
    return stack.rows[:, first]


def thin(features: npt.ArrayLike, found: Design, *, rank_tol: float = _RANK_TOL) -> Design:
    """Return a design on at most r(r+1)/2 rows whose information matrix is the same, or the same times more than one.

    Optimal weights are not unique where candidates tie, and the interior point spreads them; this gathers them.

    Args:
        features: ``[K, n]``, as given to ``solve``.
        found: a design over them.
        rank_tol: see ``solve``.

    Raises:
        DesignError: as ``solve``; or a design over another number of candidates.
    """
    pool = geometry.check_pool(features)
    rows = _whole(pool, rank_tol)
    weights = subset.thin(rows[0], _check_weights(found.weights, len(pool)))
    gap = float(geometry.certificate(rows, weights[None])[0])
    return replace(found, weights=weights, gap=gap, C=1 + gap)


def solve_ridge(features: npt.ArrayLike, penalty: float = 1e-2, *, tol: float = 1e-6) -> Design:
    """Return a design that maximises log det(M(q) + lambda·I) instead of log det M(q).

    Unlike the G-optimal design this one knows scale: directions much shorter than sqrt(lambda) are left alone. It is
    a choice, not a default, because its answer changes when features are rescaled or rotated into other units.

    Args:
        features: ``[K, n]``.
        penalty: lambda, in units of the pool's mean squared length per dimension.
        tol: the gap wanted, max_a z_a^T A^-1 z_a / d - 1 with A = M + lambda·I and d = n - lambda·tr(A^-1).

    Raises:
        DesignError: as ``solve``.
        ConfigurationError: a penalty or tolerance that is not positive.
    """
    if not (penalty > 0 and tol > 0):
        raise ConfigurationError(f"penalty and tol must be positive; got penalty={penalty!r}, tol={tol!r}")
    pool = geometry.check_pool(features)
    scaled = np.ldexp(pool, -int(np.frexp(np.abs(pool).max())[1]))
    found, effective = solvers.ridge(scaled, penalty * float(np.square(scaled).mean()), tol)
    gap = float(found.gap[0])
    rank = round(effective)
    return Design(found.weights[0], rank, gap, 1 + gap, gap <= tol, "ridge", (), int(found.iterations[0]))


def select(
    features: npt.ArrayLike, k: int, *, tol: float = 1e-6, rank_tol: float = _RANK_TOL, normalise: bool = False
) -> Selection:
    """Pick the k rows of a pool to offer, and the distribution over them.

    If an optimal design needs at most k rows, they are taken, and the set is filled greedily. Otherwise rows are
    picked greedily by log det and improved by swaps until none helps, which proves C <= max(k/(k - r + 1), k/r); the
    weights are uniform or the design over the k rows, whichever has the smaller C over the whole pool. With k < r no
    set can cover the pool: rows are picked by pivoted QR of the features, and C is infinite.

    Copies of a row (up to sign) and zero rows are taken only where nothing else is left.

    Args:
        features: ``[K, n]``.
        k: rows to offer, at least 1; a pool with fewer rows offers them all.
        tol: gap of the designs solved on the way.
        rank_tol: see ``solve``.
        normalise: choose by unit-length rows, which C, bound and gap then speak of. Lengths and energy are still
            reported for the features as given.

    Raises:
        DesignError: as ``solve``.
        ConfigurationError: k below 1, or a tolerance out of range.
    """
    return _select([geometry.check_pool(features)], k, tol, rank_tol, normalise)[0]


def select_batch(
    pools: Pools, k: int, *, tol: float = 1e-6, rank_tol: float = _RANK_TOL, normalise: bool = False
) -> list[Selection]:
    """Return ``select`` of each pool, computed together; see ``select``.

    Args:
        pools: ``[B, K, n]``, or a sequence of ``[K_b, n]``.
        k: as in ``select``.
        tol: as in ``select``.
        rank_tol: as in ``select``.
        normalise: as in ``select``.

    Raises:
        DesignError: as ``solve``; the message names the pool.
        ConfigurationError: as ``select``.
    """
    return _select(geometry.check_pools(pools), k, tol, rank_tol, normalise)


def _select(pools: list[Floats], k: int, tol: float, rank_tol: float, normalise: bool) -> list[Selection]:
    if not isinstance(k, (int, np.integer)) or k < 1:
        raise ConfigurationError(f"k must be a whole number of at least 1, got {k!r}")
    _check("auto", tol, rank_tol)
    used = [geometry.unit_rows(pool) for pool in pools] if normalise else pools
    selections: dict[int, Selection] = {}
    for stack in geometry.prepare(used, rank_tol):
        for b, item in zip(stack.which.tolist(), _select_stack(stack, k, tol), strict=True):
            item = _describe(item, pools[b]) if normalise or item.method == "pivoted" else item
            selections[b] = item
    return [selections[b] for b in range(len(pools))]


def _select_stack(stack: Stack, k: int, tol: float) -> list[Selection]:
    """Select in every pool of a stack."""
    whole = _solve_stack(stack, "auto", tol)
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
    """Choose ``target`` rows, at least r, in each pool, given its design ``full``; all ``[B, K]``, gap ``[B]``.

    The support of a design that is not certified proves nothing, so swaps have to.
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
        weights[these], gap[these] = _weigh(rows, chosen[these], tol)
    return chosen, weights, gap


def _weigh(rows: Floats, chosen: Bools, tol: float) -> tuple[Floats, Floats]:
    """Return uniform weights on the set or its own optimal design, whichever covers the whole pool better."""
    uniform = chosen / chosen.sum(axis=-1, keepdims=True)
    inside = np.nonzero(chosen)[1].reshape(len(rows), -1)
    found = _robust(solvers.working_set, np.take_along_axis(rows, inside[..., None], axis=1), tol)
    optimal = np.zeros_like(uniform)
    np.put_along_axis(optimal, inside, found.weights, axis=-1)
    gaps = np.stack([geometry.certificate(rows, uniform), geometry.certificate(rows, optimal)])
    better = gaps[1] < gaps[0]
    return np.where(better[:, None], optimal, uniform), gaps.min(axis=0)


def _describe(item: Selection, pool: Floats) -> Selection:
    """Add what is known only from the features as given: lengths and energy, and the ridge gap where C is infinite."""
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


def project(features: npt.ArrayLike, dimensions: int, *, rng: np.random.Generator | None = None) -> Floats:
    """Project features to fewer dimensions, so that a design over them says something.

    With as many dimensions as candidates every design is uniform. About a quarter as many dimensions as candidates
    leaves it a choice. Which of the two projections suits is the caller's decision, so neither is ever a default.

    Args:
        features: ``[K, n]``.
        dimensions: columns of the result, at most n.
        rng: if given, project by a random Gaussian matrix, which treats all directions alike; otherwise onto the
            leading right singular vectors, which keeps the longest directions (features are not centred).

    Returns:
        ``[K, dimensions]``.

    Raises:
        DesignError: as ``solve``.
        ConfigurationError: dimensions out of range.
    """
    pool = geometry.check_pool(features)
    if not isinstance(dimensions, (int, np.integer)) or not 1 <= dimensions <= pool.shape[1]:
        raise ConfigurationError(f"dimensions must be a whole number in 1..{pool.shape[1]}, got {dimensions!r}")
    if rng is not None:
        basis = rng.normal(scale=dimensions**-0.5, size=(pool.shape[1], dimensions))
    else:
        basis = np.linalg.svd(pool, full_matrices=True)[2][:dimensions].T
    projected: Floats = pool @ basis
    return projected


def coverage(features: npt.ArrayLike, indices: npt.ArrayLike, *, rank_tol: float = _RANK_TOL) -> Coverage:
    """Describe a set of rows of a pool: how well it covers the pool, and where it leans.

    Args:
        features: the pool, ``[K, n]``.
        indices: rows of the set, ``[k]``; a row named twice counts twice.
        rank_tol: see ``solve``.

    Raises:
        DesignError: as ``solve``; or indices that are empty or not rows of the pool.
    """
    pool = geometry.check_pool(features)
    chosen = np.asarray(indices)
    if chosen.ndim != 1 or chosen.size == 0 or chosen.dtype.kind not in "iu":
        raise DesignError(f"indices must be a non-empty list of whole numbers, got {indices!r}")
    if chosen.min() < 0 or chosen.max() >= len(pool):
        raise DesignError(f"indices must lie in 0..{len(pool) - 1}, got {chosen.min()}..{chosen.max()}")
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
