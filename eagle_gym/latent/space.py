"""The latent space: an artefact that holds the encoder, the embeddings of items and users, and the ball.

The fit, from the support ratings of a split:

1. Ratings of train users are factorised, with biases (`factorization`): `rank` factors and one bias for each item,
   more than Z has dimensions.
2. The encoder is a ridge from text features to the items' factors and bias, items weighted by their number of ratings,
   damped. Each block of features has its own penalty (`blocks`). The ridge is fitted once on all items and once without
   each of five parts of them, so every item also has an embedding by an encoder that did not see its ratings.
3. Users are modelled (`users`) on the factors and biases that step 2 predicts for unseen items; in free text, on the
   principal components of the texts' features in place of the factors, which say less there. Z consists of the dim
   directions in which their predicted ratings differ most, and it is whitened: over the catalog's texts it has mean 0
   and covariance I. If texts differ in fewer directions, Z has fewer dimensions.
4. Texts outside the ball that holds 99 % of the catalog's texts are projected onto it.
5. Users are refitted in Z, on the embeddings of step 2 by encoders that did not see the item: these are as accurate as
   the embeddings of unrated texts. The population is estimated from the train users; test users are folded in from
   their support.
6. The embeddings by encoders that did not see the item predict the ratings of train users, and so does a placebo
   (`placebo`): steps 2 to 5 on texts permuted among items.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse import linalg

from eagle_gym import cache
from eagle_gym.catalog import Catalog, Split
from eagle_gym.errors import ConfigurationError, PreparationError
from eagle_gym.latent.blocks import Fold, Gram, blocks_of, choose_penalties
from eagle_gym.latent.encoder import Encoder
from eagle_gym.latent.factorization import factorize
from eagle_gym.latent.features import (
    READING,
    AttributeFeatures,
    Bag,
    Features,
    Reading,
    features_from_json,
    features_of,
    matrix,
)
from eagle_gym.latent.geometry import norms, project_to_ball
from eagle_gym.latent.placebo import Apart, Quality, Sample, compare, predict_apart, with_permuted_texts
from eagle_gym.latent.text_encoders.encoder import TextEncoder
from eagle_gym.latent.users import Moments, fit_population
from eagle_gym.progress import progress_bar

Floats = NDArray[np.float64]

FORMAT = 3  # of the saved files
NAME = "space"  # of the saved files, without their endings
VERSION = 2  # of the fit: raise it whenever the same inputs would give another space
_READ = 1_024  # texts read between two moves of the progress bar
MODELLED = 10_000  # most train users on whom step 3 chooses Z, if they are modelled on up to `WIDE` coordinates
WIDE = 16
COMPONENTS = 48  # of free text, in step 3


@dataclass(frozen=True)
class SpaceParameters:
    """Parameters of the fit. The README of this folder says how the defaults were chosen.

    Attributes:
        dim: n, the dimension of Z.
        seed: Seed of the initial factors, of the parts of step 2 and of the placebo.
        rank: Number of factors in step 1; never fewer than dim - 1.
        factor_ridge: Penalty on factors, in ratings.
        bias_ridge: Penalty on biases of the factorisation, in ratings.
        sweeps: Sweeps of the factorisation.
        encoder_ridge: Penalty of the encoder, in units of item weight, from which those of blocks of features are
            chosen (`blocks`).
        damping: An item with c ratings has weight c · damping / (c + damping) in the encoder's fit.
        parts: Number of parts in step 2.
        ball: Share of the catalog's texts inside the ball.
        components: Principal components of the texts' features on which step 3 models users in place of the factors; 0
            for the factors. None takes `COMPONENTS` for free text and 0 for plot English.
    """

    dim: int = 8
    seed: int = 0
    rank: int = 15
    factor_ridge: float = 5.0
    bias_ridge: float = 3.0
    sweeps: int = 15
    encoder_ridge: float = 300.0
    damping: float = 5.0
    parts: int = 5
    ball: float = 0.99
    components: int | None = None

    def __post_init__(self) -> None:
        if self.dim < 2 or self.rank < 1:
            raise ConfigurationError(f"dim must be 2 or more and rank 1 or more, got {self.dim!r} and {self.rank!r}")
        if min(self.factor_ridge, self.bias_ridge, self.encoder_ridge, self.damping) <= 0 or self.sweeps < 1:
            raise ConfigurationError(f"ridges, damping and sweeps must be positive, got {self}")
        if self.components is not None and self.components < 0:
            raise ConfigurationError(f"components must be 0 or more, or None, got {self.components!r}")
        if self.parts < 2 or not 0 < self.ball <= 1:
            raise ConfigurationError(
                f"parts must be 2 or more and ball a share of 1, got {self.parts!r}, {self.ball!r}"
            )


@dataclass(frozen=True, eq=False)
class LatentSpace:
    """Encoder, items, users and ball.

    Attributes:
        encoder: Maps texts to Z.
        items: Embeddings of the catalog's texts, [I, n].
        users: Taste (n weights, rating units) and base (a rating) of each user, [U, n + 1]: the predicted rating of z
            is `base + ⟨z, taste⟩`.
        parameters: Parameters of the fit.
        quality: What the space is worth on unseen items, next to its placebo; not part of the fingerprint.
        key: Hash of everything that determined the fit; "" if the space was not prepared.
    """

    encoder: Encoder
    items: Floats
    users: Floats
    parameters: SpaceParameters
    quality: Quality
    key: str = ""

    def __post_init__(self) -> None:
        for array in (self.items, self.users):
            array.flags.writeable = False

    @property
    def dim(self) -> int:
        """Dimension n of Z."""
        return self.encoder.dim

    @property
    def radius(self) -> float:
        """Radius of the catalog's ball."""
        return self.encoder.radius

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the arrays and of the encoder's features, 16 hexadecimal digits."""
        digest = hashlib.sha256(json.dumps(self.encoder.features.to_json(), sort_keys=True).encode())
        for name, array in sorted(self._arrays().items()):
            digest.update(name.encode() + np.ascontiguousarray(array, "<f8").tobytes())
        return digest.hexdigest()[:16]

    def save(self, folder: str | Path) -> None:
        """Write `space.json` and `space.npz` into a folder, which is made where absent.

        Raises:
            PreparationError: The folder cannot be written, or the disk is full; no half-written file is left behind.
        """
        header = {
            "format": FORMAT,
            "key": self.key,
            "fingerprint": self.fingerprint,
            "parameters": asdict(self.parameters),
            "quality": self.quality.to_json(),
            "features": self.encoder.features.to_json(),
        }
        cache.save_artefact(Path(folder), NAME, header, self._arrays())

    @classmethod
    def load(cls, folder: str | Path, encoder: TextEncoder | None = None) -> LatentSpace:
        """Read what `save` wrote.

        Args:
            folder: Where it was written.
            encoder: The text encoder on which the space was fitted, where it was.

        Raises:
            PreparationError: A file is missing, damaged or was edited, or the space reads another lexicon or was fitted
                on another text encoder.
        """
        folder = Path(folder)
        header = cache.load_header(folder, NAME)
        if header.get("format") != FORMAT:
            raise PreparationError(
                f"{folder}: expected a space of format {FORMAT}, got {header.get('format')!r}: prepare it again"
            )
        arrays = cache.load_arrays(folder, NAME, header)
        try:
            features = features_from_json(header["features"], encoder)
            mapped = Encoder(features, arrays["weights"], arrays["intercept"], float(arrays["radius"]))
            parameters = SpaceParameters(**header["parameters"])
            quality = Quality.from_json(header["quality"])
            space = cls(mapped, arrays["items"], arrays["users"], parameters, quality, header["key"])
        except (ValueError, KeyError, TypeError) as error:
            raise PreparationError(f"{folder}: expected a space written by LatentSpace.save, got {error!r}") from error
        if space.fingerprint != header.get("fingerprint"):
            raise PreparationError(
                f"{folder}: expected the fingerprint {header.get('fingerprint')!r}, got {space.fingerprint!r}: delete "
                "the folder and prepare it again"
            )
        return space

    def predict(self, z: Floats, users: Floats) -> Floats:
        """Predicted ratings of points z [B, n] by users [B, n + 1]: [B]."""
        rating: Floats = users[:, -1] + np.sum(z * users[:, :-1], axis=1)
        return rating

    def _arrays(self) -> dict[str, Floats]:
        encoder = self.encoder
        radius = np.array(encoder.radius)
        arrays = {"weights": encoder.weights, "intercept": encoder.intercept, "radius": radius}
        return {**arrays, "items": self.items, "users": self.users}


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear map of text features.

    Attributes:
        weights: [F, k].
        intercept: [k].
    """

    weights: Floats
    intercept: Floats

    def __call__(self, features: sp.csr_array) -> Floats:
        """Values of texts, [N, k]."""
        values: Floats = features @ self.weights + self.intercept
        return values

    def only(self, columns: slice) -> Linear:
        """The map to only some of the values."""
        return Linear(self.weights[:, columns], self.intercept[columns])


@dataclass(frozen=True, eq=False)
class CatalogFeatures:
    """The features of a catalog's texts.

    Attributes:
        reader: Reads the features of a text.
        bags: [I] Features of each text.
        table: [I, F] The same as a sparse matrix.
    """

    reader: Features
    bags: list[Bag]
    table: sp.csr_array

    @classmethod
    def of(cls, catalog: Catalog, progress: bool = False, reading: Reading = READING) -> CatalogFeatures:
        """Read a catalog's texts, with a progress bar after two seconds."""
        features, texts = features_of(catalog.texts, catalog.language, reading), catalog.texts
        parts = progress_bar(range(0, len(texts), _READ), show=progress, desc="reading texts")
        bags = [bag for begin in parts for bag in features.bags(texts[begin : begin + _READ])]
        return cls(features, bags, matrix(bags, features.count))


