"""Policies that need no training: no-op, user-blind, uniform, optimistic and G-optimal.

Agents are compared with all five. The last three are also *reference* policies: a KL term may hold an agent near one.
There it is floored first (`floored`), because the KL to a policy that gives an action no probability is infinite.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from baselines.agent import Latent, Probabilities, StochasticAgent, read_latent
from baselines.worlds import expected_moves, expected_utilities, states_of, world_of
from eagle_gym.envs import transition
from eagle_gym.errors import ConfigurationError
from eagle_gym.latent.geometry import spread

REFERENCES = ("uniform", "optimistic", "g_optimal")
FIXED = ("no_op", "user_blind", *REFERENCES)
# What some of them read though a task need not show it: what edits are expected to do, or to be worth.
READS: Mapping[str, str] = MappingProxyType({"no_op": "effects", "user_blind": "expected", "optimistic": "expected"})
CROWD = 16  # train users over whom a user-blind policy averages


class HasExpectedUtility(Protocol):
    """Says what each offered action is expected to be worth; an environment of eagle_gym is asked through its world."""

    def expected_utility(self) -> NDArray[np.float64]:
        """Utility of each action's expected next embedding, `[N, K]` (`[K]` for a single environment)."""
        ...


@dataclass(frozen=True, eq=False)
class ExpectedUtilities:
    """Expected utilities that were computed before, in place of an environment.

    Attributes:
        values: `[B, K]`, as `expected_utility()` returned them.
    """

    values: NDArray[np.float64]

    def expected_utility(self) -> NDArray[np.float64]:
        """The values, `[B, K]`."""
        return self.values


class Uniform(StochasticAgent):
    """Gives every offered action the same probability."""

    def probabilities(self, observation: object) -> Probabilities:
        """One over the number of offered actions, `[B, K]`."""
        return uniform_probabilities(offered(read_latent(observation)))


class Greedy(StochasticAgent):
    """Takes the action with the highest value, one step ahead. Subclasses say what the values are.

    Args:
        env: The environment (vector or single) that the observations come from, in its current state.
        rng: Generator that breaks exact ties.
    """

    def __init__(self, env: Any, rng: np.random.Generator) -> None:  # noqa: ANN401 - any environment of eagle_gym
        super().__init__(rng)
        self._env = env

    def probabilities(self, observation: object) -> Probabilities:
        """All on the best action (shared by exact ties), `[B, K]`."""
        latent = read_latent(observation)
        return uniform_probabilities(offered_best(of_same_states(self.values(), latent), offered(latent)))

    @abstractmethod
    def values(self) -> NDArray[np.float64]:
        """The value of each action in the environment's current states, `[N, K]`."""


class NoOp(Greedy):
    """Takes the action that is expected to change the text least: the nearest to doing nothing.

    No offered action leaves the text unchanged, so this policy's gain measures the effect of being rewritten at all.
    """

    def values(self) -> NDArray[np.float64]:
        """Minus the length of each expected displacement, `[N, K]`."""
        return np.asarray(-np.linalg.norm(expected_moves(self._env), axis=2))


class GOptimal(StochasticAgent):
    """Samples from the G-optimal design, which covers all directions of the latent space equally well."""

    def probabilities(self, observation: object) -> Probabilities:
        """The design's weights on the offered actions, `[B, K]`."""
        latent = read_latent(observation)
        weights = np.where(offered(latent), latent.weights.astype(np.float64), 0.0)
        totals = weights.sum(axis=1, keepdims=True)
        if np.any(totals <= 0):
            raise ConfigurationError(
                "expected design weights on the offered actions, got none: use action sets that have a design"
            )
        probabilities: Probabilities = weights / totals
        return probabilities


class Optimistic(Greedy):
    """Takes the action whose expected next text has the highest utility, one step ahead."""

    def values(self) -> NDArray[np.float64]:
        """The expected utilities, `[N, K]`."""
        return expected_utilities(self._env)


class UserBlind(Greedy):
    """Takes the action with the highest expected utility for a train user drawn at random, one step ahead.

    It knows what edits do and not for whom, so its distance to the optimistic policy measures what the taste is worth.
    The mean is taken over a few evenly spaced train users.
    """

    def values(self) -> NDArray[np.float64]:
        """The expected utilities, averaged over train users, `[N, K]`."""
        world, states = world_of(self._env), states_of(self._env)
        everyone = world.resources.split.train_users
        crowd = everyone[spread(len(everyone), CROWD)]
        found = [
            transition.expected_utility(world, [replace(state, user=int(user)) for state in states]) for user in crowd
        ]
        return np.asarray(np.mean(found, axis=0))


def of_same_states(values: NDArray[np.float64], latent: Latent) -> NDArray[np.float64]:
    """Numbers `[N, K]` that an environment has of its present states, checked to fit an observation of them."""
    if values.shape != latent.mask.shape:
        raise ConfigurationError(
            f"expected an observation of shape {values.shape}, got {latent.mask.shape}: "
            "use this policy in the environment that it was made with"
        )
    return values


def make_reference(name: str, env: HasExpectedUtility, rng: np.random.Generator) -> StochasticAgent:
    """Make a policy that needs no training by its name, one of `FIXED`."""
    if name not in FIXED:
        raise ConfigurationError(f"no reference policy {name!r}: choose one of {', '.join(FIXED)}")
    if name == "no_op":
        return NoOp(env, rng)
    if name == "optimistic":
        return Optimistic(env, rng)
    if name == "user_blind":
        return UserBlind(env, rng)
    return Uniform(rng) if name == "uniform" else GOptimal(rng)


def offered(latent: Latent) -> NDArray[np.bool_]:
    """The mask `[B, K]`, checked to offer something in every row."""
    if not latent.mask.any(axis=1).all():
        row = int(np.argmin(latent.mask.any(axis=1)))
        raise ConfigurationError(f"expected at least one offered action, got a mask of zeros in row {row}")
    return latent.mask


def offered_best(values: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where each row has its highest value on the mask, `[B, K]`; True several times where values tie exactly."""
    values = np.where(mask, values, -np.inf)
    best: NDArray[np.bool_] = values == values.max(axis=1, keepdims=True)
    return best


def uniform_probabilities(mask: NDArray[np.bool_]) -> Probabilities:
    """Equal probabilities on `mask` `[B, K]`."""
    probabilities: Probabilities = mask / mask.sum(axis=1, keepdims=True, dtype=np.float64)
    return probabilities


def floored(probabilities: Probabilities, mask: NDArray[np.bool_], floor: float = 0.1) -> Probabilities:
    """Mix a policy with the uniform one: `(1 - floor) * p + floor * uniform`.

    Args:
        probabilities: `[B, K]`.
        mask: `[B, K]` True where an action is offered.
        floor: Share of the uniform policy, in (0, 1].

    Returns:
        `[B, K]`, positive wherever the mask is True.
    """
    if not 0 < floor <= 1:
        raise ConfigurationError(f"floor: expected a share in (0, 1], got {floor}")
    return (1 - floor) * probabilities + floor * uniform_probabilities(mask)


def divergence(policy: Probabilities, reference: Probabilities) -> NDArray[np.float64]:
    """KL(policy || reference) of each row in nats, `[B]`; actions that the policy never takes add nothing."""
    ratio = np.divide(policy, reference, out=np.ones_like(policy), where=policy > 0)
    return np.asarray((policy * np.log(ratio)).sum(axis=-1))
