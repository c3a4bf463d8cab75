"""T1 runs every method within one budget, and charges each for what it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from baselines.reference import FIXED
from benchmarks.__main__ import main
from benchmarks.experiments import t1_methods
from benchmarks.experiments.t1_methods.methods import EVERYWHERE
from benchmarks.reporting.names import PAPER
from benchmarks.reporting.tables import DECODER
from benchmarks.running.files import read_json
from benchmarks.running.options import Options


def test_the_default_task_of_plots_has_all_methods_and_the_others_the_papers(tmp_path: Path) -> None:
    cells = t1_methods.cells(Options("reference", tmp_path, data=tmp_path))
    found: dict[str, set[str]] = {}
    for cell in cells:
        found.setdefault(cell.environment, set()).add(cell.method)
    assert list(found) == [f"{name}-{task}" for name in ("plots", "movielens") for task in ("default", "plan", "easy")]
    whole = found["plots-default"]
    for name, methods in found.items():
        assert {*PAPER} - {"elm"} <= methods, name
        assert {*FIXED, "first", "beam", "ppo", "ppo-bc-optimistic"} <= methods <= whole, name
    assert {"elm", "eagle-uniform-half", "ppo-half", "mcts", "best_of_n", "lookahead", "profile"} <= whole
    beside = [cell.seed for cell in cells if cell.environment != "plots-default"]
    assert beside == sorted(beside)
    last = {cell.method: cell.seed for cell in cells if cell.environment == "plots-default"}
    fewer = {name: seed + 1 for name, seed in last.items() if seed != 9}
    assert fewer == {"elm": 3, "cola": 3, "grpo_tokens": 3}
    assert {*EVERYWHERE} == found["plots-plan"]


@pytest.mark.timeout(900)  # over forty cells, some with a model
@pytest.mark.slow
def test_t1_methods(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "t1_methods", "--size", "smoke", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| method")]
    assert len(rows) == len(list((tmp_path / "cells").iterdir())) == 46
    beam = next(row for row in rows if row.startswith("| beam search"))
    head = next(line for line in page.splitlines() if line.startswith("| method"))
    cells = dict(zip(*([cell.strip() for cell in line.split("|")] for line in (head, beam)), strict=True))
    assert cells["normalised score"] in ("1.00 [1.00, 1.00]", "n/a")
    assert cells["calls of the surrogate"] == "5,440"
    headers = {path.parent.name: read_json(path) for path in tmp_path.glob("cells/*/run.json")}
    spent = {name.removeprefix("plots-default-"): header["cost"] for name, header in headers.items()}
    assert {spent[f"{name}-0"]["steps"] for name in ("eagle-optimistic", "ppo", "vas", "eagle-reads-g_optimal")} == {20}
    assert spent["supervised-uniform-0"]["steps"] == 10
    assert len(spent["eagle-reads-g_optimal-0"]["parts"]) == 3
    assert set(headers["plots-default-elm-0"]["quality"]) == {*DECODER}
    assert len(list((tmp_path / "recorded").iterdir())) == 7, (
        "of each policy once on each task, and once more for value-augmented sampling"
    )
    ends = (", met.", ", MISSED.", ", undecided.", ": not measured.")
    verdicts = [line for line in page.splitlines() if line.endswith(ends)]
    assert len(verdicts) == 14 + 8  # an imitator of the uniform policy is not compared with it
