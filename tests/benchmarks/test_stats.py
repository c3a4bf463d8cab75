"""Estimates and intervals against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as sps

from benchmarks.stats import (
    Interval,
    bootstrap,
    draw_weights,
    iqm,
    mean,
    normalised,
    paired_difference,
    performance_profile,
    probability_of_improvement,
    shared,
    weighted_iqm,
    weighted_mean,
)
from eagle_gym.errors import ConfigurationError


def test_mean_and_iqm_by_hand() -> None:
    assert mean([1, 2, 6]) == 3
    assert iqm([100, 1, 2, 3, 4, 5, 6, -50]) == pytest.approx((2 + 3 + 4 + 5) / 4)
    # Five values: the quartiles cut 1.25 off each end, so 2 and 4 count three quarters and 3 whole.
    assert iqm([1, 2, 3, 4, 100]) == pytest.approx((0.75 * 2 + 3 + 0.75 * 4) / 2.5)
    assert iqm([7]) == 7


@given(
    st.lists(st.floats(-100, 100, allow_subnormal=False), min_size=4, max_size=40).filter(
        lambda values: len(values) % 4 == 0
    )
)
def test_iqm_is_scipys_trimmed_mean(values: list[float]) -> None:
    assert iqm(values) == pytest.approx(sps.trim_mean(values, 0.25), abs=1e-9)


def test_iqm_with_weights_is_iqm_of_copies() -> None:
    values, weights = np.array([3.0, 1, 10, 4]), np.array([[2.0, 1, 0, 3], [1, 1, 1, 1]])
    expected = [iqm(np.repeat(values, row.astype(int))) for row in weights]
    np.testing.assert_allclose(weighted_iqm(values, weights), expected)


def test_interval_of_one_seed_is_that_of_the_mean_of_users(rng: np.random.Generator) -> None:
    values = rng.normal(size=400)
    found = bootstrap(values, np.zeros(400), np.arange(400), rng, replicates=4000)
    error = 1.96 * values.std() / 20
    assert found.estimate == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - error, abs=0.1 * error)
    assert found.high == pytest.approx(values.mean() + error, abs=0.1 * error)


def test_two_seeds_that_differ_by_hand(rng: np.random.Generator) -> None:
    # Users do not vary: a replicate is the mean of two draws from {0, 1}, so 0, 1/2, 1 with probability 1/4, 1/2, 1/4.
    values, seeds, users = np.repeat([0.0, 1.0], 5), np.repeat([7, 9], 5), np.tile(np.arange(5), 2)
    assert bootstrap(values, seeds, users, rng) == Interval(0.5, 0.0, 1.0)
    assert bootstrap(values, seeds, users, rng, level=0.4) == Interval(0.5, 0.5, 0.5)


def test_episodes_of_one_user_stay_together(rng: np.random.Generator) -> None:
    # Two users, a hundred equal episodes each: taken as 200 independent ones the interval would be narrow.
    values, users = np.repeat([0.0, 1.0], 100), np.repeat(["a", "b"], 100)
    assert bootstrap(values, np.zeros(200), users, rng) == Interval(0.5, 0.0, 1.0)


def test_a_seed_and_a_user_that_both_matter_by_hand(rng: np.random.Generator) -> None:
    # Score = seed + user, each 0 or 1. A replicate is the sum of two independent means of two draws from {0, 1}:
    # 0, 1/2, 1, 3/2, 2 with probability 1/16, 4/16, 6/16, 4/16, 1/16.
    values, seeds, users = np.array([0.0, 1.0, 1.0, 2.0]), np.array([5, 5, 8, 8]), np.array(["a", "b", "a", "b"])
    assert bootstrap(values, seeds, users, rng) == Interval(1.0, 0.0, 2.0)
    assert bootstrap(values, seeds, users, rng, level=0.7) == Interval(1.0, 0.5, 1.5)
    assert bootstrap(values, seeds, users, rng, level=0.2) == Interval(1.0, 1.0, 1.0)
    drawn = weighted_mean(values, draw_weights(values, seeds, users, rng, 40_000))
    shares = [np.mean(drawn == value) for value in (0.0, 0.5, 1.0, 1.5, 2.0)]
    np.testing.assert_allclose(shares, np.array([1, 4, 6, 4, 1]) / 16, atol=0.01)


def test_users_who_stand_under_every_seed_are_drawn_once(rng: np.random.Generator) -> None:
    # Only users vary, the same way under four seeds: more seeds do not make the two users more.
    values, seeds, users = np.tile([0.0, 1.0], 4), np.repeat(np.arange(4), 2), np.tile([0, 1], 4)
    drawn = weighted_mean(values, draw_weights(values, seeds, users, rng, 40_000))
    assert np.var(drawn) == pytest.approx(1 / 8, rel=0.05)  # of the mean of two draws from {0, 1}


def test_weights_are_products_of_counts(rng: np.random.Generator) -> None:
    seeds, users = np.repeat(np.arange(3), 4), np.tile(np.arange(4), 3)
    weights = draw_weights(np.zeros(12), seeds, users, rng, 100).reshape(-1, 3, 4)
    np.testing.assert_array_equal(weights.sum(axis=(1, 2)), 12)
    np.testing.assert_array_equal(weights.sum(axis=2)[:, :, None] * weights.sum(axis=1)[:, None, :], 12 * weights)


def test_replicates_whose_users_missed_the_drawn_seeds_are_left_out(rng: np.random.Generator) -> None:
    # Each user occurs with only one seed: a quarter of the draws pair a seed with the other seed's user.
    found = bootstrap([0.0, 1.0], [0, 1], ["a", "b"], rng)
    assert found == Interval(0.5, 0.0, 1.0)


def test_intervals_hold_the_truth_as_often_as_they_say(rng: np.random.Generator) -> None:
    """The learning experiment's design: 5 seeds, 128 episodes each, their users drawn from one population of 120."""
    seeds, hits = np.repeat(np.arange(5), 128), 0
    for _ in range(100):
        population, users = 0.7 * rng.normal(size=120), rng.integers(120, size=640)
        values = (0.2 * rng.normal(size=5))[seeds] + population[users] + 1.5 * rng.normal(size=640)
        found = bootstrap(values, seeds, users, rng, replicates=300)
        hits += found.low <= 0 <= found.high
    assert hits >= 92


