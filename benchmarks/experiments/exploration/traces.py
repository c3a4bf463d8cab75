"""What policies cover and find in the latent space, by the number of language-model calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from baselines.evaluate import EpisodeRow
from benchmarks.judging.judges import Rate, rater
from benchmarks.running import Cell, opened
from benchmarks.running.runs import FinishedCell, Run, by_method, rows_of
from benchmarks.stats import Keyed

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trace:
    """What a policy has covered and found after each of H steps, with S seeds.

    Attributes:
        method: The policy.
        calls: Language-model calls of a seed's episodes, mean over seeds, `[H + 1]`.
        coverage: Share of the catalog's cells that were visited, `[S, H + 1]`.
        volume: Log-volume, `[S, H + 1]`; -inf where the visited points lie in a subspace.
        best: Best utility less the first, `[S, H + 1]`.
        judged: The judge's rating of the text with the best utility, less that of the first text, `[S, H + 1]`.
        finds: `best` at the end of every episode.
        opinions: `judged` at the end of every episode whose user the judge knows.
    """

    method: str
    calls: Floats
    coverage: Floats
    volume: Floats
    best: Floats
    judged: Floats
    finds: Keyed
    opinions: Keyed


def trace(cells: Sequence[FinishedCell], items: Floats, rate: Rate) -> Trace:
    """The trace of a policy, from its cells (one for each seed), the embeddings of all items `[I, n]` and a judge."""
    coverage, volume, best = np.stack([follow(cell.rows, items) for cell in cells], 1)
    horizon = best.shape[1] - 1
    calls = np.mean([cell.evaluation.calls for cell in cells]) * np.arange(horizon + 1) / horizon
    opinions = [opinions_of(cell.rows, rate) for cell in cells]
    ends, rows = np.concatenate(opinions)[:, -1].tolist(), rows_of(cells)
    keys = [(row.seed, row.episode, row.user) for row in rows]
    return Trace(
        cells[0].method,
        calls,
        coverage,
        volume,
        best,
        judged=np.array([one.mean(axis=0) for one in opinions]),
        finds=[(*key, max(row.utilities) - row.utilities[0]) for key, row in zip(keys, rows, strict=True)],
        opinions=[(*key, end) for key, end in zip(keys, ends, strict=True) if np.isfinite(end)],
    )


def follow(rows: Sequence[EpisodeRow], items: Floats) -> Floats:
    """Coverage, log-volume and best utility after each step of episodes of equal length, `[3, H + 1]`."""
    z = np.array([row.z for row in rows])  # [E, H + 1, n]
    utilities = np.array([row.utilities for row in rows])
    cells = nearest(z.reshape(-1, z.shape[-1]), items).reshape(z.shape[:2])
    steps = range(1, z.shape[1] + 1)
    coverage = [len(np.unique(cells[:, :count])) / len(items) for count in steps]
    volume = [log_volume(z[:, :count].reshape(-1, z.shape[-1])) for count in steps]
    best = np.maximum.accumulate(utilities, axis=1).mean(axis=0) - utilities[:, 0].mean()
    return np.array([coverage, volume, best])


def opinions_of(rows: Sequence[EpisodeRow], rate: Rate) -> Floats:
    """The judge's rating of the text with the best utility so far, less that of the first text, `[E, H + 1]`.

    The text is chosen by utility, as an agent would choose it; of equals it is the first.
    """
    utilities = np.array([row.utilities for row in rows])
    users = [row.user for row in rows for _ in row.texts]
    ratings = rate(users, [text for row in rows for text in row.texts]).reshape(utilities.shape)
    best = [[int(np.argmax(own[: count + 1])) for count in range(len(own))] for own in utilities]
    gains: Floats = np.take_along_axis(ratings, np.array(best), axis=1) - ratings[:, :1]
    return gains


def nearest(z: Floats, items: Floats) -> NDArray[np.intp]:
    """The row of the item nearest to each point, `[M]`."""
    found: NDArray[np.intp] = KDTree(items).query(z)[1]
    return found


def log_volume(z: Floats) -> float:
    """Half the log determinant of the covariance of points `[M, n]`; -inf where they lie in a subspace."""
    sign, logarithm = np.linalg.slogdet(np.cov(z.T))
    return float(logarithm) / 2 if sign > 0 else float("-inf")


def traces_of(run: Run, environment: str) -> list[Trace]:
    """The traces of the policies of an environment."""
    cells = run.of(environment)
    (env_id, kwargs), *_ = Cell(**cells[0].header["cell"]).environments()
    with opened(env_id, 1, split="test", **kwargs) as envs:
        world = envs.unwrapped.world
        items, rate = np.asarray(world.space.items, np.float64), rater(world)
    return [trace(some, items, rate) for some in by_method(cells).values()]
