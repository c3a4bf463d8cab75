"""A latent space small enough to fit in a moment, shared by the tests of this room."""

from __future__ import annotations

import numpy as np
import pytest

from eagle_gym.catalog import Catalog, Ratings, Split, plots_world, split_catalog
from eagle_gym.latent import LatentSpace, SpaceParameters, fit_space


@pytest.fixture(scope="session")
def small_world() -> plots_world.GroundTruth:
    return plots_world.make_plots(seed=3, films=150, users=60)


@pytest.fixture(scope="session")
def catalog(small_world: plots_world.GroundTruth) -> Catalog:
    return small_world.catalog


@pytest.fixture(scope="session")
def split(catalog: Catalog) -> Split:
    return split_catalog(catalog)


@pytest.fixture(scope="session")
def parameters() -> SpaceParameters:
    return SpaceParameters(dim=4, sweeps=5, encoder_ridge=30.0)


@pytest.fixture(scope="session")
def space(catalog: Catalog, split: Split, parameters: SpaceParameters) -> LatentSpace:
    return fit_space(catalog, split, parameters)


def with_ratings(catalog: Catalog, changed: np.ndarray) -> Catalog:
    """The catalog with every rating that `changed` marks turned upside down."""
    old = catalog.ratings
    value = np.where(changed, sum(catalog.scale) - old.value, old.value)
    ratings = Ratings.of(old.user, old.item, value)
    return Catalog(catalog.name, catalog.items, catalog.users, ratings, catalog.scale, catalog.language)
