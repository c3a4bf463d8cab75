"""Choosing k rows of a pool: greedy log-det, exchange, and what can be proved of the result.

All functions work on whitened stacks ``[B, K, r]`` and treat each pool by itself; ties go to the earlier row.
"""

from __future__ import annotations

import numpy as np

from eagle_gym.actions.design_geometry import Bools, Floats, Ints

_SWAP = 1e-9  # a swap must raise the determinant by more than this share


def bound(k: int, rank: int) -> float:
    """Return the largest C that uniform weights on k rows can have when no swap raises the determinant.

    If no swap helps, (1 + g_j)(1 - g_i) + g_ij² <= 1 for i in the set and j outside, with leverages in the
    unnormalised matrix of the set. Summing over i gives g_j <= r/(k - r + 1), and inside the set g_i <= 1; uniform
    weights multiply both by k/r. At k = 2r the bound is 2. Infinite for k < r.
    """
    return max(k / (k - rank + 1), k / rank) if k >= rank else np.inf


def pivoted(rows: Floats, k: int) -> Ints:
    """Pick k <= rank rows by pivoted QR: each time the row furthest from the span of those picked. ``[B, k]``."""
    batch = np.arange(len(rows))
    left = rows.copy()
    lengths = np.square(left).sum(axis=-1)
    picked = np.empty((len(rows), k), dtype=np.intp)
    for position in range(k):
        best = picked[:, position] = lengths.argmax(axis=-1)
        axis = left[batch, best] / np.sqrt(lengths[batch, best])[:, None]  # [B, n]
        left -= (left @ axis[..., None]) * axis[:, None, :]
        lengths = np.square(left).sum(axis=-1)
        np.put_along_axis(lengths, picked[:, : position + 1], -1.0, axis=-1)
    return picked


def fill(rows: Floats, chosen: Bools, k: int) -> Bools:
    """Add rows to sets that already span, ``[B, K]``, each time the one that raises log det most, up to k rows."""
    chosen = chosen.copy()
    for _ in range(k - int(chosen.sum(axis=-1).min())):
        short = np.flatnonzero(chosen.sum(axis=-1) < k)
        g = _leverage(rows[short], chosen[short].astype(np.float64))
        g[chosen[short]] = -1.0
        chosen[short, g.argmax(axis=-1)] = True
    return chosen


def _leverage(rows: Floats, weights: Floats) -> Floats:
    """Return leverages ``[B, K]`` by a Cholesky factor: quick, good enough to choose by."""
    information = (rows * weights[..., None]).swapaxes(-1, -2) @ rows
    solved = np.linalg.solve(np.linalg.cholesky(information), rows.swapaxes(-1, -2))
    squared: Floats = np.square(solved).sum(axis=-2)
    return squared


def greedy(rows: Floats, k: int) -> Bools:
    """Pick k >= rank rows: the first ``rank`` by pivoted QR, the others by log det. ``[B, K]``."""
    chosen = np.zeros(rows.shape[:2], dtype=np.bool_)
    np.put_along_axis(chosen, pivoted(rows, rows.shape[-1]), True, axis=-1)
    return fill(rows, chosen, k)


def improve(rows: Floats, chosen: Bools, *, max_swaps: int = 1000) -> tuple[Bools, Bools]:
    """Swap one row in for one row out, each time the best swap, until none raises the determinant.

    Returns:
        ``(chosen, converged)``, ``[B, K]`` and ``[B]``.
    """
    chosen = chosen.copy()
    converged = np.zeros(len(rows), dtype=np.bool_)
    live = np.arange(len(rows))
    for _ in range(max_swaps):
        out, into, ratio = _best_swap(rows[live], chosen[live])
        helps = ratio > 1 + _SWAP
        converged[live[~helps]] = True
        live, out, into = live[helps], out[helps], into[helps]
        if not live.size:
            break
        chosen[live, out], chosen[live, into] = False, True
    return chosen, converged


def _best_swap(rows: Floats, chosen: Bools) -> tuple[Ints, Ints, Floats]:
    """Return, for each pool, the row to drop, the row to take and the determinant's ratio after to before."""
    batch, size, _ = rows.shape
    inside = np.nonzero(chosen)[1].reshape(batch, -1)  # [B, k]
    picked = np.take_along_axis(rows, inside[..., None], axis=1)
    information = picked.swapaxes(-1, -2) @ picked
    solved = np.linalg.solve(np.linalg.cholesky(information), rows.swapaxes(-1, -2))  # [B, r, K]
    g = np.square(solved).sum(axis=-2)
    held = np.take_along_axis(solved, inside[:, None, :], axis=-1)
    ratio = np.square(held.swapaxes(-1, -2) @ solved)  # [B, k, K]
    ratio += (1 - np.take_along_axis(g, inside, axis=-1))[..., None] * (1 + g)[:, None, :]
    ratio.swapaxes(-1, -2)[chosen] = -np.inf
    flat = ratio.reshape(batch, -1)
    best = flat.argmax(axis=-1)
    out = np.take_along_axis(inside, (best // size)[:, None], axis=-1)[:, 0]
    return out, best % size, np.take_along_axis(flat, best[:, None], axis=-1)[:, 0]
