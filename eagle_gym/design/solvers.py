"""Solvers of the D-optimal (equally, G-optimal) design problem on whitened pools.

- `working_set`: a few multiplicative steps show which rows may carry weight; the interior point runs on those;
  all rows are checked, and rows that should have been in are added.
- `interior_point`: Mehrotra's predictor-corrector on min -log det M(u) + r·sum(u), u >= 0, whose minimum has
  sum(u) = 1. Its gradient is r - g and its Hessian G∘G with G = Y M^-1 Y^T, so a step costs one Cholesky factor.
- `exchange`: Böhning's vertex exchange, from the row with the least leverage to the one with the most.
- `ridge`: multiplicative steps for the criterion log det(M + lambda·I).

Callers do not trust any of them: they recompute the gap with `geometry.certificate`. In whitened coordinates the
optimal M has condition number at most K·r, so Cholesky factors are accurate enough to steer by.

References:
    1. J. Kiefer, J. Wolfowitz, "The equivalence of two extremum problems", Canadian J. Math. 12, 1960.
    2. S. Silvey, D. Titterington, B. Torsney, "An algorithm for optimal designs on a design space", Communications
       in Statistics 7, 1978 (multiplicative steps).
    3. D. Böhning, "A vertex-exchange-method in D-optimal design theory", Metrika 33, 1986.
    4. S. Mehrotra, "On the implementation of a primal-dual interior point method", SIAM J. Optimization 2, 1992.
    5. R. Harman, L. Pronzato, "Improvements on removing nonoptimal support points in D-optimum design algorithms",
       Statistics & Probability Letters 77, 2007.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import qr
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs

from eagle_gym.design.geometry import Bools, Floats, Ints

# Measured on Gaussian, clustered, heavy-tailed and off-centre pools: with these numbers every row of the optimal
# support was in the first working set, which was seldom a fifth larger than the support.
_TINY, _SMALL = 32, 128  # rows up to which a pool counts as tiny (solved whole) and small
_WARM_STEPS = (4, 6, 12)  # multiplicative steps for tiny, small and large pools
_WARM_POWER = 1.5  # of the steps q·(g/r)^power; faster than 1, and safe, since only the start depends on it
_NEAR = (0.0, 0.90, 0.93)  # rows with at least this share of r as leverage enter the working set, likewise
_MULTIPLE = 16  # of working-set sizes, so that pools of a stack share few shapes

_FLOOR = 1e-3  # smallest starting weight, as a share of 1/K
_SLACK = 0.03  # smallest starting slack, as a share of r
_BOUNDARY = 0.99  # share of the way to the boundary that a step may take


class SolverBreakdown(ArithmeticError):
    """A solver stopped without an answer; callers try the next one."""


class Iterate(NamedTuple):
    """Weights `[B, K]` that sum to one, the solver's own gap `[B]`, and its iterations `[B]`."""

    weights: Floats
    gap: Floats
    iterations: Ints


def working_set(rows: Floats, tol: float) -> Iterate:
    """Solve a stack of whitened pools `[B, K, r]`; zero rows are allowed.

    The interior point aims at a tenth of `tol`: this costs half an iteration, and separates idle rows from used ones.
    """
    batch, size, rank = rows.shape
    kind = (size > _TINY) + (size > _SMALL)
    u, score = _warm_start(rows, _WARM_STEPS[kind])
    count = np.maximum((score >= _NEAR[kind] * rank).sum(axis=-1), 2 * rank)
    best = Iterate(u.copy(), np.full(batch, np.inf), np.zeros(batch, dtype=np.intp))
    todo = np.arange(batch)
    while todo.size:
        width = _width(count, size)
        for w in np.unique(width):
            group = np.flatnonzero(width == w)
            found = _solve_top(rows[todo[group]], u[todo[group]], score[group], int(w), tol)
            best.weights[todo[group]] = found.weights
            best.iterations[todo[group]] += found.iterations
            best.gap[todo[group]] = found.gap
        part = width < size
        todo, width = todo[part], width[part]
        if not todo.size:
            break
        g = _leverages(rows[todo], best.weights[todo])[0]
        best.gap[todo] = g.max(axis=-1) / rank - 1
        missed = (g > rank * (1 + tol)) & (best.weights[todo] == 0)
        again = missed.any(axis=-1)
        count = (width + missed.sum(axis=-1))[again]
        score = np.where(best.weights[todo] > 0, np.inf, g)[again]
        todo = todo[again]
    return best


