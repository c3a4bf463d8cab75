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
    crossed_weights,
    iqm,
    mean,
    nested_weights,
    paired_difference,
    weighted_iqm,
)
from eagle_gym.errors import ConfigurationError


def test_mean_and_iqm_by_hand() -> None:
    assert mean([1, 2, 6]) == 3
    assert iqm([100, 1, 2, 3, 4, 5, 6, -50]) == pytest.approx((2 + 3 + 4 + 5) / 4)
    # Five values: the quartiles cut 1.25 off each end, so 2 and 4 count three quarters and 3 whole.
    assert iqm([1, 2, 3, 4, 100]) == pytest.approx((0.75 * 2 + 3 + 0.75 * 4) / 2.5)
    assert iqm([7]) == 7


@given(st.lists(st.floats(-100, 100), min_size=4, max_size=40).filter(lambda values: len(values) % 4 == 0))
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


def test_nested_draws_users_within_seeds_and_crossed_draws_them_once(rng: np.random.Generator) -> None:
    # Only users vary, the same way under four seeds. Variance of the mean of two users drawn from {0, 1} is 1/8;
    # nested averages it over four independent draws, crossed does not.
    values, seeds, users = np.tile([0.0, 1.0], 4), np.repeat(np.arange(4), 2), np.tile([0, 1], 4)
    spread = {}
    for name, draw in (("nested", nested_weights), ("crossed", crossed_weights)):
        weights = draw(seeds, users, rng, 40_000)
        weights = weights[weights.sum(axis=1) > 0]
        spread[name] = float(np.var(weights @ values / weights.sum(axis=1)))
    assert spread["nested"] == pytest.approx(1 / 32, rel=0.05)
    assert spread["crossed"] == pytest.approx(1 / 8, rel=0.05)


def test_weights_draw_as_many_as_there_are(rng: np.random.Generator) -> None:
    seeds, users = np.repeat(np.arange(3), 4), np.tile(np.arange(4), 3)
    weights = nested_weights(seeds, users, rng, 100)
    np.testing.assert_array_equal(weights.sum(axis=1), 12)
    assert weights.mean() == pytest.approx(1)


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


def test_pairs_must_be_pairs(rng: np.random.Generator) -> None:
    with pytest.raises(ConfigurationError, match=r"such as \(seed, episode\) = \(0, 2\)"):
        paired_difference([(0, 1, "u", 1.0), (0, 2, "u", 1.0)], [(0, 1, "u", 1.0)], rng)
    with pytest.raises(ConfigurationError, match="twice"):
        paired_difference([(0, 1, "u", 1.0), (0, 1, "u", 1.0)], [(0, 1, "u", 1.0)], rng)


def test_intervals_apart() -> None:
    assert Interval(1, 0.5, 1.5).apart(Interval(3, 1.6, 4))
    assert not Interval(1, 0.5, 1.7).apart(Interval(3, 1.6, 4))
    assert str(Interval(1.234, -0.5, 2)) == "1.23 [-0.50, 2.00]"


def test_bad_scores_are_refused(rng: np.random.Generator) -> None:
    for values, message in (([], "at least one"), ([1.0, np.nan], "score 1 is nan"), ([[1.0]], "shape")):
        with pytest.raises(ConfigurationError, match=message):
            mean(values)
    with pytest.raises(ConfigurationError, match="2 values, 1 seeds"):
        bootstrap([1, 2], [0], [0, 1], rng)
