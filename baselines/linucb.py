"""LinUCB: infers a hidden taste within an episode, without training [1].

The reward of a step is taken as linear in what the chosen edit asks for, a vector x of Z, with unknown weights. Ridge
regression estimates them from the steps of the episode so far, and the action with the highest upper confidence bound
is taken. So the method knows no user and no effect of any edit, only the words of the edits, and it forgets
everything with the episode: what it gains says how much there is to infer within one.

[1] Li et al., "A Contextual-Bandit Approach to Personalized News Article Recommendation", WWW 2010, arXiv 1003.0146.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.agent import AgentState, Latent, read_latent
from baselines.config import check_above, check_at_least
from baselines.reference import offered
from eagle_gym.errors import ConfigurationError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LinUCBConfig:
    """LinUCB."""

    alpha: float = 0.3
    """Width of the confidence bound, in standard errors of a unit of noise; 0 takes the best estimate."""
    ridge: float = 0.3
    """Penalty of the regression."""

    def __post_init__(self) -> None:
        check_at_least(self, 0, "alpha")
        check_above(self, 0, "ridge")


class LinUCB:
    """Estimates what is paid for what edits ask for, and takes the action with the highest upper confidence bound.

    Its memory is a tuple of arrays: the matrix `[B, n, n]` and the vector `[B, n]` of each episode's regression, and
    what the last action asked for `[B, n]`.

    Args:
        env: The environment, which is not read.
        config: Hyperparameters.
        rng: Generator that breaks exact ties, as at the start.
    """

    def __init__(self, env: Any, config: LinUCBConfig, rng: np.random.Generator) -> None:  # noqa: ANN401
        self._config, self._rng = config, rng

    def predict(
        self,
        observation: object,
        state: AgentState = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], AgentState]:
        """Choose an action for each row (see `baselines.agent.Agent`).

        Raises:
            ConfigurationError: The observation shows no last reward, or nothing of the actions.
        """
        latent = read_latent(observation)
        x = asked(latent)
        matrix, vector, last = self._memory(state, episode_start, len(x), x.shape[2])
        reward = latent.parts["reward"].astype(np.float64)
        matrix = matrix + last[:, :, None] * last[:, None]
        vector = vector + reward * last
        inverse = np.linalg.inv(matrix)
        weights = (inverse @ vector[..., None])[..., 0]
        variance = np.einsum("bki,bij,bkj->bk", x, inverse, x)
        bound = np.einsum("bki,bi->bk", x, weights) + self._config.alpha * np.sqrt(np.maximum(variance, 0.0))
        actions = self._best(np.where(offered(latent), bound, -np.inf))
        memory = (matrix, vector, x[np.arange(len(x)), actions])
        return (actions if latent.batched else actions[0]), memory

    def _memory(
        self, state: AgentState, starts: NDArray[np.bool_] | None, rows: int, n: int
    ) -> tuple[Floats, Floats, Floats]:
        """Matrix, vector and last action of each row; those of an episode that starts are new."""
        fresh = self._config.ridge * np.tile(np.eye(n), (rows, 1, 1)), np.zeros((rows, n)), np.zeros((rows, n))
        if state is None:
            return fresh
        begins = np.zeros(rows, bool) if starts is None else np.atleast_1d(starts)
        matrix, vector, last = (
            np.where(begins.reshape(-1, *[1] * (new.ndim - 1)), new, old)
            for new, old in zip(fresh, state, strict=True)
        )
        return matrix, vector, last

    def _best(self, bound: Floats) -> NDArray[np.int64]:
        """The highest of each row; exact ties are broken at random."""
        tied = bound == bound.max(axis=1, keepdims=True)
        return np.asarray(np.where(tied, self._rng.random(bound.shape), -1.0).argmax(axis=1))


def asked(latent: Latent) -> Floats:
    """What each action asks for, `[B, K, n]`: what it adds, less what it takes out; its effect, where that is shown.

    Raises:
        ConfigurationError: The observation shows no last reward, or nothing of the actions.
    """
    actions, n = latent.actions, latent.layout.n
    if actions is None or not latent.layout.reward:
        raise ConfigurationError(
            f"expected features of the actions and the last reward, got {latent.layout}: make the environment with "
            "taste='hidden' and action_features='edit'"
        )
    rows = actions.astype(np.float64)
    # The words of an edit hold those that it takes out, so these are subtracted twice.
    return rows[..., :n] - 2.0 * rows[..., n : 2 * n] if rows.shape[2] >= 2 * n else rows[..., :n]
