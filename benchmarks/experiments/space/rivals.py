"""Other predictors of ratings of unseen items, on the features that the encoder reads.

Each is given items held out whole (`HeldOut`) and their features, and predicts the ratings of these items. All of them
start from the user's mean, shrunken towards that of all users, and fit what is left. Test users enter a rival only by
their support, as in the space. The rivals' parameters are chosen as those of the space were: on train users' ratings of
further held-out items (`tune`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, cg
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import BayesianRidge, Ridge, RidgeCV
from sklearn.neighbors import NearestNeighbors

from eagle_gym.catalog import Catalog, Split
from eagle_gym.latent.blocks import BLOCKS, blocks_of
from eagle_gym.latent.factorization import outer
from eagle_gym.latent.features import matrix
from eagle_gym.latent.quality import HeldOut, holding_out, train_only, user_means
from eagle_gym.latent.space import CatalogFeatures

Floats = NDArray[np.float64]

EMBEDDING, SWEEPS = 8, 6  # of the hybrid factorisation
PENALTIES = tuple(10.0**power for power in range(5))


@dataclass(frozen=True)
class Tuned:
    """Parameters of the rivals.

    Attributes:
        shrinkage: Ratings of the mean of all users that are added to each user's own.
        components: Components of the texts, in the regressions of each user.
        penalty: Penalty of the ridge of each user, the same for all.
        neighbours: Items compared in item-kNN.
        similarity: Shrinkage of item-kNN, in units of similarity.
        item_penalty: Penalty of the hybrid factorisation on embeddings of features.
        user_penalty: Its penalty on users.
    """

    shrinkage: float = 2.0
    components: int = 48
    penalty: float = 60.0
    neighbours: int = 400
    similarity: float = 2.0
    item_penalty: float = 1000.0
    user_penalty: float = 10.0


CHOICES: Mapping[str, tuple[Mapping[str, float], ...]] = {
    "user mean, shrunken": tuple({"shrinkage": value} for value in (0.0, 1.0, 2.0, 4.0, 8.0)),
    "Bayesian ridge for each user, own priors": tuple({"components": value} for value in (16, 48)),
    "Bayesian ridge for each user, one prior": tuple({"penalty": value} for value in (15.0, 30.0, 60.0, 120.0)),
    "item-kNN on features": tuple(
        {"neighbours": k, "similarity": value} for k in (100, 400, 1600) for value in (1.0, 2.0, 5.0)
    ),
    "hybrid factorisation (LightFM-like)": tuple(
        {"item_penalty": one, "user_penalty": other} for one in (100.0, 300.0, 1000.0) for other in (3.0, 10.0, 30.0)
    ),
}


def tune(catalog: Catalog, split: Split) -> Tuned:
    """Parameters with the smallest error on train users' ratings of held-out items, one rival after the other."""
    ((held),) = holding_out(*train_only(catalog, split), 1, 0.2, 1, "tuning rivals", True)
    tuned = Tuned()
    for name, choices in CHOICES.items():
        tried = [replace(tuned, **choice) for choice in choices]  # type: ignore[arg-type]
        tasks = {shrinkage: Task.of(held, shrinkage) for shrinkage in {choice.shrinkage for choice in tried}}
        guesses = [RIVALS[name](tasks[choice.shrinkage], choice) for choice in tried]
        tuned = tried[int(np.argmin([np.mean((guess - held.value) ** 2) for guess in guesses]))]
    return tuned


@dataclass(frozen=True, eq=False)
class Task:
    """What a rival is given.

    Attributes:
        held: The catalog without the held-out items, and their ratings.
        known: Features of the catalog's items, [I, F].
        cold: Features of the held-out items, [C, F].
        blocks: The block of each feature, [F].
        raw: Mean of each user's support, [U].
        means: The same, shrunken, [U].
        left: Support ratings less their user's shrunken mean, [m].
        user: Their users, [m].
        item: Their items, [m].
        train: Which of them are train users', [m].
    """

    held: HeldOut
    known: sp.csr_array
    cold: sp.csr_array
    blocks: NDArray[np.intp]
    raw: Floats
    means: Floats
    left: Floats
    user: NDArray[np.int32]
    item: NDArray[np.int32]
    train: NDArray[np.bool_]

    @classmethod
    def of(cls, held: HeldOut, shrinkage: float) -> Task:
        """The task of some held-out items; users' means are shrunken by `shrinkage` ratings."""
        features = CatalogFeatures.of(held.catalog)
        cold = matrix(features.reader.bags(held.texts), features.reader.count)
        ratings, rows, raw = held.catalog.ratings, held.split.support, user_means(held)
        user, item, value = ratings.user[rows], ratings.item[rows], ratings.value[rows].astype(np.float64)
        train = np.isin(user, held.split.train_users)
        count = np.bincount(user, minlength=len(raw))
        means = (count * raw + shrinkage * value[train].mean()) / np.maximum(count + shrinkage, 1e-9)
        left = value - means[user]
        return cls(held, features.table, cold, blocks_of(features.reader), raw, means, left, user, item, train)

    @property
    def raw_base(self) -> Floats:
        """The user's mean for each held-out rating, [m]: what gains are compared with."""
        return self.raw[self.held.user]

    @property
    def base(self) -> Floats:
        """The user's shrunken mean for each held-out rating, [m]."""
        return self.means[self.held.user]

    def item_means(self) -> tuple[Floats, Floats]:
        """Mean of what is left of each item's ratings by train users, and their number, [I] each."""
        item, size = self.item[self.train], self.known.shape[0]
        count = np.bincount(item, minlength=size).astype(np.float64)
        sums = np.bincount(item, weights=self.left[self.train], minlength=size)
        return sums / np.maximum(count, 1.0), count

    def tags(self) -> tuple[Floats, Floats]:
        """log(1 + number of tags) of the catalog's and of the held-out items, [I] and [C]."""
        columns = np.flatnonzero(self.blocks == BLOCKS.index("tags"))
        known, cold = (np.log1p((table[:, columns] > 0).sum(axis=1)) for table in (self.known, self.cold))
        return known, cold


