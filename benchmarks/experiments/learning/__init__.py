"""Does a stock agent learn? PPO against the reference policies on test users, five seeds, a fixed budget.

PPO is that of Stable-Baselines3, once with a policy that treats all actions alike ("ppo") and once with SB3's own
MultiInputPolicy ("ppo-stock"), on the same observation and with the same budget. Both have the same targets: a gain
above the uniform policy's with 95 % intervals apart, and at least 80 % of the optimistic policy's gain.
"""

from __future__ import annotations

from typing import Any

from baselines.reference import REFERENCES
from benchmarks.reporting.build import write_page
from benchmarks.reporting.targets import learner_targets
from benchmarks.running import Cell, Options, environments, grid, run_cells

SIZES = {
    "smoke": {"seeds": 2, "steps": 160, "episodes": 16, "num_envs": 16},
    "small": {"seeds": 2, "steps": 8_960, "episodes": 64, "num_envs": 64},
    "reference": {"seeds": 5, "steps": 8_960, "episodes": 128, "num_envs": 64},
}
LEARNERS = ("ppo", "ppo-stock")


def cells(options: Options) -> list[Cell]:
    """Every agent with every seed on Plots, and on MovieLens with `--data`."""
    size = SIZES[options.size]
    methods: list[dict[str, Any]] = [
        *({"agent": name, "training": {"steps": size["steps"]}} for name in LEARNERS),
        *({"agent": name} for name in REFERENCES),
    ]
    return grid(environments(options), methods, **{name: size[name] for name in ("seeds", "episodes", "num_envs")})


def run(options: Options) -> None:
    """Do the cells, write and print the page with its plots."""
    found = run_cells(cells(options), options)
    print(write_page(found, [target for name in LEARNERS for target in learner_targets(name)], draw=True))
