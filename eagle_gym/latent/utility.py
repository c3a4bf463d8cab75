"""Utilities: how good a point of Z is for a user. Rewards are differences of utility."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from eagle_gym.catalog import Catalog
from eagle_gym.errors import ConfigurationError
from eagle_gym.factories import find_factory
from eagle_gym.latent.geometry import norms
from eagle_gym.latent.nearest import EXACT_ITEMS, Index, make_nearest
from eagle_gym.latent.space import LatentSpace

Floats = NDArray[np.float64]

METRICS: Mapping[str, float] = MappingProxyType({"euclidean": 2.0, "cityblock": 1.0, "chebyshev": np.inf})
CAP = 0.95  # quantile of the catalog's own novelty at which novelty is capped
REMEMBERED = 1024  # most users whose predicted ratings of the catalog are kept
MEMORY = 2**27  # most bytes that these take


@dataclass(frozen=True, eq=False)
class UtilityParts:
    """Utility and its parts, each [B].

    Attributes:
        total: The utility.
        affinity: Predicted rating, standardised over the catalog for that user.
        novelty: Distance to the nearest items, standardised over the catalog.
        percentile: Share of the catalog's items with a lower predicted rating for that user, 0 to 100; ties count half.
            In larger catalogs it is taken over 100,000 evenly spaced items.
    """

    total: Floats
    affinity: Floats
    novelty: Floats
    percentile: Floats


class Utility(Protocol):
    """Scores points of Z for users."""

    def __call__(self, z: Floats, users: Floats, exclude: NDArray[np.integer]) -> UtilityParts:
        """Utility of points.

        Args:
            z: [B, n].
            users: Rows of `LatentSpace.users`, [B, n + 1].
            exclude: Row of the item that does not count as part of the catalog, -1 for none, [B].

        Returns:
            Parts, each [B]; entry i depends only on the i-th point, user and exclusion.
        """
        ...


class ContentGap:
    """Affinity + weight · novelty: high where a user would be well served and the catalog has a gap.

    Affinity is ⟨z, taste⟩ / ‖taste‖: as Z is white, this is the predicted rating, standardised over the catalog.
    Novelty is the mean distance to the nearest items of the catalog. It is capped at the 95 % quantile of the catalog's
    own novelty (each item's distance to the others), and standardised by the mean and deviation of that.

    Nearest items are found exactly in catalogs of up to 100,000 items and by FAISS in larger ones (see `nearest`),
    whose own novelty is taken over 100,000 evenly spaced items.

    Args:
        space: The latent space with its items.
        weight: Weight of novelty, λ.
        neighbours: Number of nearest items, k.
        metric: "euclidean", "cityblock" or "chebyshev".
        index: "exact", "faiss" or "auto".

    Raises:
        ConfigurationError: The metric or the index is unknown, the weight is not finite, or `neighbours` is below 1 or
            not below the number of items.
        PreparationError: FAISS is needed and not installed.
    """

    def __init__(
        self,
        space: LatentSpace,
        weight: float = 1.0,
        neighbours: int = 10,
        metric: str = "euclidean",
        index: Index = "auto",
    ) -> None:
        if metric not in METRICS:
            raise ConfigurationError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}")
        if not np.isfinite(weight):
            raise ConfigurationError(f"weight must be a finite number, got {weight!r}")
        if neighbours != int(neighbours) or not 1 <= neighbours < len(space.items):
            raise ConfigurationError(
                f"neighbours must be a whole number from 1 to {len(space.items) - 1}, fewer than there are items, "
                f"got {neighbours!r}"
            )
        self.weight, self.neighbours, self.metric = float(weight), int(neighbours), metric
        self._nearest = make_nearest(space.items, index, METRICS[metric])
        sample = spread(len(space.items), EXACT_ITEMS)
        own = self.distance(space.items[sample], sample, workers=-1)
        self.cap = float(np.quantile(own, CAP))
        capped = np.minimum(own, self.cap)
        self.mean, self.std = float(capped.mean()), max(float(capped.std()), 1e-9)
        self._catalog = np.ascontiguousarray(space.items[sample].T)  # [n, I]: a dimension at a time is read
        self._scores = lru_cache(min(REMEMBERED, max(1, MEMORY // (8 * len(sample)))))(self._catalog_scores)

    def __call__(self, z: Floats, users: Floats, exclude: NDArray[np.integer]) -> UtilityParts:
        """Utility of points z [B, n] for users [B, n + 1], each without one item (-1: none); parts are [B]."""
        score = dot(z, users[:, :-1])
        strength = norms(users[:, :-1])
        affinity = score / np.where(strength > 0, strength, 1.0)
        novelty = (np.minimum(self.distance(z, exclude), self.cap) - self.mean) / self.std
        return UtilityParts(affinity + self.weight * novelty, affinity, novelty, self._percentile(score, users))

    def distance(self, z: Floats, exclude: NDArray[np.integer], *, workers: int = 1) -> Floats:
        """Mean distance of points [B, n] to their nearest items, each without one item (-1: none): [B]."""
        near, rows = self._nearest.query(z, self.neighbours + 1, workers=workers)
        total = np.zeros(len(z))
        taken = np.zeros(len(z), dtype=np.int64)
        for column in range(self.neighbours + 1):  # one column at a time: sums in one order whatever the batch
            use = (rows[:, column] != exclude) & (taken < self.neighbours)
            total += np.where(use, near[:, column], 0.0)
            taken += use
        return total / self.neighbours

    def _percentile(self, score: Floats, users: Floats) -> Floats:
        result = np.empty(len(score))
        for row, (value, taste) in enumerate(zip(score, users[:, :-1], strict=True)):
            scores = self._scores(taste.tobytes())
            # Counted, not searched in sorted scores: sorting costs more than all the counting of an episode.
            below, upto = np.count_nonzero(scores < value), np.count_nonzero(scores <= value)
            result[row] = 50.0 * (below + upto) / len(scores)
        return result

    def _catalog_scores(self, taste: bytes) -> Floats:
        """⟨item, taste⟩ of all items [I], summed in the same order as in `dot`."""
        total = np.zeros(self._catalog.shape[1])
        for values, weight in zip(self._catalog, np.frombuffer(taste), strict=True):
            total += values * weight
        return total


def spread(count: int, most: int) -> NDArray[np.intp]:
    """Indices of `count` rows, or of `most` of them, evenly spaced."""
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).astype(np.intp)


def dot(a: Floats, b: Floats) -> Floats:
    """Inner products of rows, [B], summed in the order of the columns whatever the shape."""
    total = np.zeros(len(a))
    for column in range(a.shape[1]):
        total += a[:, column] * b[:, column]
    return total


def make_utility(spec: str | None, space: LatentSpace, catalog: Catalog, **kwargs: object) -> Utility:
    """A utility by name.

    Args:
        spec: None for `ContentGap`, or "module:factory"; a factory is called as `factory(space, catalog, **kwargs)`.
        space: The latent space.
        catalog: The catalog.
        **kwargs: Arguments of the factory, or of `ContentGap`.

    Raises:
        ConfigurationError: The factory cannot be found, does not take these arguments, or does not return a callable.
    """
    try:
        made = (find_factory(spec, "utility") if spec else _content_gap)(space, catalog, **kwargs)
    except TypeError as error:
        raise ConfigurationError(f"utility {spec or 'ContentGap'} cannot be made with {kwargs!r}: {error}") from error
    if not callable(made):
        raise ConfigurationError(f"utility {spec} must make something callable, got {type(made).__name__}")
    return cast(Utility, made)


def _content_gap(space: LatentSpace, catalog: Catalog, **kwargs: Any) -> ContentGap:  # noqa: ANN401 JSON values
    return ContentGap(space, **kwargs)
