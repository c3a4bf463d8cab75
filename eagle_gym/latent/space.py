"""The latent space: an artefact that holds the encoder, the embeddings of items and users, and the ball.

The fit, from the support ratings of a split:

1. Ratings of train users are factorised, with biases (`factorization`): dim - 1 factors and one bias for each item.
2. The encoder is a ridge from text features to the items' factors and bias, items weighted by their number of ratings,
   damped. It is fitted once on all items and once without each of five parts of them, so every item also has an
   embedding by an encoder that did not see its ratings.
3. Z is whitened: over the catalog's texts it has mean 0 and covariance I. Directions in which texts do not differ are
   dropped.
4. Texts outside the ball that holds 99 % of the catalog's texts are projected onto it.
5. Users are refitted (`users`) on the embeddings of step 2 by encoders that did not see the item: these are as accurate
   as the embeddings of unrated texts. The population is estimated from the train users; test users are folded in from
   their support.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from eagle_gym import cache
from eagle_gym.catalog import Catalog, Split
from eagle_gym.errors import ConfigurationError, PreparationError
from eagle_gym.latent.encoder import Encoder, fit_linear
from eagle_gym.latent.factorization import factorize
from eagle_gym.latent.features import Bag, Features, features_from_json, features_of, matrix
from eagle_gym.latent.geometry import norms, project_to_ball
from eagle_gym.latent.users import Moments, fit_population
from eagle_gym.progress import progress_bar

Floats = NDArray[np.float64]

FORMAT = 2  # of the saved files
NAME = "space"  # of the saved files, without their endings
VERSION = 1  # of the fit: raise it whenever the same inputs would give another space


@dataclass(frozen=True)
class SpaceParameters:
    """Parameters of the fit. The README of this folder says how the defaults were chosen.

    Attributes:
        dim: n, the dimension of Z: dim - 1 factors of taste and one of quality.
        seed: Seed of the initial factors and of the parts of step 2.
        factor_ridge: Penalty on factors, in ratings.
        bias_ridge: Penalty on biases of the factorisation, in ratings.
        sweeps: Sweeps of the factorisation.
        encoder_ridge: Penalty of the encoder, in units of item weight.
        damping: An item with c ratings has weight c · damping / (c + damping) in the encoder's fit.
        parts: Number of parts in step 2.
        ball: Share of the catalog's texts inside the ball.
    """

    dim: int = 8
    seed: int = 0
    factor_ridge: float = 5.0
    bias_ridge: float = 3.0
    sweeps: int = 15
    encoder_ridge: float = 300.0
    damping: float = 5.0
    parts: int = 5
    ball: float = 0.99

    def __post_init__(self) -> None:
        if self.dim < 2:
            raise ConfigurationError(f"dim must be 2 or more (one taste factor and quality), got {self.dim!r}")
        if min(self.factor_ridge, self.bias_ridge, self.encoder_ridge, self.damping) <= 0 or self.sweeps < 1:
            raise ConfigurationError(f"ridges, damping and sweeps must be positive, got {self}")
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
        quality: Shares of the variance of the items' factors (`explained_taste`) and of their biases
            (`explained_quality`) that texts explain for items unseen by the encoder; not part of the fingerprint.
        key: Hash of everything that determined the fit; "" if the space was not prepared.
    """

    encoder: Encoder
    items: Floats
    users: Floats
    parameters: SpaceParameters
    quality: dict[str, float] = field(default_factory=dict)
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
            "quality": self.quality,
            "features": self.encoder.features.to_json(),
        }
        cache.save_artefact(Path(folder), NAME, header, self._arrays())

    @classmethod
    def load(cls, folder: str | Path) -> LatentSpace:
        """Read what `save` wrote.

        Raises:
            PreparationError: A file is missing, damaged or was edited, or the encoder reads another lexicon.
        """
        folder = Path(folder)
        header = cache.load_header(folder, NAME)
        if header.get("format") != FORMAT:
            raise PreparationError(
                f"{folder}: expected a space of format {FORMAT}, got {header.get('format')!r}: prepare it again"
            )
        arrays = cache.load_arrays(folder, NAME, header)
        try:
            features = features_from_json(header["features"])
            encoder = Encoder(features, arrays["weights"], arrays["intercept"], float(arrays["radius"]))
            parameters = SpaceParameters(**header["parameters"])
            space = cls(encoder, arrays["items"], arrays["users"], parameters, header["quality"], header["key"])
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
    def of(cls, catalog: Catalog, progress: bool = False) -> CatalogFeatures:
        """Read a catalog's texts, with a progress bar after two seconds."""
        features = features_of(catalog.texts, catalog.language)
        texts = progress_bar(catalog.texts, show=progress, desc="reading texts")
        bags = [features.bag(text) for text in texts]
        return cls(features, bags, matrix(bags, features.count))


