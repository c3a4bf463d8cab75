"""Quality of a space: how well it predicts ratings of unrated items from their texts; cross-validation of parameters.

Items are held out with their texts and all their ratings. The space is fitted on the rest of the catalog by the same
steps as an environment's, including whitening, ball and refitted users. Then the held-out texts are encoded, and their
ratings by train and by test users are predicted. The placebo is the same with the texts permuted among the items
(`placebo.with_permuted_texts`), before any item is held out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eagle_gym.catalog import Catalog, Ratings, Split
from eagle_gym.errors import ConfigurationError
from eagle_gym.latent.features import READING, Reading
from eagle_gym.latent.ranking import mean_ranking
from eagle_gym.latent.space import (
    CatalogFeatures,
    ItemFactors,
    RawMaps,
    SpaceParameters,
    complete,
    factor_items,
    fit_maps,
)
from eagle_gym.progress import progress_bar

Floats = NDArray[np.float64]

WHO = ("all", "train", "test")
# Coordinates of the space that each prediction uses; the last one is the item's quality.
PREDICTIONS = {"bias_only": slice(-1, None), "taste_only": slice(0, -1), "text": slice(None)}


@dataclass(frozen=True)
class ColdStart:
    """Root mean squared errors on ratings of held-out items, in rating units, and rankings; means over splits.

    Attributes:
        user_mean: The user's mean rating of other items.
        bias_only: A space of only the predicted quality.
        taste_only: A space of only the predicted factors (z without the item bias).
        text: The whole space.
        auc: Share of a user's differently rated pairs of held-out items in the right order, by the whole space; mean
            over users.
        ndcg: NDCG@10 of a user's held-out items, by the whole space; mean over users.
        splits: Number of splits.
    """

    user_mean: float
    bias_only: float
    taste_only: float
    text: float
    auc: float
    ndcg: float
    splits: int

    def gain(self, name: str = "text") -> float:
        """Reduction of the user mean's error by a predictor, in percent."""
        return 100.0 * (1.0 - float(getattr(self, name)) / self.user_mean)

    def __str__(self) -> str:
        shown = ", ".join(f"{name} {getattr(self, name):.4f} ({self.gain(name):+.2f} %)" for name in PREDICTIONS)
        ranked = f"AUC {self.auc:.3f}, NDCG@10 {self.ndcg:.3f}"
        return f"RMSE on unseen items, mean of {self.splits} splits: user_mean {self.user_mean:.4f}, {shown}; {ranked}"


