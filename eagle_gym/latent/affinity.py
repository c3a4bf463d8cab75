"""Affinities: how much a user would like a point of Z, standardised over the catalog for that user.

An affinity is absolute or personal, which subtracts what the train users would like of the same text on average. It
comes from the user's single taste vector or from several interests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from eagle_gym.latent.geometry import dot, norms, spread
from eagle_gym.latent.interests import Interests, fallen, kernels, soft_maximum
from eagle_gym.latent.space import LatentSpace

Floats = NDArray[np.float64]
Rows = NDArray[np.integer]

NO_TASTE: Final = 1e-9  # smallest difference from the mean taste that counts, as a share of its length
CROWD: Final = 128  # train users whose mean a personal affinity subtracts, evenly spaced
STANDARD: Final = 10_000  # items over which interests are standardised, evenly spaced
TILE: Final = 16  # points at which the crowd is computed at a time
REMEMBERED: Final = 65_536  # users whose interests are kept at hand


class Affinity(Protocol):
    """Says how much users would like points of Z."""

    def __call__(self, z: Floats, users: Rows) -> Floats:
        """Affinities of points.

        Args:
            z: [B, n].
            users: The users' rows in `LatentSpace.users`, [B].

        Returns:
            [B]; over the catalog's items, a user's affinities have mean 0 and deviation 1. Entry i depends only on the
            i-th point and user.
        """
        ...


@dataclass(frozen=True, eq=False)
class TasteAffinity:
    """⟨z, taste - centre⟩ / ‖taste - centre‖: Z is white, so this is a predicted rating, standardised over the catalog.

    Users whose taste is the centre have affinity 0.

    Attributes:
        tastes: The users' tastes, [U, n].
        centre: What is subtracted from a taste: 0 if affinity is absolute, the mean train user's taste if it is
            personal. Then this is the predicted rating minus the mean train user's. [n].
    """

    tastes: Floats
    centre: Floats

    def __call__(self, z: Floats, users: Rows) -> Floats:
        """See `Affinity`."""
        direction = self.tastes[users] - self.centre
        strength = norms(direction)
        known = strength > NO_TASTE * norms(self.centre[None])
        affinity: Floats = dot(z, direction) / np.where(known, strength, np.inf)
        return affinity


class InterestAffinity:
    """A soft maximum over the user's interests, standardised over the catalog.

    It is log Σ_k w_k exp(10 e_k) / 10, where e_k falls from 1 with the distance to c_k (see `fallen`), and so between 0
    and 1 before it is standardised. If it is personal, the mean of the same over at most 128 train users is subtracted.

    Args:
        space: The latent space.
        interests: The interests of its users.
        width: How far an interest reaches, in units of Z.
        crowd: Rows of the train users whose mean is subtracted; none if affinity is absolute.
        kernel: How the worth of an interest falls with distance, one of `KERNELS`.
    """

    def __init__(
        self, space: LatentSpace, interests: Interests, width: float, crowd: Rows, kernel: str = "gaussian"
    ) -> None:
        self._interests, self._width, self._kernel = interests, width, kernel
        self._crowd = Crowd.of(interests, crowd[spread(len(crowd), CROWD)], width, kernel)
        self._items = space.items[spread(len(space.items), STANDARD)]
        self._crowd_of_items = self._crowd(self._items)
        self._known = lru_cache(REMEMBERED)(self._person)

    def __call__(self, z: Floats, users: Rows) -> Floats:
        """See `Affinity`."""
        people, lengths = [], []
        for rows in runs(users):
            people.append(self._known(int(users[rows.start])))
            lengths.append(rows.stop - rows.start)
        if not people:
            return np.zeros(0)
        centres, weights, mean, deviation = (
            np.repeat(np.stack(column), lengths, axis=0) for column in zip(*people, strict=True)
        )
        raw = soft_maximum(kernels(z, centres, self._width, self._kernel), weights.T) - self._crowd(z)
        affinity: Floats = (raw - mean) / deviation
        return affinity

    def _person(self, user: int) -> tuple[Floats, Floats, Floats, Floats]:
        """Centres [m, n] and weights [m] of a user, and mean and deviation over the catalog."""
        centres, weights = self._interests.centres[user], self._interests.weights[user]
        near = kernels(self._items, centres[None], self._width, self._kernel)
        raw = soft_maximum(near, weights[:, None]) - self._crowd_of_items
        deviation = raw.std()
        return centres, weights, raw.mean(), np.where(deviation > NO_TASTE, deviation, 1.0)


@dataclass(frozen=True, eq=False)
class Crowd:
    """The mean of some users' soft maxima.

    Attributes:
        centres: Those of all these users, interest by interest, [n, m * C].
        weights: [m, C].
        width: How far an interest reaches.
        kernel: How its worth falls with distance.
    """

    centres: Floats
    weights: Floats
    width: float
    kernel: str

    @classmethod
    def of(cls, interests: Interests, rows: NDArray[np.integer], width: float, kernel: str) -> Crowd:
        """The crowd of these users."""
        centres = interests.centres[rows].transpose(2, 1, 0)  # [n, m, C]
        return cls(centres.reshape(len(centres), -1), np.ascontiguousarray(interests.weights[rows].T), width, kernel)

    def __call__(self, z: Floats) -> Floats:
        """The mean at points [B, n], [B]; 0 if there is nobody."""
        if not self.weights.size:
            return np.zeros(len(z))
        tiles = [self._mean(z[start : start + TILE]) for start in range(0, len(z), TILE)]
        return np.concatenate(tiles) if tiles else np.zeros(0)

    def _mean(self, z: Floats) -> Floats:
        """The mean at a few points: what is computed on the way stays in the processor's cache."""
        interests, people = self.weights.shape
        far, step = np.zeros((len(z), self.centres.shape[1])), np.empty((len(z), self.centres.shape[1]))
        for x, centre in zip(z.T, self.centres, strict=True):
            np.subtract(x[:, None], centre, out=step)
            np.multiply(step, step, out=step)
            far += step
        near = fallen(far, self.width, self.kernel).reshape(len(z), interests, people)
        mean: Floats = soft_maximum(np.swapaxes(near, 0, 1), self.weights[:, None]).mean(axis=1)
        return mean


def runs(users: Rows) -> Iterator[slice]:
    """Slices of equal neighbouring users."""
    if not len(users):
        return
    edges = np.flatnonzero(users[1:] != users[:-1]) + 1
    yield from map(slice, [0, *edges.tolist()], [*edges.tolist(), len(users)])
