"""Candidate edits: distinct, able to change something, in the user's favour, and the same in any batch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eagle_gym import plot_english
from eagle_gym.actions.candidates import LexiconCandidates, tastes
from eagle_gym.actions.proposals import ModelCandidates
from eagle_gym.errors import ConfigurationError
from eagle_gym.language.model import Completion, Usage
from eagle_gym.plot_english import Profile, arrays
from tests.fake_worlds import ScriptedModel

SEEDS = st.integers(0, 2**32)


def state(seed: int) -> tuple[str, str]:
    """A text and a profile."""
    rng = np.random.default_rng(seed)
    attributes = plot_english.random_attributes(rng, float(rng.uniform(0.0, 0.8)))
    pairs = [plot_english.FEATURES[i] for i in rng.choice(len(plot_english.FEATURES), 6, replace=False)]
    return plot_english.render(attributes, rng), plot_english.render_profile(
        Profile(tuple(pairs[:3]), tuple(pairs[3:]))
    )


@given(SEEDS)
def test_lexicon_edits_are_distinct_and_each_can_change_the_text(seed: int) -> None:
    text, profile = state(seed)
    (pool,) = LexiconCandidates().propose([text], [profile], 64, [seed])
    assert len(pool) == len(set(pool)) == 64
    changes = [plot_english.parse_edit(edit) for edit in pool]
    assert len(set(changes)) == 64, "two wordings of one edit take two places"
    assert not any(plot_english.is_noop(plot_english.read(text), change) for change in changes)


@given(SEEDS)
def test_no_edit_asks_for_a_dislike(seed: int) -> None:
    text, profile = state(seed)
    (pool,) = LexiconCandidates().propose([text], [profile], 64, [seed])
    asked = {
        (change.slot, change.value)
        for edit in pool
        for change in plot_english.parse_edit(edit)
        if change.operation in ("set", "add", "replace")
    }
    assert not asked & set(plot_english.parse_profile(profile).dislikes)


def test_personalised_edits_ask_for_likes() -> None:
    likes = (("genres", "Western"), ("tone", "eerie"), ("motifs", "robots"))
    profile = plot_english.render_profile(Profile(likes))
    (own,) = LexiconCandidates(personalised=1.0).propose(["A drama film."], [profile], 20, [0])
    (none,) = LexiconCandidates(personalised=0.0).propose(["A drama film."], [profile], 20, [0])

    def wanted(pool: list[str]) -> set[tuple[str, str]]:
        return {(e.slot, e.value) for edit in pool for e in plot_english.parse_edit(edit)} & set(likes)

    assert wanted(own) == set(likes)
    assert len(wanted(none)) < len(likes)


@given(st.lists(SEEDS, min_size=2, max_size=5, unique=True))
def test_a_row_does_not_depend_on_its_batch(seeds: list[int]) -> None:
    candidates = LexiconCandidates(macro=0.2)
    texts, profiles = zip(*(state(seed) for seed in seeds), strict=True)
    together = candidates.propose(texts, profiles, 24, seeds)
    alone = [candidates.propose([t], [p], 24, [s])[0] for t, p, s in zip(texts, profiles, seeds, strict=True)]
    assert together == alone


def test_macro_edits_ask_for_three_changes_of_three_slots() -> None:
    text, profile = state(1)
    (pool,) = LexiconCandidates(macro=1.0).propose([text], [profile], 12, [0])
    assert len(set(pool)) == 12
    for edit in pool:
        changes = plot_english.parse_edit(edit)
        assert len(changes) == len({change.slot for change in changes}) == 3


def test_shares_of_the_kinds_are_those_of_plot_english_propose() -> None:
    """Both samplers are read off many small pools and must agree within sampling error."""
    counts = {"ours": dict.fromkeys(("vague", "remove", "replace"), 0), "theirs": {}}
    counts["theirs"] = dict(counts["ours"])
    total = 0
    for seed in range(60):
        text, _ = state(seed)
        attributes = plot_english.read(text)
        if not attributes.pairs():
            continue
        total += 16
        pools = {
            "ours": LexiconCandidates(0.0).propose([text], [""], 16, [seed])[0],
            "theirs": plot_english.propose(attributes, np.random.default_rng(seed), 16),
        }
        for name, pool in pools.items():
            for edit in pool:
                operation = plot_english.parse_edit(edit)[0].operation
                if operation in counts[name]:
                    counts[name][operation] += 1
    for operation, count in counts["ours"].items():
        assert abs(count - counts["theirs"][operation]) / total < 0.06, (operation, counts)


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_shares_outside_0_to_1_are_refused(share: float) -> None:
    with pytest.raises(ConfigurationError, match="share"):
        LexiconCandidates(personalised=share)
    with pytest.raises(ConfigurationError, match="share"):
        LexiconCandidates(macro=share)


def test_a_profile_in_free_text_says_nothing() -> None:
    assert tastes('I liked "Heat" and loathed "Cats"') == Profile()


def test_every_edit_of_the_table_parses_to_its_change() -> None:
    table = arrays.change_table()
    for change, edits in zip(table.changes, table.edits, strict=True):
        for edit in edits:
            assert plot_english.parse_edit(edit) == (change,)


@given(SEEDS)
def test_quick_wordings_are_those_of_the_grammar_and_what_they_ask_for_is_known(seed: int) -> None:
    rng = np.random.default_rng(seed)
    slot = ("genres", "themes", "motifs", "styles")[seed % 4]
    values = [value for name, value in plot_english.FEATURES if name == slot]
    old, value = (values[i] for i in rng.choice(len(values), 2, replace=False))
    change = plot_english.Change("replace", slot, value, old)
    spoken = {plot_english.render_edit(change, np.random.default_rng(i)) for i in range(20)}
    assert set(arrays.all_wordings(change)) == spoken
    for edit in arrays.replacements(slot, value, old):
        assert edit in spoken
        assert arrays.changes_in(edit) == plot_english.parse_edit(edit) == (change,)


@given(SEEDS)
def test_applicable_agrees_with_the_grammar(seed: int) -> None:
    text, _ = state(seed)
    attributes = plot_english.read(text)
    fits = arrays.applicable(arrays.one_hot([text]))[0]
    for change, fit in zip(arrays.change_table().changes, fits, strict=True):
        possible = bool(plot_english.outcomes(attributes, change))
        assert possible or not fit, change
        if possible and not fit:  # only a full set keeps an edit out that would change something
            assert change.operation == "add"


def test_one_hot_reads_what_the_text_says() -> None:
    held = arrays.one_hot(["A dark western film set on a train.", "nothing of the kind", ""])
    said = [plot_english.FEATURES[column] for column in np.flatnonzero(held[0])]
    assert set(said) == {("genres", "Western"), ("tone", "dark"), ("setting", "on a train")}
    assert not held[1:].any()


def test_model_candidates_are_distinct_and_filled_up() -> None:
    text, profile = state(3)
    model = ScriptedModel()
    pools = ModelCandidates(model, language="plot_english").propose([text, text], [profile, ""], 40, [0, 1])
    assert [len(set(pool)) for pool in pools] == [40, 40]
    assert len(model.batches) <= 4
    for edit in pools[0]:
        assert not plot_english.is_noop(plot_english.read(text), plot_english.parse_edit(edit))


class Parrot:
    """Answers the same few things over and over."""

    name, fingerprint, deterministic = "parrot", "parrot", True

    def __init__(self, answers: list[str]) -> None:
        self.answers, self.usage, self.edits = answers, Usage(), []

    def generate(self, edits, seeds, *, temperature=1.0):
        self.edits += edits
        return [Completion(self.answers[seed % len(self.answers)], 1, 1, "stop") for seed in seeds]


def test_duplicates_noops_and_nonsense_are_dropped_then_the_lexicon_fills_up() -> None:
    parrot = Parrot(["Make the tone dark.", "make the tone DARK.", "Leave the ending open.", "qwerty", "Add robots."])
    (pool,) = ModelCandidates(parrot, language="plot_english").propose(["A drama film."], [""], 12, [0])
    assert len({edit.casefold() for edit in pool}) == 12
    assert "qwerty" not in pool
    assert "Leave the ending open." not in pool, "there is no ending to leave open"
    assert sum(edit.casefold() == "make the tone dark." for edit in pool) == 1


def test_free_text_pools_may_stay_short() -> None:
    parrot = Parrot(["Move it to the sea.", "move it to the SEA.", "Give her a sister."])
    (pool,) = ModelCandidates(parrot, language="free").propose(["A woman drives home."], ["She likes dogs."], 8, [0])
    assert sorted(edit.casefold() for edit in pool) == ["give her a sister.", "move it to the sea."]


@pytest.mark.parametrize("personalised", [0.0, 0.25, 1.0])
def test_the_personalised_share_of_what_is_asked_for_shows_the_profile(personalised: float) -> None:
    parrot = Parrot([f"Add {i}." for i in range(5000)])
    ModelCandidates(parrot, language="free", personalised=personalised).propose(["x"], ["Likes y."], 40, [0])
    asked = np.average([bool(edit.profile) for edit in parrot.edits], weights=[edit.count for edit in parrot.edits])
    assert abs(asked - personalised) <= 0.05


def test_proposals_need_a_temperature() -> None:
    with pytest.raises(ConfigurationError, match="temperature"):
        ModelCandidates(ScriptedModel(), language="free", temperature=0.0)


@given(SEEDS)
@settings(max_examples=5)
def test_a_pool_larger_than_the_table_is_filled_with_trades(seed: int) -> None:
    values = {slot: plot_english.lexicon.values(slot)[:2] for slot in ("genres", "themes", "motifs", "styles")}
    text = plot_english.render(plot_english.Attributes(**values), np.random.default_rng(seed))
    (pool,) = LexiconCandidates().propose([text], [""], 1000, [seed])
    changes = [plot_english.parse_edit(edit) for edit in pool]
    assert len(pool) == len(set(changes)) == 1000
    assert not any(plot_english.is_noop(plot_english.read(text), change) for change in changes)


def test_a_text_without_sets_has_no_trades_to_fill_a_pool_with() -> None:
    (pool,) = LexiconCandidates().propose(["A film set in New York."], [""], 2000, [0])
    operations = {plot_english.parse_edit(edit)[0].operation for edit in pool}
    assert "replace" not in operations
    assert 500 < len(pool) < 2000
