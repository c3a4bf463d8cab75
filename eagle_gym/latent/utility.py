"""Utilities: how good a point of Z is for a user. Rewards are differences of utility."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from eagle_gym.catalog import Catalog, Split, split_catalog
from eagle_gym.errors import ConfigurationError
from eagle_gym.factories import find_factory
from eagle_gym.latent.affinity import Affinity, InterestAffinity, TasteAffinity, runs
from eagle_gym.latent.geometry import dot, norms, spread
from eagle_gym.latent.interests import KERNELS, Interests, fit_interests
from eagle_gym.latent.nearest import EXACT_ITEMS, Index, make_nearest
from eagle_gym.latent.space import LatentSpace

Floats = NDArray[np.float64]
Rows = NDArray[np.integer]
FitInterests = Callable[[Catalog, Split, LatentSpace, int], Interests]

METRICS: Mapping[str, float] = MappingProxyType({"euclidean": 2.0, "cityblock": 1.0, "chebyshev": np.inf})
AFFINITIES: Final = ("absolute", "personal")
CAP = 0.95  # quantile of the catalog's own novelty at which novelty is capped
REMEMBERED = 1024  # most users whose predicted ratings of the catalog are kept
MEMORY = 2**27  # most bytes that these take


@dataclass(frozen=True, eq=False)
class UtilityParts:
    """Utility and its parts, each [B].

    Attributes:
        total: The utility.
        affinity: How much the user would like the text, standardised over the catalog for that user.
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

    def __call__(self, z: Floats, users: Rows, exclude: Rows) -> UtilityParts:
        """Utility of points.

        Args:
            z: [B, n].
            users: The users' rows in `LatentSpace.users`, [B].
            exclude: Row of the item that does not count as part of the catalog, -1 for none, [B].

        Returns:
            Parts, each [B]; entry i depends only on the i-th point, user and exclusion.
        """
        ...


