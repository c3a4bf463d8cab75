"""The ridge of the encoder, with a penalty for each block of features.

A genre says more about taste than a word of a plot, so one penalty for all features shrinks some of them too much and
others too little. Features form blocks: labels (genres and years), other attributes, tags, words, the vector of a text
encoder. The penalty of each block is chosen by the error on items that a fit did not see. Gram matrices are made once
for each part of the items; a choice only changes their diagonals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from numpy.typing import NDArray

from eagle_gym import plot_english
from eagle_gym.latent.features import AttributeFeatures, Features, JointFeatures, VectorFeatures, WordFeatures

Floats = NDArray[np.float64]

BLOCKS: Final = ("labels", "attributes", "tags", "words", "vector")
FACTORS: Final = (0.25, 4.0, 16.0)  # of the penalty that a block may have instead of the common one
MANY: Final = 1_500  # features, without a vector: with more, only the first part of the items chooses
_LABELS: Final = frozenset({"genre", "genres", "year", "decade"})


def blocks_of(features: Features) -> NDArray[np.intp]:
    """The block of each feature, as an index into `BLOCKS`, [F]."""
    if isinstance(features, JointFeatures):
        return np.concatenate([blocks_of(features.words), blocks_of(features.vector)])
    if isinstance(features, VectorFeatures):
        return np.full(features.count, BLOCKS.index("vector"), np.intp)
    if isinstance(features, AttributeFeatures):
        kinds = [attribute for attribute, _ in plot_english.FEATURES]
        kinds += ["tag"] * (features.count - len(kinds))
    elif isinstance(features, WordFeatures):
        kinds = [word.partition(":")[0] if ":" in word else "" for word in features.words]
    else:
        kinds = ["other"] * features.count
    return np.array([BLOCKS.index(_block(kind)) for kind in kinds], dtype=np.intp)


def _block(kind: str) -> str:
    if kind in _LABELS:
        return "labels"
    return {"tag": "tags", "": "words"}.get(kind, "attributes")


@dataclass(frozen=True, eq=False)
class Gram:
    """Sufficient statistics of a weighted regression on some rows; those of disjoint rows add up.

    Attributes:
        total: Sum of the weights.
        features: Weighted sum of the features, [F].
        targets: Weighted sum of the targets, [k].
        square: Weighted sum of outer products of the features, [F, F].
        cross: Weighted sum of products of features and targets, [F, k].
    """

    total: float
    features: Floats
    targets: Floats
    square: Floats
    cross: Floats

    @classmethod
    def of(cls, table: sp.csr_array, targets: Floats, weights: Floats) -> Gram:
        """The statistics of rows.

        Args:
            table: [N, F].
            targets: [N, k].
            weights: Non-negative, [N].
        """
        scaled = table * np.sqrt(weights)[:, None]
        square = (scaled.T @ scaled).toarray()
        weighted = weights[:, None] * targets
        return cls(float(weights.sum()), table.T @ weights, weighted.sum(axis=0), square, table.T @ weighted)

    def __add__(self, other: Gram) -> Gram:
        return Gram(
            self.total + other.total,
            self.features + other.features,
            self.targets + other.targets,
            self.square + other.square,
            self.cross + other.cross,
        )

    def __sub__(self, other: Gram) -> Gram:
        return Gram(
            self.total - other.total,
            self.features - other.features,
            self.targets - other.targets,
            self.square - other.square,
            self.cross - other.cross,
        )

    def solve(self, penalties: Floats) -> tuple[Floats, Floats]:
        """Weights [F, k] and intercept [k], which is not penalised.

        Args:
            penalties: Penalty on each feature's squared weight, in units of row weight, [F].
        """
        centre, middle = self.features / self.total, self.targets / self.total
        square = self.square - np.outer(self.features, centre)
        square[np.diag_indices_from(square)] += penalties
        solved = scipy.linalg.solve(square, self.cross - np.outer(self.features, middle), assume_a="pos")
        return solved, middle - centre @ solved


@dataclass(frozen=True, eq=False)
class Fold:
    """Items that a fit does not see.

    Attributes:
        rest: Statistics of the other items.
        table: Features of the items, [N, F].
        targets: [N, k].
        weights: [N].
    """

    rest: Gram
    table: sp.csr_array
    targets: Floats
    weights: Floats

    def missed(self, penalties: Floats) -> float:
        """Weighted squared error of the prediction of the targets, summed."""
        solved, intercept = self.rest.solve(penalties)
        error = self.table @ solved + intercept - self.targets
        return float(self.weights @ np.sum(error**2, axis=1))


def choose_penalties(folds: Sequence[Fold], blocks: NDArray[np.intp], ridge: float) -> Floats:
    """Penalties of the blocks, one after the other, by the error on items that a fit did not see.

    Args:
        folds: The parts of the items.
        blocks: The block of each feature, [F].
        ridge: The penalty from which the search starts.

    Returns:
        The penalty of each feature, [F].
    """
    folds = folds[:1] if np.sum(blocks != BLOCKS.index("vector")) > MANY else folds
    penalties = np.full(len(blocks), ridge)
    least = sum(fold.missed(penalties) for fold in folds)
    for block in np.unique(blocks):
        tried = [np.where(blocks == block, ridge * factor, penalties) for factor in FACTORS]
        missed = [sum(fold.missed(choice) for fold in folds) for choice in tried]
        if min(missed) < least:
            least, penalties = min(missed), tried[int(np.argmin(missed))]
    return penalties
