"""AUC and NDCG against cases computed by hand, and their properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym.latent.ranking import auc, mean_ranking, ndcg

STARS = st.sampled_from([0.5, 1.0, 2.0, 3.5, 5.0])


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Predictions, some of them tied, and ratings, two of them different."""
    rated = draw(st.lists(STARS, min_size=2, max_size=25).filter(lambda found: len(set(found)) > 1))
    size = len(rated)
    predicted = draw(st.lists(st.integers(-4, 4), min_size=size, max_size=size))
    return np.array(predicted, float), np.array(rated)


def test_auc_by_hand() -> None:
    rated = np.array([5.0, 3.0, 3.0, 1.0])
    assert auc(rated, rated) == 1
    assert auc(-rated, rated) == 0
    # pairs: 5>3 won, 5>3 tied, 5>1 won, 3>1 lost, 3>1 won
    assert auc(np.array([4.0, 1.0, 4.0, 2.0]), rated) == pytest.approx(3.5 / 5)


def test_ndcg_by_hand() -> None:
    rated = np.array([3.0, 2.0, 1.0])  # gains 7, 3, 1
    best = 7 + 3 / math.log2(3) + 1 / 2
    assert ndcg(rated, rated) == pytest.approx(1)
    assert ndcg(-rated, rated) == pytest.approx((1 + 3 / math.log2(3) + 7 / 2) / best)
    assert ndcg(-rated, rated, k=1) == pytest.approx(1 / 7)
    tied = (5 + 5 / math.log2(3) + 1 / 2) / best  # the first two share (7 + 3) / 2
    assert ndcg(np.array([2.0, 2.0, 1.0]), rated) == pytest.approx(tied)


def test_means_are_over_users_with_an_order_to_predict() -> None:
    user = np.array([7, 3, 7, 3, 9, 9, 5])
    rated = np.array([5.0, 4.0, 1.0, 2.0, 3.0, 3.0, 4.0])
    predicted = np.array([1.0, 1.0, 0.0, 2.0, 0.0, 1.0, 0.0])
    found = mean_ranking(user, predicted, rated)
    assert found[0] == pytest.approx((1 + 0) / 2)
    assert found[1] == pytest.approx((1 + ndcg(np.array([1.0, 2.0]), np.array([4.0, 2.0]))) / 2)
    assert np.isnan(mean_ranking(user[4:6], predicted[4:6], rated[4:6])).all()


@given(cases())
def test_auc_is_the_share_of_ordered_pairs(case: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, rated = case
    higher = rated[:, None] > rated[None]
    won = (predicted[:, None] > predicted[None]) + 0.5 * (predicted[:, None] == predicted[None])
    assert auc(predicted, rated) == pytest.approx(won[higher].mean())
    assert auc(-predicted, rated) == pytest.approx(1 - auc(predicted, rated))


@given(cases(), st.randoms(use_true_random=False))
def test_rankings_depend_on_the_order_of_predictions_only(case: tuple[np.ndarray, np.ndarray], rng: object) -> None:
    predicted, rated = case
    order = np.array(rng.sample(range(len(rated)), len(rated)))  # type: ignore[attr-defined]
    for score in (auc, ndcg):
        assert score(predicted[order], rated[order]) == pytest.approx(score(predicted, rated))
        assert score(3 * predicted + 1, rated) == pytest.approx(score(predicted, rated))
        assert 0 <= score(predicted, rated) <= 1 + 1e-12
        assert score(rated, rated) == pytest.approx(1)


@given(cases())
def test_ties_are_worth_the_mean_over_their_orders(case: tuple[np.ndarray, np.ndarray]) -> None:
    """Breaking ties in one order and in the reverse has the mean gain of the tie, where ties are of two."""
    predicted, rated = case[0][:2], case[1][:2]
    if rated[0] == rated[1]:
        return
    broken = [ndcg(order, rated) for order in (np.array([0.0, 1.0]), np.array([1.0, 0.0]))]
    assert ndcg(np.zeros_like(predicted), rated) == pytest.approx(np.mean(broken))
