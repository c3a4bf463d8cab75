"""What a user likes, in words, from the support ratings only.

For each attribute value, the ratings that a user gave to items with it are compared with the ratings expected of them:
how the user rates in general, plus how the item is rated in general. The differences are averaged and shrunk towards
zero, so that a value seen once says little. The most liked and the most disliked values make the profile. In a catalog
of free text, titles stand in for attributes.

Two conditions hold besides. A like lies above the user's own mean and in the upper half of the rating scale; a dislike
lies below the user's own mean and in the lower half. For a title, its rating is what lies there; for an attribute
value, the mean of the user's ratings of items with it. So a user who rates everything 4 or 5 out of 5 dislikes nothing,
a user who gave one rating to everything has no profile, and the middle of the scale is neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

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
EQUAL = 1e-4  # rating units: a smaller difference is none, since ratings are kept in single precision
NOTABLE = 0.02  # rating units: a smaller leaning, after shrinking, is not worth a word


class Profiles:
    """Profiles of a catalog's users, each made at its first use.

    Args:
        catalog: Its texts may be of either language.
        split: Only its support ratings are read.
        size: Largest number of likes, and of dislikes, in a profile.

    Raises:
        ConfigurationError: A size below 1.
    """

    def __init__(self, catalog: Catalog, split: Split, size: int = 3) -> None:
        if size < 1:
            raise ConfigurationError(f"expected a profile's size of 1 or more, got {size!r}")
        self._catalog = catalog
        self._size = size
        self._user = catalog.ratings.user[split.support]
        self._item = catalog.ratings.item[split.support]
        value = catalog.ratings.value[split.support].astype(np.float64)
        self._centred = _centred(self._user, value)
        self._position = value - sum(catalog.scale) / 2
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
                f"expected a catalog in plot English, got {self._catalog.name!r} in free text: call text() instead"
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
        rows = np.flatnonzero(self._user == user)
        order = rows[np.lexsort((self._item[rows], -self._surprise[rows]))]
        titles = [self._catalog.items[self._item[row]].title for row in order]
        found = [self._leaning(title, np.array([row]), prior=0.0) for title, row in zip(titles, order, strict=True)]
        likes, dislikes = self._strongest(found)
        parts = (("liked", likes), ("disliked", dislikes))
        return " ".join(f"The user {verb} {_quoted(titles)}." for verb, titles in parts if titles)

    def _check(self, user: int) -> None:
        count = len(self._catalog.users)
        if not 0 <= user < count:
            raise ConfigurationError(f"expected a user row from 0 to {count - 1}, got {user!r}")

    def _leanings(self, user: int) -> list[_Leaning[plot_english.Pair]]:
        """Attribute values with enough ratings, the highest mean surprise first."""
        met: dict[plot_english.Pair, list[int]] = {}
        for row in np.flatnonzero(self._user == user).tolist():
            for pair in plot_english.read(self._catalog.items[self._item[row]].text).pairs():
                met.setdefault(pair, []).append(row)
        found = [self._leaning(pair, np.array(rows), VALUE_PRIOR) for pair, rows in met.items() if len(rows) >= SUPPORT]
        return sorted(found, key=lambda leaning: (-leaning.surprise, _rank()[leaning.name]))

    def _leaning(self, name: Named, rows: NDArray[np.int64], prior: float) -> _Leaning[Named]:
        return _Leaning(
            name,
            surprise=float(self._surprise[rows].sum()) / (len(rows) + prior),
            centred=float(self._centred[rows].mean()),
            position=float(self._position[rows].mean()),
        )

    def _strongest(self, leanings: Sequence[_Leaning[Named]]) -> tuple[list[Named], list[Named]]:
        likes = [leaning.name for leaning in leanings if leaning.liked()]
        dislikes = [leaning.name for leaning in reversed(leanings) if leaning.disliked()]
        return likes[: self._size], dislikes[: self._size]


@dataclass(frozen=True, slots=True)
class _Leaning(Generic[Named]):
    """What a user's ratings say of an attribute value or a title.

    Attributes:
        name: The value or title.
        surprise: Mean of the ratings minus the expected ones, shrunk.
        centred: Mean rating minus the user's own mean.
        position: Mean rating minus the middle of the rating scale.
    """

    name: Named
    surprise: float
    centred: float
    position: float

    def liked(self) -> bool:
        return self.surprise >= NOTABLE and self.centred > EQUAL and self.position > EQUAL

    def disliked(self) -> bool:
        return self.surprise <= -NOTABLE and self.centred < -EQUAL and self.position < -EQUAL


def liked(catalog: Catalog, split: Split) -> NDArray[np.bool_]:
    """Which ratings say that a user liked an item, [m]: above the user's own mean and in the scale's upper half.

    Args:
        catalog: Its ratings.
        split: Only its support ratings are read; the mask is False for all others.
    """
    support = np.flatnonzero(split.support)
    value = catalog.ratings.value[support].astype(np.float64)
    high = (_centred(catalog.ratings.user[support], value) > EQUAL) & (value - sum(catalog.scale) / 2 > EQUAL)
    mask = np.zeros(len(catalog.ratings.value), np.bool_)
    mask[support[high]] = True
    return mask


def profile_of(catalog: Catalog, split: Split, user: int, size: int = 3) -> plot_english.Profile:
    """Likes and dislikes of one user. For many users, make one `Profiles`.

    Args:
        catalog: In plot English.
        split: Only its support ratings are read.
        user: Row of `Catalog.users`.
        size: Largest number of likes, and of dislikes.

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


def _centred(user: NDArray[np.int32], value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each rating minus the mean of its user, [m]."""
    return value - _means(user, value)[user]


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
