"""Whether texts beat their placebo: the arithmetic on small cases, real fits, and that nothing leaks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eagle_gym.catalog import Catalog, Item, Split, plots_world, split_catalog
from eagle_gym.errors import PreparationError
from eagle_gym.latent import LatentSpace, Quality, Score, SpaceParameters, fit_space, placebo
from eagle_gym.latent.placebo import Apart, Sample, compare, predict_apart
from eagle_gym.latent.users import Moments, Population
from tests.latent.conftest import with_ratings

PARAMETERS = SpaceParameters(dim=4, rank=8, sweeps=5, encoder_ridge=30.0)


@pytest.fixture(scope="module")
def rated() -> Catalog:
    """Enough users and ratings to measure."""
    return plots_world.make_plots(seed=3, films=250, users=110).catalog


@pytest.fixture(scope="module")
def split(rated: Catalog) -> Split:
    return split_catalog(rated)


@pytest.fixture(scope="module")
def space(rated: Catalog, split: Split) -> LatentSpace:
    return fit_space(rated, split, PARAMETERS)


def quality(gain: float, placebo_gain: float, error: float) -> Quality:
    return Quality(0.1, 0.2, 8, Score(gain, 0.6, 0.8), Score(placebo_gain, 0.5, 0.7), error, 5000)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (quality(4.0, 1.0, 0.2), "better"),
        (quality(1.3, 1.0, 0.2), "no better"),
        (quality(0.5, 1.0, 0.2), "no better"),
        (quality(1.3, 1.0, 0.9), "not measured"),
        (quality(4.0, 1.0, 0.9), "better"),
        (Quality(0.1, 0.2, 8), "not measured"),
    ],
)
def test_only_what_is_measured_to_be_no_better_is_refused(found: Quality, verdict: str) -> None:
    assert found.verdict == verdict
    if verdict == "no better":
        with pytest.raises(PreparationError, match=rf"'films'.*{found.text.gain:.2f} % against 1\.00 %"):  # type: ignore[union-attr]
            found.check("films")
    else:
        found.check("films")


def test_a_record_survives_json() -> None:
    for found in (quality(4.0, 1.0, 0.2), Quality(0.1, 0.2, 8)):
        assert Quality.from_json(found.to_json()) == found


def test_facts_name_both_numbers() -> None:
    told = dict(quality(4.0, 1.0, 0.2).facts(dim=8))
    assert told["gain on unseen items"] == "4.00 %, placebo 1.00 % (standard error of the difference 0.20)"
    assert told["auc on unseen items"] == "0.600, placebo 0.500"
    assert told["verdict"] == "better than its placebo"
    assert dict(Quality(0.1, 0.2, 8).facts(dim=8))["gain on unseen items"] == "not measured: too few ratings"


def test_scores_and_their_error_by_hand() -> None:
    sample = Sample(np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([4.0, 2.0, 3.0]), np.zeros(3, int))
    judged = np.ones(3, bool)
    text = Apart(judged, np.array([4.0, 3.0, 3.0]), np.array([3.0, 3.0, 2.0]))
    other = Apart(judged, np.array([2.0, 3.0, 3.0]), text.user_mean)
    found = compare(sample, text, other)
    base, rmse, worse = 1.0, np.sqrt(1 / 3), np.sqrt(5 / 3)
    assert found["text"].gain == pytest.approx(100 * (1 - rmse / base))
    assert found["placebo"].gain == pytest.approx(100 * (1 - worse / base))
    assert (found["text"].auc, found["placebo"].auc) == (1, 0)
    # differences of squared errors 4, 0, 0, centred 8/3, -4/3, -4/3; by user 4/3, -4/3; by item 8/3, -8/3
    spread = np.sqrt((2 * 16 + 2 * 64) / 9) / 3
    assert found["error"] == pytest.approx(100 * spread / ((rmse + worse) * base))


def test_a_user_is_fitted_on_the_other_parts_only(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    population = Population(np.array([0.3, 0.0, 0.1]), np.diag([1.0, 2.0, 0.5]), 0.4)
    monkeypatch.setattr(placebo, "fit_population", lambda moments: population)
    user, item = (axis.ravel() for axis in np.indices((3, 10)))
    value, z = rng.normal(size=30), rng.normal(size=(10, 2))
    sample = Sample(user, item, value, np.arange(10)[item] % 2)
    found = predict_apart(sample, z)
    rows = (user == 1) & (item % 2 == 1)  # what user 1 is fitted on when even items are predicted
    columns = np.column_stack([z, np.ones(10)])
    own = Moments.of(user[rows] * 0, item[rows], value[rows] - value.mean(), columns, 1)
    expected = value.mean() + columns[::2] @ population.posterior(own)[0][0]
    judged = (user == 1) & (item % 2 == 0)
    np.testing.assert_allclose(found.predicted[judged], expected)
    np.testing.assert_allclose(found.user_mean[judged], value[rows].mean())
    assert found.judged.all()


def test_users_of_one_part_are_not_judged() -> None:
    sample = Sample(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([4.0, 2.0, 3.0]), np.array([0, 1, 0]))
    assert predict_apart(sample, np.eye(2)).judged.tolist() == [True, True, False]


def test_texts_of_plots_beat_their_placebo(space: LatentSpace) -> None:
    found = space.quality
    assert found.verdict == "better"
    assert found.text is not None
    assert found.placebo is not None
    assert found.text.gain > found.placebo.gain + 2
    assert found.text.auc > found.placebo.auc + 0.05
    assert found.text.ndcg > found.placebo.ndcg


def test_permuted_texts_do_not(rated: Catalog, split: Split) -> None:
    """On a fit with permuted texts, text and placebo are two draws of the same noise."""
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(rated.items))
        items = tuple(Item(item.id, "", rated.texts[row]) for item, row in zip(rated.items, order, strict=True))
        noise = Catalog("noise", items, rated.users, rated.ratings, rated.scale, rated.language)
        assert fit_space(noise, split, PARAMETERS).quality.verdict != "better"


def test_few_ratings_are_not_measured(catalog: Catalog, parameters: SpaceParameters) -> None:
    found = fit_space(catalog, split_catalog(catalog), parameters).quality
    assert found.text is None
    assert found.verdict == "not measured"


def test_quality_reads_neither_test_users_nor_the_judges_half(space: LatentSpace, rated: Catalog, split: Split) -> None:
    theirs = np.isin(rated.ratings.user, split.test_users)
    assert fit_space(with_ratings(rated, theirs), split, PARAMETERS).quality == space.quality
    one = rated.ratings.user == split.train_users[0]
    assert fit_space(with_ratings(rated, one), split, PARAMETERS).quality != space.quality


def test_quality_is_saved_and_is_not_in_the_fingerprint(space: LatentSpace, tmp_path: Path) -> None:
    space.save(tmp_path)
    assert LatentSpace.load(tmp_path).quality == space.quality
    assert replace(space, quality=Quality(0.0, 0.0, 4)).fingerprint == space.fingerprint


def test_many_users_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placebo, "USERS", 3)
    user = np.repeat([2, 5, 7, 9, 11], 2)
    sample = Sample.of(user, np.tile([0, 1], 5), np.arange(10.0), np.array([0, 1]), seed=0)
    assert np.unique(sample.user).tolist() == [0, 1, 2]
    assert len(sample.value) == 6
    assert sample.part.tolist() == [0, 1] * 3
