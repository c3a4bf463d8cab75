"""The page on the worth of a design: differences of differences, and its one hypothesis."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.experiments.design_worth.page import beyond
from benchmarks.running.files import ROOT


def test_what_is_gained_beyond_the_control() -> None:
    def keyed(*scores: float) -> list[tuple[int, int, str, float]]:
        return [(0, episode, f"u{episode}", score) for episode, score in enumerate(scores)]

    found = beyond(keyed(5.0, 7.0), keyed(1.0, 3.0), keyed(4.0, 4.0), keyed(3.0, 3.0))
    assert found is not None
    assert found.estimate == pytest.approx(3.0)  # (5 - 1 + 7 - 3) / 2 less (4 - 3 + 4 - 3) / 2
    assert beyond(keyed(1.0), keyed(1.0), [], keyed(1.0)) is None


def test_the_hypothesis_names_what_decides() -> None:
    text = (ROOT / "benchmarks" / "experiments" / "design_worth" / "HYPOTHESIS.md").read_text()
    assert "**Primary**" in text
    assert "4 seeds with 256 episodes" in text


@pytest.mark.slow
def test_design_worth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "design_worth", "--size", "smoke", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    assert page.startswith("# What designed action sets are worth\n\n**LinUCB, designed minus random**: ")
    assert page.count("not judged") == 9 + 2, "nine comparisons, two of them in the first paragraph"
    for policy in ("no-op", "first offered edit", "user-blind greedy", "optimistic"):
        assert page.count(f"| {policy}, designed ") == 1, "added after the run, with designed sets only"
