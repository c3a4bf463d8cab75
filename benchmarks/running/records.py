"""Records that judging leaves in the files of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from baselines.evaluate import EpisodeRow
from benchmarks.running.files import read_table

ROUNDED, EXACT = 1.1e-2, 1e-5  # how far judged gains may be from those of the episode, in packed runs and others


@dataclass(frozen=True)
class Judgement:
    """One episode under all judges. Gains are of the last text over the first.

    Attributes:
        method: Name of the agent.
        seed: Seed of its training.
        episode: Seed of the episode.
        user: Id of the user.
        reward: Rewarded gain in utility, in catalog standard deviations.
        affinity: Gain in its affinity part.
        true_taste: The same by true tastes, in standard deviations of the user's true ratings of the catalog; nan if
            they are unknown.
        second: The same by the second opinion; nan for users without ratings in it.
        raters: Mean of the same over a fixed panel of other test users, by true tastes if they are known, otherwise
            by the second opinion; nan without either.
        model: Gain in the language model's number from 1 to 10; nan without one.
        distance: Euclidean distance in Z of the last text from the first.
        edits: Difference in content between the first and the last text (see `edits_between`).
        progress: Sum over the steps of the movement along the utility's gradient.
        drift: Sum of the movement orthogonal to it.
        parses: Share of the texts after the first that are well-formed.
        no_ops: Share of the steps that changed nothing in what the text says.
        length: Words of the last text, divided by those of the first.
    """

    method: str
    seed: int
    episode: int
    user: str
    reward: float
    affinity: float
    true_taste: float
    second: float
    raters: float
    model: float
    distance: float
    edits: float
    progress: float
    drift: float
    parses: float
    no_ops: float
    length: float

    @property
    def confirmed(self) -> float:
        """The user's gain by true taste if it is known, otherwise by the second opinion."""
        return self.true_taste if np.isfinite(self.true_taste) else self.second

    def is_of(self, row: EpisodeRow, rounding: float) -> bool:
        """Whether it is of this very episode: of its user, and of its gains up to a rounding."""
        judged, played = (self.reward, self.affinity), (row.gain, row.affinity_gain)
        return self.user == row.user and bool(np.allclose(judged, played, rtol=1e-6, atol=rounding, equal_nan=True))


@dataclass(frozen=True)
class LatentMap:
    """A plane of the latent space around one episode, as lists, so that it is JSON.

    Attributes:
        seed: Seed of the training runs whose episodes are drawn.
        episode: Seed of the episode, which determines user and start.
        axes: Two orthonormal directions, [2, n].
        share: Share of the episodes' squared movement that lies in the plane.
        catalog: Items on the plane, [I, 2].
        x: Horizontal places at which the utility is known, [G].
        y: Vertical places, [G].
        utility: Utility for the user on the plane through the start, [G, G], one row for each y.
    """

    seed: int
    episode: int
    axes: Any
    share: float
    catalog: Any
    x: Any
    y: Any
    utility: Any

    def project(self, z: ArrayLike) -> NDArray[np.float64]:
        """Points [B, n] on the plane, [B, 2]."""
        flat: NDArray[np.float64] = np.asarray(z, dtype=np.float64) @ np.asarray(self.axes).T
        return flat


Place = tuple[str, str, int, int]
"""Environment, method, seed and episode."""


def read_judgements(folder: Path, played: Mapping[Place, EpisodeRow], *, packed: bool) -> dict[Place, Judgement]:
    """Judgements of a run's episodes; none if the run is not judged.

    Judgements of other episodes than those that were played are left out: cells may be repeated after a run was judged.
    Their episodes then count as not judged.
    """
    path = folder / "judgements.parquet"
    found = read_table(path, Judgement, "environment") if path.exists() else []
    judgements = {}
    for row in found:
        where, item = row.pop("environment"), Judgement(**row)
        key = (where, item.method, item.seed, item.episode)
        if key in played and item.is_of(played[key], ROUNDED if packed else EXACT):
            judgements[key] = item
    return judgements
