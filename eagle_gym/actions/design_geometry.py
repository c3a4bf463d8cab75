"""Geometry of a pool of feature vectors: validation, whitening, duplicates, leverages and the certificate.

Everything here works on stacks of pools, ``[B, K, n]``, and treats each pool by itself: LAPACK is called once per
pool, and no reduction runs across pools. So the result for a pool is the same bits whatever else is in the stack.

Notation, as in the documentation page: a pool has rows z_a; ``Y`` holds the same rows in an orthonormal basis of
their span, scaled by sqrt(K), so that the uniform design has M = I. M(q) = sum_a q_a y_a y_a^T is the information
matrix, g_a = y_a^T M(q)^-1 y_a the leverage of row a, r the rank, and C(q) = max_a g_a / r.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eagle_gym.errors import DesignError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

_SAME_ROW = 1e-12  # two rows this close on a random line (relative to the longest) are compared exactly
_ZERO_ROW = 1e-14  # whitened rows shorter than this (the longest possible is sqrt(K)) are the zero vector


class Whitened(NamedTuple):
    """A stack of pools of one rank, in coordinates in which every direction counts the same.

    Attributes:
        rows: orthonormal coordinates times sqrt(K), ``[B, K, r]``; zero rows are exactly zero.
        spectrum: singular values of each pool, relative to the largest, ``[B, min(K, n)]``.
    """

    rows: Floats
    spectrum: Floats


def as_pools(features: npt.ArrayLike, *, ndim: int) -> Floats:
    """Check ``features`` and return them as a C-ordered float64 copy, scaled by a power of two to about one.

    Args:
        features: ``[K, n]`` (``ndim=2``) or ``[B, K, n]`` (``ndim=3``), any real dtype and memory order.
        ndim: number of axes expected.

    Raises:
        DesignError: wrong number of axes, an empty axis, a complex or non-numeric dtype, or a NaN or infinity.
    """
    try:
        array = np.asarray(features)
        if array.dtype.kind not in "fiub":
            array = array.astype(np.float64) if array.dtype.kind == "O" else _refuse_dtype(array)
        pools: Floats = np.array(array, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise DesignError(f"features must be an array of real numbers [{_axes(ndim)}]: {error}") from error
    if pools.ndim != ndim or 0 in pools.shape[-2:]:
        raise DesignError(f"features must be [{_axes(ndim)}] with K, n >= 1, got shape {pools.shape}")
    finite = np.isfinite(pools)
    if not finite.all():
        where = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise DesignError(f"features must be finite, got {pools[where]} at {where}; drop or mend that row")
    return pools


def _refuse_dtype(array: npt.NDArray[np.generic]) -> Floats:
    raise TypeError(f"got dtype {array.dtype}")


def _axes(ndim: int) -> str:
    return "K, n" if ndim == 2 else "B, K, n"


def rescale(pools: Floats) -> Floats:
    """Divide each pool ``[B, K, n]`` by the power of two above its largest entry: exact, and safe from overflow."""
    largest = np.abs(pools).max(axis=(-2, -1), keepdims=True)
    if not (largest > 0).all():
        which = int(np.flatnonzero(largest.ravel() == 0)[0])
        raise DesignError(f"all features of pool {which} are zero: no direction to cover; add a candidate that moves")
    scaled: Floats = np.ldexp(pools, -np.frexp(largest)[1])
    return scaled


def whiten(pools: Floats, rank_tol: float) -> list[tuple[Ints, Whitened]]:
    """Write pools ``[B, K, n]`` in coordinates in which their span is isotropic, grouped by numerical rank.

    The rank counts singular values above ``rank_tol`` times the largest. Directions below it are dropped.

    Returns:
        ``(which, whitened)`` for each rank found: the positions of its pools in the stack, and their coordinates.
    """
    left, values, _ = np.linalg.svd(rescale(pools), full_matrices=False)
    spectrum = values / values[:, :1]
    ranks = (spectrum > rank_tol).sum(axis=-1)
    groups = []
    for rank in np.unique(ranks):
        which = np.flatnonzero(ranks == rank)
        rows = np.ascontiguousarray(left[which, :, :rank]) * np.sqrt(pools.shape[-2])
        rows[np.square(rows).sum(axis=-1) < _ZERO_ROW**2] = 0.0
        groups.append((which, Whitened(rows, spectrum[which])))
    return groups


def merge_duplicates(pools: Floats) -> tuple[Ints, Ints]:
    """Find rows with one outer product: z and z again, or z and -z.

    Returns:
        ``(first, count)``, each ``[B, K]``: the earliest row of the same line and length, and how many share it.
    """
    batch, size, width = pools.shape
    first = np.broadcast_to(np.arange(size), (batch, size)).copy()
    count = np.ones((batch, size), dtype=np.intp)
    scaled = rescale(pools)
    probe = np.random.default_rng(0).normal(size=(width, 1))
    shadow = np.sort(np.abs((scaled @ probe)[..., 0]), axis=-1)
    suspects = (np.diff(shadow, axis=-1) <= _SAME_ROW * shadow[:, -1:]).any(axis=-1)
    for b in np.flatnonzero(suspects):
        first[b], count[b] = _merge(pools[b])
    return first, count


def _merge(pool: Floats) -> tuple[Ints, Ints]:
    """Return ``first`` and ``count`` of one pool ``[K, n]`` by exact comparison, up to the sign of a row."""
    leading = np.argmax(pool != 0, axis=-1)
    sign = np.where(np.take_along_axis(pool, leading[:, None], axis=-1) < 0, -1.0, 1.0)
    _, index, inverse, counts = np.unique(
        pool * sign + 0.0, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    return index[inverse.ravel()], counts[inverse.ravel()]


def leverages(rows: Floats, weights: Floats) -> Floats:
    """Return g_a = y_a^T M(q)^-1 y_a for every row, ``[B, K]``, from the QR factor of sqrt(q)·Y.

    QR, and not a Cholesky factor of M: it squares no condition number. If the weighted rows do not span the
    space, the rows outside their span have infinite leverage; all are then reported as infinite.

    Args:
        rows: ``[B, K, r]``.
        weights: ``[B, K]``, non-negative.
    """
    factor: Floats = np.asarray(np.linalg.qr(rows * np.sqrt(weights)[..., None], mode="r"))
    result = np.full(weights.shape, np.inf)
    if factor.shape[-2] < rows.shape[-1]:  # fewer rows than dimensions: they cannot span
        return result
    diagonal = np.abs(np.diagonal(factor, axis1=-2, axis2=-1))
    spans = diagonal.min(axis=-1) > 1e-13 * diagonal.max(axis=-1)
    if spans.any():
        result[spans] = _leverages(rows[spans], factor[spans])
    return result


def _leverages(rows: Floats, factor: Floats) -> Floats:
    """Solve R^T x = y for each row and return the squared lengths of the solutions, ``[B, K]``."""
    solved = np.linalg.solve(factor.swapaxes(-1, -2), rows.swapaxes(-1, -2))
    squared: Floats = np.square(solved).sum(axis=-2)
    return squared


def certificate(rows: Floats, weights: Floats) -> Floats:
    """Return the gap max_a g_a / r - 1 of each design over all rows of its pool, ``[B]``.

    By Kiefer and Wolfowitz the gap is never negative, and zero only for a G-optimal (equally, D-optimal) design;
    C(q) = 1 + gap exactly, and log det M(q) is within r·log(1 + gap) of the largest possible.

    Args:
        rows: ``[B, K, r]`` of full column rank.
        weights: ``[B, K]``, non-negative; they are normalised here.
    """
    total = weights.sum(axis=-1, keepdims=True)
    gap: Floats = leverages(rows, weights / total).max(axis=-1) / rows.shape[-1] - 1
    return np.where(np.isnan(gap), np.inf, gap)