@dataclass(frozen=True)
class ColdStartReport:
    """Result of `cold_start_report`.

    Attributes:
        errors: Errors on the ratings of "all", "train" and "test" users, as far as there are any.
        parameters: Parameters used in each split.
    """

    errors: Mapping[str, ColdStart]
    parameters: tuple[SpaceParameters, ...]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A catalog without some of its items, and the ratings of these.

    Attributes:
        catalog: The catalog without the items, their ratings, and users who rated nothing else.
        split: The split, restricted to that catalog.
        texts: Texts of the held-out items.
        user: Rows of `catalog.users`, [m].
        item: Indices into `texts`, [m].
        value: The ratings, [m].
    """

    catalog: Catalog
    split: Split
    texts: list[str]
    user: NDArray[np.intp]
    item: NDArray[np.intp]
    value: Floats


def cold_start_report(
    catalog: Catalog,
    split: Split,
    parameters: SpaceParameters | None = None,
    *,
    choices: Sequence[SpaceParameters] = (),
    reading: Reading = READING,
    splits: int = 5,
    held_out: float = 0.2,
    seed: int = 0,
    progress: bool = False,
) -> ColdStartReport:
    """Hold out items, fit on the others as an environment does, and predict the ratings of the held-out items.

    Test users do not enter the fit. They are folded in from their support; all their ratings of held-out items count.

    Args:
        catalog: Items, users and ratings.
        split: Says which users are for training, and which ratings are support.
        parameters: Parameters of the latent space; by default the defaults.
        choices: Instead of `parameters`: in every split, `cross_validate` chooses one of these on the items that the
            split keeps, so no choice has seen the items on which it is measured.
        reading: What the features of free text are.
        splits: Number of splits, each with other held-out items.
        held_out: Share of items held out.
        seed: Seed of the choice of items.
        progress: Show a progress bar after two seconds, where standard error is a terminal.

    Raises:
        ConfigurationError: `splits` is below 1, or `held_out` is not between 0 and 1.
    """
    rows: dict[str, list[list[float]]] = {who: [] for who in WHO}
    used: list[SpaceParameters] = []
    for held in holding_out(catalog, split, splits, held_out, seed, "cold start", progress):
        chosen = parameters or SpaceParameters()
        if choices:
            gains = cross_validate(held.catalog, held.split, choices, reading=reading, held_out=held_out, seed=seed)
            chosen = choices[int(np.argmax(gains))]
        used.append(chosen)
        errors = _errors(held, chosen, reading)
        testing = np.isin(held.user, held.split.test_users)
        for who, mask in zip(WHO, (testing | True, ~testing, testing), strict=True):
            if mask.any():
                value = held.value[mask]
                ranked = mean_ranking(held.user[mask], errors[-1][mask] + value, value)
                rows[who].append([*(_rmse(column[mask]) for column in errors), *ranked])
    return ColdStartReport({who: _means_of(found) for who, found in rows.items() if found}, tuple(used))


def _means_of(rows: list[list[float]]) -> ColdStart:
    user_mean, bias_only, taste_only, text, auc, ndcg = np.mean(rows, axis=0).tolist()
    return ColdStart(user_mean, bias_only, taste_only, text, auc, ndcg, len(rows))


def cross_validate(
    catalog: Catalog,
    split: Split,
    choices: Sequence[SpaceParameters],
    *,
    reading: Reading = READING,
    splits: int = 3,
    held_out: float = 0.2,
    seed: int = 0,
    progress: bool = False,
) -> list[float]:
    """Cross-validate parameters on held-out items, with only the ratings of train users.

    Args:
        catalog: Items, users and ratings.
        split: Says which users are for training.
        choices: The parameters to compare.
        reading: What the features of free text are.
        splits: Number of splits, each with other held-out items.
        held_out: Share of items held out.
        seed: Seed of the choice of items.
        progress: Show a progress bar after two seconds, where standard error is a terminal.

    Returns:
        Mean gain of each choice over the user mean, in percent.

    Raises:
        ConfigurationError: As `cold_start_report`.
    """
    gains = np.zeros((splits, len(choices)))
    train = train_only(catalog, split)
    for row, held in enumerate(holding_out(*train, splits, held_out, seed, "cross-validation", progress)):
        features = CatalogFeatures.of(held.catalog, reading=reading)
        fitted: dict[SpaceParameters, RawMaps] = {}
        factors: dict[SpaceParameters, ItemFactors] = {}
        base = _rmse(user_means(held)[held.user] - held.value)
        for column, choice in enumerate(choices):
            wide = replace(choice, dim=2, rank=max(choice.rank, choice.dim - 1), ball=1.0)  # all that maps depend on
            same = replace(wide, encoder_ridge=1.0, components=None)  # all that factors depend on
            if same not in factors:
                factors[same] = factor_items(held.catalog, held.split, wide)
            if wide not in fitted:
                fitted[wide] = fit_maps(features, factors[same], wide)
            predicted = predict(held, features, fitted[wide], choice)
            gains[row, column] = 100.0 * (1.0 - _rmse(predicted - held.value) / base)
    return [float(gain) for gain in gains.mean(axis=0)]


def holding_out(
    catalog: Catalog, split: Split, splits: int, share: float, seed: int, label: str, progress: bool
) -> Iterator[HeldOut]:
    """Splits, each with other items held out, behind a progress bar.

    Args:
        catalog: Items, users and ratings.
        split: The split of that catalog.
        splits: Number of splits.
        share: Share of items held out.
        seed: Seed of the choice of items.
        label: Says what is done, next to the bar.
        progress: Show the bar after two seconds, where standard error is a terminal.

    Raises:
        ConfigurationError: `splits` is below 1, or `share` is not between 0 and 1.
    """
    if splits < 1 or not 0 < share < 1:
        raise ConfigurationError(f"expected 1 or more splits and a share between 0 and 1, got {splits!r}, {share!r}")
    for number in progress_bar(range(splits), show=progress, desc=label):
        order = np.random.default_rng([seed, number]).permutation(len(catalog.items))
        yield hold_out(catalog, split, order[: max(round(share * len(order)), 1)])


def hold_out(catalog: Catalog, split: Split, cold: NDArray[np.integer]) -> HeldOut:
    """Take items out of a catalog.

    Args:
        catalog: Items, users and ratings.
        split: The split of that catalog.
        cold: Rows of the items.
    """
    is_cold = np.isin(catalog.ratings.item, cold)
    warm = np.setdiff1d(np.arange(len(catalog.items)), cold)
    rest, rows = restrict(catalog, split, ~is_cold, warm)
    users = np.searchsorted(rows, catalog.ratings.user)
    known = is_cold & np.isin(catalog.ratings.user, rows[_supported(*rest)])
    numbers = np.zeros(len(catalog.items), dtype=np.intp)
    numbers[cold] = np.arange(len(cold))
    return HeldOut(
        catalog=rest[0],
        split=rest[1],
        texts=[catalog.texts[row] for row in cold],
        user=users[known],
        item=numbers[catalog.ratings.item[known]],
        value=catalog.ratings.value[known].astype(np.float64),
    )


def _supported(catalog: Catalog, split: Split) -> NDArray[np.intp]:
    """Users with support: only they have a mean over other ratings."""
    return np.flatnonzero(np.bincount(catalog.ratings.user[split.support], minlength=len(catalog.users)))


def train_only(catalog: Catalog, split: Split) -> tuple[Catalog, Split]:
    """The catalog of only the train users' ratings, and its split."""
    mine = np.isin(catalog.ratings.user, split.train_users)
    return restrict(catalog, split, mine, np.arange(len(catalog.items)))[0]


