"""Geometry of pools of feature vectors: validation, whitening, duplicates, leverages and the certificate.

Everything works on stacks of pools and treats each pool separately: LAPACK is called once per pool, no reduction runs
across pools, and padding depends on a pool's own size. So the bits of a pool's result do not depend on the rest of the
stack.

Notation, as in the documentation: a pool has K rows z_a; `rows` holds them in an orthonormal basis of their span,
times sqrt(K), so that the uniform design has M = I. M(q) = sum_a q_a y_a y_a^T is the information matrix of a design
q, g_a = y_a^T M(q)^-1 y_a the leverage of row a, r the rank, and C(q) = max_a g_a / r.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eagle_gym.errors import DesignError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

_MULTIPLE = 8  # stacks are padded with zero rows to a multiple of this number
_SAME_ROW = 1e-12  # rows whose shadows on a line are this close (relative to the longest) are compared exactly
_PLAIN = 1e4  # pools with a condition number below this are whitened by QR
_SINGULAR = 1e-13  # smallest relative diagonal of R that still counts as spanning


@dataclass(frozen=True, eq=False)
class Stack:
    """Pools of one padded size and one rank, ready to be solved together.

    Attributes:
        which: Positions of these pools among the given ones, `[B]`.
        features: The given rows, scaled and padded with zero rows, `[B, K, n]`.
        scale: Exponent of the power of two by which each pool was divided, `[B]`.
        sizes: Rows of each pool before padding, `[B]`.
        first: For each row, the earliest row of the pool that equals it up to sign, `[B, K]`.
        rows: Whitened coordinates `[B, K, r]`; zero for padding, for zero rows and for all but the first of equals.
        energy: Share of the squared length of a pool that its r kept directions hold, `[B]`.
    """

    which: Ints
    features: Floats
    scale: Ints
    sizes: Ints
    first: Ints
    rows: Floats
    energy: Floats

    @property
    def rank(self) -> int:
        """The numerical rank of these pools."""
        return int(self.rows.shape[-1])

    @property
    def real(self) -> Bools:
        """Which rows are not padding, `[B, K]`."""
        real: Bools = np.asarray(np.arange(self.features.shape[1]) < self.sizes[:, None])
        return real

    @property
    def is_first(self) -> Bools:
        """Which rows are the first of their equals, `[B, K]`."""
        own: Bools = np.asarray(self.first == np.arange(self.features.shape[1]))
        return own


def check_pools(pools: npt.ArrayLike | Sequence[npt.ArrayLike]) -> list[Floats]:
    """Return `[B, K, n]`, or a sequence of `[K_b, n]` with one n, as a list of float64 pools.

    Raises:
        DesignError: The shape is neither, rows have several widths, or `check_pool` refuses a pool.
    """
    if isinstance(pools, np.ndarray) and pools.ndim != 3:
        raise DesignError(f"expected pools [B, K, n] or a sequence of [K, n], got shape {pools.shape}")
    if not isinstance(pools, (np.ndarray, Sequence)):
        raise DesignError(f"expected pools [B, K, n] or a sequence of [K, n], got {type(pools).__name__}")
    checked = [check_pool(pool, f"pool {b}: ") for b, pool in enumerate(pools)]
    widths = sorted({pool.shape[1] for pool in checked})
    if len(widths) > 1:
        raise DesignError(f"expected pools of one width n, got widths {widths}")
    return checked


def check_pool(features: npt.ArrayLike, name: str = "") -> Floats:
    """Return features `[K, n]` of any real dtype and memory order as C-ordered float64.

    Raises:
        DesignError: The number of axes is wrong, an axis is empty, the dtype is not real, an entry is not finite, or
            all rows are zero.
    """
    try:
        array = np.asarray(features)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"dtype {array.dtype}")
        pool: Floats = np.asarray(array, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise DesignError(f"{name}expected features as an array of real numbers [K, n], got {error}") from error
    if pool.ndim != 2 or pool.size == 0:
        raise DesignError(f"{name}expected features [K, n] with K, n >= 1, got shape {pool.shape}")
    if not np.isfinite(pool).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(pool))[0])
        raise DesignError(f"{name}expected finite features, got {pool[row, column]} in row {row}: drop the row")
    if not pool.any():
        raise DesignError(f"{name}all {len(pool)} feature rows are zero: there is no direction to cover")
    return pool


def unit_rows(pool: Floats) -> Floats:
    """Give every row of `[K, n]` unit length; zero rows stay zero."""
    scaled = np.ldexp(pool, -np.frexp(np.abs(pool).max(axis=-1, keepdims=True))[1])
    lengths = np.sqrt(np.square(scaled).sum(axis=-1, keepdims=True))
    unit: Floats = np.divide(scaled, lengths, out=np.zeros_like(scaled), where=lengths > 0)
    return unit


def prepare(pools: Sequence[Floats], rank_tol: float) -> list[Stack]:
    """Pad, merge duplicates, whiten, and group checked pools by padded size and numerical rank."""
    padded = np.array([-(-len(pool) // _MULTIPLE) * _MULTIPLE for pool in pools], dtype=np.intp)
    stacks = []
    for size in np.unique(padded):
        which = np.flatnonzero(padded == size)
        features = np.zeros((len(which), int(size), pools[0].shape[1]))
        for row, b in enumerate(which.tolist()):
            features[row, : len(pools[b])] = pools[b]
        sizes = np.array([len(pools[b]) for b in which.tolist()], dtype=np.intp)
        stacks += _whiten(which, features, sizes, rank_tol)
    return stacks


def _whiten(which: Ints, features: Floats, sizes: Ints, rank_tol: float) -> list[Stack]:
    """Make stacks, one per rank found, of pools of one padded size."""
    scale = np.frexp(np.abs(features).max(axis=(-2, -1)))[1].astype(np.intp)
    features = np.ldexp(features, -scale[:, None, None])  # exact, and safe from overflow
    first = _first_of_kind(features)
    keep = (first == np.arange(features.shape[1])) & features.any(axis=-1)
    stacks = []
    for group, rows, energy in _coordinates(features * keep[..., None], rank_tol):
        rows *= np.sqrt(features.shape[1]) * keep[group, :, None]
        stacks.append(Stack(which[group], features[group], scale[group], sizes[group], first[group], rows, energy))
    return stacks


def _coordinates(features: Floats, rank_tol: float) -> list[tuple[Ints, Floats, Floats]]:
    """Write pools `[B, K, n]` in orthonormal coordinates of their span.

    Pools that are clearly of full rank are whitened by their R factor, at a third of the cost of singular values: the
    Frobenius norms of R and R^-1 bound the condition number.

    Returns:
        For each rank, and for pools by QR: their positions, their rows `[group, K, r]`, and the share of their
        squared length that is kept `[group]`.
    """
    plain, rows = _by_qr(features, min(_PLAIN, 1 / rank_tol))
    found = [(np.flatnonzero(plain), rows, np.ones(len(rows)))] if plain.any() else []
    rest = np.flatnonzero(~plain)
    if rest.size:
        left, values, _ = np.linalg.svd(features[rest], full_matrices=False)
        ranks = (values > rank_tol * values[:, :1]).sum(axis=-1)
        for rank in np.unique(ranks):
            group = np.flatnonzero(ranks == rank)
            energy = np.square(values[group, :rank]).sum(axis=-1) / np.square(values[group]).sum(axis=-1)
            found.append((rest[group], left[group, :, :rank].copy(), energy))
    return found


def _by_qr(features: Floats, condition: float) -> tuple[Bools, Floats]:
    """Return which pools `[B]` certainly have a condition number below `condition`, and their Z R^-1."""
    batch, size, width = features.shape
    if size < width:
        return np.zeros(batch, dtype=np.bool_), np.zeros((0, size, width))
    factor: Floats = np.asarray(np.linalg.qr(features, mode="r"))
    diagonal = np.abs(np.diagonal(factor, axis1=-2, axis2=-1))
    plain: Bools = np.asarray(diagonal.min(axis=-1) * condition > diagonal.max(axis=-1))
    inverse = np.linalg.inv(factor[plain])
    norms = np.square(factor[plain]).sum(axis=(-2, -1)) * np.square(inverse).sum(axis=(-2, -1))
    sure = norms < condition**2
    plain[plain] = sure
    return plain, features[plain] @ inverse[sure]


def _first_of_kind(features: Floats) -> Ints:
    """Find the earliest row with the same outer product, that is, equal up to sign, `[B, K]`.

    Equal rows have equal projections on any line, up to rounding; only pools in which two projections coincide are
    compared exactly.
    """
    batch, size, width = features.shape
    first = np.tile(np.arange(size), (batch, 1))
    line = np.cos(np.arange(1.0, width + 1) ** 2)  # an arbitrary, fixed direction
    shadow = np.sort(np.abs((features @ line[:, None])[..., 0]), axis=-1)
    meets = np.diff(shadow, axis=-1) <= _SAME_ROW * shadow[:, -1:]
    suspect = (meets & (shadow[:, 1:] > 0)).any(axis=-1)
    for b in np.flatnonzero(suspect):
        first[b] = _first_exactly(features[b])
    return first


def _first_exactly(pool: Floats) -> Ints:
    leading = np.argmax(pool != 0, axis=-1)
    sign = np.where(np.take_along_axis(pool, leading[:, None], axis=-1) < 0, -1.0, 1.0)
    _, index, inverse = np.unique(pool * sign + 0.0, axis=0, return_index=True, return_inverse=True)
    first: Ints = index[inverse.ravel()]
    return first


def leverages(rows: Floats, weights: Floats) -> Floats:
    """Return g_a = y_a^T M(q)^-1 y_a for every row, `[B, K]`, from the R factor of sqrt(q)·Y.

    QR, unlike a Cholesky factor of M, does not square the condition number. If the weighted rows do not span the space,
    every leverage is infinite.

    Args:
        rows: `[B, K, r]`.
        weights: `[B, K]`, non-negative.
    """
    result = np.full(weights.shape, np.inf)
    if rows.shape[-2] < rows.shape[-1]:
        return result
    factor: Floats = np.asarray(np.linalg.qr(rows * np.sqrt(weights)[..., None], mode="r"))
    diagonal = np.abs(np.diagonal(factor, axis1=-2, axis2=-1))
    spans = diagonal.min(axis=-1) > _SINGULAR * diagonal.max(axis=-1)
    solved = rows[spans] @ np.linalg.inv(factor[spans])
    result[spans] = np.square(solved).sum(axis=-1)
    return result


def certificate(rows: Floats, weights: Floats) -> Floats:
    """Return the gap max_a g_a / r - 1 of each design over all rows of its pool, `[B]`.

    By Kiefer and Wolfowitz the gap is never negative, and zero only for a G-optimal (equally, D-optimal) design;
    C(q) = 1 + gap, and log det M(q) is within r·log(1 + gap) of the largest possible.

    Args:
        rows: `[B, K, r]` of full column rank.
        weights: `[B, K]`, non-negative, each row summing to one.
    """
    gap: Floats = leverages(rows, weights).max(axis=-1) / rows.shape[-1] - 1
    return gap


def captured_energy(features: Floats, chosen: Ints) -> float:
    """Return the share of the squared length of the rows `[K, n]` that is in the span of the chosen rows."""
    _, values, right = np.linalg.svd(features[chosen], full_matrices=False)
    if values[0] == 0:
        return 0.0
    basis = right[values > 1e-12 * values[0]]
    return float(np.square(features @ basis.T).sum() / np.square(features).sum())
