"""Optimal designs over whole pools, each with its certificate: solvers run in turn until one is certified."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from eagle_gym.design import geometry, solvers, subset
from eagle_gym.design.geometry import Bools, Floats, Ints, Stack
from eagle_gym.errors import ConfigurationError, DesignError

Solver = Literal["auto", "interior-point", "exchange", "cvxpy", "cvxpy-clarabel", "cvxpy-logdet", "cvxpy-logdet-scs"]
_AUTO: Final = ("interior-point", "exchange", "cvxpy")  # solvers of "auto", in order
RANK_TOL: Final = 1e-8  # share of the largest singular value below which a direction is noise
_ENTRIES: Final = 2**24  # most entries of the K x K matrices that a stack needs at once (128 MiB)

Pools = npt.NDArray[np.floating] | Sequence[npt.ArrayLike]


class UninformativeDesignWarning(UserWarning):
    """The rank equals the number of distinct candidates, so the design is uniform whatever the features are."""


@dataclass(frozen=True, eq=False)
class Design:
    """A distribution over the K candidates of a pool, with its certificate.

    Attributes:
        weights: q, `[K]`, non-negative, which sums to one.
        rank: r, the numerical rank of the pool.
        gap: max_a g_a / r - 1 over all rows; log det M is within r·log(1 + gap) of the largest possible.
        C: 1 + gap. The design is C-approximate.
        certified: Whether gap <= tol. If not, this is the best design that was found.
        solver: The solver that made the weights ("closed-form" if they are exact).
        fallback: Solvers that fell short before, in order.
        iterations: Steps of that solver.
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


def solve(
    features: npt.ArrayLike,
    *,
    solver: Solver = "auto",
    tol: float = 1e-6,
    rank_tol: float = RANK_TOL,
    normalise: bool = False,
) -> Design:
    """Return a G-optimal design over the rows of `features`.

    Candidates that are equal up to sign share one weight evenly. Rank-deficient pools are solved in their span.

    Args:
        features: `[K, n]`, finite, not all zero; any real dtype and memory order, never written to.
        solver: "auto" runs the interior point on a working set, and falls back to exchange and then cvxpy if the
            certificate fails. Any other name runs only that solver: "cvxpy" is the second-order-cone form with SCS,
            "cvxpy-clarabel" the same with Clarabel, "cvxpy-logdet" and "cvxpy-logdet-scs" the semidefinite form
            (Clarabel, SCS), for small n.
        tol: The gap wanted.
        rank_tol: Directions whose singular value is below this share of the largest count as noise and are dropped.
            The criterion is scale-free: a noise direction that is kept gets as much weight as any other.
        normalise: Give every row unit length first (zero rows stay zero).

    Raises:
        DesignError: Features are not `[K, n]`, not real and finite, or all zero; or a solver chosen by name gave no
            answer.
        ConfigurationError: The solver is unknown, or a tolerance is out of range.

    Warns:
        UninformativeDesignWarning: The rank equals the number of distinct candidates.
    """
    return _solve([geometry.check_pool(features)], solver, tol, rank_tol, normalise)[0]


def solve_batch(
    pools: Pools,
    *,
    solver: Solver = "auto",
    tol: float = 1e-6,
    rank_tol: float = RANK_TOL,
    normalise: bool = False,
) -> list[Design]:
    """Return `solve` of each pool, computed together; see `solve`.

    Args:
        pools: `[B, K, n]`, or a sequence of `[K_b, n]`.
        solver: As in `solve`.
        tol: As in `solve`.
        rank_tol: As in `solve`.
        normalise: As in `solve`.

    Raises:
        DesignError: As `solve`; the message names the pool.
        ConfigurationError: As `solve`.
    """
    return _solve(geometry.check_pools(pools), solver, tol, rank_tol, normalise)


