from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym.catalog import Catalog, Item, Ratings, Split, split_catalog
from eagle_gym.latent import LatentSpace, fit_interests, interests
from eagle_gym.latent.interests import cluster, kernels, liked_items, soft_maximum, where_taste_points
from tests.latent.conftest import with_ratings

COUNT = 3


def hills(rng: np.random.Generator, centres: np.ndarray, each: int) -> np.ndarray:
    """Points close around some centres, in random order."""
    points = np.repeat(centres, each, axis=0) + 0.05 * rng.normal(size=(len(centres) * each, centres.shape[1]))
    return points[rng.permutation(len(points))]


def test_centres_are_found_where_the_liked_items_are(rng: np.random.Generator) -> None:
    truth = np.array([[[3.0, 0], [0, 3], [-3, 0]], [[1.0, 1], [-1, -1], [4, -4]]])
    points = np.concatenate([hills(rng, own, 20) for own in truth])
    centres, mass = cluster(points, np.ones(120), np.repeat([0, 1], 60), COUNT)
    assert mass.tolist() == [[20, 20, 20]] * 2
    for found, own in zip(centres, truth, strict=True):
        gaps = np.linalg.norm(found[:, None] - own, axis=2)
        assert gaps.min(axis=0).max() < 0.05
        assert sorted(gaps.argmin(axis=1)) == [0, 1, 2]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_a_centre_is_the_mean_of_its_points_and_owners_do_not_matter_to_each_other(
    counts: list[int], count: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(len(counts)), counts)
    points, weight = rng.normal(size=(len(owner), 2)), rng.uniform(0.1, 2, size=len(owner))
    centres, mass = cluster(points, weight, owner, count)
    np.testing.assert_allclose(mass.sum(axis=1), np.bincount(owner, weight))
    assert ((mass > 0).sum(axis=1) <= counts).all()
    weighted = np.where(mass > 0, mass, 0.0)[:, :, None] * np.where(np.isfinite(centres), centres, 0.0)
    np.testing.assert_allclose(
        weighted.sum(axis=1),
        np.stack([np.bincount(owner, weight * column) for column in points.T], axis=1),
        atol=1e-9,
    )
    for row in range(len(counts)):
        mine = owner == row
        apart, mass_apart = cluster(points[mine], weight[mine], np.zeros(mine.sum(), np.int64), count)
        assert apart.tobytes() == centres[[row]].tobytes()
        assert mass_apart.tobytes() == mass[[row]].tobytes()


def test_items_are_liked_above_the_own_mean_and_the_middle_of_the_scale() -> None:
    items = tuple(Item(f"i{i}", f"Item {i}", f"text {i}") for i in range(4))
    rows = {"mild": [5, 4, 3, 1], "harsh": [2, 1, 1, 1], "constant": [5, 5, 5, 5], "generous": [5, 5, 5, 4]}
    ratings = Ratings.of(np.repeat(range(4), 4), np.tile(range(4), 4), np.ravel([*rows.values()]))
    catalog = Catalog("small", items, tuple(rows), ratings, (1.0, 5.0), "free")
    everything = np.ones(16, np.bool_)
    users, test = np.arange(3, dtype=np.int32), np.array([3], np.int32)
    split = Split(users, test, users, test, everything, ~everything)
    liked = liked_items(catalog, split)
    assert list(zip(liked.user, liked.item, strict=True)) == [(0, 0), (0, 1), (3, 0), (3, 1), (3, 2)]
    assert liked.excess.tolist() == [1.75, 0.75, 0.25, 0.25, 0.25]


def test_all_users_have_interests_that_sum_to_one(catalog: Catalog, split: Split, space: LatentSpace) -> None:
    found = fit_interests(catalog, split, space, COUNT)
    assert found.centres.shape == (len(catalog.users), COUNT, space.dim)
    assert np.isfinite(found.centres).all()
    assert (np.linalg.norm(found.centres, axis=2) <= space.radius).all()
    np.testing.assert_allclose(found.weights.sum(axis=1), 1)
    again = fit_interests(catalog, split, space, COUNT)
    assert again.centres.tobytes() == found.centres.tobytes()


def few_likes(catalog: Catalog, user: int, likes: int) -> Catalog:
    """The catalog, in which one user likes only some items."""
    old = catalog.ratings
    mine = np.flatnonzero(old.user == user)
    value = old.value.copy()
    value[mine], value[mine[:likes]] = catalog.scale[0], catalog.scale[1]
    ratings = Ratings.of(old.user, old.item, value)
    return Catalog(catalog.name, catalog.items, catalog.users, ratings, catalog.scale, catalog.language)


def test_a_user_with_few_liked_items_has_the_other_centres_where_taste_points(
    catalog: Catalog, split: Split, space: LatentSpace
) -> None:
    user = int(split.train_users[0])
    there = where_taste_points(space.users)[user]
    assert np.linalg.norm(there) == pytest.approx(interests.TYPICAL)
    changed = few_likes(catalog, user, 1)
    item = catalog.ratings.item[catalog.ratings.user == user][0]
    found = fit_interests(changed, split, space, COUNT)
    np.testing.assert_allclose(found.centres[user], [space.items[item], there, there])
    np.testing.assert_allclose(found.weights[user], [0.5, 0.25, 0.25])
    none = fit_interests(few_likes(catalog, user, 0), split, space, COUNT)
    np.testing.assert_allclose(none.centres[user], [there] * COUNT)
    np.testing.assert_allclose(none.weights[user], 1 / COUNT)


