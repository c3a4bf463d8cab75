"""What exists: catalogs of items, users and ratings, their splits, profiles and loaders."""

from eagle_gym.catalog.amazon import load_amazon
from eagle_gym.catalog.catalog import Catalog, Item, Language, Ratings, Skipped
from eagle_gym.catalog.movielens import load_movielens
from eagle_gym.catalog.plots import load_plots
from eagle_gym.catalog.profile import Profiles, liked, profile_of
from eagle_gym.catalog.splits import Split, split_catalog
from eagle_gym.catalog.table import load_table

__all__ = [
    "Catalog",
    "Item",
    "Language",
    "Profiles",
    "Ratings",
    "Skipped",
    "Split",
    "liked",
    "load_amazon",
    "load_movielens",
    "load_plots",
    "load_table",
    "profile_of",
    "split_catalog",
]
