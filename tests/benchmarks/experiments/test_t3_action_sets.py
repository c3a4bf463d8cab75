"""T3 gives every set the same episodes, and says what each covers."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.experiments import t3_action_sets
from benchmarks.experiments.t3_action_sets import page as pages
from benchmarks.experiments.t3_action_sets.sizes import FURTHER, SETS, SIZES, sets_of
from benchmarks.running import Options
from benchmarks.running.files import read_json, read_rows
from tests.benchmarks.made_runs import judge, planned, write_cell, write_plan

PLACE = "plots-default"
GAINS = {
    "designed": {
        **{"optimistic": [4.0, 4.2, 4.1, 4.3], "uniform": [1.0, 1.2, 0.9, 1.1]},
        **{"user_blind": [2.0, 2.1, 2.2, 2.3], "no_op": [0.1, 0.2, 0.3, 0.4], "first": [1.5, 1.6, 1.7, 1.8]},
    },
    "longest": {"optimistic": [3.0, 3.2, 3.1, 3.3], "uniform": [1.0, 1.2, 0.9, 1.1]},
    "random": {"optimistic": [4.5, 4.7, 4.6, 4.8], "uniform": [1.3, 0.9, 1.1, 0.9]},
    "every": {"beam": [5.0, 5.2, 5.1, 5.3]},
}


def write_run(folder: Path) -> None:
    plan = {}
    for kind, policies in GAINS.items():
        where = f"{PLACE}-{kind}"
        for policy, gains in policies.items():
            write_cell(folder, policy, 0, gains, environment=where)
        plan |= planned(where, 1, policies)
    write_plan(folder, plan, "t3_action_sets")


def test_verdicts_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "coverage", lambda run, environment: {"C": 1.0, "finite": 1.0, "length": 1.5})
    write_run(tmp_path)
    sets = {PLACE: ["designed", "longest", "random", "macro"]}
    assert "by reward, not judged" in pages.write_page(tmp_path, sets)
    judge(tmp_path)  # half of every gain is confirmed
    page = pages.write_page(tmp_path, sets)
    said = {row[0]: row[1:] for row in read_json(tmp_path / "verdicts.json")[PLACE]}
    assert said["optimistic: designed minus longest"] == ["1.00 [1.00, 1.00]", "0.50 [0.50, 0.50]", "holds"]
    assert said["optimistic: designed minus random"][2] == "**contradicted**"
    assert said["uniform: designed minus longest"] == ["0.00 [0.00, 0.00]", "0.00 [0.00, 0.00]", "undecided"]
    assert said["optimistic: designed minus macro"] == ["n/a", "n/a", "not measured"]
    lines = [[word.strip() for word in line.split("|")[1:3]] for line in page.splitlines() if line.startswith("| ")]
    for row in (["no-op", "effects"], ["user-blind greedy", "expected"], ["first offered edit", ""]):
        assert row in lines
    assert ["beam search, all candidates", "expected, rewrites"] in lines
    assert ["macro", "not run"] in lines


def test_a_set_that_a_task_does_not_have_is_named() -> None:
    assert "not-personalised" not in sets_of("plan")
    assert pages.left_out("movielens-plan") == [
        "The set *not-personalised* has no row here: it is the designed set of this task."
    ]
    assert pages.left_out("movielens-default") == []


def test_the_reference_run_is_large_enough(tmp_path: Path) -> None:
    size = SIZES["reference"]
    assert size["seeds"] >= 5
    assert size["seeds"] * size["searched"] >= 200, "episodes of the oracle"
    cells = t3_action_sets.cells(Options("reference", tmp_path, data=tmp_path))
    assert {cell.environment.rpartition("-every")[0] for cell in cells if cell.method == "beam"} == {
        f"{catalog}-{task}" for catalog in ("plots", "movielens") for task in ("default", "plan")
    }
    assert {cell.environment for cell in cells if cell.agent in FURTHER} == {
        f"{catalog}-{task}-designed" for catalog in ("plots", "movielens") for task in ("default", "plan")
    }


@pytest.mark.slow
def test_t3_action_sets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "t3_action_sets", "--size", "smoke", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    assert page.count("| longest ") == page.count("| macro ") == 2
    assert page.count(": designed minus longest ") == 2
    covers = read_json(tmp_path / "coverage.json")["covers"]
    assert set(covers) == {f"plots-default-{name}" for name in SETS}
    assert covers["plots-default-longest"]["length"] >= max(
        covers[f"plots-default-{name}"]["length"] for name in ("designed", "random")
    )
    first = {read_rows(path)[0].texts[0] for path in tmp_path.glob("cells/*/episodes.parquet")}
    assert len(first) == 1, "every set begins from the same texts"