class ContentGap:
    """Affinity + weight · novelty: high where a user would be well served and the catalog has a gap.

    Affinity is how much the user would like the text, standardised over the catalog for that user (see `affinity`). By
    default it is ⟨z, taste⟩ / ‖taste‖, the predicted rating. A personal affinity is the predicted rating minus the mean
    train user's. With several interests, affinity is high near any one of several centres (see `interests`).
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
        affinity: "absolute", or "personal" to subtract the mean train user's.
        interests: Number of interests of a user; 1 is the single taste vector.
        width: How far an interest reaches, in standard deviations of Z. Not used where `interests` is 1.
        kernel: How the worth of an interest falls with distance: "gaussian" never ends, "compact" ends at twice the
            width, so that greed finds no interest that is further away. Not used where `interests` is 1.
        catalog: Where the space comes from. Needed for personal affinity and for interests.
        split: Its split; by default `split_catalog(catalog)`.
        fit: Finds the interests of all users.

    Attributes:
        interests: The interests of the users, None if there is one each.

    Raises:
        ConfigurationError: An argument is out of range: the metric, the index or the affinity is unknown, the weight is
            not finite, `neighbours` is below 1 or not below the number of items, `interests` is below 1, `width` is not
            positive, the kernel is unknown, or the catalog is missing.
        PreparationError: FAISS is needed and not installed.
    """

    def __init__(
        self,
        space: LatentSpace,
        weight: float = 1.0,
        neighbours: int = 10,
        metric: str = "euclidean",
        index: Index = "auto",
        *,
        affinity: str = "absolute",
        interests: int = 1,
        width: float = 1.5,
        kernel: str = "gaussian",
        catalog: Catalog | None = None,
        split: Split | None = None,
        fit: FitInterests = fit_interests,
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
        _check_affinity(affinity, interests, width, kernel)
        self.weight, self.neighbours, self.metric = float(weight), int(neighbours), metric
        self._nearest = make_nearest(space.items, index, METRICS[metric])
        sample = spread(len(space.items), EXACT_ITEMS)
        own = self.distance(space.items[sample], sample, workers=-1)
        self.cap = float(np.quantile(own, CAP))
        capped = np.minimum(own, self.cap)
        self.mean, self.std = float(capped.mean()), max(float(capped.std()), 1e-9)
        self._catalog = np.ascontiguousarray(space.items[sample].T)  # [n, I]: a dimension at a time is read
        self._tastes = space.users[:, :-1]
        self._scores = lru_cache(min(REMEMBERED, max(1, MEMORY // (8 * len(sample)))))(self._catalog_scores)
        self.interests: Interests | None = None
        self._affinity: Affinity = TasteAffinity(self._tastes, np.zeros(space.dim))
        if affinity == "personal" or interests > 1:
            self._specialise(space, catalog, split, affinity == "personal", interests, width, kernel, fit)

    def _specialise(
        self,
        space: LatentSpace,
        catalog: Catalog | None,
        split: Split | None,
        personal: bool,
        interests: int,
        width: float,
        kernel: str,
        fit: FitInterests,
    ) -> None:
        """Replace the absolute affinity of a single taste by one that needs the users of the catalog."""
        if catalog is None:
            raise ConfigurationError("affinity='personal' and interests above 1 need the catalog: pass catalog=catalog")
        split = split or split_catalog(catalog)
        crowd = split.train_users[: None if personal else 0]
        if interests == 1:
            self._affinity = TasteAffinity(self._tastes, self._tastes[crowd].mean(axis=0))
        else:
            self.interests = fit(catalog, split, space, interests)
            self._affinity = InterestAffinity(space, self.interests, width, crowd, kernel)

    def __call__(self, z: Floats, users: Rows, exclude: Rows) -> UtilityParts:
        """Utility of points z [B, n] for users [B], each without one item (-1: none); parts are [B].

        Raises:
            ConfigurationError: `users` are not rows of the space's users.
        """
        check_users(users, len(self._tastes))
        affinity = self._affinity(z, users)
        novelty = (np.minimum(self.distance(z, exclude), self.cap) - self.mean) / self.std
        return UtilityParts(affinity + self.weight * novelty, affinity, novelty, self._percentile(z, users))

    def distance(self, z: Floats, exclude: Rows, *, workers: int = 1) -> Floats:
        """Mean distance of points [B, n] to their nearest items, each without one item (-1: none): [B]."""
        near, rows = self._nearest.query(z, self.neighbours + 1, workers=workers)
        total = np.zeros(len(z))
        taken = np.zeros(len(z), dtype=np.int64)
        for column in range(self.neighbours + 1):  # one column at a time: sums in one order whatever the batch
            use = (rows[:, column] != exclude) & (taken < self.neighbours)
            total += np.where(use, near[:, column], 0.0)
            taken += use
        return total / self.neighbours

    def _percentile(self, z: Floats, users: Rows) -> Floats:
        score = dot(z, self._tastes[users])
        result: Floats = np.empty(len(score))
        for rows in runs(users):
            scores, own = self._scores(int(users[rows.start])), score[rows]
            result[rows] = scores.searchsorted(own, "left") + scores.searchsorted(own, "right")
        result *= 50.0
        result /= self._catalog.shape[1]
        return result

    def _catalog_scores(self, user: int) -> Floats:
        """⟨item, taste⟩ of all items [I], ascending; each is summed in the same order as in `dot`."""
        total = np.zeros(self._catalog.shape[1])
        for values, weight in zip(self._catalog, self._tastes[user], strict=True):
            total += values * weight
        total.sort()
        return total


def check_users(users: Rows, count: int) -> None:
    """Check that users are given by their rows.

    Raises:
        ConfigurationError: They are not a flat array of integers from 0 to `count` - 1.
    """
    rows = np.asarray(users)
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise ConfigurationError(
            f"expected users as their rows in the latent space, integers [B], got {rows.dtype} of shape {rows.shape}"
        )
    unknown = rows[(rows < 0) | (rows >= count)]
    if len(unknown):
        raise ConfigurationError(f"expected users as rows of the latent space, 0 to {count - 1}, got {unknown[0]}")


def _check_affinity(affinity: str, interests: int, width: float, kernel: str) -> None:
    if affinity not in AFFINITIES:
        raise ConfigurationError(f"affinity must be one of {', '.join(AFFINITIES)}, got {affinity!r}")
    if isinstance(interests, bool) or interests != int(interests) or interests < 1:
        raise ConfigurationError(f"interests must be a whole number of at least 1, got {interests!r}")
    if not 0 < width < np.inf:
        raise ConfigurationError(f"width must be a positive number, got {width!r}")
    if kernel not in KERNELS:
        raise ConfigurationError(f"kernel must be one of {', '.join(KERNELS)}, got {kernel!r}")


@dataclass(frozen=True, eq=False)
class PricedParts:
    """A utility with its parts, less the prices of an environment.

    Attributes:
        parts: What the utility returned, each part [B].
        drift: Price of the distance to the start, [B].
        cost: Price of the steps taken, [B].
        total: The utility's total less both prices, [B].
    """

    parts: UtilityParts
    drift: Floats
    cost: Floats
    total: Floats

    def rows(self) -> list[dict[str, float]]:
        """All parts by name, [B]: those of the utility, `drift` and `cost`."""
        columns = {part.name: getattr(self.parts, part.name) for part in fields(self.parts)}
        columns |= {"total": self.total, "drift": self.drift, "cost": self.cost}
        return [dict(zip(columns, row, strict=True)) for row in np.stack(list(columns.values()), 1).tolist()]


@dataclass(frozen=True, eq=False)
class Priced:
    """What an environment rewards: total_t = U(z_t) - drift_penalty · ‖z_t - z_0‖ - edit_cost · t.

    Attributes:
        utility: U, any utility.
        drift_penalty: Price of a unit of distance in Z between a text and the first text of its episode.
        edit_cost: Price of a step.
    """

    utility: Utility
    drift_penalty: float = 0.0
    edit_cost: float = 0.0

    def __call__(
        self,
        z: Floats,
        users: Rows,
        exclude: Rows,
        starts: Floats,
        steps: Rows,
    ) -> PricedParts:
        """Score points of episodes.

        Args:
            z: [B, n].
            users: The users' rows in `LatentSpace.users`, [B].
            exclude: Row of the item that does not count as part of the catalog, -1 for none, [B].
            starts: Embeddings of the episodes' first texts, [B, n].
            steps: Steps taken, [B].
        """
        parts = self.utility(z, users, exclude)
        drift = self.drift_penalty * norms(z - starts)
        cost = self.edit_cost * np.asarray(steps, np.float64)
        return PricedParts(parts, drift, cost, parts.total - drift - cost)

    def anchored(self, start: Floats) -> Utility:
        """The utility less the price of drift, as a utility of the points of one episode that began at `start` [n]."""

        def utility(z: Floats, users: Rows, exclude: Rows) -> UtilityParts:
            scored = self(z, users, exclude, np.tile(start, (len(z), 1)), np.zeros(len(z), np.int64))
            return replace(scored.parts, total=scored.total)

        return utility


def make_utility(
    spec: str | None,
    space: LatentSpace,
    catalog: Catalog,
    split: Split | None = None,
    fit: FitInterests = fit_interests,
    /,
    **kwargs: object,
) -> Utility:
    """A utility by name.

    Args:
        spec: None for `ContentGap`, or "module:factory"; a factory is called as `factory(space, catalog, **kwargs)`.
        space: The latent space.
        catalog: The catalog.
        split: Its split, for `ContentGap`; by default `split_catalog(catalog)`.
        fit: Finds the interests of all users, for `ContentGap`.
        **kwargs: Arguments of the factory, or of `ContentGap`.

    Raises:
        ConfigurationError: The factory cannot be found, does not take these arguments, or does not return a callable.
    """
    try:
        made = (
            find_factory(spec, "utility")(space, catalog, **kwargs)
            if spec
            else _content_gap(space, catalog, split, fit, **kwargs)
        )
    except TypeError as error:
        raise ConfigurationError(f"utility {spec or 'ContentGap'} cannot be made with {kwargs!r}: {error}") from error
    if not callable(made):
        raise ConfigurationError(f"utility {spec} must make something callable, got {type(made).__name__}")
    return cast(Utility, made)


def _content_gap(
    space: LatentSpace,
    catalog: Catalog,
    split: Split | None,
    fit: FitInterests,
    **kwargs: Any,  # noqa: ANN401 JSON values
) -> ContentGap:
    return ContentGap(space, catalog=catalog, split=split, fit=fit, **kwargs)
