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
    assert page.count("not judged") == 2 + 4 * 2, "two lines and four curves with two budgets"
    assert (tmp_path / "plots-default.png").read_bytes().startswith(b"\x89PNG")
