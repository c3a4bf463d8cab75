"""Does a stock agent learn? PPO against the reference policies on test users, five seeds, a fixed budget.

The gate: PPO gains at least 80 % of what the optimistic policy gains, and is above uniform with 95 % intervals apart.
"""

from __future__ import annotations

import numpy as np

from benchmarks import plots
from benchmarks.report import Summary, difference, summarise, table
from benchmarks.suite import Cell, CellResult, Options, agents_by_seed, run_cells

SIZES = {
    "smoke": {"seeds": 2, "steps": 160, "episodes": 16, "num_envs": 16},
    "small": {"seeds": 2, "steps": 8_960, "episodes": 64, "num_envs": 64},
    "reference": {"seeds": 5, "steps": 8_960, "episodes": 128, "num_envs": 64},
}
SHARE = 0.8  # of the optimistic policy's gain


def cells(options: Options) -> list[Cell]:
    """Every agent with every seed on Plots, and on MovieLens where ``--data`` is given."""
    size = SIZES[options.size]
    worlds: list[tuple[str, str, dict[str, str]]] = [("plots", "EagleGym/Plots-v0", {})]
    if options.data:
        worlds.append(("movielens", "EagleGym/MovieLens-v0", {"root": str(options.data)}))
    training = {"steps": size["steps"]}
    return [
        Cell(name, env_id, agent, seed, size["episodes"], size["num_envs"], kwargs, training if agent == "ppo" else {})
        for name, env_id, kwargs in worlds
        for agent, seed in agents_by_seed(seeds=range(size["seeds"]))
    ]


def run(options: Options) -> None:
    """Do the cells, print a table and a verdict for each environment, draw the gains."""
    results = run_cells(cells(options), options)
    rng = np.random.default_rng(0)
    pages, panels = [], []
    for name in dict.fromkeys(result.cell.environment for result in results):
        page, panel = report([result for result in results if result.cell.environment == name], options, rng)
        pages.append(page)
        panels.append(panel)
    text = "\n\n".join(pages) + "\n"
    (options.out / "REPORT.md").write_text(text)
    plots.save_gains(panels, options.out / "gain.png")
    print(f"\n{text}\nREPORT.md and gain.png in {options.out}")


def report(
    results: list[CellResult], options: Options, rng: np.random.Generator
) -> tuple[str, tuple[str, list[Summary]]]:
    """The page of one environment, and its panel of the picture."""
    size, summaries = SIZES[options.size], summarise(results, rng)
    gain = {item.agent: item.gain for item in summaries}
    share = gain["ppo"].estimate / gain["optimistic"].estimate
    apart = gain["ppo"].low > gain["uniform"].high
    page = [
        f"## {results[0].cell.env_id}",
        f"Budget: {size['steps']:,} environment steps of training for each of {size['seeds']} seeds; "
        f"{size['episodes']} episodes of test users for each seed and method, the same for all methods of a seed.",
        table(summaries),
        f"PPO less uniform, same episodes: {difference(results, 'ppo', 'uniform', rng)}; "
        f"PPO less optimistic: {difference(results, 'ppo', 'optimistic', rng)}.",
        f"PPO gains {share:.0%} of the optimistic policy's gain (wanted: {SHARE:.0%}): {verdict(share >= SHARE)}. "
        f"Above uniform with intervals apart: {verdict(apart)}.",
    ]
    return "\n\n".join(page), (results[0].cell.env_id, summaries)


def verdict(passed: bool) -> str:
    """A word for a gate."""
    return "met" if passed else "MISSED"
