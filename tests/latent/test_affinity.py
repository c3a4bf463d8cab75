from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eagle_gym.catalog import Catalog, Split
from eagle_gym.errors import ConfigurationError
from eagle_gym.latent import ContentGap, LatentSpace, UtilityParts, affinity, fit_interests, make_utility
from eagle_gym.latent.affinity import InterestAffinity, TasteAffinity, runs
from eagle_gym.latent.interests import Interests, kernels, soft_maximum
from tests.latent.conftest import with_ratings
from tests.latent.test_utility import PARTS, points

KINDS = [
    {"affinity": "personal"},
    {"interests": 3},
    {"interests": 3, "affinity": "personal"},
    {"interests": 2, "width": 0.8},
    {"interests": 2, "width": 0.8, "kernel": "compact"},
]


def gap(space: LatentSpace, catalog: Catalog, split: Split, **kind: object) -> ContentGap:
    found = make_utility(None, space, catalog, split, **kind)
    assert isinstance(found, ContentGap)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_affinity_is_standardised_over_the_catalog(
    space: LatentSpace, catalog: Catalog, split: Split, kind: dict[str, object]
) -> None:
    utility, count = gap(space, catalog, split, **kind), len(space.items)
    for user in (0, 7, int(split.test_users[0])):
        found = utility(space.items, np.full(count, user), np.arange(count)).affinity
        assert found.mean() == pytest.approx(0, abs=0.05)
        assert found.std() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_does_not_depend_on_its_batch(
    space: LatentSpace, catalog: Catalog, split: Split, rng: np.random.Generator, kind: dict[str, object]
) -> None:
    utility = gap(space, catalog, split, **kind)
    z, users, exclude = points(space, rng)
    users[10:20] = users[10]
    whole = utility(z, users, exclude)
    shuffle = rng.permutation(len(z))
    shuffled = utility(z[shuffle], users[shuffle], exclude[shuffle])
    for name in PARTS:
        assert getattr(whole, name)[shuffle].tobytes() == getattr(shuffled, name).tobytes()
        for size in (1, 3, 16, 17, 33):
            part = utility(z[:size], users[:size], exclude[:size])
            assert getattr(part, name).tobytes() == getattr(whole, name)[:size].tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_only_affinity_and_total_depend_on_the_kind(
    space: LatentSpace, catalog: Catalog, split: Split, rng: np.random.Generator, kind: dict[str, object]
) -> None:
    z, users, exclude = points(space, rng)
    plain, other = ContentGap(space, weight=0.5)(z, users, exclude), gap(space, catalog, split, weight=0.5, **kind)
    found = other(z, users, exclude)
    assert found.novelty.tobytes() == plain.novelty.tobytes()
    assert found.percentile.tobytes() == plain.percentile.tobytes()
    assert not np.allclose(found.affinity, plain.affinity)
    np.testing.assert_allclose(found.total, found.affinity + 0.5 * found.novelty)


def test_personal_affinity_is_the_rating_minus_the_mean_train_users(
    space: LatentSpace, catalog: Catalog, split: Split, rng: np.random.Generator
) -> None:
    z, users, exclude = points(space, rng)
    mean, theirs = space.users[split.train_users].mean(axis=0), space.users[users]
    own, others = (space.predict(z, who) for who in (theirs, np.tile(mean, (len(z), 1))))
    difference = (own - theirs[:, -1]) - (others - mean[-1])
    wanted = difference / np.linalg.norm(theirs[:, :-1] - mean[:-1], axis=1)
    np.testing.assert_allclose(gap(space, catalog, split, affinity="personal")(z, users, exclude).affinity, wanted)


vectors = st.lists(st.floats(-3, 3), min_size=3, max_size=3).map(np.array)


@given(vectors, vectors, vectors, vectors)
def test_personal_affinity_does_not_change_when_all_tastes_move(
    z: np.ndarray, taste: np.ndarray, mean: np.ndarray, move: np.ndarray
) -> None:
    if 0 < np.linalg.norm(taste - mean) < 1e-3:
        return
    nobody = np.array([0])
    before = TasteAffinity(taste[None], mean)(z[None], nobody)
    after = TasteAffinity((taste + move)[None], mean + move)(z[None], nobody)
    np.testing.assert_allclose(after, before, atol=1e-9)


@given(vectors, st.floats(1e-3, 1e3))
def test_a_user_with_the_mean_taste_has_personal_affinity_0(taste: np.ndarray, scale: float) -> None:
    centre = scale * taste
    same = (3 * centre) / 3  # equal but for rounding
    found = TasteAffinity(same[None], centre)(np.ones((1, 3)), np.array([0]))
    assert found.tolist() == [0.0]


def test_interests_agree_with_the_plain_formula(
    space: LatentSpace, catalog: Catalog, split: Split, rng: np.random.Generator
) -> None:
    z, users, _ = points(space, rng)
    found = fit_interests(catalog, split, space, 3)

    def raw(at: np.ndarray, user: int) -> np.ndarray:
        near = np.exp(-(np.linalg.norm(at[:, None] - found.centres[user], axis=2) ** 2) / (2 * 1.5**2))
        return np.log(np.exp(10 * near) @ found.weights[user]) / 10

    absolute, personal = (
        gap(space, catalog, split, interests=3, affinity=kind)(z, users, np.full(len(z), -1)).affinity
        for kind in ("absolute", "personal")
    )

    def crowd(at: np.ndarray) -> np.ndarray:
        return np.mean([raw(at, int(user)) for user in split.train_users], axis=0)

    assert len(split.train_users) <= affinity.CROWD
    for row, user in enumerate(users.tolist()):
        catalogs = raw(space.items, user)
        assert absolute[row] == pytest.approx((raw(z[[row]], user)[0] - catalogs.mean()) / catalogs.std())
        special = catalogs - crowd(space.items)
        mine = (raw(z[[row]], user) - crowd(z[[row]]))[0]
        assert personal[row] == pytest.approx((mine - special.mean()) / special.std())


