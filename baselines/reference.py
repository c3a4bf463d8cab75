"""Policies that need no training: no-op, uniform, optimistic and G-optimal.

Agents are compared with them. The last three are *reference* policies too: an agent may be held near one by a KL term,
for which it is floored first (:func:`floored`), since a policy that gives an action no probability would forbid it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from baselines.agent import Latent, Probabilities, StochasticAgent, read_latent
from eagle_gym.errors import ConfigurationError

REFERENCES = ("uniform", "optimistic", "g_optimal")
FIXED = ("no_op", *REFERENCES)


class Foresight(Protocol):
    """An environment that says what each offered action is expected to be worth."""

    def expected_utility(self) -> NDArray[np.float64]:
        """Utility of each action's expected next embedding, ``[N, K]`` (``[K]`` of a single environment)."""
        ...


@dataclass(frozen=True, eq=False)
class Foreseen:
    """Foresight that was written down.

    Attributes:
        values: ``[B, K]``, as ``expected_utility()`` gave it.
    """

    values: NDArray[np.float64]

    def expected_utility(self) -> NDArray[np.float64]:
        """The values, ``[B, K]``."""
        return self.values


class Uniform(StochasticAgent):
    """Every offered action alike."""

    def probabilities(self, observation: object) -> Probabilities:
        """One over the number of offered actions, ``[B, K]``."""
        return uniform_probabilities(offered(read_latent(observation)))


class NoOp(StochasticAgent):
    """The action that is expected to change the text least: as near to doing nothing as a state allows.

    No offered action leaves the text alone, so what this policy gains is what being rewritten does by itself.

    Args:
        rng: For actions that tie exactly.
        features: What the observation's actions are: displacements, or next embeddings.
    """

    def __init__(self, rng: np.random.Generator, features: Literal["displacement", "next"] = "displacement") -> None:
        super().__init__(rng)
        if features not in ("displacement", "next"):
            raise ConfigurationError(f'features are "displacement" or "next"; {features!r} came')
        self._next = features == "next"

    def probabilities(self, observation: object) -> Probabilities:
        """One on the shortest displacement (shared by exact ties), ``[B, K]``."""
        latent = read_latent(observation)
        moves = latent.actions - latent.state[:, None] if self._next else latent.actions
        lengths = np.linalg.norm(moves.astype(np.float64), axis=2)
        return uniform_probabilities(offered_best(-lengths, offered(latent)))


class GOptimal(StochasticAgent):
    """Samples from the design over the offered actions: covers all directions of the latent space alike."""

    def probabilities(self, observation: object) -> Probabilities:
        """The design's weights on the offered actions, ``[B, K]``."""
        latent = read_latent(observation)
        weights = np.where(offered(latent), latent.weights.astype(np.float64), 0.0)
        totals = weights.sum(axis=1, keepdims=True)
        if np.any(totals <= 0):
            raise ConfigurationError("no design weight on any offered action; the action set has no design")
        probabilities: Probabilities = weights / totals
        return probabilities


class Optimistic(StochasticAgent):
    """The action whose expected next text has the highest utility, one step ahead.

    Args:
        env: The environment (vector or single) that the observations come from, in its present state.
        rng: For actions that tie exactly.
    """

    def __init__(self, env: Foresight, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self._env = env

    def probabilities(self, observation: object) -> Probabilities:
        """One on the best action (shared by exact ties), ``[B, K]``."""
        latent = read_latent(observation)
        values = np.atleast_2d(np.asarray(self._env.expected_utility(), dtype=np.float64))
        if values.shape != latent.mask.shape:
            raise ConfigurationError(
                f"the environment values {values.shape} actions and the observation offers {latent.mask.shape}: "
                "an optimistic policy acts in the environment that it was made with"
            )
        return uniform_probabilities(offered_best(values, offered(latent)))


def make_reference(name: str, env: Foresight, rng: np.random.Generator) -> StochasticAgent:
    """A policy that needs no training by its name, one of :data:`FIXED`."""
    if name not in FIXED:
        raise ConfigurationError(f"no reference policy {name!r}; there are {', '.join(FIXED)}")
    if name == "no_op":
        settings = getattr(env, "settings", None)
        return NoOp(rng, settings.features if settings else "displacement")
    if name == "optimistic":
        return Optimistic(env, rng)
    return Uniform(rng) if name == "uniform" else GOptimal(rng)


def offered(latent: Latent) -> NDArray[np.bool_]:
    """The mask ``[B, K]``, once it is known that every row offers something."""
    if not latent.mask.any(axis=1).all():
        raise ConfigurationError(f"row {int(np.argmin(latent.mask.any(axis=1)))} of the observation offers no action")
    return latent.mask


def offered_best(values: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where each row's highest value on the mask is, ``[B, K]``; several in a row where they tie exactly."""
    values = np.where(mask, values, -np.inf)
    best: NDArray[np.bool_] = values == values.max(axis=1, keepdims=True)
    return best


def uniform_probabilities(mask: NDArray[np.bool_]) -> Probabilities:
    """Equal probabilities on ``mask`` ``[B, K]``."""
    probabilities: Probabilities = mask / mask.sum(axis=1, keepdims=True, dtype=np.float64)
    return probabilities


def floored(probabilities: Probabilities, mask: NDArray[np.bool_], floor: float = 0.1) -> Probabilities:
    """Mix a policy with the uniform one: ``(1 - floor) * p + floor * uniform``, as where it is the reference of a KL.

    Args:
        probabilities: ``[B, K]``.
        mask: ``[B, K]`` True where an action is offered.
        floor: Share of the uniform policy, in (0, 1].

    Returns:
        ``[B, K]``, above 0 wherever the mask is True.
    """
    if not 0 < floor <= 1:
        raise ConfigurationError(f"floor is a share in (0, 1]; {floor} came")
    return (1 - floor) * probabilities + floor * uniform_probabilities(mask)


def divergence(policy: Probabilities, reference: Probabilities) -> NDArray[np.float64]:
    """KL(policy || reference) of each row in nats, ``[B]``; what the policy never does adds nothing."""
    ratio = np.divide(policy, reference, out=np.ones_like(policy), where=policy > 0)
    return np.asarray((policy * np.log(ratio)).sum(axis=-1))
