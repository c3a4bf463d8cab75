from __future__ import annotations

import numpy as np
import pytest

from eagle_gym.errors import ConfigurationError
from eagle_gym.latent.factorization import Factors, factorize, outer


def known(rng: np.random.Generator, users: int = 120, items: int = 90, rank: int = 2, share: float = 0.4):
    """Ratings of a known model: rows, columns, values, and the whole matrix."""
    matrix = (
        3.0
        + rng.normal(size=(users, 1)) * 0.4
        + rng.normal(size=(1, items)) * 0.4
        + rng.normal(size=(users, rank)) @ rng.normal(size=(rank, items)) * 0.5
    )
    user, item = np.nonzero(rng.random((users, items)) < share)
    return user, item, matrix[user, item], matrix


def test_a_known_model_is_recovered_where_nobody_rated(rng: np.random.Generator) -> None:
    user, item, value, matrix = known(rng)
    factors = factorize(user, item, value, matrix.shape, rank=2, rng=rng, ridge=0.05, bias_ridge=0.05, sweeps=60)
    hidden = np.ones(matrix.shape, dtype=bool)
    hidden[user, item] = False
    rows, columns = np.nonzero(hidden)
    error = factors.predict(rows, columns) - matrix[hidden]
    assert np.sqrt(np.mean(error**2)) < 0.05 * matrix.std()


def test_each_item_solves_its_own_ridge_regression(rng: np.random.Generator) -> None:
    """After the last half sweep users are optimal given items: compare with a plain loop."""
    user, item, value, matrix = known(rng, users=12, items=9)
    factors = factorize(user, item, value, matrix.shape, rank=3, rng=rng, ridge=2.0, bias_ridge=0.5, sweeps=2)
    for row in range(matrix.shape[0]):
        mine = user == row
        x = np.column_stack([factors.items[item[mine]], np.ones(mine.sum())])
        y = value[mine] - factors.mean - factors.item_bias[item[mine]]
        expected = np.linalg.solve(x.T @ x + np.diag([2.0, 2.0, 2.0, 0.5]), x.T @ y)
        np.testing.assert_allclose([*factors.users[row], factors.user_bias[row]], expected, atol=1e-10)


def test_unrated_items_and_users_are_zero(rng: np.random.Generator) -> None:
    factors = factorize(np.array([0, 1]), np.array([0, 0]), np.array([1.0, 2.0]), (3, 4), rank=2, rng=rng)
    assert not factors.items[1:].any()
    assert not factors.item_bias[1:].any()
    assert not factors.users[2].any()
    assert isinstance(factors, Factors)


def test_more_ridge_means_smaller_factors(rng: np.random.Generator) -> None:
    user, item, value, matrix = known(rng)
    norms = [
        np.linalg.norm(
            factorize(user, item, value, matrix.shape, rank=2, rng=np.random.default_rng(1), ridge=ridge).items
        )
        for ridge in (1.0, 10.0, 100.0)
    ]
    assert norms[0] > norms[1] > norms[2]


def test_seeds_decide(rng: np.random.Generator) -> None:
    user, item, value, matrix = known(rng)
    runs = [
        factorize(user, item, value, matrix.shape, rank=2, rng=np.random.default_rng(seed), sweeps=2).items
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(runs[0], runs[1])
    assert not np.allclose(runs[0], runs[2])


def test_outer_products_are_flat() -> None:
    assert outer(np.array([[1.0, 2.0]])).tolist() == [[1.0, 2.0, 2.0, 4.0]]


@pytest.mark.parametrize("wrong", [{"rank": 0}, {"sweeps": 0}, {"ridge": 0.0}, {"bias_ridge": -1.0}])
def test_wrong_arguments_are_refused(rng: np.random.Generator, wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="must be positive"):
        factorize(np.array([0]), np.array([0]), np.array([1.0]), (1, 1), **{"rank": 1, "rng": rng, **wrong})  # type: ignore[arg-type]


def test_no_ratings_are_refused(rng: np.random.Generator) -> None:
    none = np.array([], dtype=np.int64)
    with pytest.raises(ConfigurationError, match="expected ratings to factorise, got none"):
        factorize(none, none, np.array([]), (1, 1), rank=1, rng=rng)
