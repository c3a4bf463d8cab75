"""Runs are read from their files, and files that do not belong together are not believed."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest

from benchmarks.reporting.build import write_report
from benchmarks.running.cells import Cell
from benchmarks.running.files import REFERENCE, read_json, read_rows, write_json, write_rows, write_table
from benchmarks.running.headers import EPISODES
from benchmarks.running.jobs import run_cell
from benchmarks.running.runs import PACKED, read_run
from eagle_gym.errors import PreparationError
from tests.benchmarks.made_runs import judge, rows, write_cell
from tests.fakes import KnownVectorEnv


def test_judgements_of_episodes_that_were_repeated_are_left_out(tmp_path: Path) -> None:
    for method in ("uniform", "ppo"):
        write_cell(tmp_path, method, 0, [1.0, 2.0, 3.0, 4.0])
    judge(tmp_path)
    assert len(read_run(tmp_path).judgements) == 8
    write_cell(tmp_path, "ppo", 0, [1.0, 2.5, 3.5, 4.0])
    run = read_run(tmp_path)
    assert {key[1:] for key in run.judgements} == {
        *(("uniform", 0, episode) for episode in range(4)),
        *(("ppo", 0, episode) for episode in (0, 3)),
    }
    assert run.latent_map("plots") is not None
    write_report([tmp_path], tmp_path, html=False)
    assert "Judged in part (6 of 8 episodes)" in (tmp_path / "REPORT.md").read_text()


def test_no_judgement_or_map_outlives_its_episodes(tmp_path: Path) -> None:
    write_cell(tmp_path, "uniform", 0, [1.0, 2.0])
    judge(tmp_path)
    write_cell(tmp_path, "uniform", 0, [1.5, 2.5])
    run = read_run(tmp_path)
    assert run.judgements == {}
    assert run.latent_map("plots") is None


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("cell", None),
        ("cell", {"environment": "plots"}),
        ("cell.seed", "0"),
        ("cell.seed", True),
        ("cost", {}),
        ("cost.evaluation", {"calls": "8"}),
        ("cost.training", 3),
        ("cost.steps", None),
        ("hashes", ["c0ffee"]),
        ("machine", "a computer"),
    ],
)
def test_a_header_that_lacks_a_part_is_refused(tmp_path: Path, part: str, value: object) -> None:
    write_cell(tmp_path, "ppo", 0, [1.0, 2.0])
    path = tmp_path / "cells" / "plots-ppo-0" / "run.json"
    header = read_json(path)
    *outer, last = part.split(".")
    reduce(getitem, outer, header)[last] = value
    write_json(header, path)
    with pytest.raises(PreparationError, match=f"{outer[0] if outer else part}.*run the cell again"):
        read_run(tmp_path)


def test_a_cell_of_another_name_or_with_other_episodes_is_refused(tmp_path: Path) -> None:
    write_cell(tmp_path, "ppo", 0, [1.0, 2.0])
    cells = tmp_path / "cells"
    write_rows(rows("ppo", 1, [1.0, 2.0]), cells / "plots-ppo-0" / "episodes.parquet")
    with pytest.raises(PreparationError, match=r"should hold episodes of \('ppo', 0\), got \[\('ppo', 1\)\]"):
        read_run(tmp_path)
    (cells / "plots-ppo-0").rename(cells / "plots-dqn-0")
    with pytest.raises(PreparationError, match="cell plots-dqn-0 has the header of plots-ppo-0"):
        read_run(tmp_path)


@pytest.mark.parametrize("changed", ["run.json", "episodes.parquet"])
def test_a_sealed_cell_that_was_changed_is_refused(
    known_world: list[KnownVectorEnv], tmp_path: Path, changed: str
) -> None:
    run_cell(Cell("known", "Known-v0", "uniform", seed=0, episodes=4, num_envs=4), tmp_path, label="")
    assert read_run(tmp_path).done[0].steps == 0
    folder = tmp_path / "cells" / "known-uniform-0"
    if changed == "run.json":
        header = read_json(folder / changed)
        header["cost"]["evaluation"]["calls"] += 1
        write_json(header, folder / changed)
    else:
        first, *others = read_rows(folder / changed)
        write_rows([replace(first, gain=first.gain + 1), *others], folder / changed)
    with pytest.raises(PreparationError, match=f"{changed} changed after the run"):
        read_run(tmp_path)


@pytest.mark.parametrize("broken", [{"done": {}}, {"plan": {}, "failed": {}, "done": {"plots-ppo-0": {}}}])
def test_a_broken_packed_run_is_refused(tmp_path: Path, broken: dict[str, Any]) -> None:
    write_table([{"environment": "plots", **asdict(row)} for row in rows("ppo", 0, [1.0])], tmp_path / EPISODES)
    write_json(broken, tmp_path / PACKED)
    with pytest.raises(PreparationError, match=r"packed\.json.*expected .* missing"):
        read_run(tmp_path)


def test_the_committed_run_is_read() -> None:
    run = read_run(REFERENCE / "t1_methods")
    assert len(run.judgements) == sum(len(cell.rows) for cell in run.done)
    assert {cell.steps for cell in run.done} == {0, 320, 512, 2_560, 5_120}


def test_a_broken_plan_is_refused(tmp_path: Path) -> None:
    write_cell(tmp_path, "ppo", 0, [1.0])
    write_json({"cells": {"plots-ppo-0": {"environment": "plots"}}}, tmp_path / "plan.json")
    with pytest.raises(PreparationError, match=r"plots-ppo-0: expected cell\.agent, which is missing"):
        read_run(tmp_path)
