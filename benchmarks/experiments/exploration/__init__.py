"""Exploration by reference policies: coverage of the latent space and best utility, by language-model calls.

All policies play the same episodes of test users. Every item of the catalog has a cell: the points of the latent space
that are nearer to it than to any other item. Coverage is the share of the cells that some text has reached. The other
measures are the log-volume of all visited points (half the log determinant of their covariance) and the best utility
that a user was offered so far, less that of the first text, by reward and by judge (the text is chosen by reward).
Episodes have ten steps, twice the default. With twenty, texts outgrow the embedded model's training data: it failed to
end one of them, which is an error and fails the cell. The size `grammar` takes the grammar as the language model, and
so affords ten seeds in minutes.
"""

from __future__ import annotations

from typing import Any

from baselines.reference import FIXED
from benchmarks.experiments.exploration.page import write_page
from benchmarks.running import Cell, Options, environments, grid, run_cells

POLICIES = (*FIXED, "first")
SMALL = {"seeds": 2, "episodes": 64, "num_envs": 64, "horizon": 10, "language_model": "embedded"}
SIZES: dict[str, dict[str, Any]] = {
    "smoke": SMALL | {"seeds": 1, "episodes": 2, "num_envs": 2, "horizon": 2},
    "small": SMALL,
    "grammar": SMALL | {"seeds": 10, "episodes": 128, "language_model": "grammar"},
    "reference": SMALL | {"seeds": 5, "episodes": 128},
    "full": SMALL | {"seeds": 10, "episodes": 256},
}


def cells(options: Options) -> list[Cell]:
    """Every policy that needs no training, with every seed."""
    size = SIZES[options.size]
    arguments = {name: size[name] for name in ("horizon", "language_model")}
    methods = [{"agent": name, "env_kwargs": arguments} for name in POLICIES]
    return grid(environments(options), methods, **{name: size[name] for name in ("seeds", "episodes", "num_envs")})


def run(options: Options) -> None:
    """Run the cells, write and print the page, plot the curves."""
    run_cells(cells(options), options)
    print(write_page(options.out))