@dataclass(frozen=True, eq=False)
class ItemFactors:
    """Result of step 1: the targets of the encoder's fit.

    Attributes:
        targets: Factors and bias of each item, [I, dim].
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
        full: Fitted on all rated items, k = dim.
        unseen: One map for each part, fitted without it.
        part: The part of each item, [I].
        explained: Shares of the variance of factors and of biases over rated items, weighted as in the fit, that the
            `unseen` maps explain.
    """

    full: Linear
    unseen: tuple[Linear, ...]
    part: NDArray[np.int64]
    explained: tuple[float, float]

    def out_of_part(self, features: sp.csr_array) -> Floats:
        """Values of each item by the map that did not see it, [I, k]."""
        return _out_of_part(self.unseen, self.part, features)

    def only(self, columns: slice) -> RawMaps:
        """The maps to only some of the coordinates; the last one is the bias."""
        return replace(self, full=self.full.only(columns), unseen=tuple(part.only(columns) for part in self.unseen))


def fit_space(
    catalog: Catalog,
    split: Split,
    parameters: SpaceParameters | None = None,
    *,
    progress: bool = False,
) -> LatentSpace:
    """Fit a latent space, from only the split's support ratings.

    Args:
        catalog: Items, users and ratings.
        split: Says which users are for training, and which ratings are support.
        parameters: Parameters of the fit; by default the defaults.
        progress: Show a progress bar after two seconds, where standard error is a terminal.

    Raises:
        PreparationError: Fewer than two items are rated, or the texts do not differ in any feature.
    """
    parameters = parameters or SpaceParameters()
    features = CatalogFeatures.of(catalog, progress)
    maps = fit_maps(features, factor_items(catalog, split, parameters, progress=progress), parameters)
    return complete(catalog, split, features, maps, parameters)


def factor_items(
    catalog: Catalog, split: Split, parameters: SpaceParameters, *, progress: bool = False
) -> ItemFactors:
    """Step 1, from the ratings of train users."""
    rng = np.random.default_rng(parameters.seed)
    rows = split.support & np.isin(catalog.ratings.user, split.train_users)
    user, item = catalog.ratings.user[rows], catalog.ratings.item[rows]
    factors = factorize(
        user,
        item,
        catalog.ratings.value[rows].astype(np.float64),
        (len(catalog.users), len(catalog.items)),
        rank=parameters.dim - 1,
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
    """Step 2."""
    table, targets, weights, part = features.table, items.targets, items.weights, items.part

    def fit(kept: NDArray[np.bool_]) -> Linear:
        return Linear(*fit_linear(table[kept], targets[kept], weights[kept], parameters.encoder_ridge))

    rated = weights > 0
    unseen = tuple(fit(rated & (part != number)) for number in range(part.max() + 1))
    guess = _out_of_part(unseen, part, table)
    explained = tuple(
        _explained(guess[:, columns], targets[:, columns], weights) for columns in (slice(-1), slice(-1, None))
    )
    return RawMaps(fit(rated), unseen, part, (explained[0], explained[1]))


def complete(
    catalog: Catalog, split: Split, features: CatalogFeatures, maps: RawMaps, parameters: SpaceParameters
) -> LatentSpace:
    """Steps 3 to 5: whiten, find the ball, refit the users."""
    whitening = _whitening(maps.full(features.table))
    encoder = _encoder(features.reader, maps.full, whitening, features.bags, parameters.ball)
    unseen = project_to_ball((maps.out_of_part(features.table) - whitening[0]) @ whitening[1], encoder.radius)
    return LatentSpace(
        encoder=encoder,
        items=project_to_ball(encoder.linear(features.bags), encoder.radius),
        users=fit_users(catalog, split.support, split.train_users, unseen),
        parameters=parameters,
        quality={"explained_taste": maps.explained[0], "explained_quality": maps.explained[1]},
    )


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


def _whitening(raw: Floats) -> tuple[Floats, Floats]:
    """Centre [k] and matrix [k, n], such that (raw - centre) @ matrix has covariance I."""
    centre = raw.mean(axis=0)
    variance, axes = np.linalg.eigh(np.atleast_2d(np.cov(raw.T, bias=True)))
    order = np.argsort(-variance)
    kept = order[variance[order] > 1e-9 * max(float(variance.max()), 1e-300)]
    if variance.max() < 1e-12:
        raise PreparationError(
            "the catalog's texts do not differ in any feature that explains ratings: a latent space needs texts that "
            "say different things, and ratings of them"
        )
    axes = axes[:, kept]
    axes = axes * np.sign(axes[np.argmax(np.abs(axes), axis=0), np.arange(axes.shape[1])])  # one sign on every machine
    return centre, axes / np.sqrt(variance[kept])


def _encoder(
    features: Features, linear: Linear, whitening: tuple[Floats, Floats], bags: list[Bag], ball: float
) -> Encoder:
    centre, matrix_ = whitening
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
