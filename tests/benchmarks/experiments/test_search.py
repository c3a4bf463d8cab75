"""The experiment on search draws gain against calls and names the strongest method."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import main


@pytest.mark.slow
def test_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "search", "--size", "smoke", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    assert "The strongest search with 32 calls is **" in page
    assert page.count("not judged") == 5 + 4 * 2, "five policies that imagine nothing and four curves with two budgets"
    for row in ("| no-op              |            effects |", "| user-blind greedy  |           expected |"):
        assert row in page
    assert (tmp_path / "plots-default.png").read_bytes().startswith(b"\x89PNG")
