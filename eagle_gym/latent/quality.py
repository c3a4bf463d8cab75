"""How well ratings of films nobody has rated are predicted from their texts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from eagle_gym.catalog import Catalog
from eagle_gym.errors import ConfigurationError
from eagle_gym.latent.features import features_of, matrix
from eagle_gym.latent.space import SpaceParameters, fit_maps, fit_users

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ColdStart:
    """Root mean squared errors on ratings of held-out items, rating units, means over splits.

    Attributes:
        user_mean: The user's mean rating of other items.
        bias_only: Base of the user and predicted quality of the item.
        taste_only: Base of the user, and taste and predicted factors, without the quality.
        text: All of it: what the latent space predicts.
        splits: Number of splits.
    """

    user_mean: float
    bias_only: float
    taste_only: float
    text: float
    splits: int

    def gain(self, name: str = "text") -> float:
        """By how much a predictor's error is below the user mean's, in percent of it."""
        return 100.0 * (1.0 - float(getattr(self, name)) / self.user_mean)

    def __str__(self) -> str:
        names = ("bias_only", "taste_only", "text")
        shown = ", ".join(f"{name} {getattr(self, name):.4f} ({self.gain(name):+.2f} %)" for name in names)
        return f"RMSE on unseen items, mean of {self.splits} splits: user_mean {self.user_mean:.4f}, {shown}"


def cold_start_report(
    catalog: Catalog,
    parameters: SpaceParameters | None = None,
    *,
    splits: int = 5,
    held_out: float = 0.2,
    seed: int = 0,
    items: NDArray[np.integer] | None = None,
    progress: bool | None = False,
) -> ColdStart:
    """Hold items out whole, fit on the ratings of the others, predict the ratings of those held out from their texts.

    Args:
        catalog: All its users take part; no user is a test user here.
        parameters: Of the latent space.
        splits: How many times, each time with other items.
        held_out: Share of the items.
        seed: Of the choice of items.
        items: Rows of the items that take part, all by default; a choice of parameters must not see the others.
        progress: Show a bar; None: only on a terminal.

    Raises:
        ConfigurationError: No split, or a share that is not between 0 and 1.
    """
    if splits < 1 or not 0 < held_out < 1:
        raise ConfigurationError(f"expected 1 or more splits and a share between 0 and 1; got {splits!r}, {held_out!r}")
    pool = np.arange(len(catalog.entities)) if items is None else np.asarray(items)
    hidden = None if progress is None else not progress
    rows = []
    for number in tqdm(range(splits), desc="cold start", delay=2.0, leave=False, disable=hidden):
        order = np.random.default_rng([seed, number]).permutation(pool)
        cold = order[: max(round(held_out * len(pool)), 1)]
        rows.append(_one_split(catalog, parameters or SpaceParameters(), pool, cold))
    user_mean, bias_only, taste_only, text = (float(value) for value in np.mean(rows, axis=0))
    return ColdStart(user_mean, bias_only, taste_only, text, splits)


def _one_split(
    catalog: Catalog, parameters: SpaceParameters, pool: NDArray[np.integer], cold: NDArray[np.integer]
) -> list[float]:
    """Errors, in the order of `ColdStart`."""
    ratings = catalog.ratings
    is_cold = np.isin(ratings.item, cold)
    seen = np.isin(ratings.item, pool) & ~is_cold
    features = features_of([catalog.texts[row] for row in np.setdiff1d(pool, cold)], catalog.language)
    table = matrix([features.bag(text) for text in catalog.texts], features.count)
    maps = fit_maps(catalog, seen, table, parameters)
    raw, unseen = maps.full(table), maps.out_of_part(table)
    warm = np.unique(ratings.item[seen])
    scale = raw[warm].std(axis=0) + 1e-12
    user, item = ratings.user[is_cold], ratings.item[is_cold]
    truth = ratings.value[is_cold].astype(np.float64)
    everybody = np.arange(len(catalog.users))

    def error(columns: slice) -> float:
        users = fit_users(catalog, seen, everybody, unseen[:, columns] / scale[columns])
        predicted = users[user, -1] + np.sum(raw[item, columns] / scale[columns] * users[user, :-1], axis=1)
        return _rmse(predicted, truth)

    quality, taste, everything = slice(-1, None), slice(0, -1), slice(None)
    return [_rmse(_user_means(catalog, seen)[user], truth), error(quality), error(taste), error(everything)]


def _user_means(catalog: Catalog, rows: NDArray[np.bool_]) -> Floats:
    """Mean rating of each user over the marked ratings, [U]; the general mean for users without one."""
    user, value = catalog.ratings.user[rows], catalog.ratings.value[rows].astype(np.float64)
    counts = np.bincount(user, minlength=len(catalog.users))
    sums = np.bincount(user, weights=value, minlength=len(catalog.users))
    return np.where(counts > 0, sums / np.maximum(counts, 1), value.mean())


def _rmse(predicted: Floats, truth: Floats) -> float:
    return float(np.sqrt(np.mean((predicted - truth) ** 2)))
