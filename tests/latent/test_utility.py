from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eagle_gym.catalog import Catalog
from eagle_gym.errors import ConfigurationError
from eagle_gym.latent import ContentGap, LatentSpace, UtilityParts, make_utility
from eagle_gym.latent.geometry import norms, project_to_ball

PARTS = ("total", "affinity", "novelty", "percentile")


def points(space: LatentSpace, rng: np.random.Generator, count: int = 50) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, rows of users and of items left out."""
    z = project_to_ball(rng.normal(size=(count, space.dim)) * 1.5, space.radius)
    users = rng.integers(len(space.users), size=count)
    return z, users, rng.integers(-1, len(space.items), size=count)


@pytest.mark.parametrize(("metric", "order"), [("euclidean", 2), ("cityblock", 1), ("chebyshev", np.inf)])
def test_parts_agree_with_the_plain_formulas(
    space: LatentSpace, rng: np.random.Generator, metric: str, order: float
) -> None:
    z, users, exclude = points(space, rng)
    parts = ContentGap(space, weight=0.5, neighbours=7, metric=metric)(z, users, exclude)

    def mean_distance(point: np.ndarray, left_out: int) -> float:
        others = np.delete(space.items, left_out, axis=0) if left_out >= 0 else space.items
        return float(np.sort(np.linalg.norm(others - point, ord=order, axis=1))[:7].mean())

    own = np.array([mean_distance(point, row) for row, point in enumerate(space.items)])
    cap = np.quantile(own, 0.95)
    capped = np.minimum(own, cap)
    raw = np.array([mean_distance(point, row) for point, row in zip(z, exclude, strict=True)])
    novelty = (np.minimum(raw, cap) - capped.mean()) / capped.std()
    tastes = space.users[users, :-1]
    affinity = np.sum(z * tastes, axis=1) / np.linalg.norm(tastes, axis=1)
    np.testing.assert_allclose(parts.novelty, novelty)
    np.testing.assert_allclose(parts.affinity, affinity)
    np.testing.assert_allclose(parts.total, affinity + 0.5 * novelty)


def test_both_parts_are_standardised_over_the_catalog(space: LatentSpace) -> None:
    count = len(space.items)
    parts = ContentGap(space)(space.items, np.full(count, 3), np.arange(count))
    for part in (parts.affinity, parts.novelty):
        assert part.mean() == pytest.approx(0, abs=0.05)
        assert part.std() == pytest.approx(1, abs=0.05)


def test_percentiles_count_the_catalog(space: LatentSpace, rng: np.random.Generator) -> None:
    z, users, exclude = points(space, rng)
    found = ContentGap(space)(z, users, exclude).percentile
    for point, user, percentile in zip(z, users, found, strict=True):
        ratings = space.predict(space.items, np.tile(space.users[user], (len(space.items), 1)))
        mine = space.predict(point[None], space.users[[user]])[0]
        assert percentile == pytest.approx(100 * np.mean(ratings < mine), abs=100 / len(ratings))
    count = len(space.items)
    own = ContentGap(space)(space.items, np.full(count, users[0]), np.arange(count)).percentile
    assert own.mean() == pytest.approx(50)
    assert own.min() > 0
    assert own.max() < 100


def test_a_row_does_not_depend_on_its_batch(space: LatentSpace, rng: np.random.Generator) -> None:
    utility = ContentGap(space)
    z, users, exclude = points(space, rng)
    whole = utility(z, users, exclude)
    shuffle = rng.permutation(len(z))
    shuffled = utility(z[shuffle], users[shuffle], exclude[shuffle])
    alone = [ContentGap(space)(z[[row]], users[[row]], exclude[[row]]) for row in range(5)]
    for name in PARTS:
        assert getattr(whole, name)[shuffle].tobytes() == getattr(shuffled, name).tobytes()
        assert getattr(whole, name)[:5].tobytes() == np.concatenate([getattr(parts, name) for parts in alone]).tobytes()


def test_leaving_an_item_out_makes_its_place_newer(space: LatentSpace) -> None:
    utility = ContentGap(space)
    kept, left_out = (utility.distance(space.items[:20], rows) for rows in (np.full(20, -1), np.arange(20)))
    assert np.all(left_out > kept)
    assert np.array_equal(utility.distance(space.items[:20], np.full(20, 149)), kept) or len(space.items) == 150


def test_novelty_is_capped(space: LatentSpace) -> None:
    utility = ContentGap(space)
    far = np.full((1, space.dim), 100.0), np.full((1, space.dim), 200.0)
    users, nothing = np.array([0]), np.array([-1])
    assert utility(far[0], users, nothing).novelty == utility(far[1], users, nothing).novelty


def test_a_user_without_taste_has_no_affinity(space: LatentSpace) -> None:
    flat = ContentGap(replace(space, users=np.zeros((1, space.dim + 1))))
    assert flat(space.items[:1], np.array([0]), np.array([-1])).affinity.tolist() == [0.0]


@pytest.mark.parametrize("strength", [1e-11, 1e-6, 1e-2, 10.0])
def test_affinity_does_not_depend_on_the_strength_of_a_taste(
    space: LatentSpace, rng: np.random.Generator, strength: float
) -> None:
    z, users, exclude = points(space, rng)
    scaled = space.users.copy()
    scaled[:, :-1] *= strength / norms(scaled[:, :-1])[:, None]
    other = ContentGap(replace(space, users=scaled))
    np.testing.assert_allclose(other(z, users, exclude).affinity, ContentGap(space)(z, users, exclude).affinity)


@pytest.mark.parametrize("kind", [{}, {"affinity": "personal"}, {"interests": 2}])
@pytest.mark.parametrize(
    ("users", "message"),
    [
        ([0, 60], "0 to 59, got 60"),
        ([-1, 0], "0 to 59, got -1"),
        ([0.0, 1.0], "expected users as their rows in the latent space, integers .B., got float64 of shape .2,."),
        (np.zeros((2, 4)), r"got float64 of shape .2, 4."),
    ],
)
def test_an_unknown_user_is_refused(
    space: LatentSpace, catalog: Catalog, kind: dict[str, object], users: object, message: str
) -> None:
    utility = ContentGap(space, catalog=catalog, **kind)  # type: ignore[arg-type]
    assert len(space.users) == 60
    with pytest.raises(ConfigurationError, match=message):
        utility(space.items[:2], np.asarray(users), np.array([-1, -1]))


def test_no_points_give_no_utilities(space: LatentSpace) -> None:
    none = ContentGap(space)(np.empty((0, space.dim)), np.empty(0, dtype=int), np.empty(0, dtype=int))
    assert all(getattr(none, name).shape == (0,) for name in PARTS)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"metric": "cosine"}, "metric must be one of euclidean, cityblock, chebyshev, got 'cosine'"),
        ({"weight": float("nan")}, "weight must be a finite number, got nan"),
        ({"neighbours": 0}, "neighbours must be a whole number from 1 to 149.*got 0"),
        ({"neighbours": 150}, "neighbours must be a whole number from 1 to 149.*got 150"),
        ({"neighbours": 2.5}, "neighbours must be a whole number .*got 2.5"),
        ({"colour": "red"}, "utility ContentGap cannot be made with .*colour"),
    ],
)
def test_wrong_arguments_are_refused(
    space: LatentSpace, catalog: Catalog, wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_utility(None, space, catalog, **wrong)


def farther(space: LatentSpace, catalog: Catalog, scale: float = 1.0):
    """A utility of one's own: how far from the middle."""

    def utility(z: np.ndarray, users: np.ndarray, exclude: np.ndarray) -> UtilityParts:
        nothing = np.zeros(len(z))
        return UtilityParts(scale * norms(z), nothing, nothing, nothing)

    return utility


NOT_CALLABLE = 3


def makes_nothing(space: LatentSpace, catalog: Catalog) -> None:
    """No utility."""


def test_a_utility_of_ones_own(
    space: LatentSpace, catalog: Catalog, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys
    import types

    module = types.ModuleType("my_utilities")
    module.farther, module.makes_nothing, module.three = farther, makes_nothing, 3  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_utilities", module)
    utility = make_utility("my_utilities:farther", space, catalog, scale=2.0)
    z, users, exclude = points(space, rng)
    np.testing.assert_allclose(utility(z, users, exclude).total, 2 * norms(z))
    for spec, message in (
        ("my_utilities:makes_nothing", "must make something callable, got NoneType"),
        ("my_utilities:three", "cannot be made with"),
        ("my_utilities:four", "cannot be found"),
        ("no_such_module:four", "cannot be found"),
        ("my_utilities", "expected the utility as 'module:factory'"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            make_utility(spec, space, catalog)
