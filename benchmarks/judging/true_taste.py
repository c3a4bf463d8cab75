"""The judge that knows the hidden tastes behind the ratings of Plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.judging.measures import correlation
from eagle_gym import plot_english
from eagle_gym.catalog import Catalog, plots_world
from eagle_gym.errors import ConfigurationError
from eagle_gym.latent import LatentSpace

Floats = NDArray[np.float64]

UNSEEN_SEED = 5  # seed of the texts on which predicted and true tastes are compared; the catalog has plots_world.SEED


class TrueTaste:
    """The tastes behind the ratings of Plots. No other module of this repository may import them.

    Args:
        catalog: The embedded catalog.

    Raises:
        ConfigurationError: It is a different catalog; the true tastes of real users are unknown.
    """

    def __init__(self, catalog: Catalog) -> None:
        world = plots_world.make_world()
        if catalog.hash != world.catalog.hash:
            raise ConfigurationError(f"true tastes are only known for the catalog 'plots', got {catalog.name!r}")
        self._catalog, self._tastes = catalog, world.tastes

    def rate(self, users: Sequence[str], texts: Sequence[str]) -> Floats:
        """True ratings of texts, [B]; of a badly formed text, by the attributes that it names."""
        rows = [self._catalog.user_index(user) for user in users]
        return self._tastes.rate_films(rows, [plot_english.read(text) for text in texts])

    def rate_all(self, users: NDArray[np.integer], texts: Sequence[str]) -> Floats:
        """True ratings of all texts by all users, given by their rows, [U, B]."""
        return self._tastes.rate_all(users, [plot_english.read(text) for text in texts])

    def standard(self, users: Sequence[str], texts: Sequence[str]) -> Floats:
        """True ratings in standard deviations of the user's ratings of the catalog, as the rewarded affinity, [B]."""
        ratings: Floats = self.rate(users, texts) / self._spread[[self._catalog.user_index(user) for user in users]]
        return ratings

    def panel(self, users: Sequence[str], texts: Sequence[str]) -> Floats:
        """`standard` of all texts by all users, [U, B]."""
        rows = np.array([self._catalog.user_index(user) for user in users])
        ratings: Floats = self.rate_all(rows, texts) / self._spread[rows][:, None]
        return ratings

    @cached_property
    def _spread(self) -> Floats:
        """Standard deviation of each user's true ratings of the catalog, [users]."""
        spread: Floats = self.rate_all(np.arange(len(self._catalog.users)), self._catalog.texts).std(axis=1)
        return spread


def unseen_texts(catalog: Catalog, count: int) -> list[str]:
    """Texts made like those of Plots with a different seed, without those that are in the catalog."""
    made = plots_world.make_world(UNSEEN_SEED, films=count, users=2).catalog.texts
    return [text for text in made if text not in set(catalog.texts)]


@dataclass(frozen=True)
class Agreement:
    """Correlation of predicted with true ratings over unseen texts.

    Attributes:
        mean: Mean of the users' correlations.
        low: Their 10 % quantile.
        pooled: Correlation of all users' ratings together.
        users: Number of users.
    """

    mean: float
    low: float
    pooled: float
    users: int


def agreement(
    judge: TrueTaste, catalog: Catalog, space: LatentSpace, users: NDArray[np.integer], texts: int
) -> Agreement:
    """Agreement between a space and the true tastes on texts that the space never saw.

    Args:
        judge: The true tastes.
        catalog: Catalog whose texts are left out.
        space: The latent space.
        users: Rows of the users.
        texts: Number of texts.
    """
    unseen = unseen_texts(catalog, texts)
    z = space.encoder.encode(unseen)
    predicted = np.array([space.predict(z, np.tile(space.users[user], (len(z), 1))) for user in users])
    true = judge.rate_all(users, unseen)
    own = [correlation(one, other) for one, other in zip(predicted, true, strict=True)]
    pooled = correlation(predicted.ravel(), true.ravel())
    return Agreement(float(np.mean(own)), float(np.quantile(own, 0.1)), pooled, len(users))
