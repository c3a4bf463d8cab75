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

from eagle_gym.latent.features import Bag, Features, padded
from eagle_gym.latent.geometry import project_to_ball

Floats = NDArray[np.float64]

REMEMBERED = 65_536  # most texts whose features are kept


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

    @property
    def dim(self) -> int:
        """Dimension n of the latent space."""
        return int(self.weights.shape[1])

    def encode(self, texts: Sequence[str]) -> Floats:
        """Embeddings of texts, in the ball.

        Args:
            texts: Any texts, `[B]`; unknown words are ignored.

        Returns:
            `[B, n]`. To the last bit, row i depends only on text i.
        """
        return project_to_ball(self.linear([self._bag(text) for text in texts]), self.radius)

    def words(self, texts: Sequence[str]) -> Floats:
        """What the words of texts add to an embedding, `[B, n]`, without intercept and projection.

        To the last bit, row i depends only on text i.
        """
        return self.linear([self._bag(text) for text in texts]) - self.intercept

    def linear(self, bags: Sequence[Bag]) -> Floats:
        """Embeddings of texts given by their features, before the projection, `[B, n]`."""
        numbers, values = padded(bags, len(self._rows) - 1)
        z = np.tile(self.intercept, (len(bags), 1))
        for column in range(numbers.shape[1]):
            z += values[:, column, None] * self._rows[numbers[:, column]]
        return z

    def _bag(self, text: str) -> Bag:
        bag = self._bags.get(text)
        if bag is None:
            bag = self.features.bag(text)
            if len(self._bags) < REMEMBERED:
                self._bags[text] = bag
        return bag
