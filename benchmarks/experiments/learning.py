"""Does a stock agent learn? PPO against the reference policies on test users, five seeds, a fixed budget.

PPO is that of Stable-Baselines3, once with a policy that treats all actions alike ("ppo") and once with SB3's own
MultiInputPolicy ("ppo-stock"), on the same observation and with the same budget. The gate, for each of the two: it
gains at least 80 % of what the optimistic policy gains, and is above uniform with 95 % intervals apart.
"""

from __future__ import annotations

import numpy as np

from baselines.reference import REFERENCES
from benchmarks import plots
from benchmarks.gates import page
from benchmarks.report import learning_curves, summarise
from benchmarks.suite import Cell, Options, agents_by_seed, run_cells, worlds

SIZES = {
    "smoke": {"seeds": 2, "steps": 160, "episodes": 16, "num_envs": 16},
    "small": {"seeds": 2, "steps": 8_960, "episodes": 64, "num_envs": 64},
    "reference": {"seeds": 5, "steps": 8_960, "episodes": 128, "num_envs": 64},
}
LEARNERS = ("ppo", "ppo-stock")


def cells(options: Options) -> list[Cell]:
    """Every agent with every seed on Plots, and on MovieLens where ``--data`` is given."""
    size = SIZES[options.size]
    training = {"total_timesteps": size["steps"]}
    return [
        Cell(
            name, env_id, agent, seed, size["episodes"], size["num_envs"], kwargs, training if agent in LEARNERS else {}
        )
        for name, env_id, kwargs in worlds(options)
        for agent, seed in agents_by_seed((*LEARNERS, *REFERENCES), range(size["seeds"]))
    ]


def run(options: Options) -> None:
    """Do the cells, print a table and verdicts for each environment, draw gains and learning curves."""
    results = run_cells(cells(options), options)
    rng = np.random.default_rng(0)
    pages, panels, curves = [], [], []
    for name in dict.fromkeys(result.cell.environment for result in results):
        some = [result for result in results if result.cell.environment == name]
        summaries, env_id = summarise(some, rng), some[0].cell.env_id
        pages.append(page(some, summaries, SIZES[options.size], LEARNERS, rng))
        panels.append((env_id, summaries))
        curves.append((env_id, learning_curves(some, options.out), summaries))
    text = "\n\n".join(pages) + "\n"
    (options.out / "REPORT.md").write_text(text)
    plots.save_gains(panels, options.out / "gain.png")
    plots.save_curves(curves, options.out / "learning.png")
    print(f"\n{text}\nREPORT.md, gain.png and learning.png in {options.out}")
