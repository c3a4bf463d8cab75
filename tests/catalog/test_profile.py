from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym import plot_english
from eagle_gym.catalog import Catalog, Item, Profiles, Ratings, Split, liked, load_plots, profile_of, split_catalog
from eagle_gym.errors import ConfigurationError

DRAMA, WAR = ("genres", "Drama"), ("genres", "War")


def opposites(language: str = "plot_english") -> Catalog:
    """Even users love drama and hate war films, odd ones the other way round."""
    pairs = [[DRAMA], [WAR]] * 6
    texts = [plot_english.render(plot_english.Attributes.from_pairs(found)) for found in pairs]
    items = tuple(Item(str(row), f"title {row}", text) for row, text in enumerate(texts))
    user, item = np.repeat(np.arange(8), 12), np.tile(np.arange(12), 8)
    value = np.where((user + item) % 2 == 0, 5.0, 1.0)
    ids = tuple(map(str, range(8)))
    return Catalog("c", items, ids, Ratings.of(user, item, value), (1, 5), language)  # type: ignore[arg-type]


def test_likes_and_dislikes_are_found() -> None:
    catalog = opposites()
    profiles = Profiles(catalog, split_catalog(catalog))
    assert profiles.of(0) == plot_english.Profile((DRAMA,), (WAR,))
    assert profiles.of(1) == plot_english.Profile((WAR,), (DRAMA,))
    assert profiles.text(0) == plot_english.render_profile(profiles.of(0))
    assert profile_of(catalog, split_catalog(catalog), 1) == profiles.of(1)


def test_free_text_profiles_name_titles() -> None:
    catalog = opposites("free")
    profiles = Profiles(catalog, split_catalog(catalog), size=1)
    user = int(split_catalog(catalog).train_users[0])
    said = re.fullmatch(r'The user liked "title (\d+)". The user disliked "title (\d+)".', profiles.text(user))
    assert said is not None
    assert [int(title) % 2 for title in said.groups()] == [user % 2, 1 - user % 2]
    with pytest.raises(ConfigurationError, match="free text"):
        profiles.of(0)


def test_someone_who_likes_everything_alike_has_no_profile() -> None:
    catalog = opposites()
    flat = Catalog(
        "c", catalog.items, ("a", "b"), Ratings.of([0, 0, 1, 1], [0, 1, 0, 1], [3, 3, 4, 4]), (1, 5), "free"
    )
    assert Profiles(flat, split_catalog(flat)).text(0) == ""


@pytest.mark.parametrize("language", ["plot_english", "free"])
@pytest.mark.parametrize("value", [5.0, 3.3, 1.0])
def test_someone_who_rates_everything_alike_has_no_profile(language: str, value: float) -> None:
    catalog = opposites(language)
    others, item = catalog.ratings.user, catalog.ratings.item
    user = np.concatenate([others, np.full(12, 8)])
    values = np.concatenate([catalog.ratings.value + (item % 4 == 0) * (catalog.ratings.value < 5), np.full(12, value)])
    ratings = Ratings.of(user, np.concatenate([item, np.arange(12)]), values)
    constant = Catalog("c", catalog.items, (*catalog.users, "8"), ratings, (1, 5), catalog.language)
    profiles = Profiles(constant, split_catalog(constant))
    nothing = {"plot_english": "No particular taste.", "free": ""}
    assert profiles.text(8) == nothing[language]
    assert profiles.text(0) != nothing[language]


def test_nobody_dislikes_what_they_rated_above_their_own_mean() -> None:
    user, item = np.repeat(np.arange(6), 6), np.tile(np.arange(6), 6)
    value = np.where(item < 3, 5.0, 1.0)  # everybody loves the first three
    value[:6] = [3, 4, 4, 2, 2, 2]  # so that 3 is less than expected, yet more than this user's mean
    items = tuple(Item(str(row), f"title {row}", "x") for row in range(6))
    catalog = Catalog("c", items, tuple("012345"), Ratings.of(user, item, value), (1, 5), "free")
    split = dataclasses.replace(
        split_catalog(catalog),
        train_users=np.arange(6, dtype=np.int32),
        test_users=np.array([], np.int32),
        support=np.ones(36, np.bool_),
    )
    said = Profiles(catalog, split, size=6).text(0)
    assert "title 3" in said
    assert "title 0" not in said


