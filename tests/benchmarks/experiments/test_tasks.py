"""Every preset has its rows, and the page says what the presets are wanted to show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.experiments import tasks
from benchmarks.experiments.tasks import page as pages
from benchmarks.experiments.tasks.methods import learners, methods, presets
from benchmarks.experiments.tasks.sizes import TASKS
from benchmarks.running.files import read_json
from benchmarks.running.options import Options
from tests.benchmarks.made_runs import judge, write_cell, write_plan


@pytest.mark.parametrize("catalog", ["plots", "movielens"])
def test_every_preset_has_every_row(catalog: str) -> None:
    size = tasks.SIZES["full"]
    for task in TASKS:
        found = list(methods(catalog, task, size))
        labels = [method.get("label", method["agent"]) for method in found]
        assert {"no_op", "uniform", "user_blind", "optimistic", "lookahead", "beam"} <= set(labels)
        for name, budgets in learners(catalog, task, size).items():
            assert budgets
            assert {f"{name}-{steps}" for steps in budgets} <= set(labels)


def test_a_size_may_name_its_learners_and_search_on_fewer_episodes() -> None:
    size = tasks.SIZES["full"] | {"learners": {"plots-hidden": {"ppo": (40, 20)}}, "searched": 3, "shown": False}
    assert presets("plots", size) == ["hidden"]
    assert presets("movielens", size) == []
    assert learners("plots", "hidden", size) == {"ppo": [20, 40]}
    found = {method.get("label", method["agent"]): method for method in methods("plots", "hidden", size)}
    assert [name for name in found if "ppo" in name] == ["ppo-20", "ppo-40"]
    assert {name for name, method in found.items() if method.get("episodes") == 3} == {"lookahead", "beam"}
    cells = tasks.cells(Options("more", Path("out"), data=Path("data")))
    assert {cell.environment for cell in cells} == {"plots-default", "plots-easy", "movielens-default"}
    steps = {(cell.method, cell.environment) for cell in cells if cell.training}
    assert ("eagle-102400", "plots-default") in steps
    assert ("ppo-stock-20480", "movielens-default") in steps


def test_eagle_is_compared_with_ppo_at_equal_steps() -> None:
    assert pages.twins(["eagle-20", "ppo-20", "ppo-stock-40"]) == [("eagle-20", "ppo-20")]


@pytest.mark.parametrize("name", tasks.SIZES)
def test_what_learns_comes_last(name: str, tmp_path: Path) -> None:
    cells = tasks.cells(Options(name, tmp_path, data=tmp_path))
    assert {cell.env_kwargs["task"] for cell in cells} == set(tasks.SIZES[name]["tasks"])
    places = [("hidden" in cell.environment, cell.training.get("total_timesteps", 0)) for cell in cells]
    assert places == sorted(places)


def write_run(folder: Path, gains: dict[str, list[float]], place: str = "plots-default") -> None:
    for method, values in gains.items():
        write_cell(folder, method, 0, values, environment=place, trained=20 if method.startswith("ppo") else 0)
    write_plan(folder, {f"{place}-{name}-0": (name, 0, place) for name in gains}, "tasks")


def sized(task: str, steps: tuple[int, ...]) -> dict[str, Any]:
    return tasks.SIZES["full"] | {"tasks": (task,), "steps": steps}


def test_verdicts_by_hand(tmp_path: Path) -> None:
    write_run(
        tmp_path,
        {
            "uniform": [0.0, 0.0, 0.0, 0.0],
            "user_blind": [0.4, 0.4, 0.4, 0.4],
            "optimistic": [0.9, 0.9, 0.9, 0.9],
            "beam": [1.0, 1.0, 1.0, 1.0],
            "ppo-20": [0.6, 0.6, 0.6, 0.6],
            "ppo-102400": [0.8, 0.8, 0.8, 0.8],
            "ppo-stock-102400": [0.2, 0.2, 0.2, 0.2],
        },
    )
    text = pages.write_page(tmp_path, ["plots"], sized("default", (20, 102_400)))
    assert (tmp_path / "REPORT.md").read_text() == text
    for line in (
        "- User-blind greedy, at most 0.5: 0.40 [0.40, 0.40], met.",
        "- PPO (SB3), 20 steps, at most 0.5: 0.60 [0.60, 0.60], MISSED.",
        "- PPO (SB3), 102,400 steps, at least 0.8: 0.80 [0.80, 0.80], met.",
        "stock policy at 102,400 steps, as a share of the equivariant one, at least 0.5: 0.25 [0.25, 0.25], MISSED.",
        "- Optimistic: designed set minus random set, above 0: not measured.",
    ):
        assert line.lower() in text.lower()
    assert read_json(tmp_path / "tasks.json")["plots-default"]["User-blind greedy, at most 0.5"][1] == "met"
    summary = (tmp_path / "SUMMARY.md").read_text().splitlines()
    named = [line.split("|")[1].strip() for line in summary[2:]]
    shown = ["PPO (SB3), 102,400 steps", "user-blind greedy", "optimistic"]
    assert named == shown, "neither the stock policy nor the scale's ends"
    assert np.all([line.count("|") == 3 for line in summary])


def test_verdicts_on_the_hidden_task_by_hand(tmp_path: Path) -> None:
    gains = {"uniform": 0.0, "user_blind": 0.3, "linucb": 0.6, "ppo-20": 0.3, "recurrent_ppo-20": 0.7, "beam": 1.0}
    write_run(tmp_path, {name: [gain] * 4 for name, gain in gains.items()}, "plots-hidden")
    text = pages.write_page(tmp_path, ["plots"], sized("hidden", (20,)))
    for line in (
        "- User-blind greedy, at most 0.4: 0.30 [0.30, 0.30], met.",
        "- PPO (SB3), 20 steps, at most 0.4: 0.30 [0.30, 0.30], met.",
        "- LinUCB minus user-blind greedy, above 0: 0.30 [0.30, 0.30], met.",
        "- RecurrentPPO minus PPO, above 0: 0.40 [0.40, 0.40], met.",
    ):
        assert line.lower() in text.lower()
    read = {row.split("|")[1].strip(): row.split("|")[4].strip() for row in text.splitlines() if row.startswith("| ")}
    assert read["beam search"] == "expected, rewrites"
    assert read["user-blind greedy"] == "expected"
    assert read["LinUCB"] == read["uniform"] == ""


def test_verdicts_of_a_judge_by_hand(tmp_path: Path) -> None:
    gains = {"uniform": [0.0] * 4, "user_blind": [1.0] * 4, "optimistic": [2.0] * 4, "beam": [4.0] * 4}
    write_run(tmp_path, gains | {"ppo-40": [3.0] * 4}, "plots-plan")
    judge(tmp_path, confirmed=-0.5)
    text = pages.write_page(tmp_path, ["plots"], sized("plan", (40,)))
    lines = {tuple(part.strip() for part in line.split("|")[1:-1]) for line in text.splitlines() if "|" in line}
    found = {row[0]: row[1:] for row in lines if len(row) == 4}
    assert found["Privileged greedy minus user-blind greedy"] == (
        *("1.00 [1.00, 1.00]", "-0.50 [-0.50, -0.50]"),
        "**reward and judge disagree**: above by reward, below by judge",
    )
    assert found["PPO (SB3), 40 steps minus privileged greedy"][2].startswith("**reward and judge disagree**")
    assert found["beam search"] == ("4.00 [4.00, 4.00]", "-2.00 [-2.00, -2.00]", "n/a")
    judge(tmp_path, confirmed=0.5)
    text = pages.write_page(tmp_path, ["plots"], sized("plan", (40,)))
    assert "| PPO (SB3), 40 steps" in text
    assert text.count(" holds |") == 4
    assert "0.75 [0.75, 0.75]" in text


def test_few_steps_are_not_held_to_what_many_are_wanted_to_reach(tmp_path: Path) -> None:
    write_run(tmp_path, {"uniform": [0.0] * 4, "optimistic": [0.5] * 4, "beam": [1.0] * 4, "ppo-20480": [0.4] * 4})
    size = sized("default", (20_480,)) | {"searched": 2, "episodes": 4}
    text = pages.write_page(tmp_path, ["plots"], size)
    assert "at least 0.8" not in text
    assert "20,480 steps, at most 0.5" not in text
    assert "the first 2 of the 4 episodes" in text


@pytest.mark.parametrize("task", TASKS)
def test_a_preset_may_be_without_learners(task: str, tmp_path: Path) -> None:
    write_run(tmp_path, {"uniform": [0.0] * 4, "user_blind": [0.3] * 4, "beam": [1.0] * 4}, f"plots-{task}")
    size = sized(task, (20,)) | {"learners": {f"plots-{task}": {}}, "compared": (), "shown": False}
    text = pages.write_page(tmp_path, ["plots"], size)
    assert "| user-blind greedy | " in text
    assert "PPO" not in text.replace("RecurrentPPO", "")


@pytest.mark.slow
def test_a_small_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tasks", "--size", "smoke", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "REPORT.md").read_text()
    assert text in capsys.readouterr().out
    assert [line for line in text.splitlines() if line.startswith("## ")] == [f"## plots, {t}" for t in TASKS]
    assert "no judge has read" in text
    assert "taste shown" in text
    assert "not measured" not in text
