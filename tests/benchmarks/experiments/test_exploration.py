"""Coverage, volume and best utility of made-up episodes, by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from benchmarks.__main__ import main
from benchmarks.experiments.exploration.page import comparisons, interval, verdicts
from benchmarks.experiments.exploration.traces import Trace, follow, log_volume, nearest, opinions_of
from benchmarks.running.files import read_json
from tests.benchmarks.made_runs import finished

ITEMS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [5.0, 5.0]])


def test_coverage_and_best_by_hand() -> None:
    one, two = finished("uniform", 0, [0.0, 0.0]).rows
    rows = [
        replace(one, utilities=(1.0, 3.0, 2.0), z=((0.1, 0.0), (0.9, 0.1), (0.1, 0.1))),
        replace(two, utilities=(0.0, -1.0, 4.0), z=((0.0, 0.1), (0.0, 0.2), (0.1, 0.9))),
    ]
    coverage, volume, best = follow(rows, ITEMS)
    assert coverage.tolist() == [0.25, 0.5, 0.75]
    assert best.tolist() == [0.0, 1.0, 3.0]
    assert np.isneginf(volume[0]), "two points lie on a line"
    assert np.isfinite(volume[1:]).all()


def test_the_judge_rates_the_text_that_is_best_by_reward() -> None:
    (row,) = finished("uniform", 0, [0.0]).rows
    row = replace(row, texts=("a", "bb", "ccccc", "dd"), utilities=(1.0, 3.0, 2.0, 4.0))
    gains = opinions_of([row], lambda users, texts: np.array([float(len(text)) for text in texts]))
    assert gains.tolist() == [[0.0, 1.0, 1.0, 1.0]], "the third text is longer, and never the best"


def made(method: str, gains: list[float]) -> Trace:
    """A policy whose coverage, best utility and opinion are told, in two seeds of two episodes."""
    found = np.array([[0.0, gain] for gain in (gains[0], gains[2])])
    keyed = [(seed, 10 * seed + i, f"u{i}", gains[2 * seed + i]) for seed in (0, 1) for i in (0, 1)]
    halves = [(*row[:3], -row[3] / 2) for row in keyed]
    return Trace(method, np.array([0.0, 2.0]), found / 100, found, found, -found / 2, keyed, halves)


def test_verdicts_by_hand() -> None:
    traces = [made("uniform", [1.0, 1.0, 1.0, 1.0]), made("g_optimal", [3.0, 3.0, 3.0, 3.0])]
    (found,) = verdicts(traces)
    assert found.claim == "G-optimal minus uniform"
    assert str(found.reward) == "2.00 [2.00, 2.00]"
    assert str(found.judge) == "-1.00 [-1.00, -1.00]"
    row = [word.strip() for word in comparisons(traces).splitlines()[-1].split("|")]
    assert row[1:4] == ["G-optimal minus uniform", "2.00 [2.00, 2.00]", "2.00 [2.00, 2.00]"], "coverage is in points"
    assert "reward and judge disagree" in row[-2]


def test_nearest_and_volume(rng: np.random.Generator) -> None:
    points = rng.normal(size=(50, 2))
    distances = np.linalg.norm(points[:, None] - ITEMS[None], axis=2)
    assert nearest(points, ITEMS).tolist() == distances.argmin(axis=1).tolist()
    assert log_volume(3 * points) - log_volume(points) == pytest.approx(2 * np.log(3))


def test_an_interval_over_seeds_by_hand() -> None:
    low, high = interval(np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]))
    half = 4.302653 / np.sqrt(3)  # Student's t with two degrees of freedom; the deviation is 1
    assert low == pytest.approx([2 - half, 0.0], abs=1e-5)
    assert high == pytest.approx([2 + half, 0.0], abs=1e-5)
    assert interval(np.array([[5.0]])) == (5.0, 5.0)


def test_exploration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "exploration", "--size", "smoke", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "REPORT.md").read_text() in capsys.readouterr().out
    traces = read_json(tmp_path / "exploration.json")["traces"]["plots"]
    assert set(traces) == {"no_op", "uniform", "user_blind", "optimistic", "g_optimal", "first"}
    assert len(read_json(tmp_path / "verdicts.json")["plots"]) == 7
    for found in traces.values():
        assert found["calls"][0] == 0
        assert found["calls"][-1] >= 2 * 2
        for name in ("coverage", "best"):
            assert all(np.diff(seed).min() >= 0 for seed in found[name]), "what was found stays found"
        assert found["best"][0][0] == found["judged"][0][0] == 0
    assert imread(tmp_path / "exploration.png").std() > 0.01
