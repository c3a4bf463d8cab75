"""Is a designed action set worth more where the reward must be estimated from few steps? A hypothesis and its one run.

`HYPOTHESIS.md` was committed before the run. On the task `hidden`, LinUCB, which learns within an episode, and the
uniform policy, its control, act with designed, random and longest sets and with designs over unit lengths, on the same
episodes. A claim holds where the interval is above 0 by reward and by judge.
"""

from __future__ import annotations

from typing import Any

from benchmarks.experiments.design_worth.page import FURTHER, write_page
from benchmarks.running import Cell, Options, grid, run_cells

SETS = {"designed": "g_optimal", "random": "uniform", "longest": "longest", "unit-length": "g_optimal_unit"}
USUAL: dict[str, Any] = {"seeds": 4, "episodes": 256, "num_envs": 64, "actions": 8}
SIZES: dict[str, dict[str, Any]] = {
    "smoke": USUAL | {"seeds": 1, "episodes": 2, "num_envs": 2},
    "reference": USUAL,
}


def cells(options: Options) -> list[Cell]:
    """LinUCB and the uniform policy with every kind of set."""
    size = SIZES[options.size]
    kwargs = {"task": "hidden", "language_model": "grammar", "actions": size["actions"]}
    methods: list[dict[str, Any]] = [
        {"agent": agent, "setting": name, "env_kwargs": {"selection": selection}}
        for name, selection in SETS.items()
        for agent in ("linucb", "uniform")
    ]
    designed = {"setting": "designed", "env_kwargs": {"selection": SETS["designed"]}}
    methods += [designed | {"agent": agent} for agent in FURTHER]
    place = ("plots", "EagleGym/Plots-v0", kwargs)
    return grid([place], methods, **{name: size[name] for name in ("seeds", "episodes", "num_envs")})


def run(options: Options) -> None:
    """Run the cells, write and print the page."""
    run_cells(cells(options), options)
    print(write_page(options.out, list(SETS)))
