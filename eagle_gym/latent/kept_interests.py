"""Interests of large catalogs, fitted once and read from the cache afterwards.

Fitting takes about a second for a million ratings, so interests of smaller catalogs are fitted at every opening.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from platformdirs import user_cache_path

from eagle_gym import cache
from eagle_gym.catalog import Catalog, Split
from eagle_gym.errors import PreparationError
from eagle_gym.latent.interests import Interests, fit_interests
from eagle_gym.latent.space import LatentSpace

FORMAT: Final = 1  # raise it whenever `fit_interests` finds others
NAME: Final = "interests"
WORTH_KEEPING: Final = 1_000_000  # ratings


def keep_interests(
    catalog: Catalog, split: Split, space: LatentSpace, count: int, *, cache_dir: str | Path | None = None
) -> Interests:
    """The interests of all users: those of a large catalog are read from the cache if they are there.

    Args:
        catalog: Items, users and ratings.
        split: Says which ratings are support.
        space: Where the items lie, and the single taste vectors.
        count: The centres of each user.
        cache_dir: Folder of the cache; None for the user's cache folder on this system.

    Raises:
        PreparationError: The cache cannot be read or written, or holds something else.
    """
    if len(catalog.ratings.user) < WORTH_KEEPING:
        return fit_interests(catalog, split, space, count)
    key = interests_key(catalog, split, space, count)
    folder = (Path(cache_dir).expanduser() if cache_dir else user_cache_path("eagle_gym")) / NAME / key[:32]

    def save(fitted: Interests, into: Path) -> None:
        cache.save_artefact(into, NAME, {"key": key}, {"centres": fitted.centres, "weights": fitted.weights})

    def load(found: Path) -> Interests:
        header = cache.load_header(found, NAME)
        if header.get("key") != key:
            raise PreparationError(f"{found}: expected interests of this catalog, got others: delete the folder")
        return Interests(**cache.load_arrays(found, NAME, header))

    def make() -> Callable[[Path], None]:
        fitted = fit_interests(catalog, split, space, count)
        return lambda into: save(fitted, into)

    return cache.prepared(folder, f"{NAME}.json", load, make, prepare="auto", absent="")


def interests_key(catalog: Catalog, split: Split, space: LatentSpace, count: int) -> str:
    """Hash of everything that determines the interests, 64 hexadecimal digits."""
    parts = [FORMAT, catalog.hash, split.hash, space.fingerprint, count]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
