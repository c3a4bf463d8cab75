"""A picture's worth of a latent space: one user, one start text, the catalog around it, and what reaching there pays.

The embedded and real spaces are white: over the catalog every direction varies as much as every other, and principal
components of the catalog are arbitrary. So the map is laid by what matters: across is the direction of the user's
taste (a point's place on it is the affinity that is rewarded), up is the direction, of those at right angles to it, in
which the episodes move most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from baselines.evaluate import EpisodeRow

if TYPE_CHECKING:
    from eagle_gym.envs.world import World

Floats = NDArray[np.float64]

ITEMS = 1500  # of the catalog that are drawn, evenly spaced
GRID = 41  # points a side at which the utility is taken
MARGIN = 0.15  # of the drawn range, around it


@dataclass(frozen=True)
class LatentMap:
    """What a map of one episode is drawn from; lists, so that it is JSON.

    Attributes:
        seed: Of the training runs whose episodes are drawn.
        episode: Seed of the episode: it names user and start.
        axes: Two orthonormal directions, [2, n].
        share: Of the squared length of the episodes' movement, how much the plane shows.
        catalog: Items on the plane, [I, 2].
        x: Places across at which the utility was taken, [G].
        y: Places up, [G].
        utility: For the user, on the plane through the start, [G, G], a row for each y.
    """

    seed: int
    episode: int
    axes: Any
    share: float
    catalog: Any
    x: Any
    y: Any
    utility: Any

    def project(self, z: ArrayLike) -> Floats:
        """Points [B, n] on the plane, [B, 2]."""
        flat: Floats = np.asarray(z, dtype=np.float64) @ np.asarray(self.axes).T
        return flat


def draw_map(world: World, rows: Sequence[EpisodeRow]) -> LatentMap:
    """The map of the episode that the most methods have met; among these, of the one whose mean gain is the median.

    Args:
        world: In which the episodes were played.
        rows: Episodes of all methods.
    """
    (seed, episode), shown = chosen(rows)
    start = world.catalog.item_index(shown[0].item) if shown[0].item != "None" else -1
    user = world.space.users[world.catalog.user_index(shown[0].user)]
    axes, share = lay(user[:-1], [np.asarray(row.z) for row in shown])
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
    utility = world.resources.utility(points, np.tile(user, (len(points), 1)), np.full(len(points), start)).total
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
    """Axes [2, n] for a user's taste [n] and episodes [T + 1, n], and the share of their movement that is seen."""
    across = taste / max(float(np.linalg.norm(taste)), 1e-12)
    moved = np.concatenate([path - path[0] for path in paths])
    beside = moved - np.outer(moved @ across, across)
    if not np.any(np.abs(beside) > 1e-12):  # nothing moved but along the taste: any direction beside it will do
        beside = np.eye(len(taste)) - np.outer(across, across)
    up = np.linalg.svd(beside, full_matrices=False)[2][0]
    up = up - (up @ across) * across
    axes = np.stack([across, up / np.linalg.norm(up)])
    whole = float((moved**2).sum())
    return axes, float(((moved @ axes.T) ** 2).sum()) / whole if whole > 0 else 1.0


def rounded(values: Floats) -> list[Any]:
    """As lists, to two places: a picture shows no more."""
    lists: list[Any] = np.round(values, 2).tolist()
    return lists


def read_map(found: Mapping[str, Any]) -> LatentMap:
    """A map from JSON."""
    return LatentMap(**found)
