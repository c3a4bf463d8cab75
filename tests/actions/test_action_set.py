"""Action sets: K edits with weights that sum to one, masks where there are fewer, and no dependence on the batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym import design
from eagle_gym.actions.action_set import ActionSet, ActionSets
from eagle_gym.actions.candidates import LexiconCandidates
from eagle_gym.actions.effects import Rollout
from eagle_gym.errors import ConfigurationError, DesignError
from eagle_gym.seeding import stable_seed
from tests.fake_worlds import ScriptedModel, make_catalog, make_space

CATALOG = make_catalog()
SPACE = make_space(CATALOG)
TEXTS = CATALOG.texts
PROFILES = ["Enjoys comedy films.", "No particular taste."]


class Listed:
    """Candidates from a list, and effects from a table: what an edit says is where it leads."""

    def __init__(self, table: dict[str, Sequence[float]]) -> None:
        self.table = {edit: np.array(place, float) for edit, place in table.items()}
        self.calls: list[int] = []

    def propose(self, texts, profiles, n, seeds):
        self.calls.append(len(texts))
        return [list(self.table)[:n] for _ in texts]

    def expected(self, texts, edits, z, seeds):
        return [np.stack([self.table[edit] for edit in pool]) for pool in edits]


def real_sets(**options: object) -> ActionSets:
    effects = Rollout(ScriptedModel(), SPACE, samples=1)
    return ActionSets(LexiconCandidates(), effects, **{"pool": 24, "k": 8, **options})


def listed_sets(table: dict[str, Sequence[float]], **options: object) -> ActionSets:
    listed = Listed(table)
    return ActionSets(listed, listed, **{"pool": 16, "k": 3, **options})


def build_one(sets: ActionSets, n: int = 2) -> ActionSet:
    return sets.build(["x"], [""], np.zeros((1, n)))[0]


@given(st.integers(0, len(TEXTS) - 1), st.sampled_from(PROFILES))
def test_an_action_set_offers_k_distinct_edits_with_weights(row: int, profile: str) -> None:
    sets = real_sets()
    z = SPACE.encoder.encode(TEXTS[row : row + 1])
    (chosen,) = sets.build(TEXTS[row : row + 1], [profile], z)
    assert len(set(chosen.edits)) == 8
    assert chosen.mask.tolist() == [1] * 8
    assert chosen.weights.sum() == pytest.approx(1.0)
    assert (chosen.weights >= 0).all()
    assert chosen.C >= 1.0 - 1e-9
    assert -1e-9 <= chosen.gap <= 1e-5
    np.testing.assert_allclose(chosen.features, chosen.expected - z, atol=2e-6)


def test_the_certificate_holds_over_the_whole_pool() -> None:
    """C is recomputed here from its definition: the largest leverage of the pool over its rank."""
    rng = np.random.default_rng(3)
    table = {f"p{i}": rng.standard_normal(2).round(3) for i in range(12)}
    chosen = build_one(listed_sets(table, k=5))
    moment = (chosen.features * chosen.weights[:, None]).T @ chosen.features
    pool = np.stack(list(table.values()))
    leverage = np.einsum("ki,ij,kj->k", pool, np.linalg.inv(moment), pool)
    assert pytest.approx(leverage.max() / 2, rel=1e-6) == chosen.C


def test_a_row_does_not_depend_on_its_batch_or_the_cache() -> None:
    z = SPACE.encoder.encode(TEXTS)
    profiles = [PROFILES[i % 2] for i in range(len(TEXTS))]
    together = real_sets().build(TEXTS, profiles, z)
    shared = real_sets()
    for row in reversed(range(len(TEXTS))):
        (alone,) = shared.build([TEXTS[row]], [profiles[row]], z[row : row + 1])
        assert alone.edits == together[row].edits
        for name in ("expected", "features", "weights", "mask"):
            np.testing.assert_array_equal(getattr(alone, name), getattr(together[row], name))
        assert (alone.gap, alone.C) == (together[row].gap, together[row].C)


def test_seed_profile_and_text_each_change_the_set() -> None:
    z = SPACE.encoder.encode(TEXTS[:2])
    base = real_sets().build(TEXTS[:1], PROFILES[:1], z[:1])[0].edits
    assert real_sets(seed=1).build(TEXTS[:1], PROFILES[:1], z[:1])[0].edits != base
    assert real_sets().build(TEXTS[:1], PROFILES[1:], z[:1])[0].edits != base
    assert real_sets().build(TEXTS[1:2], PROFILES[:1], z[1:])[0].edits != base


def test_equal_states_are_made_once_and_remembered() -> None:
    sets = listed_sets({"a": [1, 0], "b": [0, 1], "c": [1, 1], "d": [-1, 1]})
    first = sets.build(["x", "y", "x"], ["", "", ""], np.zeros((3, 2)))
    assert first[0] is first[2]
    again = sets.build(["y", "x"], ["", ""], np.zeros((2, 2)))
    assert again == [first[1], first[0]]
    assert sets.candidates.calls == [2]


def test_the_least_recently_used_is_forgotten_first() -> None:
    sets = listed_sets({"a": [1, 0], "b": [0, 1], "c": [1, 1]}, cache_size=2)
    for text in ("x", "y", "x", "z", "x", "y"):
        sets.build([text], [""], np.zeros((1, 2)))
    assert len(sets.candidates.calls) == 4  # x, y, z, and y again


def test_fewer_candidates_than_k_are_masked() -> None:
    chosen = build_one(listed_sets({"a": [1, 0], "b": [0, 1]}, k=4))
    assert chosen.edits == ("a", "b", "", "")
    assert chosen.mask.tolist() == [1, 1, 0, 0]
    assert chosen.weights.tolist() == [0.5, 0.5, 0.0, 0.0]
    assert not chosen.features[2:].any()


def test_equal_features_are_offered_together_only_where_others_lack() -> None:
    table = {"a": [1, 0], "a again": [1, 0], "b": [0, 1], "c": [1, 1], "b again": [0, 1.0000001]}
    assert build_one(listed_sets(table)).edits == ("a", "b", "c")
    assert sum(build_one(listed_sets(table, k=4)).mask) == 4
    assert build_one(listed_sets(table, k=4)).edits == ("a", "a again", "b", "c")


def test_repeated_edits_are_one() -> None:
    class Twice(Listed):
        def propose(self, texts, profiles, n, seeds):
            return [["a", "a", "b", "b", "c"] for _ in texts]

    twice = Twice({"a": [1, 0], "b": [0, 1], "c": [2, 1]})
    assert build_one(ActionSets(twice, twice, pool=8, k=3)).edits == ("a", "b", "c")


def test_where_nothing_moves_every_choice_is_as_good() -> None:
    chosen = build_one(listed_sets({name: [0, 0] for name in "abcde"}))
    assert (sum(chosen.mask), chosen.gap, chosen.C) == (3, 0.0, 1.0)
    np.testing.assert_allclose(chosen.weights, 1 / 3)


def test_pools_of_different_sizes_share_a_batch() -> None:
    class Ragged(Listed):
        def propose(self, texts, profiles, n, seeds):
            return [list(self.table)[: int(text)] for text in texts]

    rng = np.random.default_rng(0)
    ragged = Ragged({f"p{i}": rng.standard_normal(2) for i in range(9)})
    sets = ActionSets(ragged, ragged, pool=9, k=4).build(["9", "4", "2", "9 "], [""] * 4, np.zeros((4, 2)))
    assert [int(s.mask.sum()) for s in sets] == [4, 4, 2, 4]


def test_next_features_are_the_expected_embeddings() -> None:
    sets = listed_sets({"a": [1, 0], "b": [0, 1], "c": [1, 1]}, features="next")
    (chosen,) = sets.build(["x"], [""], np.ones((1, 2)))
    np.testing.assert_array_equal(chosen.features, chosen.expected)


def test_features_are_rounded_before_they_select() -> None:
    rng = np.random.default_rng(1)
    table = {f"p{i}": rng.standard_normal(3).round(4) for i in range(16)}
    noisy = {edit: place + 1e-9 * rng.standard_normal(3) for edit, place in table.items()}
    one, other = (build_one(listed_sets(t, k=6), n=3) for t in (table, noisy))
    assert one.edits == other.edits
    np.testing.assert_array_equal(one.weights, other.weights)


def test_arrays_are_read_only() -> None:
    chosen = build_one(listed_sets({"a": [1, 0], "b": [0, 1], "c": [1, 1]}))
    with pytest.raises(ValueError, match="read-only"):
        chosen.weights[0] = 1.0


def test_no_candidate_at_all_is_an_error() -> None:
    with pytest.raises(DesignError, match=r"expected candidate edits .*, got none"):
        build_one(listed_sets({}))


@pytest.mark.parametrize(
    "options", [{"k": 1}, {"k": 20}, {"features": "delta"}, {"cache_size": 0}], ids=lambda options: str(options)
)
def test_impossible_arguments_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        listed_sets({"a": [1, 0]}, **options)


def test_one_design_call_for_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = design.select_batch

    def counted(pools, k, **options):
        calls.append(len(pools))
        return original(pools, k, **options)

    monkeypatch.setattr(design, "select_batch", counted)
    rng = np.random.default_rng(0)
    sets = listed_sets({f"p{i}": rng.standard_normal(2) for i in range(8)})
    sets.build([f"t{i}" for i in range(5)], [""] * 5, np.zeros((5, 2)))
    assert calls == [5]


def test_stable_seeds_are_stable() -> None:
    assert stable_seed("a", 1, "ü\ud800") == stable_seed("a", 1, "ü\ud800")
    assert stable_seed("a", "b") != stable_seed("ab")
    assert stable_seed(0, "text", "profile") == 3783214497704228743


FAN = {"a": (3.0, 0.0), "b": (0.0, 1.0), "c": (2.9, 0.1), "d": (2.8, 0.2), "e": (0.0, 0.9)}


@pytest.mark.parametrize(
    ("selection", "edits"),
    [
        ("g_optimal", ("a", "b")),
        ("g_optimal_unit", ("a", "b")),
        ("longest", ("a", "c")),
        ("top_weight", ("a", "b")),
    ],
)
def test_ways_to_choose_from_a_pool(selection: str, edits: tuple[str, ...]) -> None:
    chosen = build_one(listed_sets(FAN, k=2, selection=selection))
    assert chosen.edits == edits
    assert chosen.weights.tolist() == pytest.approx([0.5, 0.5])
    assert chosen.gap == pytest.approx(chosen.C - 1) or selection.startswith("g_optimal")


def test_what_does_not_cover_says_so() -> None:
    by_length, by_design = (build_one(listed_sets(FAN, k=2, selection=name)).C for name in ("longest", "g_optimal"))
    assert by_length > 100 * by_design


def test_a_random_choice_is_the_states_own() -> None:
    sets = [real_sets(selection="uniform"), real_sets(selection="uniform"), real_sets(selection="uniform", seed=1)]
    z = SPACE.encoder.encode(TEXTS[:3])
    together = sets[0].build(TEXTS[:3], [PROFILES[0]] * 3, z)
    alone = [sets[1].build(TEXTS[i : i + 1], [PROFILES[0]], z[i : i + 1])[0] for i in (2, 0, 1)]
    assert [alone[1].edits, alone[2].edits, alone[0].edits] == [chosen.edits for chosen in together]
    assert sets[2].build(TEXTS[:1], [PROFILES[0]], z[:1])[0].edits != together[0].edits
    whole = real_sets(selection="uniform", k=24).build(TEXTS[:1], [PROFILES[0]], z[:1])[0]
    assert set(together[0].edits) < set(whole.edits)


def test_an_unknown_choice_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="expected one of g_optimal, "):
        real_sets(selection="shortest")
