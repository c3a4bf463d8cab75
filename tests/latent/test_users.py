from __future__ import annotations

import numpy as np
import pytest

from eagle_gym.latent.users import Moments, Population, fit_population


def draw(rng: np.random.Generator, users: int = 800, items: int = 60, noise: float = 0.5):
    """Ratings of users drawn from a known population."""
    rows = np.column_stack([rng.normal(size=(items, 2)), np.ones(items)])
    mean, root = np.array([0.5, -0.2, 0.1]), np.array([[0.6, 0, 0], [0.2, 0.3, 0], [0, 0, 0.4]])
    weights = mean + rng.normal(size=(users, 3)) @ root.T
    user, item = np.repeat(np.arange(users), 12), rng.integers(items, size=users * 12)
    value = np.sum(rows[item] * weights[user], axis=1) + noise * rng.normal(size=len(user))
    return user, item, value, rows, Population(mean, root @ root.T, noise**2), weights


def test_the_population_is_recovered(rng: np.random.Generator) -> None:
    user, item, value, rows, truth, _ = draw(rng)
    found = fit_population(Moments.of(user, item, value, rows, 800))
    np.testing.assert_allclose(found.mean, truth.mean, atol=0.08)
    np.testing.assert_allclose(found.covariance, truth.covariance, atol=0.08)
    assert found.noise == pytest.approx(truth.noise, rel=0.1)


def test_a_posterior_is_a_ridge_towards_the_mean(rng: np.random.Generator) -> None:
    user, item, value, rows, truth, _ = draw(rng, users=5)
    means, covariances = truth.posterior(Moments.of(user, item, value, rows, 5))
    precision = np.linalg.inv(truth.covariance)
    for row in range(5):
        x, y = rows[item[user == row]], value[user == row]
        gram = x.T @ x / truth.noise + precision
        np.testing.assert_allclose(means[row], np.linalg.solve(gram, x.T @ y / truth.noise + precision @ truth.mean))
        np.testing.assert_allclose(covariances[row], np.linalg.inv(gram))


def test_someone_without_ratings_is_the_average_user(rng: np.random.Generator) -> None:
    user, item, value, rows, truth, _ = draw(rng, users=5)
    means, _ = truth.posterior(Moments.of(user, item, value, rows, 6))
    np.testing.assert_allclose(means[5], truth.mean)


def test_shrinking_beats_least_squares(rng: np.random.Generator) -> None:
    user, item, value, rows, _, weights = draw(rng, noise=1.5)
    moments = Moments.of(user, item, value, rows, 800)
    shrunk, _ = fit_population(moments).posterior(moments)
    plain = np.linalg.solve(moments.gram, moments.right[:, :, None])[:, :, 0]
    assert np.mean((shrunk - weights) ** 2) < 0.7 * np.mean((plain - weights) ** 2)


@pytest.mark.parametrize("floor", [1e-6, 1e-3])
def test_the_floor_is_the_least_variance_in_any_direction(rng: np.random.Generator, floor: float) -> None:
    """Users who agree in everything, and say so without noise, have no variance of their own."""
    x = np.column_stack([rng.normal(size=(30, 2)), np.ones(30)])
    user, item = np.repeat(np.arange(40), 30), np.tile(np.arange(30), 40)
    moments = Moments.of(user, item, x[item] @ np.array([1.0, -2.0, 0.5]), x, 40)
    found = fit_population(moments, floor=floor)
    least = np.linalg.eigvalsh(found.covariance)[0]
    assert floor <= least * (1 + 1e-9) < 1.5 * floor
    assert found.noise >= floor
    if floor == 1e-6:
        assert fit_population(moments).covariance.tobytes() == found.covariance.tobytes(), "the default"


def test_moments_of_some_users(rng: np.random.Generator) -> None:
    user, item, value, rows, _, _ = draw(rng, users=9)
    some = Moments.of(user, item, value, rows, 9).take(np.array([2, 7]))
    kept = np.isin(user, [2, 7])
    alone = Moments.of((user[kept] == 7).astype(int), item[kept], value[kept], rows, 2)
    for name in ("gram", "right", "square", "count"):
        np.testing.assert_allclose(getattr(some, name), getattr(alone, name))
