"""Rivals of the latent space on a small catalog, and on cases computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.experiments.space import rivals
from eagle_gym.catalog import Catalog, plots_world, split_catalog
from eagle_gym.latent.quality import hold_out


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return plots_world.make_plots(seed=3, films=150, users=60).catalog


@pytest.fixture(scope="module")
def task(catalog: Catalog) -> rivals.Task:
    return rivals.Task.of(hold_out(catalog, split_catalog(catalog), np.arange(30)), 0.0)


def test_all_rivals_predict_every_rating(task: rivals.Task) -> None:
    found = dict(rivals.predictions(task, rivals.Tuned()))
    assert set(found) == set(rivals.RIVALS)
    for name, predicted in found.items():
        assert predicted.shape == task.held.value.shape, name
        assert np.isfinite(predicted).all(), name
    assert found["user mean, shrunken"] == pytest.approx(task.base)
    assert np.any(found["hybrid factorisation (LightFM-like)"] != task.base)


def test_rivals_do_not_read_the_held_out_ratings(catalog: Catalog) -> None:
    """Popularity counts them, and nothing else sees that they exist."""
    split, cold = split_catalog(catalog), np.arange(30)
    held = hold_out(catalog, split, cold)
    task = rivals.Task.of(held, 0.0)
    assert len(held.catalog.items) == len(catalog.items) - 30
    assert len(task.left) == int(held.split.support.sum())


def test_what_is_linear_in_the_number_of_tags_is_taken_away(
    task: rivals.Task, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    number = rng.integers(0, 5, len(task.held.texts)).astype(float)
    monkeypatch.setattr(rivals.Task, "tags", lambda self: (np.zeros(1), number))
    told = rng.normal(size=len(task.held.value))
    told -= np.polyval(np.polyfit(number[task.held.item], told, 1), number[task.held.item])
    predicted = task.base + 0.7 * number[task.held.item] + told
    left = rivals.without_tags(task, predicted)
    assert np.corrcoef(left - task.base, number[task.held.item])[0, 1] == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(left, task.base + 0.7 * number[task.held.item].mean() + told)
