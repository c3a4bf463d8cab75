"""Plots: the embedded catalog of made-up films in plot English, rated by made-up users.

The package ships the finished catalog as one small file. Only `plots_world` knows how it was made, including the users'
true tastes. No module that an environment needs imports `plots_world`; a judge may.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eagle_gym.cache import read_arrays
from eagle_gym.catalog.catalog import Catalog, Item, Ratings
from eagle_gym.errors import CatalogError

PATH = Path(str(files("eagle_gym.catalog"))) / "data" / "plots" / "catalog.npz"
SCALE = (0.5, 5.0)


def load_plots() -> Catalog:
    """The embedded catalog, as shipped.

    Raises:
        CatalogError: The file is missing or broken.
    """
    try:
        return _unpack(read_arrays(PATH))
    except (KeyError, ValueError) as error:
        raise CatalogError(f"{PATH}: expected the embedded catalog; {error}; reinstall the package") from error


def pack(catalog: Catalog) -> dict[str, NDArray[Any]]:
    """Arrays that hold a catalog compactly: users as their numbers of ratings, ratings as numbers of half stars.

    Raises:
        CatalogError: The catalog is unlike Plots: its ratings are not half stars, or its users are not named by row.
    """
    halves = np.rint(catalog.ratings.value * 2)
    if (
        catalog.scale != SCALE
        or catalog.users != _user_ids(len(catalog.users))
        or np.any(halves != catalog.ratings.value * 2)
    ):
        raise CatalogError("expected users u0000, u0001, … and ratings in half stars from 0.5 to 5")
    records = [[item.id, item.title, item.text] for item in catalog.items]
    return {
        "items": np.frombuffer(json.dumps(records, ensure_ascii=True).encode(), dtype=np.uint8),
        "counts": np.bincount(catalog.ratings.user, minlength=len(catalog.users)).astype(np.uint16),
        "rated": catalog.ratings.item.astype(np.uint16),
        "halves": halves.astype(np.uint8),
    }


def _unpack(arrays: dict[str, NDArray[Any]]) -> Catalog:
    counts = arrays["counts"].astype(np.int64)
    return Catalog(
        name="plots",
        items=tuple(Item(*row) for row in json.loads(arrays["items"].tobytes())),
        users=_user_ids(len(counts)),
        ratings=Ratings.of(np.repeat(np.arange(len(counts)), counts), arrays["rated"], arrays["halves"] / 2),
        scale=SCALE,
        language="plot_english",
    )


def _user_ids(count: int) -> tuple[str, ...]:
    return tuple(f"u{row:04d}" for row in range(count))
