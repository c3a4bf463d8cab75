"""T3 gives every set the same episodes, and says what each covers."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.experiments.t3_action_sets.sizes import SETS
from benchmarks.running.files import read_json, read_rows


@pytest.mark.slow
def test_t3_action_sets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "t3_action_sets", "--size", "smoke", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    assert page.count("| longest ") == page.count("| macro ") == 2
    covers = read_json(tmp_path / "coverage.json")["covers"]
    assert set(covers) == {f"plots-default-{name}" for name in SETS}
    assert covers["plots-default-longest"]["length"] >= max(
        covers[f"plots-default-{name}"]["length"] for name in ("designed", "random")
    )
    first = {read_rows(path)[0].texts[0] for path in tmp_path.glob("cells/*/episodes.parquet")}
    assert len(first) == 1, "every set begins from the same texts"
