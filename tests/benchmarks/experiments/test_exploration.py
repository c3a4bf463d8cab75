"""Coverage, volume and best utility of made-up episodes, by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from benchmarks.__main__ import main
from benchmarks.experiments.exploration.page import interval
from benchmarks.experiments.exploration.traces import follow, log_volume, nearest
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
    assert set(traces) == {"no_op", "uniform", "user_blind", "optimistic", "g_optimal"}
    for found in traces.values():
        assert found["calls"][0] == 0
        assert found["calls"][-1] >= 2 * 2
        for name in ("coverage", "best"):
            assert all(np.diff(seed).min() >= 0 for seed in found[name]), "what was found stays found"
        assert found["best"][0][0] == 0
    assert imread(tmp_path / "exploration.png").std() > 0.01
