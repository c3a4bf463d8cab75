"""Computes the map of a latent space: one user, one start text, the catalog around it, and the utility.

The spaces are white: all directions vary equally over the catalog, so that its principal components are arbitrary. The
map has more meaningful axes. The horizontal one is the user's taste, along which lies the predicted rating. The
vertical one is the orthogonal direction in which the episodes move most.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from baselines.evaluate import EpisodeRow
from benchmarks.running.records import LatentMap

if TYPE_CHECKING:
    from eagle_gym.envs.world import World

Floats = NDArray[np.float64]

ITEMS = 1500  # largest number of drawn items, evenly spaced in the catalog
GRID = 41  # points along each axis at which the utility is computed
MARGIN = 0.15  # margin around the drawn points, as a share of their range


def draw_map(world: World, rows: Sequence[EpisodeRow]) -> LatentMap:
    """The map of the episode that most methods share; among several, of the one with the median mean gain.

    Args:
        world: World in which the episodes were played.
        rows: Episodes of all methods.
    """
    (seed, episode), shown = chosen(rows)
    start = world.catalog.item_index(shown[0].item) if shown[0].item != "None" else -1
    user = world.catalog.user_index(shown[0].user)
    axes, share = lay(world.space.users[user, :-1], [np.asarray(row.z) for row in shown])
    items = world.space.items[np.linspace(0, len(world.space.items) - 1, ITEMS).astype(int)]
    items = np.unique(items, axis=0) @ axes.T
    seen = np.concatenate([items, *(np.asarray(row.z) @ axes.T for row in shown)])
    low, high = seen.min(axis=0), seen.max(axis=0)
    x, y = (
        np.linspace(low[i] - MARGIN * (high[i] - low[i]), high[i] + MARGIN * (high[i] - low[i]), GRID) for i in (0, 1)
    )
    origin = np.asarray(shown[0].z[0])
    flat = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    points = origin + (flat - origin @ axes.T) @ axes
    utility = world.priced.anchored(origin)(points, np.full(len(points), user), np.full(len(points), start)).total
    return LatentMap(
        seed,
        episode,
        *(axes.tolist(), share, rounded(items), rounded(x), rounded(y), rounded(utility.reshape(GRID, GRID))),
    )


def chosen(rows: Sequence[EpisodeRow]) -> tuple[tuple[int, int], list[EpisodeRow]]:
    """Seed and episode to draw, and its rows, one for each method."""
    met: dict[tuple[int, int], dict[str, EpisodeRow]] = {}
    for row in rows:
        met.setdefault((row.seed, row.episode), {})[row.method] = row
    most = max(len(found) for found in met.values())
    full = {key: list(found.values()) for key, found in met.items() if len(found) == most}
    ranked = sorted(full, key=lambda key: (np.mean([row.gain for row in full[key]]), key))
    return ranked[len(ranked) // 2], full[ranked[len(ranked) // 2]]


def lay(taste: Floats, paths: Sequence[Floats]) -> tuple[Floats, float]:
    """Axes [2, n] for a user's taste [n] and episodes [T + 1, n], and the share of movement in their plane."""
    across = taste / max(float(np.linalg.norm(taste)), 1e-12)
    moved = np.concatenate([path - path[0] for path in paths])
    aside = moved - np.outer(moved @ across, across)
    if not np.any(np.abs(aside) > 1e-12):  # all movement is along the taste: any orthogonal direction will do
        aside = np.eye(len(taste)) - np.outer(across, across)
    up = np.linalg.svd(aside, full_matrices=False)[2][0]
    up = up - (up @ across) * across
    axes = np.stack([across, up / np.linalg.norm(up)])
    whole = float((moved**2).sum())
    return axes, float(((moved @ axes.T) ** 2).sum()) / whole if whole > 0 else 1.0


def rounded(values: Floats) -> list[Any]:
    """Lists of numbers with two decimals, the precision of a plot."""
    lists: list[Any] = np.round(values, 2).tolist()
    return lists
