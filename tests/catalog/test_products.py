"""The invented products: readable as Amazon data, the same each time, and of a taste that a latent space can learn."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.products import write_products
from eagle_gym.catalog import Catalog, load_amazon, split_catalog
from eagle_gym.latent import prepare_space


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_products(tmp_path_factory.mktemp("products"))


@pytest.fixture(scope="module")
def catalog(folder: Path) -> Catalog:
    return load_amazon(folder)


def test_they_are_read_as_amazon_data(catalog: Catalog) -> None:
    assert (len(catalog.items), len(catalog.users), catalog.scale) == (150, 80, (1.0, 5.0))
    assert catalog.language == "free"
    assert not catalog.skipped
    assert len(set(catalog.texts)) == 150
    counts = [int((catalog.ratings.user == user).sum()) for user in range(80)]
    assert 20 <= min(counts) <= max(counts) <= 45
    assert set(catalog.ratings.value.tolist()) == {1.0, 2.0, 3.0, 4.0, 5.0}


def test_they_are_small_and_the_same_each_time(folder: Path, tmp_path: Path) -> None:
    files = sorted(folder.iterdir())
    assert sum(file.stat().st_size for file in files) < 200_000
    again = sorted(write_products(tmp_path).iterdir())
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in again]


def test_a_space_of_them_beats_its_placebo(catalog: Catalog, tmp_path: Path) -> None:
    space = prepare_space(catalog, split_catalog(catalog), placebo="refuse", cache_dir=tmp_path)
    assert "better than its placebo" in dict(space.quality.facts(space.dim)).values()