@dataclass(frozen=True, eq=False)
class ItemFactors:
    """Result of step 1: the targets of the encoder's fit.

    Attributes:
        targets: Factors and bias of each item, [I, k].
        weights: Weight of each item in the encoder's fit, 0 if nobody rated it, [I].
        part: The part of each item in step 2, [I].
    """

    targets: Floats
    weights: Floats
    part: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RawMaps:
    """Result of step 2: maps from text to (factors, bias), before whitening.

    Attributes:
        full: Fitted on all rated items.
        unseen: One map for each part, fitted without it.
        part: The part of each item, [I].
        penalties: Penalty of each feature, [F].
        explained: Shares of the variance of factors and of biases over rated items, weighted as in the fit, that the
            `unseen` maps explain.
    """

    full: Linear
    unseen: tuple[Linear, ...]
    part: NDArray[np.int64]
    penalties: Floats
    explained: tuple[float, float]

    def out_of_part(self, features: sp.csr_array) -> Floats:
        """Values of each item by the map that did not see it, [I, k]."""
        return _out_of_part(self.unseen, self.part, features)

    def with_axes(self, axes: Floats) -> RawMaps:
        """The maps with fixed directions of the features, [F, k], in place of the factors; the bias stays."""

        def changed(linear: Linear) -> Linear:
            weights = np.column_stack([axes, linear.weights[:, -1]])
            return Linear(weights, np.append(np.zeros(axes.shape[1]), linear.intercept[-1]))

        return replace(self, full=changed(self.full), unseen=tuple(map(changed, self.unseen)))

    def only(self, columns: slice) -> RawMaps:
        """The maps to only some of the coordinates; the last one is the bias."""
        return replace(self, full=self.full.only(columns), unseen=tuple(part.only(columns) for part in self.unseen))