def test_the_judges_ratings_are_never_read() -> None:
    catalog = load_plots()
    split = split_catalog(catalog)
    changed = np.where(split.judge, 5.5 - catalog.ratings.value, catalog.ratings.value)
    ratings = Ratings.of(catalog.ratings.user, catalog.ratings.item, changed)
    other = Catalog("c", catalog.items, catalog.users, ratings, catalog.scale, catalog.language)
    before, after = Profiles(catalog, split), Profiles(other, split)
    for user in split.test_users[:20].tolist():
        assert before.of(user) == after.of(user)


def test_profiles_of_plots_are_small_and_mean_something() -> None:
    catalog = load_plots()
    split = split_catalog(catalog)
    profiles = Profiles(catalog, split, size=2)
    made = [profiles.of(int(user)) for user in split.test_users[:50]]
    assert all(len(profile.likes) <= 2 and len(profile.dislikes) <= 2 for profile in made)
    assert all(not set(profile.likes) & set(profile.dislikes) for profile in made)
    assert len(set(made)) > 45
    agreement = [
        _agreement(catalog, split.judge, user, profile) for user, profile in zip(split.test_users, made, strict=False)
    ]
    assert np.nanmean(agreement) > 0.1  # rating units, on the half that the profiles did not see


def _agreement(catalog: Catalog, judge: np.ndarray, user: int, profile: plot_english.Profile) -> float:
    """How much higher the user rated items with liked values than with disliked ones, in the judge's half."""
    rows = np.flatnonzero(judge & (catalog.ratings.user == user))
    said = [set(plot_english.read(catalog.texts[item]).pairs()) for item in catalog.ratings.item[rows]]
    sides = [
        [value for value, pairs in zip(catalog.ratings.value[rows], said, strict=True) if pairs & set(side)]
        for side in (profile.likes, profile.dislikes)
    ]
    return float(np.mean(sides[0]) - np.mean(sides[1])) if all(sides) else float("nan")


@pytest.mark.parametrize("user", [-1, 8])
def test_users_that_do_not_exist_are_refused(user: int) -> None:
    catalog = opposites()
    with pytest.raises(ConfigurationError, match=f"user row from 0 to 7, got {user}"):
        Profiles(catalog, split_catalog(catalog)).text(user)


def test_a_size_below_one_is_refused() -> None:
    catalog = opposites()
    with pytest.raises(ConfigurationError, match="size of 1 or more, got 0"):
        Profiles(catalog, split_catalog(catalog), size=0)


def test_test_users_never_enter_a_train_users_profile() -> None:
    catalog = load_plots()
    split = split_catalog(catalog)
    theirs = np.isin(catalog.ratings.user, split.test_users)
    turned = np.where(theirs, catalog.scale[1] + catalog.scale[0] - catalog.ratings.value, catalog.ratings.value)
    other = Catalog(
        catalog.name, catalog.items, catalog.users,
        Ratings.of(catalog.ratings.user, catalog.ratings.item, turned), catalog.scale, catalog.language,
    )  # fmt: skip
    before, after = Profiles(catalog, split), Profiles(other, split)
    assert all(before.of(int(user)) == after.of(int(user)) for user in split.train_users[:200])
    assert any(before.of(int(user)) != after.of(int(user)) for user in split.test_users[:20])


SCALES = [(0.5, 5.0), (1.0, 5.0), (0.0, 10.0), (1.0, 100.0)]


