"""What a user likes, in words, from the support ratings only.

For each attribute value, the ratings that a user gave to items with it are compared with the ratings expected of them:
how the user rates in general, plus how the item is rated in general. The differences are averaged and shrunk towards
zero, so that a value seen once says little. The most liked and the most disliked values make the profile. In a catalog
of free text, titles stand in for attributes, and a title is liked only if the user rated it above the user's own mean
(disliked: below). A user who gave one rating to everything has no profile.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from eagle_gym import plot_english
from eagle_gym.catalog.catalog import Catalog
from eagle_gym.catalog.splits import Split
from eagle_gym.errors import ConfigurationError

Named = TypeVar("Named")

ITEM_PRIOR = 10.0  # ratings at the general level with which each item's mean starts
VALUE_PRIOR = 4.0  # ratings exactly as expected with which each attribute value's mean starts
SAME = 1e-12  # variance of a user's ratings below which all of them are the same
SUPPORT = 2  # ratings that a value needs before it can stand in a profile
NOTABLE = 0.02  # rating units: a smaller leaning, after shrinking, is not worth a word


class Profiles:
    """Profiles of a catalog's users, each made when first asked for.

    Args:
        catalog: With texts of either language.
        split: Only its support ratings are read.
        size: Most likes, and most dislikes, in a profile.

    Raises:
        ConfigurationError: A size below 1.
    """

    def __init__(self, catalog: Catalog, split: Split, size: int = 3) -> None:
        if size < 1:
            raise ConfigurationError(f"a profile's size must be 1 or more; got {size!r}")
        self._catalog = catalog
        self._size = size
        self._user = catalog.ratings.user[split.support]
        self._item = catalog.ratings.item[split.support]
        value = catalog.ratings.value[split.support].astype(np.float64)
        self._centred = value - _means(self._user, value)[self._user]
        self._surprise = _surprise(self._user, self._item, self._centred, np.isin(self._user, split.train_users))
        self._made: dict[int, plot_english.Profile] = {}

    def of(self, user: int) -> plot_english.Profile:
        """Likes and dislikes of a user, strongest first, as attribute values.

        Args:
            user: Row of `Catalog.users`.

        Raises:
            ConfigurationError: The catalog is free text, or has no such row.
        """
        if self._catalog.language != "plot_english":
            raise ConfigurationError(
                f"catalog {self._catalog.name!r} is free text, which has no attributes; use text()"
            )
        self._check(user)
        if user not in self._made:
            likes, dislikes = self._strongest(self._leanings(user))
            self._made[user] = plot_english.Profile(tuple(likes), tuple(dislikes))
        return self._made[user]

    def text(self, user: int) -> str:
        """The profile of a user as text; "" where there is nothing to say.

        Args:
            user: Row of `Catalog.users`.

        Raises:
            ConfigurationError: The catalog has no such row.
        """
        if self._catalog.language == "plot_english":
            return plot_english.render_profile(self.of(user))
        self._check(user)
        rows = np.flatnonzero((self._user == user) & (self._surprise * self._centred > 0))
        order = rows[np.lexsort((self._item[rows], -self._surprise[rows]))]
        titled = [(self._catalog.items[self._item[row]].title, float(self._surprise[row])) for row in order]
        likes, dislikes = self._strongest(titled)
        parts = (("liked", likes), ("disliked", dislikes))
        return " ".join(f"The user {verb} {_quoted(titles)}." for verb, titles in parts if titles)

    def _check(self, user: int) -> None:
        count = len(self._catalog.users)
        if not 0 <= user < count:
            raise ConfigurationError(f"expected a user row from 0 to {count - 1}; got {user!r}")

    def _leanings(self, user: int) -> list[tuple[plot_english.Pair, float]]:
        """Attribute values that the user met often enough, with the mean surprise, highest first."""
        met: dict[plot_english.Pair, list[float]] = {}
        for row in np.flatnonzero(self._user == user):
            for pair in plot_english.read(self._catalog.items[self._item[row]].text).pairs():
                met.setdefault(pair, []).append(float(self._surprise[row]))
        scored = [
            (pair, sum(found) / (len(found) + VALUE_PRIOR)) for pair, found in met.items() if len(found) >= SUPPORT
        ]
        return sorted(scored, key=lambda entry: (-entry[1], _rank()[entry[0]]))

    def _strongest(self, scored: list[tuple[Named, float]]) -> tuple[list[Named], list[Named]]:
        likes = [name for name, score in scored if score >= NOTABLE]
        dislikes = [name for name, score in reversed(scored) if score <= -NOTABLE]
        return likes[: self._size], dislikes[: self._size]


def profile_of(catalog: Catalog, split: Split, user: int, size: int = 3) -> plot_english.Profile:
    """Likes and dislikes of one user; for many users make one `Profiles`.

    Args:
        catalog: In plot English.
        split: Only its support ratings are read.
        user: Row of `Catalog.users`.
        size: Most likes, and most dislikes.

    Raises:
        ConfigurationError: The catalog is free text or has no such user, or the size is below 1.
    """
    return Profiles(catalog, split, size).of(user)


def _surprise(
    user: NDArray[np.int32], item: NDArray[np.int32], centred: NDArray[np.float64], fitted: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Each rating minus the rating expected of that user and that item, [m]; its mean over each user is 0.

    Args:
        user: Row of each rating's user, [m].
        item: Row of each rating's item, [m].
        centred: The ratings, minus the mean of their user, [m].
        fitted: The ratings from which an item's mean is learnt: those of train users, [m].
    """
    of_item = _means(item[fitted], centred[fitted], prior=ITEM_PRIOR, groups=int(item.max(initial=-1)) + 1)
    surprise = centred - of_item[item]
    varied = _means(user, centred**2) > SAME
    return np.where(varied[user], surprise - _means(user, surprise)[user], 0.0)


def _means(
    group: NDArray[np.int32], value: NDArray[np.float64], prior: float = 0.0, groups: int = 0
) -> NDArray[np.float64]:
    """Mean of each group, shrunk towards 0; 0 for groups without a member."""
    counts = np.bincount(group, minlength=groups) + prior
    return np.bincount(group, weights=value, minlength=groups) / np.where(counts > 0, counts, 1.0)


def _quoted(titles: Iterable[str]) -> str:
    return ", ".join(f'"{title}"' for title in titles)


@cache
def _rank() -> dict[plot_english.Pair, int]:
    return {pair: index for index, pair in enumerate(plot_english.FEATURES)}
