"""E_D: from a text to its embedding.

The encoder is linear in a text's features, followed by the projection onto the catalog's ball. Without the ball, a
linear map extrapolates without bound, and an unbounded utility would have its best point at infinity instead of in a
gap of the catalog.

Each row of a batch is summed feature by feature, in the features' order, by elementwise operations only. So, to the
last bit, an embedding does not depend on the other texts of its batch.
"""

from __future__ import annotations

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
