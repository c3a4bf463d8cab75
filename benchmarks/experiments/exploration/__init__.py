"""Exploration by reference policies: coverage of the latent space and best utility, by language-model calls.

All policies play the same episodes of test users. Every item of the catalog has a cell: the points of the latent space
that are nearer to it than to any other item. Coverage is the share of the cells that some text has reached. The other
measures are the log-volume of all visited points (half the log determinant of their covariance) and the best utility
that a user was offered so far, less that of the first text. Episodes have ten steps, twice the default. With twenty,
texts outgrow the embedded model's training data: it failed to end one of them, which is an error and fails the cell.
"""

from __future__ import annotations

from typing import Any

from baselines.reference import FIXED
from benchmarks.experiments.exploration.page import write_page
from benchmarks.running import Cell, Options, environments, grid, run_cells

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
    return grid(environments(options), methods, **{name: size[name] for name in ("seeds", "episodes", "num_envs")})


def run(options: Options) -> None:
    """Run the cells, write and print the page, plot the curves."""
    run_cells(cells(options), options)
    print(write_page(options.out))
