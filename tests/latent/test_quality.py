from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eagle_gym.catalog import Catalog, Item, Split, load_movielens, load_plots, split_catalog
from eagle_gym.errors import ConfigurationError
from eagle_gym.latent import ColdStart, SpaceParameters, cold_start_report, cross_validate, fit_space
from eagle_gym.latent.quality import hold_out
from tests.latent.conftest import with_ratings

REAL = Path(__file__).parents[2] / ".." / "shared" / "data" / "ml-latest-small"
PARAMETERS = SpaceParameters(dim=4, sweeps=3, encoder_ridge=30.0)


def cold_rows(catalog: Catalog, seed: int, number: int = 0, share: float = 0.2) -> np.ndarray:
    """The items that split `number` holds out."""
    order = np.random.default_rng([seed, number]).permutation(len(catalog.items))
    return order[: round(share * len(order))]


def test_gains_are_percentages_of_the_user_means_error() -> None:
    report = ColdStart(user_mean=1.0, bias_only=0.98, taste_only=0.97, text=0.95, auc=0.6, ndcg=0.8, splits=5)
    assert report.gain() == pytest.approx(5)
    assert report.gain("bias_only") == pytest.approx(2)
    assert "text 0.9500 (+5.00 %)" in str(report)
    assert "mean of 5 splits" in str(report)
    assert "AUC 0.600, NDCG@10 0.800" in str(report)


def test_the_user_mean_is_that_of_the_support(catalog: Catalog, split: Split) -> None:
    cold = np.isin(catalog.ratings.item, cold_rows(catalog, 7))
    errors: dict[str, list[float]] = {"all": [], "train": [], "test": []}
    for user in range(len(catalog.users)):
        mine = catalog.ratings.user == user
        mean = catalog.ratings.value[mine & ~cold & split.support].mean(dtype=np.float64)
        found = [(value - mean) ** 2 for value in catalog.ratings.value[mine & cold].astype(np.float64)]
        errors["all"] += found
        errors["test" if user in split.test_users else "train"] += found
    report = cold_start_report(catalog, split, PARAMETERS, splits=1, seed=7).errors
    for who, squares in errors.items():
        assert report[who].user_mean == pytest.approx(np.sqrt(np.mean(squares))), who


def test_the_space_is_that_of_an_environment_whose_catalog_lacks_the_items(catalog: Catalog, split: Split) -> None:
    """The whole prediction again, through `fit_space`, on a catalog made by hand."""
    cold = cold_rows(catalog, 7)
    held = hold_out(catalog, split, cold)
    warm = np.setdiff1d(np.arange(len(catalog.items)), cold)
    assert [item.id for item in held.catalog.items] == [catalog.items[row].id for row in warm]
    assert held.texts == [catalog.texts[row] for row in cold]
    space = fit_space(held.catalog, held.split, PARAMETERS)
    errors = []
    for user, item, value in zip(held.user, held.item, held.value, strict=True):
        z = space.encoder.encode([held.texts[item]])[0]
        errors.append((space.users[user, -1] + z @ space.users[user, :-1] - value) ** 2)
    report = cold_start_report(catalog, split, PARAMETERS, splits=1, seed=7).errors["all"]
    assert report.text == pytest.approx(np.sqrt(np.mean(errors)))


def test_holding_out_keeps_who_tests_and_what_is_support(catalog: Catalog, split: Split) -> None:
    held = hold_out(catalog, split, np.arange(40))
    names = {catalog.users[row] for row in split.test_users}
    assert {held.catalog.users[row] for row in held.split.test_users} == names
    kept = catalog.ratings.item >= 40
    np.testing.assert_array_equal(held.split.support, split.support[kept])
    np.testing.assert_array_equal(held.catalog.ratings.value, catalog.ratings.value[kept])
    assert len(held.value) == (~kept).sum()


