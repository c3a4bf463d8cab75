"""PPO against the reference policies on test users: does a stock agent learn?

PPO is that of Stable-Baselines3. It has one of two policies: this repository's, which shares its weights across actions
("ppo"), or SB3's own MultiInputPolicy ("ppo-stock"). Observation and budget are the same. The target for each: at least
80 % of the optimistic policy's gain, and a 95 % interval that lies above that of the uniform policy.
"""

from __future__ import annotations

import numpy as np

from baselines.reference import REFERENCES
from benchmarks import plots
from benchmarks.gates import page
from benchmarks.report import learning_curves, summarise
from benchmarks.suite import Cell, Options, grid, run_cells, worlds

SIZES = {
    "smoke": {"seeds": 2, "steps": 160, "episodes": 16, "num_envs": 16},
    "small": {"seeds": 2, "steps": 8_960, "episodes": 64, "num_envs": 64},
    "reference": {"seeds": 5, "steps": 8_960, "episodes": 128, "num_envs": 64},
}
LEARNERS = ("ppo", "ppo-stock")


def cells(options: Options) -> list[Cell]:
    """Every agent with every seed, on Plots and, with `--data`, on MovieLens."""
    size = SIZES[options.size]
    training = {"steps": size["steps"]}
    methods = [{"agent": name, "training": training if name in LEARNERS else {}} for name in (*LEARNERS, *REFERENCES)]
    return grid(worlds(options), methods, **{name: size[name] for name in ("seeds", "episodes", "num_envs")})


def run(options: Options) -> None:
    """Run the cells; print a table and verdicts for each environment; plot gains and learning curves."""
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
