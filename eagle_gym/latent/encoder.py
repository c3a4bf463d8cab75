"""E_D: from a text to its embedding.

The encoder is linear in a text's features, followed by the projection onto the catalog's ball. Without the ball, a
linear map extrapolates without bound, and an unbounded utility would have its best point at infinity instead of in a
gap of the catalog.

Each row of a batch is summed feature by feature, in the features' order, by elementwise operations only. So, to the
last bit, an embedding does not depend on the other texts of its batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eagle_gym.latent.features import Bag, Features, padded, text_encoder_of
from eagle_gym.latent.geometry import project_to_ball

Floats = NDArray[np.float64]

REMEMBERED = 4_000_000  # features of texts that are kept: of 65,536 texts of 60 words


class Encoder:
    """Maps texts to Z.

    Args:
        features: Reads the features of a text.
        weights: What each feature adds, `[features.count, n]`.
        intercept: Embedding of a text without features, before the projection, `[n]`.
        radius: Radius of the ball, Euclidean in Z.
    """

    def __init__(self, features: Features, weights: Floats, intercept: Floats, radius: float) -> None:
        self.features = features
        self.weights = weights
        self.intercept = intercept
        self.radius = radius
        self._rows = np.vstack([weights, np.zeros((1, weights.shape[1]))])  # the last row is for padding
        self._bags: dict[str, Bag] = {}
        self._remembered = 0

    @property
    def dim(self) -> int:
        """Dimension n of the latent space."""
        return int(self.weights.shape[1])

    @property
    def deterministic(self) -> bool:
        """Whether a text's embedding has the same bits each time on one machine, whatever is encoded with it."""
        encoder = text_encoder_of(self.features)
        return encoder is None or encoder.deterministic

    def encode(self, texts: Sequence[str]) -> Floats:
        """Embeddings of texts, in the ball.

        Args:
            texts: Any texts, `[B]`; unknown words are ignored.

        Returns:
            `[B, n]`. To the last bit, row i depends only on text i.
        """
        return project_to_ball(self.linear(self.bags(texts)), self.radius)

    def words(self, texts: Sequence[str]) -> Floats:
        """What the words of texts add to an embedding, `[B, n]`, without intercept and projection.

        To the last bit, row i depends only on text i.
        """
        return self.linear(self.bags(texts)) - self.intercept

    def movement(self, before: Sequence[str], after: Sequence[str]) -> Floats:
        """How far the features of texts are from those of others, `[B]`, as cosine distances (`cosine_distance`)."""
        pairs = zip(self.bags(before), self.bags(after), strict=True)
        return np.array([cosine_distance(one, other) for one, other in pairs])

    def linear(self, bags: Sequence[Bag]) -> Floats:
        """Embeddings of texts given by their features, before the projection, `[B, n]`."""
        return weighted(bags, self._rows, self.intercept)

    def bags(self, texts: Sequence[str]) -> list[Bag]:
        """Features of texts; those of texts seen before are remembered, as long as there is room."""
        new = [text for text in dict.fromkeys(texts) if text not in self._bags]
        found = dict(zip(new, self.features.bags(new), strict=True)) if new else {}
        if self._remembered < REMEMBERED:
            self._bags |= found
            self._remembered += sum(len(numbers) for numbers, _ in found.values())
        return [found[text] if text in found else self._bags[text] for text in texts]


def cosine_distance(one: Bag, other: Bag) -> float:
    """One less the cosine of two texts' features: 0 for equal directions, 1 where they have nothing in common.

    A text without features has nothing in common with any but another such text.
    """
    if one == other:
        return 0.0
    known = dict(zip(*one, strict=True))
    norms = math.hypot(*one[1]) * math.hypot(*other[1])
    shared = math.fsum(known.get(number, 0.0) * value for number, value in zip(*other, strict=True))
    return min(2.0, max(0.0, 1.0 - shared / norms)) if norms > 0 else 1.0


def weighted(bags: Sequence[Bag], rows: Floats, intercept: Floats) -> Floats:
    """Linear values of texts given by their features, `[B, k]`. To the last bit, row i depends only on bag i.

    Args:
        bags: Features of each text, `[B]`.
        rows: What each feature adds, and a last row of zeros for padding, `[F + 1, k]`.
        intercept: Value of a text without features, `[k]`.
    """
    numbers, values = padded(bags, len(rows) - 1)
    z = np.tile(intercept, (len(bags), 1))
    for column in range(numbers.shape[1]):
        z += values[:, column, None] * rows[numbers[:, column]]
    return z
