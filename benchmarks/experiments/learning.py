"""Does a stock agent learn? PPO against the reference policies on test users, five seeds, a fixed budget.

PPO is that of Stable-Baselines3, once with a policy that treats all actions alike ("ppo") and once with SB3's own
MultiInputPolicy ("ppo-stock"), on the same observation and with the same budget. The gate, for each of the two: it
gains at least 80 % of what the optimistic policy gains, and is above uniform with 95 % intervals apart.
"""

from __future__ import annotations

import numpy as np

from baselines.reference import REFERENCES
from benchmarks import plots
from benchmarks.report import Summary, difference, learning_curves, share, summarise, table
from benchmarks.reporting.names import title
from benchmarks.suite import Cell, CellResult, Options, agents_by_seed, commits, run_cells, worlds

SIZES = {
    "smoke": {"seeds": 2, "steps": 160, "episodes": 16, "num_envs": 16},
    "small": {"seeds": 2, "steps": 8_960, "episodes": 64, "num_envs": 64},
    "reference": {"seeds": 5, "steps": 8_960, "episodes": 128, "num_envs": 64},
}
LEARNERS = ("ppo", "ppo-stock")
SHARE = 0.8  # of the optimistic policy's gain


def cells(options: Options) -> list[Cell]:
    """Every agent with every seed on Plots, and on MovieLens where ``--data`` is given."""
    size = SIZES[options.size]
    training = {"steps": size["steps"]}
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
        page, (title, summaries) = report(some, options, rng)
        pages.append(page)
        panels.append((title, summaries))
        curves.append((title, learning_curves(some, options.out), summaries))
    text = "\n\n".join(pages) + "\n"
    (options.out / "REPORT.md").write_text(text)
    plots.save_gains(panels, options.out / "gain.png")
    plots.save_curves(curves, options.out / "learning.png")
    print(f"\n{text}\nREPORT.md, gain.png and learning.png in {options.out}")


def report(
    results: list[CellResult], options: Options, rng: np.random.Generator
) -> tuple[str, tuple[str, list[Summary]]]:
    """The page of one environment, and its panel of the picture."""
    size, summaries = SIZES[options.size], summarise(results, rng)
    page = [
        f"## {results[0].cell.env_id}",
        f"Budget: {size['steps']:,} environment steps of training for each of {size['seeds']} seeds; "
        f"{size['episodes']} episodes of test users for each seed and method, the same for all methods of a seed. "
        f"Code: {', '.join(commits(results))}.",
        table(summaries),
        *(gate(learner, results, summaries, rng) for learner in LEARNERS),
    ]
    return "\n\n".join(page), (results[0].cell.env_id, summaries)


def gate(learner: str, results: list[CellResult], summaries: list[Summary], rng: np.random.Generator) -> str:
    """What a learner was asked for, and whether it did it."""
    gain = {item.agent: item.gain for item in summaries}
    part = share(results, learner, "optimistic", rng)
    apart = gain[learner].low > gain["uniform"].high
    return (
        f"{title(learner)}: less uniform, same episodes: {difference(results, learner, 'uniform', rng)}; "
        f"less optimistic: {difference(results, learner, 'optimistic', rng)}. It gains {part.estimate:.0%} "
        f"[{part.low:.0%}, {part.high:.0%}] of what the optimistic policy gains (wanted: {SHARE:.0%}): "
        f"{verdict(part.estimate >= SHARE)}. Above uniform with intervals apart: {verdict(apart)}."
    )


def verdict(passed: bool) -> str:
    """A word for a gate."""
    return "met" if passed else "MISSED"