def fit_space(
    catalog: Catalog,
    split: Split,
    parameters: SpaceParameters | None = None,
    *,
    reading: Reading = READING,
    progress: bool = False,
) -> LatentSpace:
    """Fit a latent space, from only the split's support ratings.

    Args:
        catalog: Items, users and ratings.
        split: Says which users are for training, and which ratings are support.
        parameters: Parameters of the fit; by default the defaults.
        reading: What the features of free text are.
        progress: Show a progress bar after two seconds, where standard error is a terminal.

    Raises:
        PreparationError: Fewer than two items are rated, or the texts do not differ in any feature.
    """
    parameters = parameters or SpaceParameters()
    features = CatalogFeatures.of(catalog, progress, reading)
    factors = factor_items(catalog, split, parameters, progress=progress)
    maps = fit_maps(features, factors, parameters)
    space = complete(catalog, split, features, maps, parameters)
    measured = measure(catalog, split, features, factors, maps, parameters, reading)
    return replace(space, quality=replace(space.quality, **measured))


def train_ratings(catalog: Catalog, split: Split) -> tuple[NDArray[np.int32], NDArray[np.int32], Floats]:
    """User, item and value of the support ratings of train users, [m] each."""
    ratings, rows = catalog.ratings, split.support & np.isin(catalog.ratings.user, split.train_users)
    return ratings.user[rows], ratings.item[rows], ratings.value[rows].astype(np.float64)


