"""Estimates with bootstrap intervals. Pure functions of arrays; randomness is a Generator passed in.

There is one score for each episode, with the user and the seed of the training run. The same users can occur with every
seed, so the two factors are crossed: a replicate draws seeds with replacement, then users, and all of its seeds share
one draw of users. The weight of an episode is the count of its seed times the count of its user (A. B. Owen, The
Pigeonhole Bootstrap, Annals of Applied Statistics 1(2), 2007). A separate draw of users for each seed would divide
their part of the error by the number of seeds, as if every seed had different users.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eagle_gym.errors import ConfigurationError

Floats = NDArray[np.float64]
Statistic = Callable[[Floats, Floats], Floats]
"""From values `[m]` and weights `[R, m]` to one number for each of R replicates `[R]`."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its interval."""

    estimate: float
    low: float
    high: float

    def __neg__(self) -> Interval:
        return Interval(-self.estimate, -self.high, -self.low)

    def __sub__(self, other: Interval) -> Interval:
        """Interval arithmetic: the difference is above 0 if this interval lies above the other without overlap."""
        return Interval(self.estimate - other.estimate, self.low - other.high, self.high - other.low)

    def __str__(self) -> str:
        return f"{self.estimate:.2f} [{self.low:.2f}, {self.high:.2f}]"


def weighted_mean(values: Floats, weights: Floats) -> Floats:
    """Mean of `values` `[m]` under each row of `weights` `[R, m]`."""
    means: Floats = weights @ values / weights.sum(axis=1)
    return means


def weighted_iqm(values: Floats, weights: Floats) -> Floats:
    """Interquartile mean: the mean of the middle half of the weight, `[R]`.

    A weight that straddles a quartile counts in part, so that equal weights on a multiple of four values give the plain
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
    """Interquartile mean (see `weighted_iqm`)."""
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
) -> Interval:
    """Estimate with a percentile interval of the bootstrap over seeds and users.

    Args:
        values: `[m]`, one score per episode.
        seeds: `[m]`, seed of its training run.
        users: `[m]`, its user.
        rng: Draws the replicates.
        statistic: The estimated statistic.
        replicates: Number of replicates.
        level: Share of the replicates inside the interval.

    Returns:
        The statistic of the scores and its interval. With one seed, the interval only covers variation between users.

    Raises:
        ConfigurationError: Lengths differ, a score is not finite, or there are no scores.
    """
    array = check_values(values)
    drawn = statistic(array, draw_weights(array, seeds, users, rng, replicates))
    return percentiles(float(statistic(array, np.ones((1, len(array))))[0]), drawn, level)


def percentiles(estimate: float, drawn: Floats, level: float) -> Interval:
    """The middle `level` of the replicates `[R]`, around an estimate."""
    # observed values, not means of two of them: a replicate may be infinite
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], method="nearest")
    return Interval(estimate, float(low), float(high))


Keyed = Sequence[tuple[Any, Any, Any, float]]
"""`(seed, episode, user, score)` of one method."""


@dataclass(frozen=True, eq=False)
class Paired:
    """Scores of several methods on the episodes that all of them share.

    Attributes:
        scores: `[methods, m]`.
        seeds: `[m]`.
        users: `[m]`.
    """

    scores: Floats
    seeds: list[Any]
    users: list[Any]

    @classmethod
    def of(cls, *methods: Keyed) -> Paired:
        """Match episodes by (seed, episode).

        Raises:
            ConfigurationError: An episode is missing in one of the methods, or occurs twice in one.
        """
        tables = [{(seed, episode): (user, score) for seed, episode, user, score in rows} for rows in methods]
        if any(len(table) != len(rows) for table, rows in zip(tables, methods, strict=True)):
            raise ConfigurationError("an episode occurs twice within one method; pairs need each (seed, episode) once")
        unpaired = sorted(set().union(*tables) - set(tables[0]).intersection(*tables[1:]), key=str)
        if unpaired:
            raise ConfigurationError(
                f"{len(unpaired)} episodes are not in all methods, such as (seed, episode) = {unpaired[0]}"
            )
        keys = list(tables[0])
        scores = np.array([[table[key][1] for key in keys] for table in tables], dtype=np.float64)
        return cls(scores, [key[0] for key in keys], [tables[0][key][0] for key in keys])


def shared(*methods: Keyed) -> tuple[Keyed, ...]:
    """The scores of several methods on the episodes that all of them share; searches may only have run on some.

    Raises:
        ConfigurationError: There is no such episode.
    """
    common = set.intersection(*({row[:2] for row in rows} for rows in methods))
    if not common:
        raise ConfigurationError("there is no episode that all of these methods share")
    return tuple([row for row in rows if row[:2] in common] for rows in methods)


def paired_difference(
    first: Keyed,
    second: Keyed,
    rng: np.random.Generator,
    **options: Any,  # noqa: ANN401 - those of bootstrap
) -> Interval:
    """Mean of `first - second` over the same episodes; errors as in `Paired.of`."""
    pairs = Paired.of(first, second)
    return bootstrap(pairs.scores[0] - pairs.scores[1], pairs.seeds, pairs.users, rng, **options)


def probability_of_improvement(
    first: Keyed,
    second: Keyed,
    rng: np.random.Generator,
    **options: Any,  # noqa: ANN401 - those of bootstrap
) -> Interval:
    """Share of the episodes on which `first` scores more than `second`; a tie counts half."""
    pairs = Paired.of(first, second)
    wins = (np.sign(pairs.scores[0] - pairs.scores[1]) + 1) / 2
    return bootstrap(wins, pairs.seeds, pairs.users, rng, **options)


def normalised(
    method: Keyed,
    top: Keyed,
    rng: np.random.Generator,
    *,
    bottom: Keyed | None = None,
    replicates: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Position of a method between `bottom` (0) and `top` (1): the ratio of two paired mean differences.

    Args:
        method: Scores of the method.
        top: Scores of the method at 1, such as an oracle, on the same episodes.
        rng: Draws the replicates, the same ones for both means.
        bottom: Scores of the method at 0, such as the uniform policy; without it, 0 is a score of 0.
        replicates: Number of replicates.
        level: Share of the replicates inside the interval.

    Returns:
        The ratio. An end of its interval is infinite if `top` is not above `bottom` in too many replicates.

    Raises:
        ConfigurationError: The episodes differ, or `top` is not above `bottom`.
    """
    pairs = Paired.of(method, top, *([bottom] if bottom is not None else []))
    base = pairs.scores[2] if bottom is not None else np.zeros(pairs.scores.shape[1])
    way, whole = pairs.scores[0] - base, pairs.scores[1] - base
    if not whole.mean() > 0:
        raise ConfigurationError(
            f"the top of a normalised score must be above its bottom; they are {whole.mean():.4g} apart"
        )
    weights = draw_weights(whole, pairs.seeds, pairs.users, rng, replicates)
    above, below = weighted_mean(way, weights), weighted_mean(whole, weights)
    unbounded = np.where(np.arange(len(below)) % 2, np.inf, -np.inf)  # such replicates bound neither side
    drawn = np.where(below > 0, above / np.where(below > 0, below, 1.0), unbounded)
    return percentiles(float(way.mean() / whole.mean()), drawn, level)


