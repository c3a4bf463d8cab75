"""A user's taste as several interests: centres of the items that the user liked.

One taste vector says that a user likes the more the better of one direction of Z. A user with several interests likes
a text that is near any one of several centres. The centres of a user are fitted by weighted k-means to the user's
liked items: those rated above the user's own mean and above the middle of the scale, in the support ratings of the
split. An item counts as much as its rating exceeds the mean. No user's ratings affect the centres of another.

A user with fewer different liked items than centres has one centre at each of them. The centres that are left lie where
the single taste vector points, and together count as much as one average liked item. So a user without liked items has
all centres there.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from eagle_gym.catalog import Catalog, Split
from eagle_gym.latent.geometry import norms
from eagle_gym.latent.space import LatentSpace

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SWEEPS: Final = 10  # of k-means
MOST_LIKED: Final = 256  # liked items of a user that are read, evenly spaced
BLOCK: Final = 16_384  # liked items that are clustered at a time, so few that the processor's cache holds them
TYPICAL: Final = 1.75  # mean of the highest tenth of a standard normal variable
SHARPNESS: Final = 10.0  # of the soft maximum
KERNELS: Final = ("gaussian", "compact")  # how the worth of an interest falls with distance


@dataclass(frozen=True, eq=False)
class Interests:
    """Several centres of taste for each user.

    Attributes:
        centres: Points of Z, [U, m, n].
        weights: How much of what the user liked is near each centre, [U, m]; each row sums to 1.
    """

    centres: Floats
    weights: Floats

    def __post_init__(self) -> None:
        for array in (self.centres, self.weights):
            array.flags.writeable = False


@dataclass(frozen=True, eq=False)
class Liked:
    """What users liked, sorted by user and item.

    Attributes:
        user: Row of the user, [L].
        item: Row of the item, [L].
        excess: Rating above the user's mean, [L].
    """

    user: Ints
    item: Ints
    excess: Floats

    def __getitem__(self, rows: slice | NDArray[np.generic]) -> Liked:
        return Liked(self.user[rows], self.item[rows], self.excess[rows])


def fit_interests(catalog: Catalog, split: Split, space: LatentSpace, count: int) -> Interests:
    """Fit the interests of all users, from only the split's support ratings.

    Args:
        catalog: Items, users and ratings.
        split: Says which ratings are support.
        space: Where the items lie, and the single taste vectors.
        count: m, the centres of each user, 1 or more.
    """
    liked = liked_items(catalog, split)
    centres = np.repeat(where_taste_points(space.users)[:, None], count, axis=1)
    weights = np.full((len(space.users), count), 1 / count)
    for rows in _blocks(liked.user):
        part = liked[rows]
        users, owner = np.unique(part.user, return_inverse=True)
        found, mass = cluster(space.items[part.item], part.excess, owner, count)
        missing = mass == 0
        centres[users] = np.where(missing[:, :, None], centres[users], found)
        spare = mass.sum(axis=1) / np.bincount(owner)  # the average liked item
        mass += missing * (spare / np.maximum(missing.sum(axis=1), 1))[:, None]
        weights[users] = mass / mass.sum(axis=1, keepdims=True)
    return Interests(centres, weights)


def liked_items(catalog: Catalog, split: Split) -> Liked:
    """The items that users liked: rated above the user's own mean and the middle of the scale, in support ratings."""
    ratings = catalog.ratings
    user, item = (column[split.support].astype(np.int64) for column in (ratings.user, ratings.item))
    value = ratings.value[split.support].astype(np.float64)
    count = np.bincount(user, minlength=len(catalog.users))
    mean = np.bincount(user, weights=value, minlength=len(catalog.users)) / np.maximum(count, 1)
    excess = value - mean[user]
    rows = np.flatnonzero((excess > 1e-9) & (value > sum(catalog.scale) / 2))
    rows = rows[np.lexsort((item[rows], user[rows]))]
    return _evenly(Liked(user[rows], item[rows], excess[rows]))