def user_mean(task: Task, _: Tuned) -> Floats:
    """The user's mean rating, shrunken."""
    return task.base


def number_of_tags(task: Task, _: Tuned) -> Floats:
    """A line through the number of tags, the same for all users."""
    known, cold = task.tags()
    return task.base + _line(task, known, cold)


def popularity(task: Task, _tuned: Tuned) -> Floats:
    """A line through the log of the number of ratings; privileged, as it counts those of held-out items."""
    _, count = task.item_means()
    train = np.isin(task.held.user, task.held.split.train_users)
    seen = np.bincount(task.held.item[train], minlength=task.cold.shape[0])
    return task.base + _line(task, np.log1p(count), np.log1p(seen))


def _line(task: Task, known: Floats, cold: Floats) -> Floats:
    if np.ptp(known) == 0:
        return np.zeros(len(task.held.item))
    slope, intercept = np.polyfit(known[task.item[task.train]], task.left[task.train], 1)
    offset: Floats = (intercept + slope * cold)[task.held.item]
    return offset


def ridge(task: Task, _: Tuned) -> Floats:
    """Ridge of an item's mean on its features (tf-idf, tags, genres, years), the same for all users."""
    return task.base + ridge_offsets(task)[1][task.held.item]


def ridge_offsets(task: Task) -> tuple[Floats, Floats]:
    """Ridge predictions for the catalog's and for the held-out items, [I] and [C]; generalised cross-validation.

    Items count by their damped number of ratings, so the mean prediction is then fitted to the ratings.
    """
    mean, count = task.item_means()
    rated = count > 0
    weight = count * 5.0 / (count + 5.0)
    chosen = RidgeCV(PENALTIES).fit(task.known[rated], mean[rated], sample_weight=weight[rated]).alpha_
    model = Ridge(chosen).fit(task.known[rated], mean[rated], sample_weight=weight[rated])
    known, cold = model.predict(task.known), model.predict(task.cold)
    shift = float(np.mean(task.left[task.train] - known[task.item[task.train]]))
    return known + shift, cold + shift


def bayesian(task: Task, tuned: Tuned) -> Floats:
    """A Bayesian ridge regression for each user, on components of the texts; its prior is the user's own evidence."""
    return _user_by_user(task, tuned, BayesianRidge(), 3)


def ridge_of_users(task: Task, tuned: Tuned) -> Floats:
    """The same with one penalty for all users: the posterior mean under one prior, chosen on train users."""
    return _user_by_user(task, tuned, Ridge(tuned.penalty), 1)


def _user_by_user(task: Task, tuned: Tuned, model: BayesianRidge | Ridge, least: int) -> Floats:
    """A regression for each user, of what the ridge over all users leaves, on components of the texts.

    Args:
        task: What is given.
        tuned: Says how many components.
        model: The regression.
        least: Fewest ratings of a user for whom it is fitted.
    """
    svd = TruncatedSVD(min(tuned.components, task.known.shape[1] - 1), random_state=0).fit(task.known)
    known, cold = svd.transform(task.known), svd.transform(task.cold)
    offsets = ridge_offsets(task)
    predicted = task.base + offsets[1][task.held.item]
    for user in np.unique(task.held.user):
        mine = task.user == user
        if mine.sum() < least:
            continue
        fitted = model.fit(known[task.item[mine]], task.left[mine] - offsets[0][task.item[mine]])
        judged = task.held.user == user
        predicted[judged] += fitted.predict(cold[task.held.item[judged]])
    return predicted


