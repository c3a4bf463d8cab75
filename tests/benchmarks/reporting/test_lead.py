"""The first lines of a report: the best of all learners, pairs of all methods, and a picture of many environments."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from baselines.evaluate import EpisodeRow
from benchmarks.reporting import score_picture
from benchmarks.reporting.document import Bullets, Table
from benchmarks.reporting.lead import SHOWN, lead
from benchmarks.running.files import read_json, write_json, write_table
from benchmarks.running.records import Judgement
from benchmarks.running.runs import read_run
from benchmarks.stats import Interval
from tests.benchmarks.made_runs import planned, write_cell, write_plan

MADE: dict[str, tuple[float, float]] = {  # gains by reward and by judge
    "uniform": (0.0, 0.0),
    "beam": (4.0, 1.0),
    "user_blind": (2.0, -0.5),
    "ppo": (1.5, 0.1),
    "ppo-stock": (1.0, 0.4),
    "a2c": (1.75, 0.2),
    "supervised-uniform": (0.0, 3.0),
}
LEARNERS = ("ppo", "ppo-stock", "a2c", "cola", "supervised-uniform")


def judgement(row: EpisodeRow, gain: float) -> Judgement:
    known = (row.method, row.seed, row.episode, row.user, row.gain, row.affinity_gain)
    return Judgement(*known, gain, gain, *[0.0] * 9)


def made(folder: Path, gains: Mapping[str, tuple[float, float]], places: tuple[str, ...] = ("plots",)) -> Path:
    """A judged run in which every episode of a method has the same two gains."""
    plan: dict[str, Any] = {}
    for place in places:
        for method, (reward, _) in gains.items():
            write_cell(folder, method, 0, [reward] * 4, environment=place, trained=24 if method in LEARNERS else 0)
            path = folder / "cells" / f"{place}-{method}-0" / "run.json"
            header = read_json(path)
            header["cell"] |= {"agent": method if method in ("ppo-stock", "grpo_tokens") else method.partition("-")[0]}
            write_json(header, path)
        plan |= planned(place, seeds=1, methods=gains)
    write_plan(folder, plan)
    rows = [(cell.environment, row) for cell in read_run(folder).done for row in cell.rows]
    judged = [{"environment": place, **asdict(judgement(row, gains[row.method][1]))} for place, row in rows]
    write_table(judged, folder / "judgements.parquet")
    return folder


def first_lines(folder: Path) -> tuple[Table, list[str]]:
    blocks = lead([read_run(folder)])
    (table,) = [block for block in blocks if isinstance(block, Table)]
    (bullets,) = [block for block in blocks if isinstance(block, Bullets)]
    return table, list(bullets.items)


def test_contradictions_are_sought_among_all_methods(tmp_path: Path) -> None:
    _, (words,) = first_lines(made(tmp_path / "t1_methods", MADE))
    assert "ppo-stock" not in SHOWN
    # user-blind greedy against A2C, both of PPO and uniform; PPO's stock policy against A2C and PPO
    assert "Of 15 pairs, 15 are in order by reward and 15 by judge, of these 0 by judge only and 6 in the opp" in words
    stock, a2c = (f"{name} gains more than user-blind greedy" for name in ("PPO (SB3, stock policy)", "A2C (SB3)"))
    one = f"{stock} (0.90 [0.90, 0.90]; by reward -1.00 [-1.00, -1.00])"
    other = f"{a2c} (0.70 [0.70, 0.70]; by reward -0.25 [-0.25, -0.25])"
    assert f"By judge, {one}; {other}; 4 more. " in words
    assert "supervised" not in words.partition("Of 15")[2], "an imitator of the uniform policy cannot move"


def test_a_run_without_contradictions_says_of_how_many_pairs(tmp_path: Path) -> None:
    gains = {"uniform": (0.0, 0.0), "beam": (4.0, 1.0), "ppo": (2.0, 0.5), "a2c": (2.0, 0.25)}
    _, (words,) = first_lines(made(tmp_path / "t1_methods", gains))
    assert "Of 6 pairs, 5 are in order by reward and 6 by judge, of these 1 by judge only and none in the opp" in words


def test_the_best_learner_is_that_of_all(tmp_path: Path) -> None:
    table, _ = first_lines(made(tmp_path / "t1_methods", MADE | {"cola": (2.5, 0.3)}))
    assert table.head == ["environment", "", "method", "seeds", "by reward", "by judge"]
    assert [row[1:4] for row in table.body] == [
        ["best learner", "**CoLA**", "1"],
        ["best without † that chooses offered edits", "**A2C (SB3)**", "1"],
        ["greed without the user's taste", "**user-blind greedy** †", "1"],
    ]
    assert table.body[1][4] == "0.44 [0.44, 0.44]"


def test_each_environment_has_a_line(tmp_path: Path) -> None:
    places = tuple(f"{name}-{task}" for name in ("plots", "movielens") for task in ("default", "plan", "easy"))
    _, lines = first_lines(made(tmp_path / "t1_methods", MADE, places))
    assert len(lines) == 6


def size(png: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(png)).size


@pytest.mark.parametrize(("places", "rows"), [(1, 1), (3, 1), (4, 2), (6, 2)])
def test_a_panel_an_environment_three_in_a_row(places: int, rows: int) -> None:
    scores = {f"place-{i}": {"ppo": Interval(0.5, 0.4, 0.6), "beam": Interval(1, 1, 1)} for i in range(places)}
    one = size(score_picture.draw({"by reward": {"place": scores["place-0"]}}))
    width, height = size(score_picture.draw({"by reward": scores, "by judge": scores}))
    assert height == pytest.approx(one[1] + (rows - 1) * 1.1 * 130, abs=2)
    assert width < 1_400


def test_scores_far_away_do_not_stretch_the_axis() -> None:
    near, far = Interval(0.5, 0.4, 0.6), Interval(-7.0, -np.inf, np.inf)
    assert score_picture.limits({"by reward": {"a": {"ppo": near}}}) == pytest.approx((0.32, 0.68))
    assert score_picture.limits({"by judge": {"a": {"ppo": near, "beam": far}}}) == pytest.approx((-1.08, 2.08))
    assert score_picture.draw({"by judge": {"a": {"ppo": near, "beam": far}}}).startswith(b"\x89PNG")
    assert score_picture.ranked({"a": {"x": near, "y": far}, "b": {"z": -near}}) == ["y", "z", "x"]
