"""The first offered edit: what the order of the edits is worth.

With `order="match"`, edits that go with the user's taste come first, in an arbitrary order among themselves. So this is
one of them, not the best match, and it takes no training. With `order="pool"` it is any edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from baselines.agent import Probabilities, StochasticAgent, read_latent
from baselines.reference import offered


@dataclass(frozen=True)
class FirstConfig:
    """The first offered edit has no hyperparameters."""


class First(StochasticAgent):
    """Takes the first offered action.

    Args:
        env: The environment, which is not read.
        config: Nothing.
        rng: Not used.
    """

    def __init__(self, env: Any, config: FirstConfig, rng: np.random.Generator) -> None:  # noqa: ANN401
        super().__init__(rng)

    def probabilities(self, observation: object) -> Probabilities:
        """1 on the first offered action, `[B, K]`."""
        mask = offered(read_latent(observation))
        probabilities: Probabilities = np.eye(mask.shape[1])[mask.argmax(axis=1)]
        return probabilities
