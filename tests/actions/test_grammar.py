"""Measuring how a model rewrites, on a model whose shares are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eagle_gym import plot_english
from eagle_gym.actions import grammar as measuring
from eagle_gym.language.grammar import GrammarModel, Shares, load_shares
from eagle_gym.language.grammar.shares import CHANGES
from eagle_gym.plot_english.edits import directions

KNOWN = Shares(
    failures={kind: {"missed": 0.2} for kind in CHANGES},
    first={name: 0.5 if index % 2 else 0.9 for index, name in enumerate(directions())},
    same_slot=0.8,
    twice=0.0,
    lost=0.05,
    swapped=0.05,
    invented=0.2,
    reworded=0.3,
)


def test_measuring_the_grammar_finds_the_shares_that_it_was_given() -> None:
    found = measuring.measure(GrammarModel(KNOWN), cases=6400, seed=1)
    for kind in ("set", "add", "remove", "replace", "vague", "macro"):
        assert found.failures[kind]["missed"] == pytest.approx(0.2, abs=0.05), kind
    first = np.array([found.first[name] for name in directions()])
    assert first.mean() == pytest.approx(0.7, abs=0.03)
    assert 0.2 < first[::2].mean() - first[1::2].mean() < 0.4, "each is shrunk towards the mean of all"
    for name, tolerance in (("same_slot", 0.05), ("invented", 0.03), ("reworded", 0.03)):
        assert getattr(found, name) == pytest.approx(getattr(KNOWN, name), abs=tolerance), name
    assert found.lost + found.swapped == pytest.approx(0.1, abs=0.03)
    assert found.source["fingerprint"] == GrammarModel(KNOWN).fingerprint


@pytest.mark.parametrize(
    ("edit", "answer", "wanted"),
    [
        ("Add robots.", "A drama film. It features dragons and robots.", ""),
        ("Add robots.", "A drama film. It features dragons.", "missed"),
        ("Add robots.", "A drama film. It features dragons and magic.", "other"),
        ("Swap dragons for robots.", "A drama film. It features dragons and robots.", "kept"),
        ("Leave out dragons.", "A drama film. It features dragons.", "missed"),
    ],
)
def test_failures_are_told_apart(edit: str, answer: str, wanted: str) -> None:
    before = plot_english.read("A drama film. It features dragons.")
    (change,) = plot_english.parse_edit(edit)
    assert measuring.failure(before, change, plot_english.read(answer)) == wanted


def test_a_set_that_is_mixed_up_is_told_apart() -> None:
    before = plot_english.read("A drama film. It features dragons and magic.")
    (change,) = plot_english.parse_edit("Leave out magic.")
    assert measuring.failure(before, change, plot_english.read("A drama film. It features magic.")) == "mixed"


def test_the_command_writes_what_it_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "shares.json"
    measuring.main(["--model", "grammar", "--cases", "160", "--out", str(out)])
    assert load_shares(out).source["rewrites"] == 160
    assert '"reworded"' in capsys.readouterr().out
