"""Expected effects: the expected next embedding of each candidate edit, z_a = E[E_D(x')].

`Rollout` asks the language model m times for each candidate and averages the encoded results; a text outside plot
English is drawn again, as in the environment. The surrogate (`surrogate/`) predicts the same from features of text and
edit. `EditWords` asks nobody: it adds what the edit's own words say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from eagle_gym.actions.edit_features import EditFeatures
from eagle_gym.errors import ConfigurationError
from eagle_gym.language.model import LanguageModel
from eagle_gym.language.prompts import Prompt
from eagle_gym.language.rewriting import next_texts
from eagle_gym.latent.geometry import project_to_ball
from eagle_gym.seeding import stable_seed

if TYPE_CHECKING:
    from eagle_gym.latent import LatentSpace


class Effects(Protocol):
    """Estimates expected next embeddings for a batch of states."""

    def expected(
        self,
        texts: Sequence[str],
        edits: Sequence[Sequence[str]],
        z: NDArray[np.float64],
        seeds: Sequence[int],
    ) -> list[NDArray[np.float64]]:
        """The expected embedding of the text after each edit.

        Args:
            texts: [B] The states' texts.
            edits: [B] The candidates of each state, P_b each.
            z: [B, n] The texts' embeddings.
            seeds: [B] The states' seeds; a state's estimates depend only on its text, edits and seed.

        Returns:
            [B] arrays [P_b, n], inside the catalog's ball.
        """
        ...


class Rollout:
    """Means over generations: one call of the model and one pass of the encoder for a whole batch.

    Args:
        model: Language model that rewrites.
        space: Its encoder encodes the results.
        samples: m, generations per candidate.
        temperature: Sampling temperature of the rewriting: the environment's.

    Raises:
        ConfigurationError: `samples` is below 1.
    """

    def __init__(self, model: LanguageModel, space: LatentSpace, *, samples: int = 4, temperature: float = 1.0) -> None:
        if samples < 1:
            raise ConfigurationError(f"expected samples of at least 1, got {samples}: raise it")
        self.model = model
        self.space = space
        self.samples = samples
        self.temperature = temperature

    def expected(
        self,
        texts: Sequence[str],
        edits: Sequence[Sequence[str]],
        z: NDArray[np.float64],
        seeds: Sequence[int],
    ) -> list[NDArray[np.float64]]:
        """See `Effects`."""
        asked, own_seeds = [], []
        for text, candidates, seed in zip(texts, edits, seeds, strict=True):
            for candidate in candidates:
                asked += [Prompt("rewrite", text=text, edit=candidate)] * self.samples
                own_seeds += [stable_seed(seed, candidate, j) for j in range(self.samples)]
        if not asked:
            return [np.zeros((0, z.shape[1])) for _ in texts]
        means = encode_distinct(self.space, next_texts(self.model, asked, own_seeds, temperature=self.temperature))
        means = means.reshape(len(asked) // self.samples, self.samples, -1).mean(axis=1)
        return np.split(means, np.cumsum([len(candidates) for candidates in edits])[:-1])


class EditWords:
    """Embeddings to which the edits' own words are added: no model is asked, and nothing is fitted.

    It is a guess in which every edit is carried out as it is worded, and changes nothing else.

    Args:
        features: Features of edits' own words.
        radius: Radius of the ball that holds every embedding.
    """

    def __init__(self, features: EditFeatures, radius: float) -> None:
        self.features = features
        self.radius = radius

    def expected(
        self,
        texts: Sequence[str],
        edits: Sequence[Sequence[str]],
        z: NDArray[np.float64],
        seeds: Sequence[int],
    ) -> list[NDArray[np.float64]]:
        """See `Effects`; texts and seeds are not read."""
        asked = [self.features.asked(candidates) for candidates in edits]
        return [project_to_ball(row + moves, self.radius) for row, moves in zip(z, asked, strict=True)]


def encode_distinct(space: LatentSpace, texts: Sequence[str]) -> NDArray[np.float64]:
    """[B, n] Embeddings; each distinct text is encoded once."""
    rows = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    encoded: NDArray[np.float64] = np.asarray(space.encoder.encode(list(rows)), np.float64)
    return encoded[[rows[text] for text in texts]]
