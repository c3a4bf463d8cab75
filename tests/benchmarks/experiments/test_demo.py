"""The demo leaves every file that it promises, and prints its comparison."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.image import imread

from benchmarks.__main__ import main
from benchmarks.running.runs import read_run, rows_of


def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "demo", "--size", "smoke", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    for word in ("PPO (SB3)", "optimistic", "user-blind greedy", "uniform", "well-formed", "PPO minus uniform"):
        assert word in shown
    run = read_run(tmp_path)
    rows = rows_of(run.done)
    assert {row.method for row in rows} == {"ppo", "optimistic", "user_blind", "uniform"}
    assert len(rows) == 4 * 16
    assert run.experiment == "demo"
    assert all(cell.training.calls >= 160 for cell in run.done if cell.training)
    for name in ("gain.png", "episode.png"):
        assert imread(tmp_path / name).std() > 0.01
