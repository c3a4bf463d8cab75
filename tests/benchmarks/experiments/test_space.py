"""The tables on the latent space hold the numbers of the run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.experiments import space
from benchmarks.experiments.space import tables
from benchmarks.judging import second_opinion
from benchmarks.running.files import read_json


def test_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(space.SIZES["smoke"], "cross_validate", True)
    monkeypatch.setattr(tables, "RIDGES", tables.RIDGES[:2])
    monkeypatch.setattr(tables, "CHOICES", tables.CHOICES[:2])
    monkeypatch.setattr(second_opinion, "SECOND", second_opinion.SECOND[:1])
    assert main(["run", "space", "--size", "smoke", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    found = read_json(tmp_path / "run.json")["cold_start"]["Plots"]
    assert set(found) == {"all", "train", "test"}
    for name in ("bias_only", "taste_only", "text"):
        assert f"{100 * (1 - found['test'][name] / found['test']['user_mean']):+.2f} %" in page
    for words in (
        "| encoder ridge 100 ",
        "| none (ridge 300) ",
        "- Plots: +",
        "over 60 texts",
    ):
        assert words in page
    assert re.search(r"\| test users +\| +0\.", page)
