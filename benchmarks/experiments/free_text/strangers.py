"""What a film is worth that the latent space was not fitted to, and a film that is told in part.

A space knows the words of its own catalog. In a small catalog, words and tags stand for single films: a fifth of the
films, held out at random, may then be worth less than the others, and so may a film that loses a part of its text. Both
are bounds on what a rewrite can lose without saying anything bad. No model is asked here.
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
from eagle_gym.latent import ContentGap, LatentSpace
from eagle_gym.latent.quality import hold_out
from eagle_gym.latent.space import CatalogFeatures, SpaceParameters, complete, factor_items, fit_maps

FILE: Final = "strangers.json"
FOLDS: Final = 5
ENOUGH: Final = 80  # held-out films; a larger catalog is not held out in all of its folds
USERS: Final = 50  # test users over whom a film's utility is averaged
DRAWS: Final = 2_000  # of the bootstrap over films
Floats = NDArray[np.float64]
TOLD: Final[Mapping[str, Callable[[Described], Described]]] = {
    "whole": lambda film: film,
    "without its genres": lambda film: replace(film, genres=()),
    "without its year": lambda film: replace(film, year=None),
    "without its tags": lambda film: replace(film, tags=()),
    "without half of its overview": lambda film: replace(film, overview=film.overview[: len(film.overview) // 2]),
    "without its overview": lambda film: replace(film, overview=""),
}


def measure(places: Sequence[tuple[str, str, dict[str, Any]]], size: Mapping[str, Any], out: Path) -> None:
    """Measure films by the number of films that a space is fitted to, and write `strangers.json`."""
    ((_, _, kwargs), *_) = places
    found = []
    for least in size["spaces"]:
        catalog = load_movielens(kwargs["root"], "free", min_ratings=least)
        found.append({"films": len(catalog.items), "rows": worth(catalog)})
    write_json({"spaces": found}, out / FILE)


def worth(catalog: Catalog) -> dict[str, dict[str, Any]]:
    """Utilities of films: whole and in part, and held out. Each has its difference from whole films of the catalog."""
    rng = np.random.default_rng(0)
    told: dict[str, list[Floats]] = {name: [] for name in TOLD}
    away: list[Floats] = []
    for space, utility, films, strangers, users in fitted(catalog):
        own = np.arange(len(films))
        for name, change in TOLD.items():
            texts = [describe(change(read_description(film))) for film in films]
            told[name].append(scored(space, utility, texts, users, own))
        away.append(scored(space, utility, strangers, users, np.full(len(strangers), -1)))
    whole = np.concatenate(told["whole"])
    rows = {name: row(np.concatenate(parts), np.concatenate(parts) - whole, rng) for name, parts in told.items()}
    held = np.concatenate(away)
    draws = resampled(held[:, 0], rng) - resampled(whole[:, 0], rng)
    gap = [float(held[:, 0].mean() - whole[:, 0].mean()), *np.quantile(draws, [0.025, 0.975]).tolist()]
    return {**rows, "held out, whole": means(held) | {"difference": [round(value, 3) for value in gap]}}


def fitted(catalog: Catalog) -> Iterator[tuple[LatentSpace, ContentGap, list[str], list[str], NDArray[np.intp]]]:
    """Spaces fitted without a fold, with utility, films that they were fitted to, films of the fold, and test users."""
    split = split_catalog(catalog)
    order = np.random.default_rng(0).permutation(len(catalog.items))
    seen = 0
    for fold in np.array_split(order, FOLDS):
        if seen >= ENOUGH:
            return
        seen += len(fold)
        held = hold_out(catalog, split, np.sort(fold))
        space = fit(held.catalog, held.split)
        utility = ContentGap(space, affinity="personal", catalog=held.catalog, split=held.split)
        yield space, utility, held.catalog.texts, list(held.texts), held.split.test_users[:USERS].astype(np.intp)


def fit(catalog: Catalog, split: Split) -> LatentSpace:
    """The default space, without the measurement of its quality."""
    parameters, features = SpaceParameters(), CatalogFeatures.of(catalog)
    maps = fit_maps(features, factor_items(catalog, split, parameters), parameters)
    return complete(catalog, split, features, maps, parameters)


def scored(
    space: LatentSpace, utility: ContentGap, texts: Sequence[str], users: NDArray[np.intp], exclude: NDArray[np.intp]
) -> Floats:
    """[B, 3] Utility, affinity and novelty of texts, averaged over users."""
    z, each = space.encoder.encode(texts), len(users)
    parts = utility(np.repeat(z, each, axis=0), np.tile(users, len(texts)), np.repeat(exclude, each))
    columns = [getattr(parts, name).reshape(len(texts), each).mean(axis=1) for name in ("total", "affinity", "novelty")]
    return np.stack(columns, axis=1)


def row(found: Floats, change: Floats, rng: np.random.Generator) -> dict[str, Any]:
    """Means over films, and the paired difference in utility with its interval over films."""
    low, high = np.quantile(resampled(change[:, 0], rng), [0.025, 0.975]).tolist()
    return means(found) | {"difference": [round(value, 3) for value in (float(change[:, 0].mean()), low, high)]}


def means(found: Floats) -> dict[str, Any]:
    """Means over films."""
    named = zip(("total", "affinity", "novelty"), found.mean(axis=0).tolist(), strict=True)
    return {name: round(value, 3) for name, value in named} | {"texts": len(found)}


def resampled(values: Floats, rng: np.random.Generator) -> Floats:
    """[DRAWS] Means of films drawn with replacement."""
    drawn: Floats = values[rng.integers(len(values), size=(DRAWS, len(values)))].mean(axis=1)
    return drawn