def _solve(pools: list[Floats], solver: str, tol: float, rank_tol: float, normalise: bool) -> list[Design]:
    check_tolerances(solver, tol, rank_tol)
    used = [geometry.unit_rows(pool) for pool in pools] if normalise else pools
    designs: dict[int, Design] = {}
    for stack in geometry.prepare(used, rank_tol):
        for row, found in enumerate(solve_stack(stack, solver, tol)):
            designs[int(stack.which[row])] = _share(found, stack.first[row, : stack.sizes[row]])
    return [designs[b] for b in range(len(pools))]


def check_tolerances(solver: str, tol: float, rank_tol: float) -> None:
    """Raise ConfigurationError if the solver is unknown or a tolerance is out of range."""
    if solver not in get_args(Solver):
        raise ConfigurationError(f"expected one of {', '.join(get_args(Solver))} as solver, got {solver!r}")
    if not (0 < tol < 1 and 0 < rank_tol < 1):
        raise ConfigurationError(f"expected tol and rank_tol in (0, 1), got tol={tol!r}, rank_tol={rank_tol!r}")


def _share(found: Design, first: Ints) -> Design:
    """Remove the padding, and divide the weight of rows that are equal up to sign evenly among them."""
    weights = found.weights[first] / np.bincount(first, minlength=len(first))[first]
    return replace(found, weights=weights / weights.sum())


