"""T1 runs every method within one budget, and charges each for what it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.running.files import read_json


@pytest.mark.timeout(900)  # over thirty cells, each with a model
@pytest.mark.slow
def test_t1_methods(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "t1_methods", "--size", "smoke", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| method")]
    assert len(rows) == len(list((tmp_path / "cells").iterdir())) == 35
    beam = next(row for row in rows if row.startswith("| beam search"))
    head = next(line for line in page.splitlines() if line.startswith("| method"))
    cells = dict(zip(*([cell.strip() for cell in line.split("|")] for line in (head, beam)), strict=True))
    assert cells["normalised score"] in ("1.00 [1.00, 1.00]", "n/a")
    spent = {path.parent.name: read_json(path)["cost"] for path in tmp_path.glob("cells/*/run.json")}
    assert {
        spent[f"plots-{name}-0"]["steps"] for name in ("eagle-optimistic", "ppo", "vas", "eagle-reads-g_optimal")
    } == {20}
    assert spent["plots-supervised-uniform-0"]["steps"] == 10
    assert len(spent["plots-eagle-reads-g_optimal-0"]["parts"]) == 3
    assert len(list((tmp_path / "recorded").iterdir())) == 4, (
        "of each policy once, and once more for value-augmented sampling"
    )
    verdicts = [line for line in page.splitlines() if line.endswith((", met.", ", MISSED.", ": not measured."))]
    assert len(verdicts) == 14  # an imitator of the uniform policy is not compared with it
