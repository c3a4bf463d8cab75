"""What a film is worth that the latent space was not fitted to, and a film that is told in part.

A space knows the words of its own catalog. In a small catalog, words and tags stand for single films: a fifth of the
films, held out at random, may then be worth less than the others, and so may a film that loses a part of its text. Both
are bounds on what a rewrite can lose without saying anything bad. What a part of the text is worth to a space also
depends on what reads it, so the largest catalog is read by several text encoders. No model is asked here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.running.files import write_json
from eagle_gym.catalog import Catalog, Split, load_movielens, split_catalog
from eagle_gym.catalog.fields import Described, describe, read_description
from eagle_gym.latent import ContentGap, LatentSpace, Reading
from eagle_gym.latent.prepare import open_reading
from eagle_gym.latent.quality import hold_out
from eagle_gym.latent.space import CatalogFeatures, SpaceParameters, complete, factor_items, fit_maps

FILE: Final = "strangers.json"
WORDS: Final = "words"  # the default encoder
FOLDS: Final = 5
ENOUGH: Final = 80  # held-out films; a larger catalog is not held out in all of its folds
USERS: Final = 50  # test users over whom a film's utility is averaged
DRAWS: Final = 2_000  # of the bootstrap over films
Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
TOLD: Final[Mapping[str, Callable[[Described], Described]]] = {
    "whole": lambda film: film,
    "without its genres": lambda film: replace(film, genres=()),
    "without its year": lambda film: replace(film, year=None),
    "without its tags": lambda film: replace(film, tags=()),
    "without half of its overview": lambda film: replace(film, overview=film.overview[: len(film.overview) // 2]),
    "without its overview": lambda film: replace(film, overview=""),
}


def measure(places: Sequence[tuple[str, str, dict[str, Any]]], size: Mapping[str, Any], out: Path) -> None:
    """Measure films by the number of films that a space is fitted to and by encoder, and write `strangers.json`."""
    ((_, _, kwargs), *_) = places
    found = []
    for least in size["spaces"]:
        catalog = load_movielens(kwargs["root"], "free", min_ratings=least)
        for encoder in size["encoders"] if least == min(size["spaces"]) else (WORDS,):
            rows = worth(catalog, open_reading(encoder))
            found.append({"films": len(catalog.items), "encoder": encoder, "rows": rows})
            write_json({"spaces": found}, out / FILE)


def worth(catalog: Catalog, reading: Reading) -> dict[str, dict[str, Any]]:
    """Utilities of films: whole and in part, and held out. Each has its difference from whole films of the catalog.

    Args:
        catalog: The films.
        reading: What the features of their texts are.
    """
    told, away = {name: Mean(len(catalog.items)) for name in TOLD}, Mean(len(catalog.items))
    for space, utility, known, strangers, users in fitted(catalog, reading):
        own = np.arange(len(known))
        for name, change in TOLD.items():
            texts = [describe(change(read_description(catalog.texts[film]))) for film in known]
            told[name].add(known, scored(space, utility, texts, users, own))
        texts = [catalog.texts[film] for film in strangers]
        away.add(strangers, scored(space, utility, texts, users, np.full(len(strangers), -1)))
    whole = told["whole"].of_films()
    return {name: row(part.of_films(), whole) for name, part in {**told, "held out, whole": away}.items()}


class Mean:
    """Utilities of films, averaged over the spaces in which a film is met: films are the units of the intervals.

    Args:
        films: Number of films in the catalog.
    """

    def __init__(self, films: int) -> None:
        self._sums, self._times = np.zeros((films, 3)), np.zeros((films, 1))

    def add(self, films: Rows, values: Floats) -> None:
        """Add values [B, 3] of some films, each named once."""
        self._sums[films] += values
        self._times[films] += 1

    def of_films(self) -> Floats:
        """[films, 3] Means; nan for a film that was never met."""
        found: Floats = np.divide(self._sums, self._times, out=np.full_like(self._sums, np.nan), where=self._times > 0)
        return found


def fitted(catalog: Catalog, reading: Reading) -> Iterator[tuple[LatentSpace, ContentGap, Rows, Rows, Rows]]:
    """Spaces fitted without a fold, with utility, films that they were fitted to, films of the fold, and test users."""
    split = split_catalog(catalog)
    everything = np.arange(len(catalog.items))
    order = np.random.default_rng(0).permutation(len(everything))
    seen = 0
    for fold in map(np.sort, np.array_split(order, FOLDS)):
        if seen >= ENOUGH:
            return
        seen += len(fold)
        held = hold_out(catalog, split, fold)
        space = fit(held.catalog, held.split, reading)
        utility = ContentGap(space, affinity="personal", catalog=held.catalog, split=held.split)
        yield space, utility, np.setdiff1d(everything, fold), fold, held.split.test_users[:USERS].astype(np.intp)


def fit(catalog: Catalog, split: Split, reading: Reading) -> LatentSpace:
    """The default space for what reads its texts, without the measurement of its quality."""
    parameters, features = SpaceParameters(), CatalogFeatures.of(catalog, reading=reading)
    maps = fit_maps(features, factor_items(catalog, split, parameters), parameters)
    return complete(catalog, split, features, maps, parameters)


def scored(
    space: LatentSpace, utility: ContentGap, texts: Sequence[str], users: Rows, exclude: Rows
) -> Floats:
    """[B, 3] Utility, affinity and novelty of texts, averaged over users."""
    z, each = space.encoder.encode(texts), len(users)
    parts = utility(np.repeat(z, each, axis=0), np.tile(users, len(texts)), np.repeat(exclude, each))
    columns = [getattr(parts, name).reshape(len(texts), each).mean(axis=1) for name in ("total", "affinity", "novelty")]
    return np.stack(columns, axis=1)


def row(found: Floats, whole: Floats) -> dict[str, Any]:
    """Means over films, and the difference in utility from whole films that a space knows, with its interval.

    Args:
        found: [films, 3] Utility, affinity and novelty; nan for films that were not met so.
        whole: [films, 3] The same of whole films.
    """
    named = zip(("total", "affinity", "novelty"), np.nanmean(found, axis=0).tolist(), strict=True)
    means = {name: round(value, 3) for name, value in named}
    difference = [round(value, 3) for value in gap(found[:, 0], whole[:, 0])]
    return means | {"films": int(np.isfinite(found[:, 0]).sum()), "difference": difference}


def gap(found: Floats, whole: Floats) -> tuple[float, float, float]:
    """Difference of two means over films [films], nan where a film is not met, and its bootstrap interval over films.

    All values of a film are drawn together, so that a film met both ways is compared with itself.
    """
    drawn = np.random.default_rng(0).integers(len(found), size=(DRAWS, len(found)))
    low, high = np.quantile(np.nanmean(found[drawn], axis=1) - np.nanmean(whole[drawn], axis=1), [0.025, 0.975])
    return float(np.nanmean(found) - np.nanmean(whole)), float(low), float(high)
