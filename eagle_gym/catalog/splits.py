"""Who trains and who tests.

Users are split into train and test users, and start items into train and test items. Nothing is fitted to a test user's
ratings: half of them (the support) fold the user in and make the text profile, and the other half is the judge's. Users
whose own words are part of the catalog's texts (its authors) always train, because encoders read every text.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eagle_gym.catalog.catalog import Catalog
from eagle_gym.errors import ConfigurationError


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of a catalog, divided. All arrays are read-only and sorted.

    Attributes:
        train_users: Rows of `Catalog.users`, int32.
        test_users: The others.
        train_items: Rows of `Catalog.items` from which training episodes start, int32.
        test_items: The others.
        support: True for ratings that fits and profiles may see, bool [m]: all ratings of train users, and half of each
            test user's.
        judge: The others, `~support`.
    """

    train_users: NDArray[np.int32]
    test_users: NDArray[np.int32]
    train_items: NDArray[np.int32]
    test_items: NDArray[np.int32]
    support: NDArray[np.bool_]
    judge: NDArray[np.bool_]

    def __post_init__(self) -> None:
        for array in self._arrays():
            array.flags.writeable = False

    @cached_property
    def hash(self) -> str:
        """Hash of the division: 64 hexadecimal digits."""
        digest = hashlib.sha256()
        for array in self._arrays():
            digest.update(f"{array.dtype.str}{len(array)}".encode() + array.tobytes())
        return digest.hexdigest()

    def _arrays(self) -> tuple[NDArray[Any], ...]:
        users = self.train_users, self.test_users
        return *users, self.train_items, self.test_items, self.support, self.judge


def split_catalog(catalog: Catalog, *, seed: int = 0, test_fraction: float = 0.2) -> Split:
    """Divide users, start items and the test users' ratings at random.

    Args:
        catalog: Has at least two items and two users, of whom at least one is not an author.
        seed: Equal seeds divide equal catalogs equally.
        test_fraction: Share of the users, and of the items, that test; each side keeps at least one. Fewer users test
            where nearly all users are authors.

    Raises:
        ConfigurationError: The fraction is not between 0 and 1, or there is too little to divide.
    """
    if not 0.0 < test_fraction < 1.0:
        raise ConfigurationError(f"expected test_fraction to lie between 0 and 1, got {test_fraction!r}")
    rng = np.random.default_rng(seed)
    authors = np.array([catalog.user_index(user) for user in catalog.authors], np.int32)
    train_users, test_users = _divide(len(catalog.users), test_fraction, rng, "users", authors)
    train_items, test_items = _divide(len(catalog.items), test_fraction, rng, "items")
    judge = np.isin(catalog.ratings.user, test_users) & _second_half(catalog.ratings.user, rng)
    return Split(train_users, test_users, train_items, test_items, ~judge, judge)


def _divide(
    count: int, fraction: float, rng: np.random.Generator, what: str, never: NDArray[np.int32] | None = None
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Rows that train and rows that test; those in `never` do not test."""
    if count < 2:
        raise ConfigurationError(f"expected at least two {what} to split, got {count}")
    size = min(max(round(count * fraction), 1), count - 1)
    order = rng.permutation(count).astype(np.int32)
    free = order if never is None else order[~np.isin(order, never)]
    if not free.size:
        raise ConfigurationError(f"expected {what} who are no authors, got {count} authors: nobody is left to test")
    test = np.sort(free[:size])
    return np.setdiff1d(order, test), test


def _second_half(user: NDArray[np.int32], rng: np.random.Generator) -> NDArray[np.bool_]:
    """True for a random half of each user's rows, rounded down so that every user has support."""
    order = np.lexsort((rng.random(len(user)), user))
    counts = np.bincount(user)
    starts = np.cumsum(counts) - counts
    rank = np.arange(len(user)) - starts[user[order]]
    mask = np.zeros(len(user), dtype=np.bool_)
    mask[order] = rank >= (counts[user[order]] + 1) // 2
    return mask
