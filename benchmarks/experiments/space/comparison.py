"""The space and its rivals on items held out whole, each next to its placebo: the same with texts permuted among items.

That a film has tags at all may carry its popularity, so one row has the number of tags partialled out. Intervals are
those of a bootstrap over test users.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.experiments.space import rivals
from benchmarks.reporting.document import aligned
from eagle_gym.catalog import Catalog, Split, split_catalog
from eagle_gym.latent import Reading, SpaceParameters, with_permuted_texts
from eagle_gym.latent.quality import HeldOut, holding_out, predict, restrict
from eagle_gym.latent.ranking import mean_ranking
from eagle_gym.latent.space import CatalogFeatures, factor_items, fit_maps

Floats = NDArray[np.float64]

LEAST = 5  # ratings of an item
SPACE, PARTIAL = "latent space", "latent space, number of tags partialled out"
SPACES: Mapping[str, SpaceParameters] = {SPACE: SpaceParameters(), "latent space, dim 16": SpaceParameters(dim=16)}
DRAWS = 1000  # of the bootstrap
ONLY_SPACES: Mapping[str, SpaceParameters] = {SPACE: SpaceParameters()}


@dataclass
class Errors:
    """Squared errors of one predictor and of the user mean, and rankings, split by split.

    Attributes:
        all: Gain for all users in each split, in percent.
        rows: For each split and test user the sums of squared errors of the prediction and of the user mean.
        ranked: AUC and NDCG@10 over test users, for each split.
    """

    all: list[float] = field(default_factory=list)
    rows: list[Mapping[str, tuple[float, float]]] = field(default_factory=list)
    ranked: list[tuple[float, float]] = field(default_factory=list)

    def add(self, held: HeldOut, base: Floats, predicted: Floats) -> None:
        """Count the predictions of one split."""
        own, others = (predicted - held.value) ** 2, (base - held.value) ** 2
        self.all.append(100.0 * (1.0 - float(np.sqrt(own.sum() / others.sum()))))
        test = np.isin(held.user, held.split.test_users)
        sums = (np.bincount(held.user[test], weights=errors[test]) for errors in (own, others))
        users = np.unique(held.user[test])
        table = np.stack([column[users] for column in sums], axis=1)
        self.rows.append({held.catalog.users[user]: (a, b) for user, (a, b) in zip(users, table.tolist(), strict=True)})
        self.ranked.append(mean_ranking(held.user[test], predicted[test], held.value[test]))


@dataclass(frozen=True)
class Row:
    """Scores of one predictor and of its placebo.

    Attributes:
        gain: Reduction of the user mean's RMSE for all users, in percent, mean over splits.
        gain_test: The same for test users.
        low: Lower end of the 95 % interval of `gain_test`.
        high: Its upper end.
        auc: AUC over test users.
        ndcg: NDCG@10 over test users.
        placebo: `gain_test` of the placebo.
        placebo_auc: AUC of the placebo.
        placebo_ndcg: NDCG@10 of the placebo.
        over: `gain_test` minus the placebo's: its 95 % interval.
    """

    gain: float
    gain_test: float
    low: float
    high: float
    auc: float
    ndcg: float
    placebo: float
    placebo_auc: float
    placebo_ndcg: float
    over: tuple[float, float]

    @classmethod
    def of(cls, text: Errors, placebo: Errors) -> Row:
        """The scores of counted errors."""
        users = sorted({user for split in text.rows for user in split})
        sums = np.array(
            [
                [[split.get(user, (0.0, 0.0)) for split in errors.rows] for user in users]
                for errors in (text, placebo)
            ]
        )  # [2, users, splits, 2]
        draws = np.random.default_rng(0).multinomial(len(users), np.full(len(users), 1 / len(users)), size=DRAWS)
        gains = _gains(np.einsum("du,wusk->dwsk", draws, sums))
        ends = np.quantile(gains[:, 0], [0.025, 0.975]), np.quantile(gains[:, 0] - gains[:, 1], [0.025, 0.975])
        whole = _gains(sums.sum(axis=1))
        auc, ndcg = np.mean(text.ranked, axis=0)
        other_auc, other_ndcg = np.mean(placebo.ranked, axis=0)
        return cls(
            float(np.mean(text.all)), float(whole[0]), float(ends[0][0]), float(ends[0][1]), float(auc), float(ndcg),
            float(whole[1]), float(other_auc), float(other_ndcg), (float(ends[1][0]), float(ends[1][1])),
        )  # fmt: skip


def _gains(sums: Floats) -> Floats:
    """Gains in percent, means over splits, from sums of squared errors [..., splits, 2]."""
    gains: Floats = 100.0 * (1.0 - np.sqrt(sums[..., 0] / np.maximum(sums[..., 1], 1e-300))).mean(axis=-1)
    return gains


def compare(catalog: Catalog, splits: int, readings: Mapping[str, Reading] | None = None) -> dict[str, Row]:
    """Scores of each predictor and of its placebo, by name, on items with at least `LEAST` ratings.

    Args:
        catalog: Items, users and ratings.
        splits: How often items are held out.
        readings: Further ways of reading the texts, by name, with which the space is fitted too.
    """
    catalog, split = rated(catalog)
    tuned = rivals.tune(catalog, split)
    found: list[dict[str, Errors]] = []
    for texts in (catalog, with_permuted_texts(catalog)):
        scores: dict[str, Errors] = {}
        for held in holding_out(texts, split, splits, 0.2, 0, "comparison", True):
            task = rivals.Task.of(held, tuned.shrinkage)
            for name, predicted in _predictions(task, tuned, readings or {}):
                scores.setdefault(name, Errors()).add(held, task.raw_base, predicted)
        found.append(scores)
    return {name: Row.of(scores, found[1][name]) for name, scores in found[0].items()}


def rated(catalog: Catalog) -> tuple[Catalog, Split]:
    """The catalog without rarely rated items, and its split."""
    count = np.bincount(catalog.ratings.item, minlength=len(catalog.items))
    kept = count[catalog.ratings.item] >= LEAST
    return restrict(catalog, split_catalog(catalog), kept, np.flatnonzero(count >= LEAST))[0]


def _predictions(
    task: rivals.Task, tuned: rivals.Tuned, readings: Mapping[str, Reading]
) -> Iterator[tuple[str, Floats]]:
    held = task.held
    for read, reading in {"": Reading(), **readings}.items():
        features = CatalogFeatures.of(held.catalog, reading=reading)
        parameters = SpaceParameters()
        maps = fit_maps(features, factor_items(held.catalog, held.split, parameters), parameters)
        for name, chosen in (SPACES if not read else ONLY_SPACES).items():
            predicted = predict(held, features, maps, chosen)
            yield f"{name}, {read}" if read else name, predicted
            if name == SPACE and not read:
                yield PARTIAL, rivals.without_tags(task, predicted)
    yield from rivals.predictions(task, tuned)


def comparison_table(name: str, rows: Mapping[str, Row], splits: int) -> str:
    """The scores of one catalog; each placebo is in brackets."""
    body = [
        [
            words,
            f"{row.gain:+.2f} %",
            f"{row.gain_test:+.2f} % [{row.low:.2f}, {row.high:.2f}]",
            f"{row.placebo:+.2f} %",
            f"[{row.over[0]:.2f}, {row.over[1]:.2f}]",
            f"{row.auc:.3f} ({row.placebo_auc:.3f})",
            f"{row.ndcg:.3f} ({row.placebo_ndcg:.3f})",
        ]
        for words, row in rows.items()
    ]
    head = [
        "predictor", "gain, all users", "gain, test users [95 %]", "placebo", "gain minus placebo", "AUC (placebo)",
        "NDCG@10 (placebo)",
    ]  # fmt: skip
    title = (
        f"{name}, items with at least {LEAST} ratings: ratings of held-out items (20 %), {splits} splits. The placebo "
        "is the same with the texts permuted among the items. Intervals are over test users, as are AUC and NDCG@10:"
    )
    return f"{title}\n\n{aligned(head, body)}"