def performance_profile(
    values: ArrayLike,
    thresholds: ArrayLike,
    seeds: ArrayLike,
    users: Sequence[Any] | NDArray[Any],
    rng: np.random.Generator,
    *,
    replicates: int = 2000,
    level: float = 0.95,
) -> list[Interval]:
    """Share of the episodes that score above each threshold, with pointwise intervals (R. Agarwal et al., 2021)."""
    array = check_values(values)
    weights = draw_weights(array, seeds, users, rng, replicates)
    found = []
    for threshold in check_values(thresholds):
        above = (array > threshold).astype(np.float64)
        found.append(percentiles(float(above.mean()), weighted_mean(above, weights), level))
    return found


def draw_weights(
    values: Floats, seeds: ArrayLike, users: Sequence[Any] | NDArray[Any], rng: np.random.Generator, replicates: int
) -> Floats:
    """Weight of each episode in each replicate, `[replicates, m]`: the count of its seed times that of its user.

    Raises:
        ConfigurationError: Lengths differ.
    """
    seed_ids = np.unique(np.asarray(seeds), return_inverse=True)[1].ravel()
    user_ids = np.unique(np.asarray(users), return_inverse=True)[1].ravel()
    if not len(values) == len(seed_ids) == len(user_ids):
        raise ConfigurationError(f"{len(values)} values, {len(seed_ids)} seeds, {len(user_ids)} users: give one each")
    seed_counts = counts(int(seed_ids.max()) + 1, rng, replicates)
    user_counts = counts(int(user_ids.max()) + 1, rng, replicates)
    weights = (seed_counts[:, seed_ids] * user_counts[:, user_ids]).astype(np.float64)
    used: Floats = weights[weights.sum(axis=1) > 0]  # the drawn users may not occur with the drawn seeds
    return used


def counts(size: int, rng: np.random.Generator, replicates: int) -> NDArray[np.int64]:
    """Counts of `size` things in `size` draws with replacement, `[replicates, size]`."""
    return rng.multinomial(size, np.full(size, 1 / size), size=replicates)


def check_values(values: ArrayLike) -> Floats:
    """Scores as a float array `[m]`, finite and at least one."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ConfigurationError(f"scores should be one list with at least one number, got the shape {array.shape}")
    if not np.isfinite(array).all():
        raise ConfigurationError(f"score {int(np.argmin(np.isfinite(array)))} is {array[~np.isfinite(array)][0]}")
    return array
