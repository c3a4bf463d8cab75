"""Matrix factorisation with biases, by alternating least squares.

A rating is modelled as `mean + user_bias[u] + item_bias[i] + ⟨users[u], items[i]⟩`. With the users fixed, each item's
factors and bias are the solution of a small ridge regression, and vice versa; each half of a sweep solves all of them
at once. The sums in these regressions are products of the sparse matrix of ratings with dense matrices of one row per
user (or item), so memory does not grow with the number of ratings times the squared rank.

Y. Zhou, D. Wilkinson, R. Schreiber, R. Pan, Large-Scale Parallel Collaborative Filtering for the Netflix Prize, 2008.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from eagle_gym.errors import ConfigurationError
from eagle_gym.progress import progress_bar

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Factors:
    """Result of a factorisation: the rating of item i by user u is near `predict(u, i)`.

    Attributes:
        mean: Mean of all ratings, rating units.
        users: Factors of users, [U, rank].
        user_bias: [U].
        items: Factors of items, [I, rank]; zero for items without ratings.
        item_bias: [I]; zero for items without ratings.
    """

    mean: float
    users: Floats
    user_bias: Floats
    items: Floats
    item_bias: Floats

    def predict(self, user: NDArray[np.integer], item: NDArray[np.integer]) -> Floats:
        """Predicted ratings, [m]."""
        affinity: Floats = np.sum(self.users[user] * self.items[item], axis=1)
        bias: Floats = self.user_bias[user] + self.item_bias[item]
        return self.mean + bias + affinity


def factorize(
    user: NDArray[np.integer],
    item: NDArray[np.integer],
    value: Floats,
    shape: tuple[int, int],
    *,
    rank: int,
    rng: np.random.Generator,
    ridge: float = 5.0,
    bias_ridge: float = 3.0,
    sweeps: int = 15,
    progress: bool = False,
) -> Factors:
    """Factorise ratings.

    Args:
        user: Row of each rating, [m].
        item: Column of each rating, [m].
        value: The ratings, [m].
        shape: Numbers of users and of items.
        rank: Number of factors.
        rng: Draws the initial factors.
        ridge: Penalty on each squared factor, in ratings: it acts like that many pseudo-ratings that say 0.
        bias_ridge: The same for biases.
        sweeps: How many times items and users are solved.
        progress: Show a progress bar after two seconds, where standard error is a terminal.

    Raises:
        ConfigurationError: There are no ratings, or a rank, ridge or number of sweeps is not positive.
    """
    if min(rank, sweeps) < 1 or min(ridge, bias_ridge) <= 0:
        raise ConfigurationError(
            f"rank, sweeps, ridge and bias_ridge must be positive, got {rank}, {sweeps}, {ridge}, {bias_ridge}"
        )
    if not len(value):
        raise ConfigurationError("expected ratings to factorise, got none")
    mean = float(np.mean(value))
    by_user = _Side(user, item, value - mean, shape, ridge, bias_ridge)
    by_item = _Side(item, user, value - mean, shape[::-1], ridge, bias_ridge)
    users, user_bias = rng.normal(scale=0.1, size=(shape[0], rank)), np.zeros(shape[0])
    items, item_bias = np.zeros((shape[1], rank)), np.zeros(shape[1])
    for _ in progress_bar(range(sweeps), show=progress, desc="factorising"):
        items, item_bias = by_item.solve(users, user_bias)
        users, user_bias = by_user.solve(items, item_bias)
    return Factors(mean, users, user_bias, items, item_bias)


class _Side:
    """The regressions of one side's factors and biases on the other's.

    Args:
        own: Index on the side that is solved, [m].
        other: Index on the side that is fixed, [m].
        value: Ratings less their mean, [m].
        shape: Sizes of the two sides.
        ridge: Penalty on factors.
        bias_ridge: Penalty on biases.
    """

    def __init__(
        self,
        own: NDArray[np.integer],
        other: NDArray[np.integer],
        value: Floats,
        shape: tuple[int, int],
        ridge: float,
        bias_ridge: float,
    ) -> None:
        self.rated = sp.csr_array((np.ones(len(value)), (own, other)), shape=shape)
        self.values = sp.csr_array((value, (own, other)), shape=shape)
        self.ridge, self.bias_ridge = ridge, bias_ridge

    def solve(self, factors: Floats, bias: Floats) -> tuple[Floats, Floats]:
        """Factors [own, rank] and biases [own], given the other side's."""
        columns = np.column_stack([factors, np.ones(len(factors))])  # the 1 multiplies the own bias
        gram = self.rated @ outer(columns)
        right = self.values @ columns - self.rated @ (columns * bias[:, None])
        size = columns.shape[1]
        penalty = np.diag([self.ridge] * (size - 1) + [self.bias_ridge])
        solved = np.linalg.solve(gram.reshape(-1, size, size) + penalty, right[:, :, None])[:, :, 0]
        return solved[:, :-1], solved[:, -1]


def outer(rows: Floats) -> Floats:
    """Each row's outer product with itself, flat: [N, k] -> [N, k * k]."""
    return (rows[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)