def test_same_generator_same_interval() -> None:
    values = np.arange(10.0)
    found = [
        bootstrap(values, np.arange(10) % 2, np.arange(10), np.random.default_rng(seed), replicates=200)
        for seed in (1, 1, 2)
    ]
    assert found[0] == found[1] != found[2]


def test_paired_difference_is_narrower_than_the_spread_of_users(rng: np.random.Generator) -> None:
    base = 10 * rng.normal(size=100)
    first = [(0, i, f"u{i}", value + 1) for i, value in enumerate(base)]
    second = [(0, i, f"u{i}", value) for i, value in reversed(list(enumerate(base)))]
    found = paired_difference(first, second, rng)
    assert found.estimate == pytest.approx(1)
    assert (found.low, found.high) == (pytest.approx(1), pytest.approx(1))


def keyed(scores: list[float], users: str = "abcdefgh") -> list[tuple[int, int, str, float]]:
    return [(0, i, users[i], score) for i, score in enumerate(scores)]


def test_normalised_scores_by_hand(rng: np.random.Generator) -> None:
    uniform, method, oracle = keyed([1, 1, 2, 2]), keyed([2, 4, 3, 5]), keyed([3, 7, 4, 8])
    assert normalised(method, oracle, rng, bottom=uniform) == Interval(0.5, 0.5, 0.5)  # half the way, everywhere
    assert normalised(method, oracle, rng).estimate == pytest.approx(14 / 22)
    # Two users: the way is (0, 1), the whole (1, 1). The ratio of a replicate is 0, 1/2 or 1.
    assert normalised(keyed([0, 1]), keyed([1, 1]), rng) == Interval(0.5, 0.0, 1.0)
    assert normalised(keyed([0, 1]), keyed([1, 1]), rng, level=0.4) == Interval(0.5, 0.5, 0.5)


