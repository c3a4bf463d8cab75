"""Train PPO for a few minutes and compare it with the reference policies on test users.

On EagleGym/Plots-v0, or on EagleGym/MovieLens-v0 where ``--data`` names a folder of MovieLens ratings.
"""

from __future__ import annotations

import time
from dataclasses import asdict

import numpy as np

from benchmarks import plots
from benchmarks.report import difference, summarise, table, transcript, typical
from benchmarks.results import circumstances, write_json, write_rows
from benchmarks.suite import Cell, Options, agents_by_seed, run_cells, worlds

SIZES = {
    "smoke": {"steps": 160, "episodes": 16, "num_envs": 16},
    "small": {"steps": 8_960, "episodes": 256, "num_envs": 64},
}


def cells(options: Options) -> list[Cell]:
    """PPO and the three reference policies, one seed."""
    size = SIZES[options.size]
    name, env_id, kwargs = worlds(options)[-1]
    training = {"total_timesteps": size["steps"]}
    return [
        Cell(name, env_id, agent, seed, size["episodes"], size["num_envs"], kwargs, training if agent == "ppo" else {})
        for agent, seed in agents_by_seed()
    ]


def run(options: Options) -> None:
    """Do the cells, print the table, write episodes and pictures."""
    begin = time.perf_counter()
    results = run_cells(cells(options), options)
    rng = np.random.default_rng(0)
    summaries = summarise(results, rng)
    title = f"{results[0].cell.env_id}, {summaries[0].episodes} episodes of test users for each method"
    rows = {result.cell.agent: result.rows for result in results}
    write_rows([row for some in rows.values() for row in some], options.out / "episodes.parquet")
    plots.save_gains([(title, summaries)], options.out / "gain.png")
    shown = typical(rows["ppo"])
    plots.save_episode(shown, options.out / "episode.png", note=" (median of PPO's well-formed episodes)")
    done = [{"cell": asdict(result.cell), "cost": result.header["cost"]} for result in results]
    about = {"experiment": "demo", "seconds": time.perf_counter() - begin, "cells": done}
    write_json(about | {"hashes": results[0].header["hashes"]} | circumstances(), options.out / "run.json")
    print(f"\n{title}; gain in catalog standard deviations of utility\n\n{table(summaries)}\n")
    print(f"PPO's episode of median gain, for user {shown.user}: utility, text, > edit\n\n{transcript(shown)}\n")
    for other in ("uniform", "optimistic"):
        print(f"PPO less {other}, same episodes: {difference(results, 'ppo', other, rng)}")
    print(f"\n{time.perf_counter() - begin:.0f} s; episodes.parquet, run.json, gain.png, episode.png in {options.out}")