def test_a_user_without_taste_and_likes_has_interests_in_the_middle() -> None:
    assert where_taste_points(np.zeros((1, 4))).tolist() == [[0.0] * 3]


def test_no_judges_rating_changes_any_interest(catalog: Catalog, split: Split, space: LatentSpace) -> None:
    before = fit_interests(catalog, split, space, COUNT)
    after = fit_interests(with_ratings(catalog, split.judge), split, space, COUNT)
    assert after.centres.tobytes() == before.centres.tobytes()
    assert after.weights.tobytes() == before.weights.tobytes()


def test_a_users_ratings_change_only_the_own_interests(catalog: Catalog, split: Split, space: LatentSpace) -> None:
    before = fit_interests(catalog, split, space, COUNT)
    theirs = np.isin(catalog.ratings.user, split.test_users)
    after = fit_interests(with_ratings(catalog, theirs), split, space, COUNT)
    moved = (after.centres != before.centres).any(axis=(1, 2))
    assert not moved[split.train_users].any()
    assert moved[split.test_users].mean() > 0.9


def test_users_are_clustered_in_blocks_that_change_nothing(
    catalog: Catalog, split: Split, space: LatentSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit_interests(catalog, split, space, COUNT)
    for size in (1, 7, 100):
        monkeypatch.setattr(interests, "BLOCK", size)
        assert fit_interests(catalog, split, space, COUNT).centres.tobytes() == whole.centres.tobytes()


def test_of_a_user_with_many_liked_items_some_are_read_evenly(
    catalog: Catalog, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = liked_items(catalog, split)
    monkeypatch.setattr(interests, "MOST_LIKED", 4)
    part = liked_items(catalog, split)
    counts, kept = np.bincount(whole.user), np.bincount(part.user)
    assert counts.max() > 4
    np.testing.assert_array_equal(kept, np.minimum(counts, 4))
    pairs = set(zip(whole.user.tolist(), whole.item.tolist(), strict=True))
    assert set(zip(part.user.tolist(), part.item.tolist(), strict=True)) <= pairs


def test_without_liked_items_there_are_still_interests(space: LatentSpace, catalog: Catalog) -> None:
    old = catalog.ratings
    flat = Ratings.of(old.user, old.item, np.full(len(old), 3.0))
    same = Catalog(catalog.name, catalog.items, catalog.users, flat, catalog.scale, catalog.language)
    found = fit_interests(same, split_catalog(same), space, 2)
    np.testing.assert_allclose(found.centres[:, 0], where_taste_points(space.users))


values = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@given(values, st.data())
def test_the_soft_maximum_lies_between_the_mean_and_the_maximum(some: list[float], data: st.DataObject) -> None:
    weights = np.array(data.draw(st.lists(st.floats(0.01, 1), min_size=len(some), max_size=len(some))))
    weights /= weights.sum()
    found = soft_maximum(np.array(some)[:, None], weights[:, None])[0]
    assert np.dot(weights, some) - 1e-9 <= found <= max(some) + 1e-9


@given(st.floats(0, 1), st.floats(0.05, 0.95))
def test_an_interest_may_be_split_in_two(value: float, share: float) -> None:
    whole = soft_maximum(np.array([[value], [0.3]]), np.array([[0.6], [0.4]]))
    halves = soft_maximum(np.array([[value], [value], [0.3]]), np.array([[0.6 * share], [0.6 * (1 - share)], [0.4]]))
    np.testing.assert_allclose(halves, whole)


def test_kernels_agree_with_the_plain_formula(rng: np.random.Generator) -> None:
    z, centres = rng.normal(size=(5, 3)), rng.normal(size=(5, 2, 3))
    wanted = [[np.exp(-np.sum((z[b] - centres[b, k]) ** 2) / (2 * 1.5**2)) for b in range(5)] for k in range(2)]
    np.testing.assert_allclose(kernels(z, centres, 1.5), wanted)
    assert kernels(z[:1], z[None, :1], 0.7).tolist() == [[1.0]]


@given(distance=st.floats(0, 9), width=st.floats(0.1, 3))
def test_compact_kernels_end_at_twice_the_width_and_are_gaussian_near_the_centre(distance: float, width: float) -> None:
    z, centre = np.array([[distance, 0.0]]), np.zeros((1, 1, 2))
    compact, gaussian = (float(kernels(z, centre, width, kernel)[0, 0]) for kernel in ("compact", "gaussian"))
    share = distance / (2 * width)
    assert compact == pytest.approx((1 - share**2) ** 2 if share < 1 else 0.0, abs=1e-12)
    assert compact <= gaussian + 1e-12
    if share < 0.2:
        assert compact == pytest.approx(gaussian, abs=0.002)