def test_a_top_that_may_be_no_top_bounds_nothing(rng: np.random.Generator) -> None:
    found = normalised(keyed([1, 1]), keyed([3, -1]), rng)  # a quarter of the replicates have a top of -1
    assert (found.estimate, found.low, found.high) == (1.0, -np.inf, np.inf)
    with pytest.raises(ConfigurationError, match="must be above its bottom; they are -1 apart"):
        normalised(keyed([1, 1]), keyed([0, 0]), rng, bottom=keyed([1, 1]))


def test_probability_of_improvement_by_hand(rng: np.random.Generator) -> None:
    found = probability_of_improvement(keyed([1, 5, 2, 3]), keyed([0, 4, 2, 9]), rng)
    assert found.estimate == pytest.approx((1 + 1 + 0.5 + 0) / 4)
    assert probability_of_improvement(keyed([1, 2]), keyed([0, 1]), rng) == Interval(1.0, 1.0, 1.0)


def test_performance_profiles_by_hand(rng: np.random.Generator) -> None:
    values, seeds, users = [0.0, 1.0, 2.0, 3.0], np.zeros(4), list("abcd")
    profile = performance_profile(values, [-1.0, 0.5, 2.0, 3.0], seeds, users, rng)
    assert [point.estimate for point in profile] == [1.0, 0.75, 0.25, 0.0]
    assert (profile[0], profile[3]) == (Interval(1.0, 1.0, 1.0), Interval(0.0, 0.0, 0.0))
    assert profile[1].low < 0.75 < profile[1].high


def test_what_all_have_met_by_hand(rng: np.random.Generator) -> None:
    one = [(0, 1, "a", 1.0), (0, 2, "b", 2.0), (1, 3, "a", 3.0)]
    part = [(0, 2, "b", 5.0), (0, 9, "c", 6.0)]
    assert shared(one, part) == ([(0, 2, "b", 2.0)], [(0, 2, "b", 5.0)])
    assert shared(one, one) == (one, one)
    with pytest.raises(ConfigurationError, match="no episode that all"):
        shared(one, [(5, 1, "a", 1.0)])


def test_pairs_must_be_pairs(rng: np.random.Generator) -> None:
    with pytest.raises(ConfigurationError, match=r"such as \(seed, episode\) = \(0, 2\)"):
        paired_difference([(0, 1, "u", 1.0), (0, 2, "u", 1.0)], [(0, 1, "u", 1.0)], rng)
    with pytest.raises(ConfigurationError, match="twice"):
        paired_difference([(0, 1, "u", 1.0), (0, 1, "u", 1.0)], [(0, 1, "u", 1.0)], rng)


def test_intervals_apart() -> None:
    assert (Interval(3, 1.6, 4) - Interval(1, 0.5, 1.5)).low > 0
    assert (Interval(3, 1.6, 4) - Interval(1, 0.5, 1.7)).low < 0
    assert Interval(3, 1, 4) - Interval(1, 0, 2) == Interval(2, -1, 4)
    assert -Interval(1, 0, 3) == Interval(-1, -3, 0)
    assert str(Interval(1.234, -0.5, 2)) == "1.23 [-0.50, 2.00]"


def test_bad_scores_are_refused(rng: np.random.Generator) -> None:
    for values, message in (([], "at least one"), ([1.0, np.nan], "score 1 is nan"), ([[1.0]], "shape")):
        with pytest.raises(ConfigurationError, match=message):
            mean(values)
    with pytest.raises(ConfigurationError, match="2 values, 1 seeds"):
        bootstrap([1, 2], [0], [0, 1], rng)
