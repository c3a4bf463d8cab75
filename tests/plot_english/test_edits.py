from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym.errors import ConfigurationError, TextError
from eagle_gym.plot_english import (
    FEATURES,
    Attributes,
    Change,
    apply,
    fulfilled,
    inventions,
    is_noop,
    outcomes,
    parse_edit,
    propose,
    random_attributes,
    render_edit,
    unasked,
)
from eagle_gym.plot_english.edits import directions, wordings
from eagle_gym.plot_english.propose import asking_for
from eagle_gym.plot_english.wordings import FORMS

seeds = st.integers(0, 2**32 - 1)
SPY = Attributes(genres=("Action",), tone="dark", protagonist="spy", motifs=("robots", "dogs"))


def test_every_edit_is_read_as_what_it_asks() -> None:
    for (operation, slot), forms in FORMS.items():
        for value in [value for s, value in FEATURES if s == slot]:
            old = next(other for s, other in FEATURES if s == slot and other != value)
            change = Change(operation, slot, value if "{" in forms[0] else "", old if operation == "replace" else "")
            for seed in range(4):
                assert parse_edit(render_edit(change, np.random.default_rng(seed))) == (change,)


def test_every_vague_wording_is_read_and_its_outcomes_exist() -> None:
    for direction in directions().values():
        for wording in direction.wordings:
            assert parse_edit(wording + ".") == (Change("vague", "", direction.name),)
        assert set(direction.pairs) <= set(FEATURES)
        assert len(direction.pairs) >= 4


@pytest.mark.parametrize(("first_outcome", "first_slot", "count"), [(1.0, 0.0, 1), (0.0, 1.0, 2), (0.0, 0.0, 7)])
def test_vague_edits_prefer_the_first_outcome_then_the_first_slot(
    first_outcome: float, first_slot: float, count: int
) -> None:
    rng, change = np.random.default_rng(0), Change("vague", "", "warmer")
    made = {
        apply(Attributes(), change, rng, first_outcome=first_outcome, first_slot=first_slot).pairs() for _ in range(80)
    }
    assert made == set(outcomes(Attributes(), change)[:count])


def test_vague_edits_take_outcomes_in_the_shares_asked_for() -> None:
    rng, change, draws = np.random.default_rng(0), Change("vague", "", "warmer"), 4000
    made = [apply(Attributes(), change, rng, first_outcome=0.5, first_slot=0.7) for _ in range(draws)]
    # "warmer" names two tones first, and seven outcomes in all.
    assert sum(each.tone == "tender" for each in made) / draws == pytest.approx(0.5 + 0.35 / 2 + 0.15 / 7, abs=0.03)
    assert sum(each.tone == "hopeful" for each in made) / draws == pytest.approx(0.35 / 2 + 0.15 / 7, abs=0.03)


@given(seeds, st.sampled_from([1, 3]))
def test_applying_a_proposed_edit_fulfils_it_and_nothing_else(seed: int, changes: int) -> None:
    rng = np.random.default_rng(seed)
    before = random_attributes(rng)
    for edit in propose(before, rng, 8, changes=changes):
        asked = parse_edit(edit)
        after = apply(before, asked, rng)
        assert len(asked) == changes
        assert not is_noop(before, asked)
        assert after != before
        assert fulfilled(before, asked, after)
        assert not unasked(before, asked, after)
        assert not inventions(before, asked, after)
        assert not fulfilled(before, asked, before), "the unchanged text does not fulfil the edit"


def test_unasked_changes_and_inventions_are_told_apart() -> None:
    change = (Change("set", "setting", "on a submarine"),)
    after = Attributes(tone="bleak", setting="on a submarine", protagonist="spy", motifs=("robots",), ending="happily")
    assert fulfilled(SPY, change, after)
    assert unasked(SPY, change, after) == (("genres", "Action"), ("tone", "dark"), ("motifs", "dogs"))
    assert inventions(SPY, change, after) == (("tone", "bleak"), ("ending", "happily"))


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ("Set it on a submarine.", Change("set", "setting", "on a submarine")),
        ("Make it darker.", Change("vague", "", "darker")),
        ("Swap robots for cats.", Change("replace", "motifs", "cats", "robots")),
        ("Trade cult for surreal.", Change("replace", "styles", "surreal", "cult")),
        ("Push the tone further.", Change("intensify", "tone")),
        ("leave out dogs", Change("remove", "motifs", "dogs")),
    ],
)
def test_known_edits(edit: str, expected: Change) -> None:
    assert parse_edit(edit) == (expected,)


def test_a_macro_edit_is_several_changes() -> None:
    macro = parse_edit("Set it on a submarine; make it darker; leave out dogs.")
    assert [change.operation for change in macro] == ["set", "vague", "remove"]


def test_replacing_and_intensifying() -> None:
    rng = np.random.default_rng(0)
    assert apply(SPY, Change("replace", "motifs", "cats", "robots"), rng).motifs == ("dogs", "cats")
    assert apply(SPY, Change("intensify", "tone"), rng).tone == "bleak"
    assert outcomes(SPY, Change("remove", "motifs", "cats")) == ()
    assert outcomes(Attributes(), Change("intensify", "tone")) == ()


@pytest.mark.parametrize("edit", ["", "Do it.", "Set it on a blorp.", "Set it on a submarine; do it.", "🎬"])
def test_an_edit_outside_the_language_is_a_typed_error(edit: str) -> None:
    with pytest.raises(TextError):
        parse_edit(edit)


@given(st.text(max_size=100))
def test_any_unicode_edit_is_read_or_refused(edit: str) -> None:
    with contextlib.suppress(TextError):
        assert parse_edit(edit)


def test_proposals_are_distinct_seeded_and_as_many_as_asked() -> None:
    first, again, other = (propose(SPY, np.random.default_rng(seed), 64) for seed in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) == 64
    assert len({parse_edit(edit) for edit in first}) == 64


def test_a_profile_steers_half_of_the_edits() -> None:
    likes = (("motifs", "jazz"), ("setting", "on the moon"), ("themes", "revenge"), ("styles", "witty"))
    dislikes = (("motifs", "robots"),)
    edits = propose(SPY, np.random.default_rng(0), 40, likes=likes, dislikes=dislikes)
    changes = [parse_edit(edit)[0] for edit in edits]
    assert {asking_for(pair) for pair in likes} <= set(changes)
    assert Change("remove", "motifs", "robots") in changes
    assert asking_for(("motifs", "robots")) not in changes


def test_wordings_of_one_edit_vary() -> None:
    change = Change("set", "setting", "on a submarine")
    assert len({render_edit(change, np.random.default_rng(seed)) for seed in range(20)}) == len(wordings(change))


def test_asking_for_no_edits_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="n=0"):
        propose(SPY, np.random.default_rng(0), 0)