def item_knn(task: Task, tuned: Tuned) -> Floats:
    """The user's ratings of the items whose features are nearest by cosine, weighted by similarity and shrunken."""
    size = min(tuned.neighbours, task.known.shape[0])
    distance, nearest = NearestNeighbors(n_neighbors=size, metric="cosine").fit(task.known).kneighbors(task.cold)
    similar = sp.csr_array(
        (np.maximum(1.0 - distance, 0).ravel(), nearest.ravel(), np.arange(len(nearest) + 1) * size),
        shape=(task.cold.shape[0], task.known.shape[0]),
    )
    shape = (len(task.means), task.known.shape[0])
    left = sp.csr_array((task.left, (task.user, task.item)), shape=shape)
    rated = sp.csr_array((np.ones(len(task.left)), (task.user, task.item)), shape=shape)
    total = (left @ similar.T).toarray()[task.held.user, task.held.item]
    weight = (rated @ similar.T).toarray()[task.held.user, task.held.item]
    found: Floats = task.base + total / (weight + tuned.similarity)
    return found


def hybrid(task: Task, tuned: Tuned) -> Floats:
    """Hybrid factorisation as in LightFM: an item is the sum of its features' embeddings; alternating least squares.

    M. Kula, Metadata Embeddings for User and Item Cold-start Recommendations, 2015.
    """
    rng = np.random.default_rng(0)
    users, size = len(task.means), EMBEDDING + 1
    embedding = rng.normal(scale=0.05, size=(task.known.shape[1], size))
    shape = (users, task.known.shape[0])
    rated = sp.csr_array((np.ones(len(task.left)), (task.user, task.item)), shape=shape)
    left = sp.csr_array((task.left, (task.user, task.item)), shape=shape)
    fits = sp.diags_array(np.isin(np.arange(users), task.held.split.train_users).astype(np.float64))
    taste = np.zeros((users, size))
    for _ in range(SWEEPS):
        taste = _tastes(rated, left, task.known @ embedding, tuned.user_penalty)
        embedding = _embeddings((fits @ rated).T, (fits @ left).T, task.known, taste, tuned.item_penalty, embedding)
    taste = _tastes(rated, left, task.known @ embedding, tuned.user_penalty)
    found: Floats = task.base + np.sum((task.cold @ embedding)[task.held.item] * taste[task.held.user], axis=1)
    return found


def _tastes(rated: sp.csr_array, left: sp.csr_array, items: Floats, penalty: float) -> Floats:
    """Users' embeddings given the items'; the last coordinate is 1, which makes an item's last one its bias."""
    size = items.shape[1] - 1
    gram = (rated @ outer(items[:, :-1])).reshape(-1, size, size) + penalty * np.eye(size)
    right = left @ items[:, :-1] - rated @ (items[:, :-1] * items[:, -1:])
    solved = np.linalg.solve(gram, right[:, :, None])[:, :, 0]
    return np.column_stack([solved, np.ones(len(solved))])


def _embeddings(
    rated: sp.csr_array, left: sp.csr_array, known: sp.csr_array, taste: Floats, penalty: float, start: Floats
) -> Floats:
    """Features' embeddings given the users', by conjugate gradients."""
    size = taste.shape[1]
    gram = (rated @ outer(taste)).reshape(-1, size, size)

    def normal(flat: Floats) -> Floats:
        embedding = flat.reshape(-1, size)
        pulled = np.einsum("ijk,ik->ij", gram, known @ embedding)
        return np.ravel(known.T @ pulled + penalty * embedding)

    operator = LinearOperator((start.size, start.size), matvec=normal, dtype=np.float64)
    solved, _ = cg(operator, (known.T @ (left @ taste)).ravel(), x0=start.ravel(), rtol=1e-3, maxiter=40)
    return np.reshape(solved, (-1, size))


def without_tags(task: Task, predicted: Floats) -> Floats:
    """A prediction from which what is linear in the number of tags is partialled out."""
    number = task.tags()[1][task.held.item]
    if np.ptp(number) == 0:
        return predicted
    offset = predicted - task.base
    slope = np.polyfit(number, offset, 1)[0]
    partial: Floats = predicted - slope * (number - number.mean())
    return partial


RIVALS: Mapping[str, Callable[[Task, Tuned], Floats]] = {
    "user mean, shrunken": user_mean,
    "number of tags only": number_of_tags,
    "popularity (privileged)": popularity,
    "ridge on tf-idf, tags, genres, years": ridge,
    "Bayesian ridge for each user, own priors": bayesian,
    "Bayesian ridge for each user, one prior": ridge_of_users,
    "item-kNN on features": item_knn,
    "hybrid factorisation (LightFM-like)": hybrid,
}


def predictions(task: Task, tuned: Tuned) -> Iterator[tuple[str, Floats]]:
    """Names and predictions of all rivals."""
    for name, predict in RIVALS.items():
        yield name, predict(task, tuned)