def _width(count: Ints, size: int) -> Ints:
    """Round sizes of working sets up, to the whole pool if that costs little."""
    width = -(-count // _MULTIPLE) * _MULTIPLE
    return np.where(width > 0.85 * size, size, width)


def _solve_top(rows: Floats, u: Floats, score: Floats, width: int, tol: float) -> Iterate:
    """Run the interior point on the `width` rows of each pool that score highest."""
    if width == rows.shape[1]:
        return interior_point(rows, u, tol / 10)
    inside = np.sort(np.argsort(-score, axis=-1, kind="stable")[:, :width], axis=-1)
    start = np.take_along_axis(u, inside, axis=-1)
    found = interior_point(np.take_along_axis(rows, inside[..., None], axis=1), start, tol / 10)
    weights = np.zeros(u.shape)
    np.put_along_axis(weights, inside, found.weights, axis=-1)
    return found._replace(weights=weights)


def _warm_start(rows: Floats, steps: int) -> tuple[Floats, Floats]:
    """Return weights `[B, K]` after some multiplicative steps from uniform, and their leverages."""
    batch, size, rank = rows.shape
    u = np.full((batch, size), 1 / size)
    for _ in range(steps):
        u *= (_leverages(rows, u)[0] / rank) ** _WARM_POWER
        u /= u.sum(axis=-1, keepdims=True)
    return np.maximum(u, _FLOOR / size), _leverages(rows, u)[0]


def _leverages(rows: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return the leverages `[B, K]` of every row, and Y M^-1 `[B, K, r]`."""
    solved = rows @ _inverse((rows * weights[..., None]).swapaxes(-1, -2) @ rows)
    return np.maximum((solved * rows).sum(axis=-1), 0.0), solved


def _inverse(matrices: Floats) -> Floats:
    """Invert positive definite matrices `[B, r, r]`; from r = 32 on by Cholesky factors, which are faster there."""
    if matrices.shape[-1] < 32:
        return np.asarray(np.linalg.inv(matrices), dtype=np.float64)
    result = np.empty_like(matrices)
    for b, matrix in enumerate(matrices):
        factor, info = dpotrf(matrix.T, lower=1)
        if info:
            raise np.linalg.LinAlgError("the information matrix is not positive definite")
        lower = dpotri(factor, lower=1)[0]  # zero above the diagonal
        np.add(lower, lower.T, out=result[b])
    diagonal = np.arange(matrices.shape[-1])
    result[:, diagonal, diagonal] /= 2
    return result


def interior_point(rows: Floats, u: Floats, tol: float, *, max_iterations: int = 60) -> Iterate:
    """Solve a stack of pools `[B, K, r]` by Mehrotra's predictor-corrector method, from weights u > 0 `[B, K]`.

    Converged pools leave the stack. A pool whose linear system cannot be factored keeps its best iterate, which its gap
    shows.
    """
    batch, _, rank = rows.shape
    best = Iterate(u / u.sum(axis=-1, keepdims=True), np.full(batch, np.inf), np.zeros(batch, dtype=np.intp))
    live = np.arange(batch)
    for iteration in range(max_iterations + 1):
        hessian, g = _curvature(rows, u)
        total = u.sum(axis=-1)
        gap = g.max(axis=-1) * total / rank - 1
        if iteration == 0:
            s = np.maximum(rank - g, _SLACK * rank)
        _keep_better(best, live, u / total[:, None], gap, iteration)
        go_on = gap > tol
        if iteration == max_iterations or not go_on.any():
            break
        if not go_on.all():
            live = live[go_on]
            rows, u, s, hessian, g = (x[go_on] for x in (rows, u, s, hessian, g))
        u, s, factored = _newton_step(hessian, rank - g, u, s)
        if not factored.all():
            live = live[factored]
            rows, u, s = (x[factored] for x in (rows, u, s))
            if not live.size:
                break
    return best


def _keep_better(best: Iterate, live: Ints, weights: Floats, gap: Floats, iteration: int) -> None:
    """Record, in place, the live pools whose gap has fallen."""
    improved = gap < best.gap[live]
    where = live[improved]
    best.weights[where], best.gap[where] = weights[improved], gap[improved]
    best.iterations[live] = iteration


def _curvature(rows: Floats, u: Floats) -> tuple[Floats, Floats]:
    """Return the Hessian H = G∘G `[B, K, K]` and the leverages g `[B, K]` at u."""
    g, solved = _leverages(rows, u)
    gram = solved @ rows.swapaxes(-1, -2)
    return np.square(gram, out=gram), g


def _newton_step(hessian: Floats, slack: Floats, u: Floats, s: Floats) -> tuple[Floats, Floats, Bools]:
    """Take one predictor-corrector step towards u·s = 0 and s = slack(u) = r - g(u); overwrites `hessian`.

    Eliminating ds = (target - u·s - du·ds - s·du)/u leaves (H + diag(s/u)) du = (target - u·s - du·ds)/u + residual.
    """
    residual = s - slack
    ratio = s / u
    diagonal = np.arange(u.shape[-1])
    hessian[:, diagonal, diagonal] += ratio
    factors, factored = _factor(hessian)
    du = _solve(factors, -slack)
    ds = -s - ratio * du
    length = _step_length(u, s, du, ds)
    mu = (u * s).sum(axis=-1, keepdims=True)
    predicted = ((u + length * du) * (s + length * ds)).sum(axis=-1, keepdims=True)
    aim = (predicted * (predicted / mu) ** 2 / u.shape[-1] - du * ds) / u - s
    du = _solve(factors, aim + residual)
    ds = aim - ratio * du
    length = np.minimum(1.0, _BOUNDARY * _step_length(u, s, du, ds))
    return u + length * du, s + length * ds, factored


def _factor(systems: Floats) -> tuple[list[Floats], Bools]:
    """Return Cholesky factors of `[B, K, K]`, one LAPACK call each, in place, and which calls succeeded."""
    factors, good = [], np.ones(len(systems), dtype=np.bool_)
    for b, system in enumerate(systems):
        factor, info = dpotrf(system.T, lower=1, clean=0, overwrite_a=1)
        good[b] = info == 0
        factors.append(factor)
    return factors, good


def _solve(factors: list[Floats], right: Floats) -> Floats:
    result = np.empty_like(right)
    for b, factor in enumerate(factors):
        result[b] = dpotrs(factor, right[b], lower=1)[0]
    return result


def _step_length(u: Floats, s: Floats, du: Floats, ds: Floats) -> Floats:
    """Return the longest step up to 1, `[B, 1]`, that keeps u and s non-negative."""
    shrink = np.maximum((-du / u).max(axis=-1), (-ds / s).max(axis=-1))
    length: Floats = 1 / np.maximum(shrink, 1.0)
    return length[:, None]


def exchange(rows: Floats, tol: float, *, max_steps: int = 10_000) -> Iterate:
    """Solve one pool `[K, r]` by vertex exchange, from r rows chosen by pivoted QR."""
    size, rank = rows.shape
    weights = np.zeros(size)
    weights[qr(rows.T, mode="r", pivoting=True)[1][:rank]] = 1 / rank
    inverse, g = _invert(rows, weights)
    steps = 0
    while steps < max_steps:
        if steps % 64 == 63 or g.max() <= rank * (1 + tol):
            inverse, g = _invert(rows, weights)  # forget the rounding of the rank-one updates
            if g.max() <= rank * (1 + tol):
                break
        _exchange_once(rows, weights, inverse, g)
        steps += 1
    weights /= weights.sum()
    gap = _invert(rows, weights)[1].max() / rank - 1
    return Iterate(weights[None], np.array([gap]), np.array([steps]))


def _invert(rows: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return M^-1 `[r, r]` and the leverages `[K]`."""
    inverse: Floats = np.asarray(np.linalg.inv((rows.T * weights) @ rows), dtype=np.float64)
    return inverse, ((rows @ inverse) * rows).sum(axis=-1)


def _exchange_once(rows: Floats, weights: Floats, inverse: Floats, g: Floats) -> None:
    """Move weight from the support row of least leverage to the row of most, in place, by the best amount."""
    up = int(np.argmax(g))
    down = int(np.argmin(np.where(weights > 0, g, np.inf)))
    cross = rows[up] @ inverse @ rows[down]
    curvature = 2 * (g[up] * g[down] - cross**2)
    best = (g[up] - g[down]) / curvature if curvature > 0 else np.inf
    amount = min(float(best), float(weights[down]))
    for index, change in ((up, amount), (down, -amount)):
        direction = inverse @ rows[index]
        shadow = rows @ direction
        scale = change / (1 + change * shadow[index])
        inverse -= scale * np.outer(direction, direction)
        g -= scale * shadow**2
    weights[up] += amount
    weights[down] = 0.0 if amount >= weights[down] else weights[down] - amount


def removable(g: Floats, rank: int) -> Bools:
    """Return which rows `[B, K]` no optimal design can use, given the leverages of any design.

    Harman and Pronzato's bound: with e = max g - r, a row with g_a < r·(1 + e/2 - sqrt(e·(4 + e - 4/r))/2) is out.
    """
    excess = np.maximum(g.max(axis=-1, keepdims=True) - rank, 0.0)
    out: Bools = g < rank * (1 + excess / 2 - np.sqrt(excess * (4 + excess - 4 / rank)) / 2)
    return out


def ridge(features: Floats, penalty: float, tol: float, *, max_steps: int = 20_000) -> tuple[Iterate, float]:
    """Maximise log det(M + penalty·I) over designs on one pool `[K, n]` by multiplicative steps.

    With A = M + penalty·I and d = n - penalty·tr(A^-1), which is sum_a q_a z_a^T A^-1 z_a, a design is optimal if and
    only if max_a z_a^T A^-1 z_a <= d. The update q·g/d keeps the sum of weights and never lowers the objective.

    Returns:
        The design with gap max_a g_a/d - 1, and d, the effective rank.
    """
    weights = np.full(len(features), 1 / len(features))
    for step in range(max_steps + 1):
        g, effective = ridge_leverages(features, weights, penalty)
        gap = g.max() / effective - 1
        if gap <= tol or step == max_steps:
            break
        weights *= g / effective
        weights /= weights.sum()
    return Iterate(weights[None], np.array([gap]), np.array([step])), float(effective)


def ridge_leverages(features: Floats, weights: Floats, penalty: float) -> tuple[Floats, float]:
    """Return z_a^T A^-1 z_a `[K]` with A = M + penalty·I, and their mean under the weights."""
    information = (features.T * weights) @ features + penalty * np.eye(features.shape[1])
    x = np.linalg.solve(np.linalg.cholesky(information), features.T)
    g: Floats = np.square(x).sum(axis=0)
    return g, float(weights @ g)
