from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eagle_gym.catalog import Catalog, load_movielens, load_plots
from eagle_gym.errors import ConfigurationError
from eagle_gym.latent import ColdStart, cold_start_report
from tests.latent.conftest import with_ratings

REAL = Path(__file__).parents[2] / ".." / "shared" / "data" / "ml-latest-small"


def test_gains_are_percentages_of_the_user_means_error() -> None:
    report = ColdStart(user_mean=1.0, bias_only=0.98, taste_only=0.97, text=0.95, splits=5)
    assert report.gain() == pytest.approx(5)
    assert report.gain("bias_only") == pytest.approx(2)
    assert "text 0.9500 (+5.00 %)" in str(report)
    assert "mean of 5 splits" in str(report)


def test_the_user_mean_is_what_it_says(catalog: Catalog) -> None:
    cold = np.random.default_rng([7, 0]).permutation(len(catalog.entities))[:30]
    ratings = catalog.ratings
    errors = []
    for user in range(len(catalog.users)):
        mine = ratings.user == user
        hidden = mine & np.isin(ratings.item, cold)
        mean = ratings.value[mine & ~hidden].mean(dtype=np.float64)
        errors += [(value - mean) ** 2 for value in ratings.value[hidden].astype(np.float64)]
    report = cold_start_report(catalog, splits=1, seed=7)
    assert report.user_mean == pytest.approx(np.sqrt(np.mean(errors)))


def test_texts_that_say_nothing_gain_nothing(catalog: Catalog, rng: np.random.Generator) -> None:
    """The texts, dealt out at random."""
    from eagle_gym.catalog import Entity

    dealt = rng.permutation(catalog.texts)
    entities = tuple(Entity(entity.id, "", str(text)) for entity, text in zip(catalog.entities, dealt, strict=True))
    shuffled = Catalog("c", entities, catalog.users, catalog.ratings, catalog.scale, catalog.language)
    assert cold_start_report(shuffled, splits=1).gain() < 3


def test_items_outside_the_choice_are_not_read(catalog: Catalog) -> None:
    chosen = np.arange(100)
    outside = catalog.ratings.item >= 100
    report = cold_start_report(catalog, splits=1, items=chosen)
    assert cold_start_report(with_ratings(catalog, outside), splits=1, items=chosen) == report


@pytest.mark.parametrize("wrong", [{"splits": 0}, {"held_out": 0.0}, {"held_out": 1.0}])
def test_wrong_arguments_are_refused(catalog: Catalog, wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="1 or more splits and a share"):
        cold_start_report(catalog, **wrong)  # type: ignore[arg-type]


def test_plots() -> None:
    report = cold_start_report(load_plots(), splits=1)
    assert report.gain() > 8
    assert report.gain("text") > max(report.gain("bias_only"), report.gain("taste_only"))


@pytest.mark.skipif(not REAL.is_dir(), reason="the real ml-latest-small is not beside the checkout")
def test_real_ratings_of_unseen_films_are_predicted_from_their_texts() -> None:
    report = cold_start_report(load_movielens(REAL, progress=False))
    assert report.splits == 5
    assert report.gain() >= 3, str(report)