def factor_items(
    catalog: Catalog, split: Split, parameters: SpaceParameters, *, progress: bool = False
) -> ItemFactors:
    """Step 1, from the ratings of train users."""
    rng = np.random.default_rng(parameters.seed)
    user, item, value = train_ratings(catalog, split)
    factors = factorize(
        user,
        item,
        value,
        (len(catalog.users), len(catalog.items)),
        rank=max(parameters.rank, parameters.dim - 1),
        rng=rng,
        ridge=parameters.factor_ridge,
        bias_ridge=parameters.bias_ridge,
        sweeps=parameters.sweeps,
        progress=progress,
    )
    counts = np.bincount(item, minlength=len(catalog.items)).astype(np.float64)
    weights = counts * parameters.damping / (counts + parameters.damping)
    targets = np.column_stack([factors.items, factors.item_bias])
    return ItemFactors(targets, weights, _parts(counts > 0, parameters.parts, rng))


def fit_maps(features: CatalogFeatures, items: ItemFactors, parameters: SpaceParameters) -> RawMaps:
    """Step 2, with the penalties of the features' blocks chosen."""
    table, targets, weights, part = features.table, items.targets, items.weights, items.part
    rows_of = [np.flatnonzero((weights > 0) & (part == number)) for number in range(part.max() + 1)]
    grams = [Gram.of(table[rows], targets[rows], weights[rows]) for rows in rows_of]
    whole = sum(grams[1:], start=grams[0])
    folds = [
        Fold(whole - gram, table[rows], targets[rows], weights[rows]) for rows, gram in zip(rows_of, grams, strict=True)
    ]
    penalties = choose_penalties(folds, blocks_of(features.reader), parameters.encoder_ridge)
    unseen = tuple(Linear(*(whole - gram).solve(penalties)) for gram in grams)
    guess = _out_of_part(unseen, part, table)
    explained = tuple(
        _explained(guess[:, columns], targets[:, columns], weights) for columns in (slice(-1), slice(-1, None))
    )
    maps = RawMaps(Linear(*whole.solve(penalties)), unseen, part, penalties, (explained[0], explained[1]))
    wanted = parameters.components
    if wanted is None:
        wanted = 0 if isinstance(features.reader, AttributeFeatures) else COMPONENTS
    axes = principal_axes(table, wanted)
    return maps.with_axes(axes) if axes.shape[1] else maps