def test_interests_are_bounded_however_far_a_point_is(space: LatentSpace, catalog: Catalog, split: Split) -> None:
    utility = gap(space, catalog, split, interests=3)
    far = np.full((1, space.dim), 1e6)
    for user in range(len(space.users)):
        centres = np.concatenate([far, space.items])
        found = utility(centres, np.full(len(centres), user), np.full(len(centres), -1)).affinity
        assert np.isfinite(found).all()
        assert found[0] <= found.min() + 1e-9, "nothing is farther than far"


def test_a_text_at_the_strongest_interest_beats_one_between_interests() -> None:
    centres = np.array([[[3.0, 0.0], [-3.0, 0.0]]])
    z = np.array([[3.0, 0.0], [0.0, 0.0], [-3.0, 0.0]])
    values = soft_maximum(kernels(z, centres, 1.5), np.array([[0.7], [0.3]]))
    assert values[0] > values[2] > values[1]


def test_users_of_one_taste_have_the_interests_of_their_own(space: LatentSpace) -> None:
    same = replace(space, users=np.tile(space.users[:1], (2, 1)))
    interests = Interests(space.items[[[0, 1], [2, 3]]], np.full((2, 2), 0.5))
    absolute = InterestAffinity(same, interests, 1.5, np.arange(0))
    one, other = (absolute(space.items, np.full(len(space.items), user)) for user in (0, 1))
    assert one[:2].min() > one[2:4].max()
    assert other[2:4].min() > other[:2].max()


def test_equal_users_have_no_special_taste(space: LatentSpace) -> None:
    interests = Interests(np.tile(space.items[None, :2], (4, 1, 1)), np.full((4, 2), 0.5))
    personal = InterestAffinity(space, interests, 1.5, np.arange(4))
    np.testing.assert_allclose(personal(space.items, np.zeros(len(space.items), int)), 0, atol=1e-9)


def test_no_test_user_changes_what_is_subtracted(catalog: Catalog, split: Split, space: LatentSpace) -> None:
    theirs = np.isin(catalog.ratings.user, split.test_users)
    train = np.full(len(space.items), split.train_users[0])
    users = space.users.copy()
    users[split.test_users] += 1.0
    moved = replace(space, users=users)
    for kind in ({"affinity": "personal"}, {"affinity": "personal", "interests": 3}):
        before = gap(space, catalog, split, **kind)(space.items, train, np.arange(len(train)))
        after = gap(moved, with_ratings(catalog, theirs), split, **kind)(space.items, train, np.arange(len(train)))
        assert after.total.tobytes() == before.total.tobytes()


def test_interests_are_at_hand_where_there_are_several(space: LatentSpace, catalog: Catalog, split: Split) -> None:
    assert gap(space, catalog, split, affinity="personal").interests is None
    found = gap(space, catalog, split, interests=2).interests
    assert found is not None
    assert found.centres.shape == (len(space.users), 2, space.dim)


def test_no_points_give_no_affinities(space: LatentSpace, catalog: Catalog, split: Split) -> None:
    for kind in KINDS:
        nothing = np.empty((0, space.dim)), np.empty(0, dtype=int), np.empty(0, dtype=int)
        assert gap(space, catalog, split, **kind)(*nothing).affinity.shape == (0,)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"affinity": "relative"}, "affinity must be one of absolute, personal, got 'relative'"),
        ({"interests": 0}, "interests must be a whole number of at least 1, got 0"),
        ({"interests": 1.5}, "interests must be a whole number of at least 1, got 1.5"),
        ({"interests": True}, "interests must be a whole number of at least 1, got True"),
        ({"width": 0.0}, "width must be a positive number, got 0.0"),
        ({"kernel": "round"}, "kernel must be one of gaussian, compact, got 'round'"),
        ({"width": float("nan")}, "width must be a positive number, got nan"),
        ({"catalog": None}, "cannot be made with"),
    ],
)
def test_wrong_arguments_are_refused(
    space: LatentSpace, catalog: Catalog, wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_utility(None, space, catalog, **wrong)


@pytest.mark.parametrize("kind", [{"affinity": "personal"}, {"interests": 2}])
def test_users_of_a_catalog_are_needed_for_what_is_about_them(space: LatentSpace, kind: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="need the catalog"):
        ContentGap(space, **kind)  # type: ignore[arg-type]


def test_the_split_is_that_of_the_catalog_by_default(
    space: LatentSpace, catalog: Catalog, split: Split, rng: np.random.Generator
) -> None:
    z, users, exclude = points(space, rng)
    found: list[UtilityParts] = [
        ContentGap(space, affinity="personal", catalog=catalog, split=given)(z, users, exclude)
        for given in (None, split)
    ]
    assert found[0].total.tobytes() == found[1].total.tobytes()


@settings(max_examples=30)
@given(st.lists(st.integers(0, 2), max_size=12))
def test_runs_are_of_equal_neighbours(labels: list[int]) -> None:
    users = np.array(labels, np.int64)
    found = list(runs(users))
    assert [label for rows in found for label in users[rows]] == labels
    assert all(len(set(users[rows])) == 1 for rows in found)
    assert all(users[one.stop] != users[one.start] for one in found[:-1])