def test_users_who_rated_nothing_else_are_not_judged(catalog: Catalog, split: Split) -> None:
    first = catalog.ratings.user == 0
    held = hold_out(catalog, split, catalog.ratings.item[first])
    assert catalog.users[0] not in held.catalog.users
    judged = {held.catalog.users[row] for row in held.user}
    assert judged <= {user for user in held.catalog.users if user != catalog.users[0]}


def test_what_test_users_say_changes_no_train_users_prediction(catalog: Catalog, split: Split) -> None:
    theirs = np.isin(catalog.ratings.user, split.test_users)
    whole = cold_start_report(catalog, split, PARAMETERS, splits=1).errors
    other = cold_start_report(with_ratings(catalog, theirs), split, PARAMETERS, splits=1).errors
    assert other["train"] == whole["train"]
    assert other["test"] != whole["test"]


CHOICES = [replace(PARAMETERS, encoder_ridge=ridge) for ridge in (3.0, 30.0, 3000.0)]


def test_parameters_are_cross_validated_by_train_users_ratings_only(catalog: Catalog, split: Split) -> None:
    theirs = np.isin(catalog.ratings.user, split.test_users)
    gains = cross_validate(catalog, split, CHOICES, splits=1)
    assert len(set(gains)) == 3
    assert cross_validate(with_ratings(catalog, theirs), split, CHOICES, splits=1) == gains


def test_a_choice_has_the_same_score_by_itself_and_among_others(catalog: Catalog, split: Split) -> None:
    choices = [CHOICES[0], replace(PARAMETERS, damping=2.0), replace(PARAMETERS, dim=3), CHOICES[2]]
    gains = cross_validate(catalog, split, choices, splits=1)
    assert gains == [cross_validate(catalog, split, [choice], splits=1)[0] for choice in choices]


def test_a_choice_within_a_split_never_sees_its_items(catalog: Catalog, split: Split) -> None:
    report = cold_start_report(catalog, split, choices=CHOICES[1:], splits=1, seed=7)
    gains = cross_validate(*_kept(catalog, split, cold_rows(catalog, 7)), CHOICES[1:], seed=7)
    assert report.parameters == (CHOICES[1 + int(np.argmax(gains))],)
    assert report.errors == cold_start_report(catalog, split, report.parameters[0], splits=1, seed=7).errors


def _kept(catalog: Catalog, split: Split, cold: np.ndarray) -> tuple[Catalog, Split]:
    held = hold_out(catalog, split, cold)
    return held.catalog, held.split


def test_texts_that_say_nothing_gain_nothing(catalog: Catalog, split: Split, rng: np.random.Generator) -> None:
    """The texts, dealt out at random."""
    dealt = rng.permutation(catalog.texts)
    items = tuple(Item(item.id, "", str(text)) for item, text in zip(catalog.items, dealt, strict=True))
    shuffled = Catalog("c", items, catalog.users, catalog.ratings, catalog.scale, catalog.language)
    assert cold_start_report(shuffled, split, splits=1).errors["all"].gain() < 3


@pytest.mark.parametrize("wrong", [{"splits": 0}, {"held_out": 0.0}, {"held_out": 1.0}])
def test_wrong_arguments_are_refused(catalog: Catalog, split: Split, wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="1 or more splits and a share"):
        cold_start_report(catalog, split, **wrong)  # type: ignore[arg-type]


def test_plots() -> None:
    catalog = load_plots()
    report = cold_start_report(catalog, split_catalog(catalog), splits=1).errors
    for found in report.values():
        assert found.gain() > 8
        assert found.gain("text") > max(found.gain("bias_only"), found.gain("taste_only"))


@pytest.mark.skipif(not REAL.is_dir(), reason="the real ml-latest-small is not next to the checkout")
def test_real_ratings_of_unseen_films_are_predicted_from_their_texts() -> None:
    catalog = load_movielens(REAL, progress=False)
    report = cold_start_report(catalog, split_catalog(catalog), splits=2).errors
    for found in report.values():
        assert found.splits == 2
        assert found.gain() >= 3, str(report)