def principal_axes(table: sp.csr_array, count: int) -> Floats:
    """The directions in which texts' features are largest, [F, k], in descending order.

    Args:
        table: Features of texts, [N, F].
        count: Most directions.
    """
    most = min(count, min(table.shape) - 1)
    if most < 1:
        return np.zeros((table.shape[1], 0))
    _, sizes, axes = linalg.svds(table, k=most, v0=np.ones(min(table.shape)))
    axes = axes[np.argsort(-sizes)]
    signs = np.sign(axes[np.arange(most), np.argmax(np.abs(axes), axis=1)])
    found: Floats = (axes * signs[:, None]).T
    return found


def complete(
    catalog: Catalog, split: Split, features: CatalogFeatures, maps: RawMaps, parameters: SpaceParameters
) -> LatentSpace:
    """Steps 3 to 5: choose Z, find the ball, refit the users."""
    encoder, unseen = embed(catalog, split, features, maps, parameters)
    return LatentSpace(
        encoder=encoder,
        items=project_to_ball(encoder.linear(features.bags), encoder.radius),
        users=fit_users(catalog, split.support, split.train_users, unseen),
        parameters=parameters,
        quality=Quality(*maps.explained, dim=parameters.dim),
    )


def embed(
    catalog: Catalog, split: Split, features: CatalogFeatures, maps: RawMaps, parameters: SpaceParameters
) -> tuple[Encoder, Floats]:
    """Steps 3 and 4: the encoder, and the embedding of each item by maps that did not see it, [I, n]."""
    guess = maps.out_of_part(features.table)
    axes = _axes(maps.full(features.table), _tastes(catalog, split, guess, parameters.seed), parameters.dim)
    encoder = _encoder(features.reader, maps.full, axes, features.bags, parameters.ball)
    return encoder, project_to_ball((guess - axes[0]) @ axes[1], encoder.radius)


def measure(
    catalog: Catalog,
    split: Split,
    features: CatalogFeatures,
    factors: ItemFactors,
    maps: RawMaps,
    parameters: SpaceParameters,
    reading: Reading = READING,
) -> dict[str, Any]:
    """Step 6: scores of the space and of its placebo, as the fields of `Quality`; none if there are too few ratings."""
    user, item, value = train_ratings(catalog, split)
    others = ~np.isin(user, [catalog.user_index(author) for author in catalog.authors])  # who wrote none of the texts
    sample = Sample.of(user[others], item[others], value[others], factors.part, parameters.seed)
    if not sample.is_enough:
        return {}

    def apart(features: CatalogFeatures, maps: RawMaps) -> Apart:
        return predict_apart(sample, embed(catalog, split, features, maps, parameters)[1])

    permuted = CatalogFeatures.of(with_permuted_texts(catalog, seed=parameters.seed), reading=reading)
    placebo = fit_maps(permuted, factors, parameters)
    return compare(sample, apart(features, maps), apart(permuted, placebo))


def fit_users(catalog: Catalog, rows: NDArray[np.bool_], train_users: NDArray[np.integer], unseen: Floats) -> Floats:
    """Step 5: taste and base of every user, [U, k + 1].

    Args:
        catalog: Users and ratings.
        rows: Ratings that the fit may read, bool [m].
        train_users: Users from whom the population is estimated.
        unseen: Coordinates of the items by maps that did not see them, [I, k].
    """
    ratings = catalog.ratings
    value = ratings.value[rows].astype(np.float64)
    mean = value[np.isin(ratings.user[rows], train_users)].mean()  # only train users determine the centre
    columns = np.column_stack([unseen, np.ones(len(unseen))])
    moments = Moments.of(ratings.user[rows], ratings.item[rows], value - mean, columns, len(catalog.users))
    population = fit_population(moments.take(train_users[moments.count[train_users] > 0]))
    users, _ = population.posterior(moments)
    users[:, -1] += mean
    return users


