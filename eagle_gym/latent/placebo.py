"""Whether texts tell anything about taste: predictions of unseen items against a placebo, texts permuted among items.

Every fit predicts each item by an encoder that did not see it (`space`, step 2), so its quality costs no further fit:
each train user's ratings of one part of the items are predicted by the user's taste in the other parts. The placebo
goes through the same steps with the items' texts permuted, so none of its gain comes from what texts say. A space that
gains no more is noise, and so is a reward made of it.

Only the support of train users is read, of at most `USERS` of them. The gain of a space that was fitted without these
items altogether (`quality`) is a little lower, because here the factors of other items have seen the same users.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eagle_gym.catalog import Catalog, Item
from eagle_gym.errors import PreparationError
from eagle_gym.latent.ranking import mean_ranking
from eagle_gym.latent.users import Moments, fit_population

Floats = NDArray[np.float64]
Verdict = Literal["better", "no better", "not measured"]

USERS = 10_000  # most train users whose ratings are predicted
LEAST_USERS, LEAST_RATINGS = 50, 2_000  # with fewer, nothing is measured
ERRORS = 2.0  # a gain is better than the placebo's if it exceeds it by this many standard errors
PRECISION = 0.5  # percent: with a larger standard error, a gain that is no better is not a finding


@dataclass(frozen=True)
class Score:
    """What predictions of ratings are worth.

    Attributes:
        gain: Reduction of the root mean squared error of the user's mean, in percent.
        auc: AUC of a user's items of one part (`ranking`), mean over users and parts.
        ndcg: NDCG@10 of the same.
    """

    gain: float
    auc: float
    ndcg: float


@dataclass(frozen=True)
class Quality:
    """Quality of a space, measured in its fit on items unseen by the encoder and on train users' ratings.

    Attributes:
        explained_taste: Share of the variance of the items' factors that texts explain.
        explained_quality: The same of the items' biases.
        dim: Dimension that the fit was asked for.
        text: Score of the space; None if there were too few ratings to measure.
        placebo: Score of the same fit with the texts permuted among items; None as for `text`.
        error: Standard error of the difference of the two gains, in percent.
        ratings: Number of predicted ratings.
    """

    explained_taste: float
    explained_quality: float
    dim: int
    text: Score | None = None
    placebo: Score | None = None
    error: float = 0.0
    ratings: int = 0

    @property
    def verdict(self) -> Verdict:
        """Whether texts predict ratings better than permuted texts do."""
        if self.text is None or self.placebo is None:
            return "not measured"
        if self.text.gain - self.placebo.gain > ERRORS * self.error:
            return "better"
        return "no better" if self.error <= PRECISION else "not measured"

    def check(self, name: str) -> None:
        """Refuse a space that is no better than its placebo.

        Args:
            name: Name of the catalog, for the message.

        Raises:
            PreparationError: The space is no better.
        """
        if self.verdict == "no better" and self.text and self.placebo:
            raise PreparationError(
                f"expected the texts of the catalog {name!r} to predict ratings better than a placebo (the same texts "
                f"permuted among the items), got a gain over the user's mean rating of {self.text.gain:.2f} % against "
                f"{self.placebo.gain:.2f} % (standard error of the difference {self.error:.2f}): let the texts say "
                "more, such as genres and tags, or accept a reward that is mostly noise with placebo='allow'"
            )

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Quality:
        """What `to_json` gave.

        Raises:
            TypeError: These are other values.
        """
        scores = {name: Score(**saved[name]) if saved.get(name) else None for name in ("text", "placebo")}
        return cls(**{**saved, **scores})

    def facts(self, dim: int) -> Iterator[tuple[str, str]]:
        """Names and values for people.

        Args:
            dim: Dimension of the space.
        """
        if dim < self.dim:
            yield "dimension asked for", f"{self.dim}; the texts differ in {dim} directions only"
        yield "explained taste", f"{self.explained_taste:.3f} of the variance of factors of unseen items"
        yield "explained quality", f"{self.explained_quality:.3f} of the variance of biases of unseen items"
        if self.text is None or self.placebo is None:
            yield "gain on unseen items", "not measured: too few ratings"
            return
        for name, form in (("gain", "{:.2f} %"), ("auc", "{:.3f}"), ("ndcg", "{:.3f}")):
            text, placebo = (form.format(getattr(score, name)) for score in (self.text, self.placebo))
            more = f" (standard error of the difference {self.error:.2f})" if name == "gain" else ""
            yield f"{name} on unseen items", f"{text}, placebo {placebo}{more}"
        told = f"{self.verdict} than its placebo"
        yield "verdict", "too few ratings to tell" if self.verdict == "not measured" else told


@dataclass(frozen=True, eq=False)
class Sample:
    """Ratings of train users that are predicted, and the part of the items to which each belongs.

    Attributes:
        user: Users, numbered from 0 without gaps, [m].
        item: Rows of the catalog's items, [m].
        value: The ratings, [m].
        part: Part of each rating's item, [m].
    """

    user: NDArray[np.intp]
    item: NDArray[np.intp]
    value: Floats
    part: NDArray[np.int64]

    @classmethod
    def of(
        cls, user: NDArray[np.integer], item: NDArray[np.integer], value: Floats, part: NDArray[np.int64], seed: int
    ) -> Sample:
        """The ratings of at most `USERS` users, drawn by the seed.

        Args:
            user: User of each rating of train users, [m].
            item: Item of each, [m].
            value: The ratings, [m].
            part: Part of each item, [I].
            seed: Draws the users.
        """
        users = np.unique(user)
        if len(users) > USERS:
            users = np.sort(np.random.default_rng(seed).choice(users, USERS, replace=False))
        kept = np.isin(user, users)
        rows = np.searchsorted(users, user[kept])
        return cls(rows, item[kept].astype(np.intp), value[kept], part[item[kept]])

    @property
    def is_enough(self) -> bool:
        """Whether there are enough ratings to measure anything."""
        return len(self.value) >= LEAST_RATINGS and int(self.user.max(initial=-1)) + 1 >= LEAST_USERS


@dataclass(frozen=True, eq=False)
class Apart:
    """Predictions of a sample's ratings by users who did not see the part of the item.

    Attributes:
        judged: Ratings whose users rated items of other parts too, bool [m]; the other rows of the arrays mean nothing.
        predicted: Predicted ratings, [m].
        user_mean: The user's mean rating of items of the other parts, [m].
    """

    judged: NDArray[np.bool_]
    predicted: Floats
    user_mean: Floats


def predict_apart(sample: Sample, unseen: Floats) -> Apart:
    """Predict each rating by a user fitted on the items of the other parts.

    Args:
        sample: The ratings.
        unseen: Embedding of each item by an encoder that did not see it, [I, n].
    """
    columns = np.column_stack([unseen, np.ones(len(unseen))])
    mean, users = float(sample.value.mean()), int(sample.user.max()) + 1
    rows_of = [sample.part == part for part in range(int(sample.part.max()) + 1)]
    moments = [
        Moments.of(sample.user[rows], sample.item[rows], sample.value[rows] - mean, columns, users) for rows in rows_of
    ]
    whole = sum(moments[1:], start=moments[0])
    population = fit_population(whole)
    apart = Apart(np.zeros(len(sample.value), bool), np.zeros(len(sample.value)), np.zeros(len(sample.value)))
    for rows, own in zip(rows_of, moments, strict=True):
        rest, user = whole - own, sample.user[rows]
        users_, _ = population.posterior(rest)
        apart.judged[rows] = rest.count[user] > 0
        apart.predicted[rows] = mean + np.sum(columns[sample.item[rows]] * users_[user], axis=1)
        apart.user_mean[rows] = mean + (rest.right[:, -1] / np.maximum(rest.count, 1))[user]
    return apart


def with_permuted_texts(catalog: Catalog, *, seed: int = 0) -> Catalog:
    """The placebo: a catalog whose texts are permuted among its items."""
    order = np.random.default_rng(seed).permutation(len(catalog.items))
    items = (Item(item.id, item.title, catalog.texts[row]) for item, row in zip(catalog.items, order, strict=True))
    return replace(catalog, items=tuple(items))


def compare(sample: Sample, text: Apart, placebo: Apart) -> dict[str, Any]:
    """Scores of a space and of its placebo, as the fields of `Quality`."""
    rows = text.judged
    value, user, item = sample.value[rows], sample.user[rows], sample.item[rows]
    lists = user * (int(sample.part.max()) + 1) + sample.part[rows]  # predictions of two parts are of two users' tastes
    base = _rmse(text.user_mean[rows] - value)
    errors = [found.predicted[rows] - value for found in (text, placebo)]
    scores = [
        Score(100.0 * (1.0 - _rmse(error) / base), *mean_ranking(lists, error + value, value)) for error in errors
    ]
    spread = _clustered(errors[1] ** 2 - errors[0] ** 2, user, item)
    return {
        "text": scores[0],
        "placebo": scores[1],
        "error": 100.0 * spread / ((_rmse(errors[0]) + _rmse(errors[1])) * base),
        "ratings": int(rows.sum()),
    }


def _clustered(values: Floats, user: NDArray[np.intp], item: NDArray[np.intp]) -> float:
    """Standard error of a mean whose terms share users and items: the two clustered variances add up."""
    centred = values - values.mean()
    variance = sum(float(np.sum(np.bincount(group, weights=centred) ** 2)) for group in (user, item))
    return float(np.sqrt(variance)) / len(values)


def _rmse(errors: Floats) -> float:
    return float(np.sqrt(np.mean(errors**2)))