def restrict(
    catalog: Catalog, split: Split, kept: NDArray[np.bool_], items: NDArray[np.integer]
) -> tuple[tuple[Catalog, Split], NDArray[np.intp]]:
    """Some items and some of their ratings, with the users who gave them.

    Args:
        catalog: Items, users and ratings.
        split: The split of that catalog.
        kept: Ratings to keep, bool [m]; their items must be kept too.
        items: Rows of the items to keep, ascending.

    Returns:
        The remaining catalog and split, and the earlier rows of its users.
    """
    ratings = catalog.ratings
    rows = np.unique(ratings.user[kept]).astype(np.intp)
    rest = Catalog(
        name=catalog.name,
        items=tuple(catalog.items[row] for row in items),
        users=tuple(catalog.users[row] for row in rows),
        ratings=Ratings.of(
            np.searchsorted(rows, ratings.user[kept]), np.searchsorted(items, ratings.item[kept]), ratings.value[kept]
        ),
        scale=catalog.scale,
        language=catalog.language,
    )

    def renumber(old: NDArray[np.integer], among: NDArray[np.integer]) -> NDArray[np.int32]:
        return np.flatnonzero(np.isin(among, old)).astype(np.int32)

    parts = Split(
        train_users=renumber(split.train_users, rows),
        test_users=renumber(split.test_users, rows),
        train_items=renumber(split.train_items, items),
        test_items=renumber(split.test_items, items),
        support=split.support[kept],
        judge=split.judge[kept],
    )
    return (rest, parts), rows


def _errors(held: HeldOut, parameters: SpaceParameters, reading: Reading) -> list[Floats]:
    """Errors on the held-out ratings, [m] for each predictor, in the order of `ColdStart`."""
    features = CatalogFeatures.of(held.catalog, reading=reading)
    maps = fit_maps(features, factor_items(held.catalog, held.split, parameters), parameters)
    predicted = [predict(held, features, maps.only(columns), parameters) for columns in PREDICTIONS.values()]
    return [guess - held.value for guess in (user_means(held)[held.user], *predicted)]


def predict(held: HeldOut, features: CatalogFeatures, maps: RawMaps, parameters: SpaceParameters) -> Floats:
    """Predictions of the held-out ratings, [m], by the space made of some maps."""
    space = complete(held.catalog, held.split, features, maps, parameters)
    z = space.encoder.encode(held.texts)
    return space.predict(z[held.item], space.users[held.user])


def user_means(held: HeldOut) -> Floats:
    """Mean of each user's support, [U]; 0 without any."""
    ratings, rows, count = held.catalog.ratings, held.split.support, len(held.catalog.users)
    sums = np.bincount(ratings.user[rows], weights=ratings.value[rows].astype(np.float64), minlength=count)
    means: Floats = sums / np.maximum(np.bincount(ratings.user[rows], minlength=count), 1)
    return means


def _rmse(errors: Floats) -> float:
    return float(np.sqrt(np.mean(errors**2)))
