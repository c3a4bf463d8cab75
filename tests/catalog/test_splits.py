from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym.catalog import Catalog, Item, Ratings, split_catalog
from eagle_gym.errors import ConfigurationError


def catalog(users: int, items: int, per_user: int) -> Catalog:
    texts = tuple(Item(str(row), f"t{row}", f"text {row}") for row in range(items))
    user = np.repeat(np.arange(users), per_user)
    rated = (np.arange(users * per_user) * 7) % items if per_user == 1 else np.tile(np.arange(per_user), users)
    return Catalog("c", texts, tuple(map(str, range(users))), Ratings.of(user, rated, user % 5 + 1), (1, 5), "free")


@given(
    users=st.integers(2, 30),
    items=st.integers(5, 30),
    per_user=st.integers(1, 5),
    seed=st.integers(0, 99),
    fraction=st.sampled_from([0.01, 0.2, 0.5, 0.99]),
)
def test_a_split_divides(users: int, items: int, per_user: int, seed: int, fraction: float) -> None:
    data = catalog(users, items, per_user)
    split = split_catalog(data, seed=seed, test_fraction=fraction)
    for train, test, count in (
        (split.train_users, split.test_users, users),
        (split.train_items, split.test_items, items),
    ):
        assert len(train) >= 1
        assert len(test) >= 1
        assert sorted([*train, *test]) == list(range(count))
    assert np.array_equal(split.judge, ~split.support)
    assert not split.judge[np.isin(data.ratings.user, split.train_users)].any()
    for user in split.test_users:
        assert split.judge[data.ratings.user == user].sum() == per_user // 2


def test_seeds_decide_and_nothing_else() -> None:
    data = catalog(30, 20, 4)
    assert split_catalog(data).hash == split_catalog(data, seed=0).hash
    assert split_catalog(data).hash != split_catalog(data, seed=1).hash
    assert split_catalog(data).hash != split_catalog(data, test_fraction=0.3).hash


def test_the_judges_half_is_drawn_not_the_last_ratings() -> None:
    data = catalog(10, 20, 5)
    halves = {
        tuple(split.judge[data.ratings.user == user])
        for split in (split_catalog(data, seed=seed) for seed in range(8))
        for user in split.test_users
    }
    assert len(halves) > 3


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, float("nan")])
def test_fractions_outside_are_refused(fraction: float) -> None:
    with pytest.raises(ConfigurationError, match="test_fraction to lie between 0 and 1"):
        split_catalog(catalog(4, 5, 2), test_fraction=fraction)


def test_a_single_user_cannot_be_divided() -> None:
    with pytest.raises(ConfigurationError, match="at least two users to split, got 1"):
        split_catalog(catalog(1, 5, 2))


@given(users=st.integers(2, 30), seed=st.integers(0, 99), data=st.data())
def test_authors_never_test(users: int, seed: int, data: st.DataObject) -> None:
    plain = catalog(users, 5, 3)
    authors = data.draw(st.sets(st.integers(0, users - 1), max_size=users - 1))
    split = split_catalog(replace(plain, authors=tuple(str(user) for user in authors)), seed=seed, test_fraction=0.5)
    assert not authors & set(split.test_users.tolist())
    assert len(split.test_users) == min(max(round(users / 2), 1), users - len(authors))
    assert sorted([*split.train_users, *split.test_users]) == list(range(users))
    if not authors & set(split_catalog(plain, seed=seed, test_fraction=0.5).test_users.tolist()):
        assert split.hash == split_catalog(plain, seed=seed, test_fraction=0.5).hash


def test_somebody_must_be_left_to_test() -> None:
    with pytest.raises(ConfigurationError, match="expected users who are no authors, got 4 authors"):
        split_catalog(replace(catalog(4, 5, 2), authors=("0", "1", "2", "3")))


def test_arrays_are_read_only() -> None:
    split = split_catalog(catalog(4, 5, 2))
    with pytest.raises(ValueError, match="read-only"):
        split.support[0] = False
