"""Solvers of the D-optimal (equally, G-optimal) design problem on whitened pools.

- ``interior_point``: Mehrotra's predictor-corrector on min -log det M(u) + r·sum(u), u >= 0, whose minimum has
  sum(u) = 1. The gradient is r - g and the Hessian H = G∘G with G = Y M^-1 Y^T, so a step costs one Cholesky factor.
- ``exchange``: Böhning's vertex exchange, moving weight from the row with the least leverage to the one with the most.
- ``working_set``: exchange to a rough design, interior point on the rows that may matter, all rows checked, repeat.

None of them is believed: callers recompute the gap with ``design_geometry.certificate``.

References:
    1. J. Kiefer, J. Wolfowitz, "The equivalence of two extremum problems", Canadian J. Math. 12, 1960.
    2. D. Böhning, "A vertex-exchange-method in D-optimal design theory", Metrika 33, 1986.
    3. R. Harman, L. Pronzato, "Improvements on removing nonoptimal support points in D-optimum design algorithms",
       Statistics & Probability Letters 77, 2007.
    4. S. Mehrotra, "On the implementation of a primal-dual interior point method", SIAM J. Optimization 2, 1992.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import qr
from scipy.linalg.lapack import dpotrf, dpotrs

from eagle_gym.actions.design_geometry import Bools, Floats, Ints

_SLACK = 0.1  # the first slack is at least this share of r
_BOUNDARY = 0.99  # share of the step to the boundary that is taken
_ROUGH = 3e-2  # gap to which exchange runs before the interior point takes over
_ROUNDS = 20  # of the working set
_DIRECT = 300  # pools up to this size go to the interior point whole


class Iterate(NamedTuple):
    """Weights ``[B, K]`` that sum to one, the gap ``[B]`` the solver believes, and its iterations ``[B]``."""

    weights: Floats
    gap: Floats
    iterations: Ints


def interior_point(rows: Floats, tol: float, *, max_iterations: int = 60) -> Iterate:
    """Solve a stack of pools ``[B, K, r]`` by Mehrotra's predictor-corrector method.

    Zero rows are allowed and end with weight near zero. Pools that have converged leave the stack. A pool whose
    linear system cannot be factored keeps its best iterate; the caller sees that by its gap.
    """
    batch, size, rank = rows.shape
    best = Iterate(np.full((batch, size), 1 / size), np.full(batch, np.inf), np.zeros(batch, dtype=np.intp))
    live, stack, u = np.arange(batch), rows, best.weights.copy()
    for iteration in range(max_iterations + 1):
        hessian, g = _curvature(stack, u)
        gap = g.max(axis=-1) * u.sum(axis=-1) / rank - 1
        _keep_better(best, live, u, gap, iteration)
        if iteration == 0:
            s = np.maximum(rank - g, _SLACK * rank)
        go_on = gap > tol
        if iteration == max_iterations or not go_on.any():
            break
        if not go_on.all():
            live = live[go_on]
            stack, u, s, hessian, g = (x[go_on] for x in (stack, u, s, hessian, g))
        u, s, factored = _newton_step(hessian, rank - g, u, s)
        if not factored.all():
            live = live[factored]
            stack, u, s = (x[factored] for x in (stack, u, s))
            if not live.size:
                break
    weights = best.weights / best.weights.sum(axis=-1, keepdims=True)
    return Iterate(weights, best.gap, best.iterations)


def _keep_better(best: Iterate, live: Ints, u: Floats, gap: Floats, iteration: int) -> None:
    """Record, in place, the live pools whose gap has fallen."""
    improved = gap < best.gap[live]
    where = live[improved]
    best.weights[where], best.gap[where] = u[improved], gap[improved]
    best.iterations[live] = iteration


def _curvature(rows: Floats, u: Floats) -> tuple[Floats, Floats]:
    """Return H = G∘G ``[B, K, K]`` and the leverages g ``[B, K]`` at u."""
    information = (rows * u[..., None]).swapaxes(-1, -2) @ rows
    whitened = np.linalg.solve(np.linalg.cholesky(information), rows.swapaxes(-1, -2))  # [B, r, K]
    gram = whitened.swapaxes(-1, -2) @ whitened
    g = np.diagonal(gram, axis1=-2, axis2=-1).copy()
    return np.square(gram, out=gram), g


def _newton_step(hessian: Floats, slack: Floats, u: Floats, s: Floats) -> tuple[Floats, Floats, Bools]:
    """Take one predictor-corrector step towards u·s = 0, s = slack(u).

    Eliminating the change of s leaves (H + diag(s/u)) du = (target - u·s - du·ds)/u + residual.
    """
    residual = s - slack
    system = hessian.copy()
    diagonal = np.arange(u.shape[-1])
    system[:, diagonal, diagonal] += s / u
    factors, factored = _factor(system)
    du, ds = _direction(factors, hessian, residual, residual - s)
    length = _step_length(u, s, du, ds)
    mu = (u * s).mean(axis=-1)
    predicted = ((u + length * du) * (s + length * ds)).mean(axis=-1)
    target = (mu * (predicted / mu) ** 3)[:, None]
    du, ds = _direction(factors, hessian, residual, residual + (target - u * s - du * ds) / u)
    length = np.minimum(1.0, _BOUNDARY * _step_length(u, s, du, ds))
    return u + length * du, s + length * ds, factored


def _factor(systems: Floats) -> tuple[list[Floats], Bools]:
    """Return Cholesky factors of ``[B, K, K]``, one LAPACK call each, in place, and which calls succeeded."""
    factors, good = [], np.ones(len(systems), dtype=np.bool_)
    for b, system in enumerate(systems):
        factor, info = dpotrf(system.T, lower=1, clean=0, overwrite_a=1)
        good[b] = info == 0
        factors.append(factor)
    return factors, good


def _direction(factors: list[Floats], hessian: Floats, residual: Floats, right: Floats) -> tuple[Floats, Floats]:
    """Return du = A^-1 right and ds = H du - residual, each ``[B, K]``."""
    du = np.empty_like(right)
    for b, factor in enumerate(factors):
        du[b] = dpotrs(factor, right[b], lower=1)[0]
    return du, (hessian @ du[..., None])[..., 0] - residual


def _step_length(u: Floats, s: Floats, du: Floats, ds: Floats) -> Floats:
    """Return the longest step in (0, 1], ``[B, 1]``, that keeps u and s non-negative."""
    shrink = np.maximum((-du / u).max(axis=-1), (-ds / s).max(axis=-1))
    length: Floats = 1 / np.maximum(shrink, 1.0)
    return length[:, None]


def exchange(rows: Floats, tol: float, *, max_steps: int = 10_000) -> Iterate:
    """Solve one pool ``[K, r]`` by vertex exchange, from r rows chosen by pivoted QR."""
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
    inverse: Floats = np.asarray(np.linalg.inv((rows.T * weights) @ rows), dtype=np.float64)
    g: Floats = np.einsum("ki,ij,kj->k", rows, inverse, rows, optimize=True)
    return inverse, g


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


def working_set(rows: Floats, tol: float) -> Iterate:
    """Solve one large pool ``[K, r]``: the interior point sees only the rows that may carry weight."""
    size, rank = rows.shape
    rough = exchange(rows, _ROUGH)
    g = _invert(rows, rough.weights[0])[1]
    inside = (rough.weights[0] > 0) | (g >= 0.8 * rank)
    weights, gap, steps = rough.weights[0], float(rough.gap[0]), int(rough.iterations[0])
    for _ in range(_ROUNDS):
        found = interior_point(np.ascontiguousarray(rows[inside])[None], tol / 4)
        weights = np.zeros(size)
        weights[inside] = found.weights[0]
        steps += int(found.iterations[0])
        g = _invert(rows, weights)[1]
        gap = g.max() / rank - 1
        violators = (g > rank * (1 + tol / 2)) & ~inside
        if gap <= tol or not violators.any():
            break
        inside |= violators
    return Iterate(weights[None], np.array([gap]), np.array([steps]))


def automatic(rows: Floats, tol: float) -> Iterate:
    """Solve a stack ``[B, K, r]``: small pools whole and together, large ones by working sets, one by one."""
    _, size, rank = rows.shape
    if size <= max(_DIRECT, 4 * rank):
        return interior_point(rows, tol)
    parts = [working_set(pool, tol) for pool in rows]
    return Iterate(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def removable(g: Floats, rank: int) -> Bools:
    """Return which rows ``[B, K]`` no optimal design can use, judged from the leverages of any design.

    Harman and Pronzato's bound: with e = max g - r, a row with g_a < r·(1 + e/2 - sqrt(e·(4 + e - 4/r))/2) is out.
    """
    excess = np.maximum(g.max(axis=-1, keepdims=True) - rank, 0.0)
    out: Bools = g < rank * (1 + excess / 2 - np.sqrt(excess * (4 + excess - 4 / rank)) / 2)
    return out
