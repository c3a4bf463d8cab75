"""The experiment on agents that read text: equal budgets, no comparison that cannot fail, and a page with its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.experiments import reads_text
from benchmarks.experiments.reads_text.methods import agent_of, named
from benchmarks.experiments.reads_text.page import chosen_by, pairs
from benchmarks.running.files import read_json
from benchmarks.running.options import Options
from benchmarks.running.plan import gather

REFERENCES = ("uniform", "optimistic", "g_optimal")
LEARNT = ("reads-optimistic", "supervised-optimistic", "eagle-reads-optimistic", "eagle-optimistic")


def test_learners_share_recordings_and_eagles_a_budget(tmp_path: Path) -> None:
    cells = reads_text.cells(Options("reference", tmp_path))
    names = {cell.method for cell in cells}
    kinds = ("supervised", "eagle", "reads", "eagle-reads")
    assert names >= {f"{kind}-{name}" for kind in kinds for name in REFERENCES}
    assert {cell.seed for cell in cells} == {0, 1, 2}
    eagles = [cell for cell in cells if cell.method.startswith("eagle")]
    assert {cell.training["total_timesteps"] for cell in eagles} == {reads_text.USUAL["steps"]}
    trained = [cell for cell in cells if cell.learns and not cell.begins_as and not cell.agent_of]
    assert {cell.recorded for cell in trained} == {reads_text.USUAL["recorded"]}
    assert all(cell.begins_as in gather(cells) for cell in cells if cell.begins_as)


def test_every_learner_chooses_in_both_ways(tmp_path: Path) -> None:
    cells = {cell.name: cell for cell in reads_text.cells(Options("reference", tmp_path))}
    still = ("reads-uniform", "supervised-uniform")
    trained = [cell for cell in cells.values() if cell.learns and not cell.agent_of and cell.method not in still]
    twins = {cell.agent_of: cell for cell in cells.values() if cell.agent_of}
    assert twins.keys() == {cell.name for cell in trained}
    assert all(twins[cell.name].sample is not cell.sample for cell in trained)
    assert all(agent_of(twins[cell.name].method) == cell.method for cell in trained)
    for agent in ("reads-optimistic", "eagle-reads-g_optimal", "supervised-optimistic", "eagle-uniform"):
        assert cells[f"plots-{named(agent, samples=True)}-0"].sample
        assert not cells[f"plots-{named(agent, samples=False)}-0"].sample


def test_a_seed_is_whole_before_the_next_one_begins(tmp_path: Path) -> None:
    seeds = [cell.seed for cell in reads_text.cells(Options("reference", tmp_path))]
    assert seeds == sorted(seeds)


def test_imitators_of_the_uniform_policy_are_compared_with_nothing() -> None:
    compared = list(pairs())
    assert not [pair for pair in compared if {"reads-uniform", "supervised-uniform"} & {*map(agent_of, pair)}]
    assert ("eagle-reads-uniform-sampled", "uniform") in compared
    assert ("eagle-reads-uniform", "first") in compared


def test_learners_are_compared_with_those_that_choose_in_the_same_way() -> None:
    compared = list(pairs())
    assert ("eagle-reads-optimistic", "reads-optimistic-argmax") in compared
    assert ("eagle-reads-optimistic-sampled", "reads-optimistic") in compared
    ways = [{chosen_by(method) for method in pair} - {""} for pair in compared]
    assert all(len(way) == 1 for way in ways)


@pytest.mark.slow
def test_smoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "reads_text", "--size", "smoke", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    assert page.startswith("# Agents that read text\n")
    assert "| EAGLE (reads text, optimistic)" in page
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    spent = {name: read_json(tmp_path / "cells" / f"plots-{name}-0" / "run.json")["cost"]["steps"] for name in LEARNT}
    assert {steps for name, steps in spent.items() if name.startswith("eagle")} == {20}
    assert {steps for name, steps in spent.items() if not name.startswith("eagle")} == {10}, "recorded ones only"
    text = (tmp_path / "reads_text.json").read_text()
    assert text.count("\n") == 1
    found = json.loads(text)
    assert found["gains"].keys() >= {"uniform", "reads-optimistic", "eagle-reads-optimistic"}
    assert found["curves"].keys() >= {"eagle-reads-optimistic-0", "eagle-optimistic-0"}
    steps, reward, divergence = found["curves"]["eagle-reads-uniform-0"][0]
    assert steps >= 20
    assert divergence >= 0
    assert -20 < reward < 20
