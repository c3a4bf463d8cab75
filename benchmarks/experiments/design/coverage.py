"""Coverage and bias of action sets: four sets that show each, and ways to choose over many pools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.experiments.design.pools import Floats
from benchmarks.reporting.document import aligned
from eagle_gym import design

Ints = NDArray[np.intp]

SUBSETS = 200  # uniform subsets, among which the poor and the biased set are found


@dataclass(frozen=True)
class Panel:
    """A set of rows of a pool, and the plane in which it is drawn.

    Attributes:
        title: What the panel shows.
        how: How the set was chosen.
        pool: `[K, n]`.
        chosen: Rows of the set, `[k]`.
        axes: Two orthonormal directions that span the plane, `[2, n]`.
        names: Their names.
    """

    title: str
    how: str
    pool: Floats
    chosen: Ints
    axes: Floats
    names: tuple[str, str]


def panels(pools: Sequence[Floats], k: int = 16, seed: int = 0) -> list[Panel]:
    """Four action sets: good and poor coverage of one pool, bias and reduced bias in another.

    The first pool is the least crowded (see `design.Coverage`). "Good" is the selection by design; "poor" is the set of
    200 uniform subsets with the largest finite C. Both are drawn along the direction that the poor set covers worst.

    The second pool has the largest alignment once its rows have unit length. Without that, the longest rows would
    dominate the mean, and a design prefers long rows. "Biased" is the subset of median alignment among 200 uniform
    ones: what a uniform choice of candidates gives. "Reduced bias" is the selection by design. Both are drawn along the
    mean.

    Args:
        pools: Pools, each `[K, n]`.
        k: Rows of a set.
        seed: Seed of the uniform subsets.
    """
    rng = np.random.default_rng(seed)
    k = min(k, *map(len, pools))
    even = min(pools, key=lambda pool: _whole(pool).crowding)
    poor = max(subsets(even, k, rng), key=lambda s: _finite(design.coverage(even, s).C))
    leaning = max((unit_rows(pool) for pool in pools), key=lambda pool: _whole(pool).alignment)
    typical = sorted(subsets(leaning, k, rng), key=lambda s: design.coverage(leaning, s).alignment)[SUBSETS // 2]
    weak = plane(weakest(even, poor), longest(even))
    mean = plane(leaning.mean(axis=0), longest(leaning - leaning.mean(axis=0)))
    names = ("longest direction of the pool, across", "direction that (b) covers worst")
    others = ("longest direction of the pool, across", "direction of the pool's mean")
    return [
        Panel("(a) good coverage", "by design", even, design.select(even, k).indices, weak, names),
        Panel("(b) poor coverage", f"worst of {SUBSETS} random sets", even, poor, weak, names),
        Panel("(c) biased", f"median of {SUBSETS} random sets, unit lengths", leaning, typical, mean, others),
        Panel("(d) reduced bias", "by design, unit lengths", leaning, design.select(leaning, k).indices, mean, others),
    ]


def _whole(pool: Floats) -> design.Coverage:
    """A pool's coverage of itself."""
    return design.coverage(pool, np.arange(len(pool)))


def _finite(value: float) -> float:
    """A value with infinity replaced by -1: sets that do not span cannot be drawn, so they come last."""
    return value if np.isfinite(value) else -1.0


def subsets(pool: Floats, k: int, rng: np.random.Generator) -> list[Ints]:
    """`SUBSETS` uniform subsets of `k` rows."""
    return [np.sort(rng.choice(len(pool), k, replace=False)) for _ in range(SUBSETS)]


def unit_rows(pool: Floats) -> Floats:
    """The pool with rows of unit length; zero rows stay zero."""
    lengths = np.linalg.norm(pool, axis=1, keepdims=True)
    return np.asarray(pool / np.where(lengths > 0, lengths, 1.0))


def longest(pool: Floats) -> Floats:
    """The direction `[n]` of the largest singular value of a pool."""
    direction: Floats = np.linalg.svd(pool, full_matrices=False)[2][0]
    return direction


def weakest(pool: Floats, chosen: Ints) -> Floats:
    """The direction `[n]` that uniform weights on a set cover worst: `M^+ z`, `z` the row of largest leverage."""
    g, _ = design.leverages(pool, np.bincount(chosen, minlength=len(pool)))
    information = pool[chosen].T @ pool[chosen]
    direction: Floats = np.linalg.pinv(information, hermitian=True) @ pool[int(np.argmax(g))]
    return direction


def plane(up: Floats, across: Floats) -> Floats:
    """Orthonormal axes `[2, n]`: the part of `across` orthogonal to `up`, and `up`."""
    up = up / np.linalg.norm(up)
    across = across - (across @ up) * up
    return np.stack([across / np.linalg.norm(across), up])


def coverage_section(pools: Sequence[Floats]) -> str:
    """The coverage of the four action sets, and of ways to choose over all pools; "" where there are no pools."""
    if not pools:
        return ""
    four = [numbers(f"{item.title}, {item.how}", [design.coverage(item.pool, item.chosen)]) for item in panels(pools)]
    head = ["action set", "C", "energy", "alignment", "crowding", "mean length", "mean length of the pool"]
    title = "## Action sets of EagleGym/Plots-v0"
    return f"{title}\n\n![Four action sets](coverage.png)\n\n{aligned(head, [*four, *averages(pools)])}"


def averages(pools: Sequence[Floats], k: int = 16, seed: int = 0) -> list[list[str]]:
    """Rows of the table for each way to choose, over all pools; the four panels are extreme cases."""
    rng = np.random.default_rng(seed)
    k = min(k, *map(len, pools))
    ways: dict[str, Callable[[Floats], Ints]] = {
        "by design": lambda pool: design.select(pool, k).indices,
        "by design, normalise=True": lambda pool: design.select(pool, k, normalise=True).indices,
        "random": lambda pool: rng.choice(len(pool), k, replace=False),
        "longest": lambda pool: np.argsort(-np.linalg.norm(pool, axis=1))[:k],
    }
    return [
        numbers(f"{len(pools)} pools, {name}", [design.coverage(pool, way(pool)) for pool in pools])
        for name, way in ways.items()
    ]


def numbers(name: str, found: Sequence[design.Coverage]) -> list[str]:
    """A row of the table: the median of C, and means of the other numbers."""
    columns = ("energy", "alignment", "crowding", "mean_length", "pool_mean_length")
    means = [f"{np.mean([getattr(item, column) for item in found]):.2f}" for column in columns]
    return [name, f"{np.median([item.C for item in found]):.2f}", *means]
