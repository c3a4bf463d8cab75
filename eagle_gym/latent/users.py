"""Users as linear functions of an embedding: a ridge whose centre and strength are estimated from the train users.

Given the items' embeddings, a user's ratings are modelled as `⟨x, w⟩ + noise`, with x = (z, 1) and w = (taste, base),
and the w of users as draws from one normal distribution. Expectation maximisation over the train users finds its mean,
its covariance and the noise (empirical Bayes); each user, in that fit or not, is then the posterior mean of w given the
user's own ratings. A user with few ratings is near the average user, and directions in which users do not differ are
not overfitted. There is no penalty to tune.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from eagle_gym.latent.factorization import outer

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Sufficient statistics of each user's ratings.

    Attributes:
        gram: Sum of x xᵀ over the user's ratings, [U, k, k].
        right: Sum of x times rating, [U, k].
        square: Sum of squared ratings, [U].
        count: Number of ratings, [U].
    """

    gram: Floats
    right: Floats
    square: Floats
    count: NDArray[np.int64]

    @classmethod
    def of(
        cls, user: NDArray[np.integer], item: NDArray[np.integer], value: Floats, rows: Floats, users: int
    ) -> Moments:
        """Moments of ratings [m] of items whose x are in `rows` [I, k]."""
        shape = (users, len(rows))
        rated = sp.csr_array((np.ones(len(value)), (user, item)), shape=shape)
        values = sp.csr_array((value, (user, item)), shape=shape)
        size = rows.shape[1]
        square = np.bincount(user, weights=value**2, minlength=users).astype(np.float64)
        count = np.bincount(user, minlength=users)
        return cls((rated @ outer(rows)).reshape(users, size, size), values @ rows, square, count)

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.gram + other.gram, self.right + other.right, self.square + other.square, self.count + other.count
        )

    def __sub__(self, other: Moments) -> Moments:
        return Moments(
            self.gram - other.gram, self.right - other.right, self.square - other.square, self.count - other.count
        )

    def take(self, users: NDArray[np.integer]) -> Moments:
        """The moments of some users."""
        return Moments(self.gram[users], self.right[users], self.square[users], self.count[users])


@dataclass(frozen=True, eq=False)
class Population:
    """The distribution of users.

    Attributes:
        mean: Mean of w, [k].
        covariance: Covariance of w, [k, k].
        noise: Variance of a rating around its prediction.
    """

    mean: Floats
    covariance: Floats
    noise: float

    def posterior(self, moments: Moments) -> tuple[Floats, Floats]:
        """Mean [U, k] and covariance [U, k, k] of each user's w, given the user's ratings."""
        precision = np.linalg.inv(self.covariance)
        covariance = np.linalg.inv(moments.gram / self.noise + precision)
        right = moments.right / self.noise + precision @ self.mean
        return (covariance @ right[:, :, None])[:, :, 0], covariance


def fit_population(moments: Moments, *, steps: int = 40, floor: float = 1e-6) -> Population:
    """Expectation maximisation over the users of `moments`.

    Args:
        moments: Moments of the train users, each with at least one rating; centred ratings converge faster.
        steps: Iterations; fixed, so that equal data give equal results.
        floor: Smallest variance in any direction, in squared rating units; keeps the covariance invertible.
    """
    size = moments.gram.shape[1]
    ratings = float(moments.count.sum())
    population = Population(np.zeros(size), np.eye(size), max(float(moments.square.sum()) / ratings, floor))
    for _ in range(steps):
        w, spread = population.posterior(moments)
        mean = w.mean(axis=0)
        covariance = (w - mean).T @ (w - mean) / len(w) + spread.mean(axis=0) + floor * np.eye(size)
        # expected squared error of the ratings, including the uncertainty of w
        fitted = np.einsum("ui,uij,uj->", w, moments.gram, w) + np.einsum("uij,uji->", spread, moments.gram)
        error = float(moments.square.sum() - 2 * np.sum(w * moments.right) + fitted)
        population = Population(mean, (covariance + covariance.T) / 2, max(error / ratings, floor))
    return population