def solve_stack(stack: Stack, solver: str, tol: float) -> list[Design]:
    """Solve the pools of a stack, weights `[K]` on the first of equal rows: exact answers, then solvers."""
    distinct: Bools = np.asarray(stack.rows.any(axis=-1))  # [B, K]
    exact = distinct.sum(axis=-1) == stack.rank
    if (exact & (stack.sizes > 1)).any():
        warnings.warn(
            f"the rank, {stack.rank}, equals the number of distinct candidates, so their design is uniform and says "
            "nothing: use more candidates or project the features (to about a quarter as many dimensions)",
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
    """Run solvers in turn on `[B, K, r]` until each pool is certified; return the best design of each."""
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
        raise DesignError(f"solver {solver!r} gave no design for pool {best.index(None)} of its stack: use 'auto'")
    return [_uniform(rows[b], tol) if design is None else design for b, design in enumerate(best)]


def _uniform(rows: Floats, tol: float) -> Design:
    """Return the uniform design on one pool `[K, r]`, the last resort, with its certificate."""
    weights = rows.any(axis=-1) / rows.any(axis=-1).sum()
    gap = float(geometry.certificate(rows[None], weights[None])[0])
    return Design(weights, int(rows.shape[-1]), gap, 1 + gap, gap <= tol, "uniform", _AUTO, 0)


def _attempt(rows: Floats, name: str, tol: float, tried: tuple[str, ...]) -> list[Design]:
    """Run one solver on `[B, K, r]` and certify its weights; a breakdown has an infinite gap."""
    found = robust(_solver(name), rows, tol)
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
    from eagle_gym.design.conic import FORMS, conic

    form, backend = FORMS[name]
    return partial(_one_by_one, run=partial(conic, form=form, backend=backend))


def _one_by_one(rows: Floats, tol: float, *, run: Callable[[Floats, float], solvers.Iterate]) -> solvers.Iterate:
    """Run a solver of single pools on a stack, without zero rows, which carry no weight."""
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


def robust(run: Callable[[Floats, float], solvers.Iterate], rows: Floats, tol: float) -> solvers.Iterate:
    """Run a solver on a stack, in parts that fit in memory; if it breaks down, on each pool separately.

    So only a pool that itself breaks the solver fails; its weights are zero.
    """
    part = max(1, _ENTRIES // rows.shape[1] ** 2)
    if len(rows) > part:
        return _stacked([robust(run, rows[b : b + part], tol) for b in range(0, len(rows), part)])
    try:
        with np.errstate(all="ignore"):
            return run(rows, tol)
    except (np.linalg.LinAlgError, solvers.SolverBreakdown):
        if len(rows) > 1:
            return _stacked([robust(run, rows[b : b + 1], tol) for b in range(len(rows))])
        return solvers.Iterate(np.zeros(rows.shape[:2]), np.array([np.inf]), np.zeros(1, dtype=np.intp))


def _tidy(rows: Floats, weights: Floats, tol: float) -> tuple[Floats, Floats]:
    """Remove weights from rows that no optimal design uses, or that hardly have any, if the gap allows it.

    Returns:
        The weights `[B, K]`, and their certified gaps `[B]`, infinite where there is no design.
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
    """Scale weights `[B, K]` to sum to one; those that are all zero stay zero."""
    total = weights.sum(axis=-1, keepdims=True)
    scaled: Floats = weights / np.where(total > 0, total, 1.0)
    return scaled


def leverages(features: npt.ArrayLike, weights: npt.ArrayLike, *, rank_tol: float = RANK_TOL) -> tuple[Floats, float]:
    """Return g_a = z_a^T M(q)^+ z_a for every row, `[K]`, and the gap max_a g_a / r - 1: the certificate itself.

    Args:
        features: `[K, n]`.
        weights: Any distribution over the rows, `[K]`.
        rank_tol: See `solve`.

    Raises:
        DesignError: As `solve`; or weights are negative, not finite, all zero or not `[K]`.
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
        raise DesignError(f"expected {count} finite non-negative weights, not all zero, got {weights!r}")
    return given


def _whole(pool: Floats, rank_tol: float) -> Floats:
    """Whiten one pool with its copies, `[1, K, r]`."""
    stack = geometry.prepare([pool], rank_tol)[0]
    first = stack.first[0, : len(pool)]
    return stack.rows[:, first]


def thin(features: npt.ArrayLike, found: Design, *, rank_tol: float = RANK_TOL) -> Design:
    """Return a design on at most r(r+1)/2 rows with the same information matrix, or a multiple of it above one.

    Optimal weights are not unique if candidates tie; the interior point spreads them, and this gathers them.

    Args:
        features: `[K, n]`, as given to `solve`.
        found: A design over them.
        rank_tol: See `solve`.

    Raises:
        DesignError: As `solve`; or the design has another number of candidates.
    """
    pool = geometry.check_pool(features)
    rows = _whole(pool, rank_tol)
    weights = subset.thin(rows[0], _check_weights(found.weights, len(pool)))
    gap = float(geometry.certificate(rows, weights[None])[0])
    return replace(found, weights=weights, gap=gap, C=1 + gap)


def solve_ridge(features: npt.ArrayLike, penalty: float = 1e-2, *, tol: float = 1e-6) -> Design:
    """Return a design that maximises log det(M(q) + lambda·I) instead of log det M(q).

    Unlike the G-optimal design it depends on scale: directions much shorter than sqrt(lambda) are ignored. It is not
    the default, because its answer changes when features are rescaled or rotated into other units.

    Args:
        features: `[K, n]`.
        penalty: lambda, in units of the pool's mean squared length per dimension.
        tol: The gap wanted, max_a z_a^T A^-1 z_a / d - 1 with A = M + lambda·I and d = n - lambda·tr(A^-1).

    Raises:
        DesignError: As `solve`.
        ConfigurationError: The penalty or the tolerance is not positive.
    """
    if not (penalty > 0 and tol > 0):
        raise ConfigurationError(f"expected a positive penalty and tol, got penalty={penalty!r}, tol={tol!r}")
    pool = geometry.check_pool(features)
    scaled = np.ldexp(pool, -int(np.frexp(np.abs(pool).max())[1]))
    found, effective = solvers.ridge(scaled, penalty * float(np.square(scaled).mean()), tol)
    gap = float(found.gap[0])
    rank = round(effective)
    return Design(found.weights[0], rank, gap, 1 + gap, gap <= tol, "ridge", (), int(found.iterations[0]))
