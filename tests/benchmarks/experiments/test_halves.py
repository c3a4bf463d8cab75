"""The experiment on stepping in the background: what is timed, and what the page says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.experiments.halves import SIZES, measure, run
from benchmarks.experiments.halves.measure import Found, Row, Size, compare, page
from benchmarks.running import Options
from eagle_gym.errors import LanguageModelError


def test_every_way_is_timed_and_written(tmp_path: Path) -> None:
    run(Options("smoke", tmp_path, language_model="grammar"))
    found = json.loads((tmp_path / "run.json").read_text())["found"]
    (row,) = found["rows"]
    assert len(row["foreground"]) == len(row["background"]) == SIZES["smoke"].repeats
    assert row["seconds"] == pytest.approx(found["rewrite"])
    assert "times as fast" in (tmp_path / "REPORT.md").read_text()


def test_thinking_and_answering_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a batch takes as long as one row, so halves think and ask twice as often as the whole.

    With overlap they are still about as fast as the whole; without it they would take twice as long.
    """
    import time

    from eagle_gym.language.grammar import GrammarModel

    generate = GrammarModel.generate

    def slow(self: GrammarModel, *args: object, **kwargs: object) -> object:
        time.sleep(0.2)
        return generate(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(GrammarModel, "generate", slow)
    monkeypatch.setattr(GrammarModel, "concurrent", True, raising=False)
    monkeypatch.setattr(measure, "choose", lambda env, think: time.sleep(0.2) or env.action_masks().argmax(axis=1))
    (row,) = compare("grammar", Size(num_envs=2, steps=5, repeats=1, thinking=(1.0,))).rows
    assert row.ratios[0] > 0.65


def test_failed_cycles_are_timed_again_and_then_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def failing(envs: object, steps: int, think: float) -> None:
        calls.append(1)
        raise LanguageModelError("no answer")

    monkeypatch.setattr(measure, "in_foreground", failing)
    with pytest.raises(LanguageModelError, match="no answer"):
        compare("grammar", SIZES["smoke"])
    assert len(calls) == measure.ATTEMPTS


def test_the_page_shows_medians_of_the_ratios() -> None:
    row = Row(1.0, 0.5, (4.0, 6.0, 9.0), (2.0, 4.0, 3.0))
    text = page(Found("openai:m", SIZES["smoke"], 0.5, (row,)))
    assert "| 1 | 6.0 | 3.0 | 2.00 (1.50 to 3.00) |" in text
    assert measure._public("openai:m@http://127.0.0.1:1/v1?x=1") == "openai:m"
