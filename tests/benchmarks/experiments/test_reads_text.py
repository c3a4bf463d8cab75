"""The experiment on agents that read text: equal budgets, no comparison that cannot fail, and a page with its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.experiments import reads_text
from benchmarks.experiments.reads_text.page import pairs
from benchmarks.running.options import Options
from benchmarks.running.plan import gather

REFERENCES = ("uniform", "optimistic", "g_optimal")


def test_learners_have_equal_budgets(tmp_path: Path) -> None:
    cells = reads_text.cells(Options("reference", tmp_path))
    names = {cell.method for cell in cells}
    kinds = ("supervised", "eagle", "reads", "eagle-reads")
    assert names >= {f"{kind}-{name}" for kind in kinds for name in REFERENCES}
    assert {cell.seed for cell in cells} == {0, 1, 2}
    eagles = [cell for cell in cells if cell.method.startswith("eagle")]
    assert {cell.training["total_timesteps"] for cell in eagles} == {reads_text.USUAL["steps"]}
    assert {cell.recorded for cell in cells if cell.learns and not cell.begins_as} == {reads_text.USUAL["recorded"]}
    assert all(cell.begins_as in gather(cells) for cell in cells if cell.begins_as)


def test_a_seed_is_whole_before_the_next_one_begins(tmp_path: Path) -> None:
    seeds = [cell.seed for cell in reads_text.cells(Options("reference", tmp_path))]
    assert seeds == sorted(seeds)


def test_imitators_of_the_uniform_policy_are_compared_with_nothing() -> None:
    compared = list(pairs())
    assert not [pair for pair in compared if {"reads-uniform", "supervised-uniform"} & {*pair}]
    assert ("eagle-reads-uniform", "uniform") in compared
    assert ("eagle-reads-optimistic", "reads-optimistic") in compared
    assert ("eagle-reads-g_optimal", "eagle-g_optimal") in compared


@pytest.mark.slow
def test_smoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "reads_text", "--size", "smoke", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    assert page.startswith("# Agents that read text\n")
    assert "| EAGLE (reads text, optimistic)" in page
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    text = (tmp_path / "reads_text.json").read_text()
    assert text.count("\n") == 1
    found = json.loads(text)
    assert found["gains"].keys() >= {"uniform", "reads-optimistic", "eagle-reads-optimistic"}
    assert found["curves"].keys() >= {"eagle-reads-optimistic-0", "eagle-optimistic-0"}
    steps, reward, divergence = found["curves"]["eagle-reads-uniform-0"][0]
    assert steps >= 20
    assert divergence >= 0
    assert reward == pytest.approx(reward)
