"""The comparison of the space with its rivals: tuning, intervals, placebos."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.experiments.space import comparison, rivals, tables
from eagle_gym.catalog import Catalog, plots_world, split_catalog
from eagle_gym.latent import Reading, with_permuted_texts
from eagle_gym.latent.quality import holding_out
from tests.latent.encoders import CountEncoder

WORDS = ("comedy", "war", "robot", "love", "spy", "dark")


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return replace(plots_world.make_plots(seed=3, films=120, users=60).catalog, language="free")


@pytest.fixture(scope="module")
def compared(catalog: Catalog) -> dict[str, comparison.Row]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rivals, "CHOICES", {name: choices[:2] for name, choices in rivals.CHOICES.items()})
        return comparison.compare(catalog, 2, {"counts": Reading(False, CountEncoder(WORDS))})


def test_every_row_has_its_placebo_and_interval(compared: dict[str, comparison.Row]) -> None:
    names = [*comparison.SPACES, comparison.PARTIAL, "latent space, counts", *rivals.RIVALS]
    assert sorted(compared) == sorted(names)
    for row in compared.values():
        assert row.low <= row.gain_test <= row.high
    space, mean = compared[comparison.SPACE], compared["user mean, shrunken"]
    assert space.gain_test > space.placebo
    assert space.over[0] < space.gain_test - space.placebo < space.over[1]
    assert mean.gain_test == mean.placebo  # it reads no text
    assert mean.over == (0.0, 0.0)
    page = comparison.comparison_table("c", compared, 2)
    assert f"{space.gain_test:+.2f} % [{space.low:.2f}, {space.high:.2f}]" in page


def test_a_shrunken_mean_lies_between_the_own_and_that_of_all(catalog: Catalog) -> None:
    (held,) = holding_out(catalog, split_catalog(catalog), 1, 0.2, 0, "x", False)
    raw, shrunken, flat = (rivals.Task.of(held, value) for value in (0.0, 3.0, 1e9))
    rated = np.bincount(raw.user, minlength=len(raw.raw)) > 0
    np.testing.assert_allclose(raw.means[rated], raw.raw[rated])
    assert np.ptp(flat.means) < 1e-3
    centre = flat.means[0]
    assert (np.abs(shrunken.means - centre)[rated] <= np.abs(raw.means - centre)[rated] + 1e-12).all()
    np.testing.assert_array_equal(shrunken.raw_base, raw.base)


def test_rivals_are_tuned_on_train_users_only(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []

    def judge(task: rivals.Task, tuned: rivals.Tuned) -> np.ndarray:
        seen.append({task.held.catalog.users[user] for user in task.user})
        return task.held.value + abs(tuned.user_penalty - 10.0)

    split = split_catalog(catalog)
    test = {catalog.users[user] for user in split.test_users}
    monkeypatch.setattr(rivals, "RIVALS", dict.fromkeys(rivals.RIVALS, judge))
    tuned = rivals.tune(catalog, split)
    assert tuned.user_penalty == 10.0
    assert not any(users & test for users in seen)
    assert len(seen) == sum(map(len, rivals.CHOICES.values()))


def test_intervals_hold_a_known_gain() -> None:
    """Errors of half the size are a gain of half, whichever users are drawn."""
    rng = np.random.default_rng(0)
    own, other = comparison.Errors([50.0], [], [(0.6, 0.7)]), comparison.Errors([0.0], [], [(0.5, 0.6)])
    sums = {str(user): value for user, value in enumerate(rng.uniform(1, 5, 40))}
    own.rows.append({user: (value / 4, value) for user, value in sums.items()})
    other.rows.append({user: (value * rng.uniform(0.5, 1.5), value) for user, value in sums.items()})
    row = comparison.Row.of(own, other)
    assert (row.gain_test, row.low, row.high) == pytest.approx((50.0, 50.0, 50.0))
    assert row.over[0] < 50.0 - row.placebo < row.over[1]
    assert (row.auc, row.ndcg, row.placebo_auc, row.placebo_ndcg) == pytest.approx((0.6, 0.7, 0.5, 0.6))


def test_scales_are_compared_by_the_same_validation(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Reading] = []

    def gain(*_: object, reading: Reading, **__: object) -> list[float]:
        asked.append(reading)
        return [reading.scales.label]

    monkeypatch.setattr(tables, "cross_validate", gain)
    readings = {"words": Reading(), "both": Reading(True, CountEncoder(WORDS))}
    page = tables.scales_table("c", catalog, readings)
    assert "| words, label 4 " in page
    assert "| both, vector 0.5 " in page
    changed = [reading for reading in asked if reading.scales != Reading().scales]
    assert len(changed) == sum(map(len, tables.SCALES.values()))
    assert all((reading.encoder is not None) == (reading.scales.vector != 1.0) for reading in changed)


def test_there_is_one_placebo(catalog: Catalog) -> None:
    """The same texts, each with another item."""
    permuted = with_permuted_texts(catalog, seed=1)
    assert sorted(permuted.texts) == sorted(catalog.texts)
    assert permuted.texts != catalog.texts
    assert [item.id for item in permuted.items] == [item.id for item in catalog.items]
