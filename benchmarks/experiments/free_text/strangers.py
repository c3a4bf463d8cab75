"""What leaving the catalog costs: the utility of films that a space was not fitted to, and of films told in part.

A space knows the words of its own catalog. The fewer items it was fitted to, the more a word stands for one item, and
the less is left of a text that no item has. Then any rewrite loses utility, whatever it says. No model is asked here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.running.files import write_json
from eagle_gym.catalog import load_movielens, split_catalog
from eagle_gym.catalog.fields import Described, describe, read_description
from eagle_gym.envs.opening import make_scorer
from eagle_gym.envs.settings import Settings
from eagle_gym.envs.world import Scorer

FILE: Final = "strangers.json"
STRANGERS: Final = (10, 20)  # from how many ratings to fewer than how many films have that no space is fitted to
DRAWS: Final = 2_000  # pairs of a test user and a film
TOLD: Final[Mapping[str, Callable[[Described], Described]]] = {
    "whole": lambda film: film,
    "without its genres": lambda film: replace(film, genres=()),
    "without its year": lambda film: replace(film, year=None),
    "without its tags": lambda film: replace(film, tags=()),
    "without half of its overview": lambda film: replace(film, overview=film.overview[: len(film.overview) // 2]),
    "without its overview": lambda film: replace(film, overview=""),
}


def measure(places: Sequence[tuple[str, str, dict[str, Any]]], size: Mapping[str, Any], out: Path) -> None:
    """Measure films by the number of films that a space was fitted to, and write `strangers.json`."""
    ((_, _, kwargs), *_) = places
    few, many = (set(load_movielens(kwargs["root"], "free", min_ratings=least).texts) for least in STRANGERS)
    found = [fitted(kwargs, least, sorted(few - many)) for least in size["spaces"]]
    write_json({"spaces": found}, out / FILE)


def fitted(kwargs: Mapping[str, Any], least: int, strangers: Sequence[str]) -> dict[str, Any]:
    """Mean utility, affinity and novelty where a space was fitted to the films with at least so many ratings."""
    settings = {"catalog": "movielens", "root": kwargs["root"], "texts": "free", "min_ratings": least}
    scorer = make_scorer(Settings.of(settings | {"language_model": "smollm2", "placebo": "allow"}))
    rng = np.random.default_rng(0)
    users = rng.choice(split_catalog(scorer.catalog).test_users, DRAWS)
    items = rng.integers(len(scorer.catalog.items), size=DRAWS)
    films = [read_description(scorer.catalog.texts[item]) for item in items]
    rows = {name: scored(scorer, [describe(told(film)) for film in films], users, items) for name, told in TOLD.items()}
    others = [strangers[row] for row in rng.integers(len(strangers), size=DRAWS)]
    rows["another film"] = scored(scorer, others, users, np.full(DRAWS, -1))
    return {"films": len(scorer.catalog.items), "rows": rows}


def scored(scorer: Scorer, texts: Sequence[str], users: np.ndarray, exclude: np.ndarray) -> dict[str, float]:
    """Means over texts and users, and the mean length of the embeddings."""
    z = scorer.space.encoder.encode(texts)
    parts = scorer.utility(z, users, exclude)
    found = {name: float(getattr(parts, name).mean()) for name in ("total", "affinity", "novelty")}
    return {
        name: round(value, 3) for name, value in {**found, "length": float(np.linalg.norm(z, axis=1).mean())}.items()
    }
