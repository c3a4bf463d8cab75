"""How far do reference policies get? Coverage of Z and best utility found, against language-model calls.

Long episodes of test users, the same for every policy. Coverage is the share of the catalog's items whose cell (the
points of Z that are nearer to it than to any other item) some text has come to: a fixed partition of the ball that
holds every embedding. Beside it stand the log-volume of all points visited, half the log determinant of their
covariance, and the best utility that a user has been offered so far, less that of the first text. Ten steps are twice
the usual horizon; over twenty, texts grow beyond what the embedded model was trained on, and it came to one that it did
not end, which is an error and fails the cell.
"""

from __future__ import annotations

from typing import Any

from baselines.reference import FIXED
from benchmarks.exploring import write_page
from benchmarks.suite import Cell, Options, grid, run_cells, worlds

SIZES: dict[str, dict[str, Any]] = {
    "smoke": {"seeds": 1, "episodes": 2, "num_envs": 2, "horizon": 2},
    "small": {"seeds": 2, "episodes": 64, "num_envs": 64, "horizon": 10},
    "reference": {"seeds": 5, "episodes": 128, "num_envs": 64, "horizon": 10},
    "full": {"seeds": 10, "episodes": 256, "num_envs": 64, "horizon": 10},
}


def cells(options: Options) -> list[Cell]:
    """Every policy that needs no training, with every seed."""
    size = SIZES[options.size]
    methods = [{"agent": name, "env_kwargs": {"horizon": size["horizon"]}} for name in FIXED]
    return grid(worlds(options), methods, **{name: size[name] for name in ("seeds", "episodes", "num_envs")})


def run(options: Options) -> None:
    """Do the cells, write and print the page, draw the curves."""
    run_cells(cells(options), options)
    print(write_page(options.out))
