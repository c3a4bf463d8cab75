"""Interests of large catalogs are fitted once and read from the cache afterwards."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from eagle_gym.catalog import Catalog, Split
from eagle_gym.errors import PreparationError
from eagle_gym.latent import Interests, LatentSpace, fit_interests, keep_interests, kept_interests, make_utility


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many centres were fitted, each time that a catalog was; every catalog counts as large."""
    counts: list[int] = []

    def watched(catalog: Catalog, split: Split, space: LatentSpace, count: int) -> Interests:
        counts.append(count)
        return fit_interests(catalog, split, space, count)

    monkeypatch.setattr(kept_interests, "fit_interests", watched)
    monkeypatch.setattr(kept_interests, "WORTH_KEEPING", 1)
    return counts


def test_what_is_kept_is_what_was_fitted(
    space: LatentSpace, catalog: Catalog, split: Split, fits: list[int], tmp_path: Path
) -> None:
    fitted = fit_interests(catalog, split, space, 3)
    for _ in range(2):
        kept = keep_interests(catalog, split, space, 3, cache_dir=tmp_path)
        assert kept.centres.tobytes() == fitted.centres.tobytes()
        assert kept.weights.tobytes() == fitted.weights.tobytes()
        assert not kept.centres.flags.writeable
    assert fits == [3]


def test_other_interests_are_kept_elsewhere(
    space: LatentSpace, catalog: Catalog, split: Split, fits: list[int], tmp_path: Path
) -> None:
    keep_interests(catalog, split, space, 3, cache_dir=tmp_path)
    keep_interests(catalog, split, space, 2, cache_dir=tmp_path)
    keep_interests(catalog, split, replace(space, users=space.users + 1.0), 2, cache_dir=tmp_path)
    assert fits == [3, 2, 2]


def test_small_catalogs_are_fitted_every_time(
    space: LatentSpace, catalog: Catalog, split: Split, tmp_path: Path
) -> None:
    assert len(catalog.ratings.user) < kept_interests.WORTH_KEEPING
    keep_interests(catalog, split, space, 2, cache_dir=tmp_path)
    assert not list(tmp_path.iterdir())


def test_damage_is_an_error(
    space: LatentSpace, catalog: Catalog, split: Split, fits: list[int], tmp_path: Path
) -> None:
    keep_interests(catalog, split, space, 2, cache_dir=tmp_path)
    (file,) = tmp_path.glob("interests/*/interests.npz")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(PreparationError, match=r"interests\.npz"):
        keep_interests(catalog, split, space, 2, cache_dir=tmp_path)


def test_the_utility_takes_them(
    space: LatentSpace, catalog: Catalog, split: Split, fits: list[int], tmp_path: Path
) -> None:
    rows = space.items[:5], np.arange(5), np.full(5, -1)

    fit = partial(keep_interests, cache_dir=tmp_path)

    plain, *kept = (make_utility(None, space, catalog, split, *own, interests=2)(*rows) for own in ((), (fit,), (fit,)))
    for parts in kept:
        assert parts.total.tobytes() == plain.total.tobytes()
    assert fits == [2]
