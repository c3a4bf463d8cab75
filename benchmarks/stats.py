"""Estimates with bootstrap intervals. Pure functions of arrays; randomness is a Generator passed in.

Scores come one per episode, with the seed of the training run and the user of each. The intervals are those of a
nested bootstrap: seeds are drawn again with replacement, and within each drawn seed its users; all episodes of a drawn
user come along, since they are not independent of one another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eagle_gym.errors import ConfigurationError

Floats = NDArray[np.float64]
Statistic = Callable[[Floats, Floats], Floats]
"""From values ``[m]`` and weights ``[R, m]`` to one number for each of R replicates ``[R]``."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its interval."""

    estimate: float
    low: float
    high: float

    def apart(self, other: Interval) -> bool:
        """Whether the two intervals do not overlap."""
        return self.low > other.high or other.low > self.high

    def __str__(self) -> str:
        return f"{self.estimate:.2f} [{self.low:.2f}, {self.high:.2f}]"


def weighted_mean(values: Floats, weights: Floats) -> Floats:
    """Mean of ``values`` ``[m]`` under each row of ``weights`` ``[R, m]``."""
    means: Floats = weights @ values / weights.sum(axis=1)
    return means


def weighted_iqm(values: Floats, weights: Floats) -> Floats:
    """Interquartile mean: the mean of the middle half of the weight, ``[R]``.

    Weight that straddles a quartile counts in part, so that equal weights on a multiple of four values give the plain
    mean of the middle half.
    """
    order = np.argsort(values, kind="stable")
    sorted_values, sorted_weights = values[order], weights[:, order]
    ends = sorted_weights.cumsum(axis=1)
    total = ends[:, -1:]
    begins = ends - sorted_weights
    middle = np.clip(np.minimum(ends, 0.75 * total) - np.maximum(begins, 0.25 * total), 0, None)
    means: Floats = middle @ sorted_values / middle.sum(axis=1)
    return means


def mean(values: ArrayLike) -> float:
    """Plain mean."""
    array = check_values(values)
    return float(array.mean())


def iqm(values: ArrayLike) -> float:
    """Interquartile mean (see :func:`weighted_iqm`)."""
    array = check_values(values)
    return float(weighted_iqm(array, np.ones((1, len(array))))[0])


def bootstrap(
    values: ArrayLike,
    seeds: ArrayLike,
    users: Sequence[Any] | NDArray[Any],
    rng: np.random.Generator,
    *,
    statistic: Statistic = weighted_mean,
    replicates: int = 2000,
    level: float = 0.95,
    users_are: Literal["nested", "crossed"] = "nested",
) -> Interval:
    """Estimate with a percentile interval of the bootstrap over seeds and users.

    Args:
        values: ``[m]`` one score per episode.
        seeds: ``[m]`` seed of the training run behind each.
        users: ``[m]`` its user.
        rng: Draws the replicates.
        statistic: What is estimated.
        replicates: How many.
        level: Share of the replicates inside the interval.
        users_are: ``"nested"``: users are drawn anew within each drawn seed. ``"crossed"``: one draw of users serves
            all seeds of a replicate; wider, and right where the same few users stand under every seed.

    Returns:
        The statistic of the scores as they are, and its interval. With one seed the interval speaks of users alone.

    Raises:
        ConfigurationError: Lengths differ, a score is not finite, or there are none.
    """
    array = check_values(values)
    seed_ids = np.unique(np.asarray(seeds), return_inverse=True)[1].ravel()
    user_ids = np.unique(np.asarray(users), return_inverse=True)[1].ravel()
    if not len(array) == len(seed_ids) == len(user_ids):
        raise ConfigurationError(f"{len(array)} values, {len(seed_ids)} seeds, {len(user_ids)} users: not as many")
    draw = nested_weights if users_are == "nested" else crossed_weights
    weights = draw(seed_ids, user_ids, rng, replicates)
    weights = weights[weights.sum(axis=1) > 0]  # crossed users may all miss the drawn seeds
    drawn = statistic(array, weights)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(statistic(array, np.ones((1, len(array))))[0]), float(low), float(high))


def paired_difference(
    first: Sequence[tuple[Any, Any, Any, float]],
    second: Sequence[tuple[Any, Any, Any, float]],
    rng: np.random.Generator,
    **options: Any,  # noqa: ANN401 - those of bootstrap
) -> Interval:
    """Mean of ``first - second`` over the episodes that both have met.

    Args:
        first: ``(seed, episode, user, score)`` of one method.
        second: The same of another, with the same seeds and episodes.
        rng: Draws the replicates.
        **options: Further arguments of :func:`bootstrap`.

    Raises:
        ConfigurationError: An episode stands in one of them alone, or twice.
    """
    one, two = ({(seed, episode): (user, score) for seed, episode, user, score in rows} for rows in (first, second))
    if len(one) != len(first) or len(two) != len(second):
        raise ConfigurationError("an episode occurs twice within one method; pairs need each (seed, episode) once")
    if one.keys() != two.keys():
        alone = sorted(one.keys() ^ two.keys(), key=str)
        raise ConfigurationError(f"{len(alone)} episodes are in one method alone, such as (seed, episode) = {alone[0]}")
    keys = list(one)
    differences = [one[key][1] - two[key][1] for key in keys]
    return bootstrap(differences, [key[0] for key in keys], [one[key][0] for key in keys], rng, **options)


def nested_weights(
    seeds: NDArray[np.intp], users: NDArray[np.intp], rng: np.random.Generator, replicates: int
) -> Floats:
    """How often each episode is drawn in each replicate, ``[replicates, m]``; seeds first, then users within them."""
    weights = np.zeros((replicates, len(seeds)))
    seed_counts = counts(int(seeds.max()) + 1, rng, replicates)
    for seed in range(seed_counts.shape[1]):
        rows = np.flatnonzero(seeds == seed)
        local = np.unique(users[rows], return_inverse=True)[1].ravel()
        present = int(local.max()) + 1
        # A seed drawn k times draws its users k times over, each time anew: k * present draws in all.
        drawn = rng.multinomial(seed_counts[:, seed] * present, np.full(present, 1 / present))
        weights[:, rows] = drawn[:, local]
    return weights


def crossed_weights(
    seeds: NDArray[np.intp], users: NDArray[np.intp], rng: np.random.Generator, replicates: int
) -> Floats:
    """The same where one draw of users serves all seeds: the product of a seed's and a user's count."""
    seed_counts = counts(int(seeds.max()) + 1, rng, replicates)
    user_counts = counts(int(users.max()) + 1, rng, replicates)
    return (seed_counts[:, seeds] * user_counts[:, users]).astype(np.float64)


def counts(size: int, rng: np.random.Generator, replicates: int) -> NDArray[np.int64]:
    """How often each of ``size`` things is drawn when ``size`` are drawn with replacement, ``[replicates, size]``."""
    return rng.multinomial(size, np.full(size, 1 / size), size=replicates)


def check_values(values: ArrayLike) -> Floats:
    """Scores as a float array ``[m]``, finite and at least one."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ConfigurationError(f"scores come as one list with at least one number; the shape is {array.shape}")
    if not np.isfinite(array).all():
        raise ConfigurationError(f"score {int(np.argmin(np.isfinite(array)))} is {array[~np.isfinite(array)][0]}")
    return array
