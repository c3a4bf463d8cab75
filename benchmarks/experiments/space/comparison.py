"""The space and its rivals on items held out whole, each next to its placebo: the same with texts permuted among items.

That a film has tags at all may carry its popularity, so one row has the number of tags partialled out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.experiments.space import rivals
from benchmarks.reporting.document import aligned
from eagle_gym.catalog import Catalog, Split, split_catalog
from eagle_gym.latent import SpaceParameters, with_permuted_texts
from eagle_gym.latent.quality import HeldOut, holding_out, predict, restrict
from eagle_gym.latent.ranking import mean_ranking
from eagle_gym.latent.space import CatalogFeatures, factor_items, fit_maps

Floats = NDArray[np.float64]

LEAST = 5  # ratings of an item
SPACE, PARTIAL = "latent space", "latent space, number of tags partialled out"
SPACES: Mapping[str, SpaceParameters] = {SPACE: SpaceParameters(), "latent space, dim 16": SpaceParameters(dim=16)}


@dataclass(frozen=True)
class Row:
    """Scores of one predictor, means over splits.

    Attributes:
        gain: Reduction of the user mean's RMSE for all users, in percent.
        gain_test: The same for test users.
        auc: AUC over test users.
        ndcg: NDCG@10 over test users.
    """

    gain: float
    gain_test: float
    auc: float
    ndcg: float


def compare(catalog: Catalog, splits: int) -> dict[str, tuple[Row, Row]]:
    """Scores of each predictor and of its placebo, by name, on items with at least `LEAST` ratings."""
    catalog, split = _rated(catalog)
    found: list[dict[str, list[list[float]]]] = []
    for texts in (catalog, with_permuted_texts(catalog)):
        scores: dict[str, list[list[float]]] = {}
        for held in holding_out(texts, split, splits, 0.2, 0, "comparison", True):
            task = rivals.Task.of(held)
            for name, predicted in _predictions(task):
                scores.setdefault(name, []).append(_scores(held, task.base, predicted))
        found.append(scores)
    return {
        name: (Row(*np.mean(scores, axis=0).tolist()), Row(*np.mean(found[1][name], axis=0).tolist()))
        for name, scores in found[0].items()
    }


def _rated(catalog: Catalog) -> tuple[Catalog, Split]:
    """The catalog without rarely rated items, and its split."""
    count = np.bincount(catalog.ratings.item, minlength=len(catalog.items))
    kept = count[catalog.ratings.item] >= LEAST
    return restrict(catalog, split_catalog(catalog), kept, np.flatnonzero(count >= LEAST))[0]


def _predictions(task: rivals.Task) -> Iterator[tuple[str, Floats]]:
    features = CatalogFeatures.of(task.held.catalog)
    for name, parameters in SPACES.items():
        factors = factor_items(task.held.catalog, task.held.split, parameters)
        predicted = predict(task.held, features, fit_maps(features, factors, parameters), parameters)
        yield name, predicted
        if name == SPACE:
            yield PARTIAL, rivals.without_tags(task, predicted)
    yield from rivals.predictions(task)


def _scores(held: HeldOut, base: Floats, predicted: Floats) -> list[float]:
    test = np.isin(held.user, held.split.test_users)

    def gain(rows: NDArray[np.bool_]) -> float:
        errors = [float(np.sqrt(np.mean((guess - held.value)[rows] ** 2))) for guess in (predicted, base)]
        return 100.0 * (1.0 - errors[0] / errors[1])

    return [gain(test | True), gain(test), *mean_ranking(held.user[test], predicted[test], held.value[test])]


def comparison_table(name: str, rows: Mapping[str, tuple[Row, Row]], splits: int) -> str:
    """The scores of one catalog; each placebo is in brackets."""
    forms = {"gain": "{:+.2f} %", "gain_test": "{:+.2f} %", "auc": "{:.3f}", "ndcg": "{:.3f}"}

    def cells(text: Row, placebo: Row) -> Iterator[str]:
        for key, form in forms.items():
            yield f"{form.format(getattr(text, key))} ({form.format(getattr(placebo, key))})"

    body = [[row, *cells(*pair)] for row, pair in rows.items()]
    head = ["predictor", "gain, all users", "gain, test users", "AUC, test users", "NDCG@10, test users"]
    title = (
        f"{name}, items with at least {LEAST} ratings: ratings of held-out items (20 %), {splits} splits; in brackets "
        "the placebo, the same with the texts permuted among the items:"
    )
    return f"{title}\n\n{aligned(head, body)}"
