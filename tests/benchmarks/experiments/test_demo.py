"""The demo leaves every file that it promises, and prints its comparison."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.image import imread

from benchmarks.__main__ import main
from benchmarks.results import read_json, read_rows


@pytest.mark.usefixtures("known_sb3")
def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "demo", "--size", "smoke", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    for word in ("PPO (SB3)", "optimistic", "G-optimal", "uniform", "95 % interval", "PPO less uniform"):
        assert word in shown
    rows = read_rows(tmp_path / "episodes.parquet")
    assert {row.method for row in rows} == {"ppo", "optimistic", "g_optimal", "uniform"}
    assert len(rows) == 4 * 16
    header = read_json(tmp_path / "run.json")
    assert header["experiment"] == "demo"
    assert next(item["cost"]["training"]["calls"] for item in header["cells"] if item["cell"]["agent"] == "ppo") == 160
    for name in ("gain.png", "episode.png"):
        assert imread(tmp_path / name).std() > 0.01
