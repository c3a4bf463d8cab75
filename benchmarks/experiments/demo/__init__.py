"""Train PPO for a few minutes and compare it on test users with policies that need no training.

These are uniform; user-blind greedy, which knows what edits do and not for whom; and optimistic, which is greedy with
the expected utility of each edit. The agent is shown only the words of the edits.

On EagleGym/Plots-v0, or on EagleGym/MovieLens-v0 with `--data` and a folder of MovieLens ratings.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.reporting import plots
from benchmarks.reporting.document import markdown
from benchmarks.reporting.episodes import transcript, typical
from benchmarks.reporting.standings import difference, standings
from benchmarks.reporting.tables import gains_table
from benchmarks.running import Cell, Options, environments, grid, run_cells
from benchmarks.running.runs import by_method, rows_of

SIZES = {
    "smoke": {"steps": 160, "episodes": 16, "num_envs": 16},
    "small": {"steps": 8_960, "episodes": 256, "num_envs": 64},
}
OTHERS = ("uniform", "user_blind", "optimistic")
COLUMNS = ("method", "gain", "IQM", "affinity", "novelty", "percentile", "well-formed", "calls to train")


def cells(options: Options) -> list[Cell]:
    """PPO and the others, one seed."""
    size = SIZES[options.size]
    methods: list[dict[str, Any]] = [{"agent": name} for name in OTHERS]
    methods.append({"agent": "ppo", "training": {"total_timesteps": size["steps"]}})
    return grid(environments(options)[-1:], methods, seeds=1, episodes=size["episodes"], num_envs=size["num_envs"])


def run(options: Options) -> None:
    """Do the cells, print the table and an episode, draw both."""
    begin = time.perf_counter()
    found = run_cells(cells(options), options)
    (name,), methods = found.environments, by_method(found.done)
    ranked, shown = standings(found, name), typical(rows_of(methods["ppo"]))
    (options.out / "gain.png").write_bytes(plots.bars(ranked))
    note = " (PPO's well-formed episode of median gain)"
    (options.out / "episode.png").write_bytes(plots.episode(shown, note))
    print(f"\n{methods['ppo'][0].env_id}, {ranked[0].episodes} episodes of test users for each method;")
    print(f"gain in utility, in standard deviations of the catalog\n\n{markdown(gains_table(ranked, COLUMNS, ''))}\n")
    print(f"PPO's episode of median gain, for user {shown.user}: utility, text, > edit\n\n{transcript(shown)}\n")
    for other in OTHERS:
        less = difference(methods["ppo"], methods.get(other), np.random.default_rng(0))
        print(f"PPO minus {other} on the same episodes: {less}")
    print(f"\n{time.perf_counter() - begin:.0f} s; cells (episodes and costs), gain.png, episode.png in {options.out}")
