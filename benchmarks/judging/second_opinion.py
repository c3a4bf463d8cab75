"""The judge that has a latent space of its own, fitted on ratings that the environment never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eagle_gym.catalog import Catalog, Split
from eagle_gym.latent import ColdStart, SpaceParameters, cold_start_report, cross_validate, fit_space
from eagle_gym.latent.quality import restrict

Floats = NDArray[np.float64]

# Parameters that it may choose from, by validation: it has few ratings.
SECOND = tuple(SpaceParameters(dim=dim, encoder_ridge=ridge) for dim in (2, 4, 8) for ridge in (30.0, 300.0))


class SecondOpinion:
    """A latent space fitted only on the judge halves: ratings that neither the environment's space nor a profile saw.

    Attributes:
        space: The space.
        quality: How well it predicts ratings of held-out items, by the judge halves.

    Args:
        catalog: Items, users and ratings.
        split: Tells which ratings are the judge's.

    Raises:
        PreparationError: The judge has too few ratings to fit a space.
    """

    def __init__(self, catalog: Catalog, split: Split) -> None:
        everything = np.arange(len(catalog.items))
        (self._catalog, parts), _ = restrict(catalog, split, split.judge, everything)
        # The judge has no other ratings: all of its users are train users, and all ratings are support.
        both = np.sort(np.concatenate([parts.train_users, parts.test_users]))
        own = replace(
            parts,
            train_users=both,
            test_users=both[:0],
            support=np.ones(len(parts.support), np.bool_),
            judge=np.zeros(len(parts.judge), np.bool_),
        )
        self.quality: ColdStart = cold_start_report(self._catalog, own, choices=SECOND).errors["all"]
        gains = cross_validate(self._catalog, own, SECOND)
        self.space = fit_space(self._catalog, own, SECOND[int(np.argmax(gains))])

    def standard(self, users: Sequence[str], texts: Sequence[str]) -> Floats:
        """Predicted ratings in standard deviations of the user's predictions over the catalog, [B].

        Raises:
            ConfigurationError: The judge has no ratings of a user, such as a train user.
        """
        rows = [self._catalog.user_index(user) for user in users]
        ratings: Floats = np.sum(self.space.encoder.encode(texts) * self._directions(rows), axis=1)
        return ratings

    def panel(self, users: Sequence[str], texts: Sequence[str]) -> Floats:
        """`standard` of all texts by all users, [U, B].

        Raises:
            ConfigurationError: As `standard`.
        """
        rows = [self._catalog.user_index(user) for user in users]
        ratings: Floats = self._directions(rows) @ self.space.encoder.encode(texts).T
        return ratings

    @property
    def users(self) -> tuple[str, ...]:
        """Ids of the users whose ratings the judge has."""
        return tuple(self._catalog.users)

    def _directions(self, rows: Sequence[int]) -> Floats:
        tastes = self.space.users[rows, :-1]
        norms = np.linalg.norm(tastes, axis=1, keepdims=True)
        directions: Floats = tastes / np.where(norms > 0, norms, 1.0)
        return directions