def _tastes(catalog: Catalog, split: Split, guess: Floats, seed: int) -> Floats:
    """Second moment of users' weights on predicted factors and bias, [k, k], from a sample of train users."""
    user, item, value = train_ratings(catalog, split)
    users, most = np.unique(user), MODELLED * WIDE // max(guess.shape[1], WIDE)
    if len(users) > most:
        users = np.sort(np.random.default_rng(seed).choice(users, most, replace=False))
    kept = np.isin(user, users)
    columns = np.column_stack([guess, np.ones(len(guess))])
    rows = np.searchsorted(users, user[kept])
    moments = Moments.of(rows, item[kept], value[kept] - value.mean(), columns, len(users))
    population = fit_population(moments)
    moment: Floats = population.covariance + np.outer(population.mean, population.mean)
    return moment[:-1, :-1]


def _out_of_part(unseen: tuple[Linear, ...], part: NDArray[np.int64], features: sp.csr_array) -> Floats:
    values = np.stack([linear(features) for linear in unseen])
    return values[part, np.arange(len(part))]


def _explained(guess: Floats, truth: Floats, weights: Floats) -> float:
    """R² over all columns together, with weighted rows."""
    spread = truth - np.average(truth, axis=0, weights=weights)
    missed, total = (float(np.sum(weights[:, None] * error**2)) for error in (truth - guess, spread))
    return 1.0 - missed / max(total, 1e-300)


def _parts(rated: NDArray[np.bool_], most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A part for each item, [I]; rated items are spread evenly."""
    if rated.sum() < 2:
        raise PreparationError(f"expected two or more items that train users rated, got {rated.sum()}: add ratings")
    part = np.zeros(len(rated), dtype=np.int64)
    part[rng.permutation(np.flatnonzero(rated))] = np.arange(rated.sum()) % most
    return part


def _axes(raw: Floats, tastes: Floats, dim: int) -> tuple[Floats, Floats]:
    """Z as directions of predicted factors and biases.

    Args:
        raw: Predicted factors and biases of the catalog's texts, [I, k].
        tastes: Second moment of the users' weights on them, [k, k].
        dim: Most directions.

    Returns:
        Centre [k] and matrix [k, n], such that (raw - centre) @ matrix has covariance I and its columns are in
        descending order of the variance of the ratings that they predict.
    """
    centre = raw.mean(axis=0)
    variance, basis = np.linalg.eigh(np.atleast_2d(np.cov(raw.T, bias=True)))
    if variance.max() < 1e-12:
        raise PreparationError(
            "the catalog's texts do not differ in any feature that explains ratings: a latent space needs texts that "
            "say different things, and ratings of them"
        )
    kept = variance > 1e-9 * variance.max()
    spread, basis = np.sqrt(variance[kept]), basis[:, kept]
    _, turned = np.linalg.eigh(spread[:, None] * (basis.T @ tastes @ basis) * spread)
    axes = basis / spread @ turned[:, ::-1][:, :dim]
    axes = axes * np.sign(axes[np.argmax(np.abs(axes), axis=0), np.arange(axes.shape[1])])  # one sign on every machine
    return centre, axes


def _encoder(
    features: Features, linear: Linear, axes: tuple[Floats, Floats], bags: list[Bag], ball: float
) -> Encoder:
    centre, matrix_ = axes
    weights, intercept = linear.weights @ matrix_, (linear.intercept - centre) @ matrix_
    free = Encoder(features, weights, intercept, np.inf)
    radius = float(np.quantile(norms(free.linear(bags)), ball))
    return Encoder(features, weights, intercept, radius)


def with_key(space: LatentSpace, key: str) -> LatentSpace:
    """The same space with a key."""
    return replace(space, key=key)


def parameters_from(given: SpaceParameters | dict[str, Any] | None) -> SpaceParameters:
    """Parameters from a mapping of some of them.

    Raises:
        ConfigurationError: A parameter is unknown or out of range.
    """
    if isinstance(given, SpaceParameters):
        return given
    known = {entry.name for entry in fields(SpaceParameters)}
    unknown = sorted(set(given or {}) - known)
    if unknown:
        raise ConfigurationError(
            f"a latent space has the parameters {', '.join(sorted(known))}, got {', '.join(unknown)}"
        )
    return SpaceParameters(**(given or {}))
