"""What policies cover and find in the latent space, by the number of language-model calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from baselines.evaluate import EpisodeRow
from benchmarks.running import Cell, opened
from benchmarks.running.runs import FinishedCell, Run, by_method

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
    """

    method: str
    calls: Floats
    coverage: Floats
    volume: Floats
    best: Floats


def trace(cells: Sequence[FinishedCell], items: Floats) -> Trace:
    """The trace of a policy, from its cells (one for each seed) and the embeddings of the catalog's items `[I, n]`."""
    found = [follow(cell.rows, items) for cell in cells]
    horizon = found[0].shape[1] - 1
    calls = np.mean([cell.evaluation.calls for cell in cells]) * np.arange(horizon + 1) / horizon
    coverage, volume, best = np.stack(found, 1)
    return Trace(cells[0].method, calls, coverage, volume, best)


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
        items = np.asarray(envs.unwrapped.world.space.items, np.float64)
    return [trace(some, items) for some in by_method(cells).values()]
