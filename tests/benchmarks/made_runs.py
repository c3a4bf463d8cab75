"""Runs that are made up: folders of cells as experiments leave them, with numbers that can be checked by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from baselines.evaluate import Cost, EpisodeRow
from benchmarks.running.files import write_json, write_rows, write_table
from benchmarks.running.records import Judgement, LatentMap
from benchmarks.running.runs import FinishedCell, read_run

SECRET = "A text that is made of somebody's ratings."
USERS = 4


def rows(method: str, seed: int, gains: list[float], text: str = "A film.") -> list[EpisodeRow]:
    return [
        EpisodeRow(
            *(method, seed, 100 * seed + i, f"u{i % USERS}", f"e{i}", 1, gain, gain),
            *(0.0, 0.0, 0.0, 50.0, 60.0, True),
            *((0.5, 0.5 + gain), (text, f"{text} {method}"), (f"Edit {i}.",), ((0.0, 0.0), (gain, 1.0))),
        )
        for i, gain in enumerate(gains)
    ]  # fmt: skip


def header(method: str, seed: int, environment: str, env_id: str, calls: int, trained: int) -> dict[str, Any]:
    return {
        "cell": {"environment": environment, "env_id": env_id, "agent": method.partition("-")[0], "label": method,
                 "seed": seed, "training": {"total_timesteps": 20} if trained else {},
                 "env_kwargs": {"root": "/home/somebody/ml-latest-small"}},
        "cost": {"evaluation": asdict(Cost(calls=calls)), "training": asdict(Cost(calls=trained)) if trained else None,
                 "parts": {}, "steps": 20 if trained else 0},
        "hashes": {"catalog": "c0ffee"},
        "versions": {"python": "3.11"},
        "commit": "0123456789abcdef+",
        "command": "__main__.py run t1_methods --size small --data /home/somebody/ml-latest-small",
        "machine": {"system": "Linux", "processor": "a processor", "cores": 2},
    }  # fmt: skip


def write_cell(
    run: Path,
    method: str,
    seed: int,
    gains: list[float],
    *,
    environment: str = "plots",
    env_id: str = "EagleGym/Plots-v0",
    trained: int = 0,
    text: str = "A film.",
) -> None:
    folder = run / "cells" / f"{environment}-{method}-{seed}"
    write_rows(rows(method, seed, gains, text), folder / "episodes.parquet")
    if trained:
        (folder / "agent").mkdir()
        curve = [{"steps": 10, "return": 0.5}, {"steps": 20, "return": 1.0 + seed}]
        (folder / "agent" / "curve.json").write_text(json.dumps(curve))
    write_json(header(method, seed, environment, env_id, 2 * len(gains), trained), folder / "run.json")


def finished(
    method: str, seed: int, gains: list[float], *, training: Cost | None = None, curve: Any = ()
) -> FinishedCell:
    """A cell that is on no disk; its first episode is not well-formed."""
    rows = tuple(
        EpisodeRow(
            *(method, seed, 10 * seed + i, f"u{i}", "e", 1),
            *(gain, gain, *(0.0, 0.0, 0.0), 50.0, 80.0, i > 0, (0.0, gain), ("a", "b"), ("x",), ((0.0,), (gain,))),
        )
        for i, gain in enumerate(gains)
    )  # fmt: skip
    spent = asdict(training) if training else None
    cost = {"evaluation": asdict(Cost(calls=2 * len(gains))), "training": spent, "steps": 0}
    cell = {"environment": "w", "env_id": "W-v0", "agent": method, "seed": seed}
    return FinishedCell(f"w-{method}-{seed}", {"cell": cell, "cost": cost, "hashes": {}}, rows, curve)


def write_plan(run: Path, cells: Mapping[str, tuple[str, int, str]], experiment: str = "t1_methods") -> None:
    planned = {
        name: {"environment": environment, "agent": method.partition("-")[0], "label": method, "seed": seed}
        for name, (method, seed, environment) in cells.items()
    }
    write_json({"experiment": experiment, "size": "small", "cells": planned}, run / "plan.json")


GAINS = {
    "uniform": [0.0, 1.0, 0.0, 1.0],
    "beam:budget=640": [4.0, 5.0],  # expensive, so it ran on the first two episodes only
    "eagle-g_optimal": [2.0, 3.0, 2.5, 3.5],
    "eagle-uniform": [1.0, 1.5, 0.5, 1.0],
    "supervised-g_optimal": [2.5, 3.5, 3.0, 4.0],
    "ppo": [3.0, 4.0, 3.5, 4.5],
}


def planned(environment: str = "plots", seeds: int = 2, methods: Mapping[str, Any] = GAINS) -> dict[str, Any]:
    return {f"{environment}-{m}-{s}": (m, s, environment) for s in range(seeds) for m in methods}


def judge(folder: Path, confirmed: float = 0.5) -> None:
    """Judgements that confirm a part of every gain, and a map."""
    found = read_run(folder)
    judged = [
        {"environment": cell.environment} | asdict(
            Judgement(row.method, row.seed, row.episode, row.user, row.gain, row.affinity_gain,
                      *(confirmed * row.gain, 0.9 * row.gain, 0.2, math.nan, 1.5, 2.0, 0.5, 1.0, 1.0, 0.0, 1.1))
        )
        for cell in found.done for row in cell.rows
    ]  # fmt: skip
    write_table(judged, folder / "judgements.parquet")
    drawn = LatentMap(0, 1, np.eye(2).tolist(), 0.9, [[0.0, 1.0], [1.0, 0.0]], [0.0, 1.0, 2.0], [0.0, 1.0, 2.0],
                      [[0.0, 1.0, 2.0]] * 3)  # fmt: skip
    facts = {"second": "error 0.8", "raters": 64, "language_model": None, "map": asdict(drawn)}
    write_json(dict.fromkeys(found.environments, facts), folder / "judges.json")