def rated(values: np.ndarray, scale: tuple[float, float], language: str) -> tuple[Catalog, Split]:
    """A catalog in which each user (a row) rated each item (a column), and a split in which all are train users."""
    users, items = values.shape
    genres = plot_english.lexicon.values("genres")
    texts = [
        plot_english.render(plot_english.Attributes(genres=(genres[row // 2 % len(genres)],))) for row in range(items)
    ]
    catalog = Catalog(
        "c",
        tuple(Item(str(row), f"title {row}", text) for row, text in enumerate(texts)),
        tuple(map(str, range(users))),
        Ratings.of(np.repeat(np.arange(users), items), np.tile(np.arange(items), users), values.ravel()),
        scale,
        language,  # type: ignore[arg-type]
    )
    split = Split(
        train_users=np.arange(users, dtype=np.int32),
        test_users=np.array([], np.int32),
        train_items=np.arange(items, dtype=np.int32),
        test_items=np.array([], np.int32),
        support=np.ones(values.size, np.bool_),
        judge=np.zeros(values.size, np.bool_),
    )
    return catalog, split


@st.composite
def ratings(draw: st.DrawFn) -> tuple[np.ndarray, tuple[float, float]]:
    """Ratings of 1 to 5 users for 1 to 8 items, on one of the scales in use."""
    low, high = scale = draw(st.sampled_from(SCALES))
    users, items = draw(st.integers(1, 5)), draw(st.integers(1, 8))
    tenths = draw(st.lists(st.integers(0, 10), min_size=users * items, max_size=users * items))
    return (low + (high - low) * np.array(tenths).reshape(users, items) / 10).astype(np.float64), scale


def named(text: str) -> tuple[set[int], set[int]]:
    """Rows of the titles that a profile says are liked and disliked."""
    likes, _, dislikes = text.partition("The user disliked")
    return set(map(int, re.findall(r"title (\d+)", likes))), set(map(int, re.findall(r"title (\d+)", dislikes)))


@given(ratings())
def test_titles_lie_on_their_side_of_the_scale_and_of_the_users_mean(
    given: tuple[np.ndarray, tuple[float, float]],
) -> None:
    values, scale = given
    profiles = Profiles(*rated(values, scale, "free"), size=8)
    for user, row in enumerate(values):
        likes, dislikes = named(profiles.text(user))
        assert all(row[item] > max(row.mean(), sum(scale) / 2) for item in likes)
        assert all(row[item] < min(row.mean(), sum(scale) / 2) for item in dislikes)


@given(ratings())
def test_values_lie_on_their_side_of_the_scale_and_of_the_users_mean(
    given: tuple[np.ndarray, tuple[float, float]],
) -> None:
    values, scale = given
    catalog, split = rated(values, scale, "plot_english")
    profiles = Profiles(catalog, split, size=8)
    for user, row in enumerate(values):
        profile = profiles.of(user)
        for pair in (*profile.likes, *profile.dislikes):
            having = [pair in plot_english.read(text).pairs() for text in catalog.texts]
            its = np.mean(row[having])
            away = np.array([its - row.mean(), its - sum(scale) / 2])
            assert np.all(away > 0) if pair in profile.likes else np.all(away < 0)


@given(ratings())
def test_liked_ratings_lie_above_the_users_mean_in_the_upper_half(
    given: tuple[np.ndarray, tuple[float, float]],
) -> None:
    values, scale = given
    mask = liked(*rated(values, scale, "free")).reshape(values.shape)
    clear = np.maximum(values.mean(axis=1, keepdims=True), sum(scale) / 2)
    assert np.all(values[mask] > np.broadcast_to(clear, values.shape)[mask])
    assert np.all(values[~mask] <= np.broadcast_to(clear, values.shape)[~mask] + 1e-4)  # ratings are kept as float32


@given(st.sampled_from(SCALES), st.floats(0, 1), st.integers(2, 8))
def test_a_constant_rater_likes_and_dislikes_nothing(scale: tuple[float, float], place: float, items: int) -> None:
    others = np.tile([scale[0], scale[1]], (3, 8))[:, :items]
    constant = np.full((1, items), scale[0] + place * (scale[1] - scale[0]))
    catalog, split = rated(np.vstack([others, constant]), scale, "free")
    assert Profiles(catalog, split).text(3) == ""
    assert not liked(catalog, split)[-items:].any()


@pytest.mark.parametrize("language", ["plot_english", "free"])
def test_a_generous_rater_dislikes_nothing(language: str) -> None:
    """As in shops: one user of mixed taste, many who give 4 or 5 stars, and items that everybody else loves."""
    values = np.full((12, 8), 5.0)
    values[:, 6:] = 4.0
    values[0] = [5, 5, 4, 4, 1, 1, 5, 2]
    profiles = Profiles(*rated(values, (1, 5), language), size=8)
    said = [profiles.text(user) for user in range(12)]
    assert "islike" in said[0]
    assert not any("islike" in text for text in said[1:])
    assert "liked" in said[1] or "Enjoys" in said[1]


def test_only_support_ratings_are_liked() -> None:
    catalog = load_plots()
    split = split_catalog(catalog)
    mask = liked(catalog, split)
    assert mask.any()
    assert not mask[split.judge].any()
