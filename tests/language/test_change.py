"""What became of a text, by its words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym.language.change import CHANGES, change, kept

TEXT = "A retired baker finds a map in an old clock, and sets out for the coast to look for her brother."


@pytest.mark.parametrize(
    ("after", "found"),
    [
        (TEXT, "copied"),
        (TEXT.lower().replace(" an ", " a "), "copied"),
        (TEXT.replace("baker", "dentist"), "edited"),
        (f"{TEXT} Then a ghost changes everything.", "edited"),
        ("Many years later a young dentist sails north with her dog and never thinks about home again.", "rewritten"),
        ("A baker seeks her brother.", "summarised"),
        (f"{TEXT} {TEXT} {TEXT}", "rambled"),
    ],
)
def test_changes(after: str, found: str) -> None:
    assert change(TEXT, after) == found


@given(st.text(), st.text())
def test_any_two_texts_have_a_change(before: str, after: str) -> None:
    assert change(before, after) in CHANGES
    assert 0 <= kept(before, after) <= 1
    assert change(before, before) == "copied"
