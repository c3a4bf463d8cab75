"""Geometry of Z: norms, inner products, the projection onto the ball, gradients.

Norms and inner products are summed column by column, so a row's result does not depend, to the last bit, on its batch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

STEP = 1e-3  # half the distance between the two points of a difference, in units of Z


def norms(z: Floats) -> Floats:
    """Euclidean norm of each row of `[B, n]`, `[B]`."""
    total = np.zeros(len(z))
    for column in range(z.shape[1]):
        total += z[:, column] ** 2
    return np.sqrt(total)


def spread(count: int, most: int) -> NDArray[np.intp]:
    """Indices of `count` rows, or of `most` of them, evenly spaced."""
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).astype(np.intp)


def dot(a: Floats, b: Floats) -> Floats:
    """Inner products of rows, [B], summed in the order of the columns whatever the shape."""
    total = np.zeros(len(a))
    for column in range(a.shape[1]):
        total += a[:, column] * b[:, column]
    return total


def project_to_ball(z: Floats, radius: float) -> Floats:
    """Move points outside the ball radially to its surface, `[B, n]`; the others stay as they are.

    Args:
        z: Points, `[B, n]`.
        radius: Radius of the ball, whose centre is 0.
    """
    norm = norms(z)
    scale = np.divide(radius, norm, out=np.ones(len(z)), where=norm > radius)
    return z * scale[:, None]


def central_differences(function: Callable[[Floats], Floats], z: Floats, step: float = STEP) -> Floats:
    """Gradient of a function at points, by central differences.

    Args:
        function: Maps points `[2nB, n]` to values `[2nB]`. It is called once; its points are 2n blocks of B rows, each
            in the order of `z`.
        z: Points, `[B, n]`.
        step: Half the distance between the two points of a difference.

    Returns:
        Gradients, `[B, n]`.
    """
    count, dim = z.shape
    steps = step * np.eye(dim)
    points = np.concatenate([z + shift for shift in steps] + [z - shift for shift in steps])
    values = function(points).reshape(2, dim, count)
    slopes: Floats = ((values[0] - values[1]) / (2 * step)).T
    return slopes
