"""The experiment on shaped rewards runs; every shape has its twin without; verdicts are right on known cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.experiments import shaping
from benchmarks.experiments.shaping import page as pages
from benchmarks.running.options import Options
from benchmarks.stats import Interval


def test_every_shape_has_a_twin_and_small_budgets_come_first(tmp_path: Path) -> None:
    cells = shaping.cells(Options("small", tmp_path))
    names = {cell.method for cell in cells}
    for name, shape, steps in map(pages.parts, names):
        assert not steps or f"{name}-plain-{steps}" in names, shape
    steps = [cell.training.get("total_timesteps", 0) for cell in cells]
    assert steps == sorted(steps)
    assert {cell.seed for cell in cells} == {0, 1, 2}


def test_names_and_verdicts() -> None:
    assert pages.parts("eagle-log_sigmoid-2560") == ("eagle", "log_sigmoid", 2560)
    assert pages.parts("uniform") == ("uniform", "", 0)
    assert pages.titled("ppo-min_max-2560") == "PPO, min-max, 2,560 steps"
    assert pages.verdict(Interval(-0.2, -0.3, -0.1)) == "narrower"
    assert pages.verdict(Interval(0.2, 0.1, 0.3)) == "wider"
    assert pages.verdict(Interval(0.0, -0.1, 0.1)) == "undecided"


def test_a_share_of_nothing_is_not_available() -> None:
    def keyed(*scores: float) -> list[tuple[int, int, str, float]]:
        return [(0, row, str(row), score) for row, score in enumerate(scores)]

    assert pages.share(keyed(1.0, 1.0), keyed(2.0, 2.0)) == "0.50 [0.50, 0.50]"
    assert pages.share(keyed(1.0, 1.0), keyed(-1.0, -1.0)) == "n/a"
    assert pages.share(keyed(1.0, 1.0), keyed(-2.0, 3.0)) == "n/a", "its interval has no ends"


@pytest.mark.slow
def test_smoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "shaping", "--size", "smoke", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    assert page.count("| PPO, ") == 9  # five shapes with their gains, four compared