def _evenly(liked: Liked) -> Liked:
    """At most `MOST_LIKED` items of each user, evenly spaced."""
    count = np.bincount(liked.user)
    rank = np.arange(len(liked.user)) - (np.cumsum(count) - count)[liked.user]
    total = count[liked.user]
    kept = (total <= MOST_LIKED) | (rank * MOST_LIKED // total > (rank - 1) * MOST_LIKED // total)
    return liked[kept]


def _blocks(user: Ints) -> list[slice]:
    """Slices of about `BLOCK` rows that divide no user's rows."""
    edges = [*np.searchsorted(user, user[::BLOCK]), len(user)]
    return [slice(low, high) for low, high in itertools.pairwise(edges) if low < high]


def where_taste_points(users: Floats) -> Floats:
    """Where a typical item lies that a user of one taste vector would like, [U, n].

    As Z is white, this is the mean of the tenth of the items with the highest predicted ratings.

    Args:
        users: [U, n + 1].
    """
    taste = users[:, :-1]
    strength = norms(taste)
    return TYPICAL * taste / np.where(strength > 0, strength, 1.0)[:, None]


def cluster(points: Floats, weight: Floats, owner: Ints, count: int) -> tuple[Floats, Floats]:
    """Weighted k-means of the points of each owner, without randomness.

    The first centre starts at the owner's first point of the highest weight. Each of the others starts at the point
    whose weight times squared distance to the nearest centre so far is highest.

    Args:
        points: [L, n].
        weight: Positive, [L].
        owner: Row of the owner, ascending from 0, [L].
        count: m, the centres of each owner.

    Returns:
        Centres [O, m, n] and the weight of their points [O, m], which is 0 where an owner has fewer different points.
    """
    centres = _first_centres(points, weight, owner, count)
    owners = len(centres)
    mass: Floats = np.zeros(owners * count)
    label = np.full(len(owner), -1)
    for _ in range(SWEEPS):
        before, label = label, owner * count + _distances(points, centres, owner).argmin(axis=0)
        if np.array_equal(before, label):
            break  # nothing moves any more
        mass = np.bincount(label, weight, owners * count).astype(np.float64)
        safe = np.where(mass > 0, mass, 1.0)
        moved = np.stack([np.bincount(label, weight * x, owners * count) / safe for x in points.T], axis=1)
        centres = np.where((mass > 0)[:, None], moved, centres.reshape(owners * count, -1)).reshape(centres.shape)
    return centres, mass.reshape(owners, count)


def _first_centres(points: Floats, weight: Floats, owner: Ints, count: int) -> Floats:
    """Where k-means starts, [O, m, n]; infinitely far where an owner has fewer different points."""
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    centres = np.full((len(starts), count, points.shape[1]), np.inf)
    nearest = np.ones(len(points))
    for number in range(count):
        score = weight * nearest
        best = np.maximum.reduceat(score, starts)
        row = _first_of_each(score == best[owner], owner)
        centres[:, number] = np.where((best > 0)[:, None], points[row], np.inf)
        reached = _distances(points, centres[:, number : number + 1], owner)[0]
        nearest = reached if number == 0 else np.minimum(nearest, reached)
    return centres


def _first_of_each(marked: NDArray[np.bool_], owner: Ints) -> Ints:
    """The first marked row of each owner, [O]; every owner has one."""
    rows = np.flatnonzero(marked)
    return rows[np.flatnonzero(np.diff(owner[rows], prepend=-1))]


def _distances(points: Floats, centres: Floats, owner: Ints) -> Floats:
    """Squared distances of points [L, n] to the centres [O, m, n] of their owners: [m, L]."""
    columns = np.ascontiguousarray(points.T)
    total = np.zeros((centres.shape[1], len(points)))
    for far, rows in zip(total, np.ascontiguousarray(centres.transpose(1, 2, 0)), strict=True):
        for x, centre in zip(columns, rows, strict=True):
            far += (x - centre[owner]) ** 2
    return total


def kernels(z: Floats, centres: Floats, width: float, kernel: str = "gaussian") -> Floats:
    """What each centre is worth at each point, [m, B]: 1 at the centre and less the further away.

    Args:
        z: [B, n].
        centres: Those of each point, [B, m, n].
        width: How far a centre reaches, in units of Z.
        kernel: One of `KERNELS`.
    """
    total = np.zeros((centres.shape[1], len(z)))
    for column in range(z.shape[1]):
        total += (z[:, column] - centres[:, :, column].T) ** 2
    return fallen(total, width, kernel)


def fallen(squares: Floats, width: float, kernel: str) -> Floats:
    """What a centre is worth at squared distances, which are overwritten.

    "gaussian" is exp(-d² / 2 width²), which never ends. "compact" is (1 - d² / 4 width²)² up to a distance of 2 width,
    where it ends: further away, nothing tells that there is an interest. The two are alike near the centre.
    """
    if kernel == "gaussian":
        squares /= -2 * width**2
        return np.exp(squares, out=squares)
    squares /= -4 * width**2
    squares += 1
    np.maximum(squares, 0, out=squares)
    return np.square(squares, out=squares)


def soft_maximum(values: Floats, weights: Floats) -> Floats:
    """The value log Σ_k w_k exp(10 v_k) / 10, between the weighted mean of the values and their maximum: [...].

    Args:
        values: From 0 to 1, [m, ...].
        weights: Sum to 1 over the first axis, broadcast to the values.
    """
    total = np.zeros(values.shape[1:])
    for value, weight in zip(values, weights, strict=True):  # one at a time: sums in one order whatever the batch
        total += weight * np.exp(SHARPNESS * value)
    return np.log(total, out=total) / SHARPNESS
