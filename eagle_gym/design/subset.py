"""Choice of k rows of a pool: greedy log det, swaps, and a proven bound on the result.

All functions but `bound` and `thin` work on stacks `[B, K, r]` and treat each pool separately; ties go to the earlier
row. Zero rows (padding, copies, candidates that do not move) are taken last, in the order of `prior`.
"""

from __future__ import annotations

import numpy as np

from eagle_gym.design.geometry import Bools, Floats, Ints

_SWAP = 1e-9  # a swap must raise the determinant by more than this share
_MAX_SWAPS = 1000


def bound(k: int, rank: int) -> float:
    """Return the largest C of uniform weights on k rows if no swap raises the determinant.

    If no swap helps, (1 + g_j)(1 - g_i) + g_ij² <= 1 for i in the set and j outside, with leverages in the
    unnormalised matrix of the set. Summing over i gives g_j <= r/(k - r + 1), and inside the set g_i <= 1; uniform
    weights multiply both by k/r. At k = 2r the bound is 2. Infinite for k < r.
    """
    return max(k / (k - rank + 1), k / rank) if k >= rank else np.inf


def pivoted(rows: Floats, k: int) -> Bools:
    """Pick k <= rank rows `[B, K]` by pivoted QR: each time the row furthest from the span of those picked."""
    batch = np.arange(len(rows))
    left = rows.copy()
    chosen = np.zeros(rows.shape[:2], dtype=np.bool_)
    for _ in range(k):
        lengths = np.where(chosen, -1.0, np.square(left).sum(axis=-1))
        best = lengths.argmax(axis=-1)
        axis = left[batch, best] / np.sqrt(lengths[batch, best])[:, None]  # [B, n]
        left -= (left @ axis[..., None]) * axis[:, None, :]
        chosen[batch, best] = True
    return chosen


def fill(rows: Floats, chosen: Bools, target: Ints, prior: Floats) -> Bools:
    """Add rows to sets `[B, K]` that already span, each time the row that raises log det most.

    Args:
        rows: `[B, K, r]`.
        chosen: The sets to start from, `[B, K]`.
        target: Rows wanted in each, `[B]`.
        prior: Breaks the tie among rows without leverage, `[B, K]`; negative for rows that must not be taken.
    """
    chosen = chosen.copy()
    while (short := np.flatnonzero(chosen.sum(axis=-1) < target)).size:
        g = _leverages(rows[short], chosen[short])
        score = np.where(chosen[short], -np.inf, np.where(g > 0, g, prior[short]))
        chosen[short, score.argmax(axis=-1)] = True
    return chosen


def _leverages(rows: Floats, chosen: Bools) -> Floats:
    """Return leverages `[B, K]` in the unnormalised matrix of each set: fast, and accurate enough for a choice."""
    solved = rows @ np.linalg.inv((rows * chosen[..., None]).swapaxes(-1, -2) @ rows)
    g: Floats = (solved * rows).sum(axis=-1)
    return g


def improve(rows: Floats, chosen: Bools) -> Bools:
    """Swap rows of sets `[B, K]`, each time by the best swap of one for one, until none raises the determinant."""
    chosen = chosen.copy()
    live = np.arange(len(rows))
    for _ in range(_MAX_SWAPS):
        out, into, ratio = _best_swap(rows[live], chosen[live])
        helps = ratio > 1 + _SWAP
        if not helps.any():
            break
        live, out, into = live[helps], out[helps], into[helps]
        chosen[live, out], chosen[live, into] = False, True
    return chosen


def _best_swap(rows: Floats, chosen: Bools) -> tuple[Ints, Ints, Floats]:
    """Return, for each pool, the row to drop, the row to take and the determinant's ratio after to before."""
    batch, size, _ = rows.shape
    inside = np.nonzero(chosen)[1].reshape(batch, -1)  # [B, k]
    picked = np.take_along_axis(rows, inside[..., None], axis=1)
    solved = rows @ np.linalg.inv(picked.swapaxes(-1, -2) @ picked)  # [B, K, r]
    g = (solved * rows).sum(axis=-1)
    ratio = np.square(np.take_along_axis(solved, inside[..., None], axis=1) @ rows.swapaxes(-1, -2))  # [B, k, K]
    ratio += (1 - np.take_along_axis(g, inside, axis=-1))[..., None] * (1 + g)[:, None, :]
    flat = np.where(chosen[:, None, :], -np.inf, ratio).reshape(batch, -1)
    best = flat.argmax(axis=-1)
    out = np.take_along_axis(inside, (best // size)[:, None], axis=-1)[:, 0]
    return out, best % size, np.take_along_axis(flat, best[:, None], axis=-1)[:, 0]


def thin(rows: Floats, weights: Floats) -> Floats:
    """Move the weights of one design `[K]` onto at most r(r+1)/2 rows of `[K, r]`, leaving M no smaller.

    Carathéodory's theorem as an algorithm: moving the weights along a null vector of the matrix of outer products does
    not change M. Move in the direction in which their sum does not grow until one of them is zero, remove that row from
    the null space, and repeat. Rescaling the weights to sum to one can only enlarge M.
    """
    weights = weights.copy()
    support = np.flatnonzero(weights > 0)
    upper = np.triu_indices(rows.shape[1])
    products = np.einsum("ki,kj->kij", rows[support], rows[support])[:, upper[0], upper[1]]
    _, values, right = np.linalg.svd(products.T)
    null = right[(values > 1e-9 * values[0]).sum() :].T  # [support, dimension], orthonormal
    while null.shape[1]:
        along = null[:, 0] if null[:, 0].sum() >= 0 else -null[:, 0]
        held = weights[support]
        ahead = along > 1e-12
        ratio = np.where(ahead, held / np.where(ahead, along, 1.0), np.inf)
        gone = int(ratio.argmin())
        weights[support] = np.maximum(held - ratio[gone] * along, 0.0)
        weights[support[gone]] = 0.0
        null = _without(null, gone)
    weights /= weights.sum()
    return weights


def _without(null: Floats, row: int) -> Floats:
    """Return an orthonormal basis `[m, d - 1]` of the vectors in the span of `null` that vanish at a row."""
    mirror = null[row].copy()  # Householder: reflect the row's entries onto the first column, and drop that
    mirror[0] += np.copysign(np.sqrt(mirror @ mirror), mirror[0])
    mirror /= np.sqrt(mirror @ mirror)
    left: Floats = (null - 2 * np.outer(null @ mirror, mirror))[:, 1:]
    left[row] = 0.0  # exactly
    return left
