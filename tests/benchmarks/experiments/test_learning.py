"""The experiment on learning has a table and verdicts for each environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.image import imread

from benchmarks.__main__ import main


@pytest.mark.usefixtures("known_sb3")
def test_learning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ml").mkdir()
    arguments = ["run", "learning", "--size", "smoke", "--data", str(tmp_path / "ml"), "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    page = (tmp_path / "out" / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    assert "## movielens\n\n2 seeds. Code: " in page
    for name in ("gain", "steps", "calls"):
        assert imread(tmp_path / "out" / f"out-movielens-{name}.png").std() > 0.01
    assert len(list((tmp_path / "out" / "cells").iterdir())) == 2 * 2 * 5
    assert page.count("PPO (SB3, stock policy) minus uniform on the same episodes, above 0: ") == 2
