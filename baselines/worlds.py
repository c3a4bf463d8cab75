"""What agents need from an environment's world: the world itself, utilities of texts, seeds for imagined rewrites."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eagle_gym.envs import transition
from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.episode import SEEDS
from eagle_gym.envs.transition import score
from eagle_gym.envs.world import RawState, State, World
from eagle_gym.errors import ConfigurationError


def world_of(env: Any) -> World:  # noqa: ANN401 - any environment of eagle_gym
    """The world of an environment.

    Raises:
        ConfigurationError: It is not an environment of eagle_gym.
    """
    world = getattr(env.unwrapped, "world", None)
    if not isinstance(world, World):
        raise ConfigurationError(f"expected an environment of eagle_gym, got {type(env.unwrapped).__name__}")
    return world


def states_of(env: Any) -> list[State]:  # noqa: ANN401 - any environment of eagle_gym
    """The present states of an environment, one for a single environment."""
    base = env.unwrapped
    return [base.state] if isinstance(base, EagleEnv) else list(base.states)


def expected_utilities(env: Any) -> NDArray[np.float64]:  # noqa: ANN401 - an environment, or `ExpectedUtilities`
    """Utility of each action's expected next embedding, `[N, K]`, whatever the task shows of it.

    Agents that call it are privileged: they know what the surrogate expects of each edit.
    """
    world = getattr(getattr(env, "unwrapped", env), "world", None)
    if isinstance(world, World):
        return transition.expected_utility(world, states_of(env))
    return np.atleast_2d(np.asarray(env.expected_utility(), np.float64))


def expected_moves(env: Any) -> NDArray[np.float64]:  # noqa: ANN401 - any environment of eagle_gym
    """Displacement that is expected of each action, `[N, K, n]`, whatever the task shows of it."""
    return np.stack([state.action_set.expected - state.z for state in states_of(env)])


def utilities(world: World, raw: Sequence[RawState]) -> NDArray[np.float64]:
    """What texts are paid for their users, `[B]`."""
    if not raw:
        return np.zeros(0)
    z = np.asarray(world.space.encoder.encode([state.text for state in raw]), np.float64)
    starts = [row if state.start is None else state.start for state, row in zip(raw, z, strict=True)]
    return score(world, z, raw, starts).total


def fresh_seeds(rng: np.random.Generator, count: int) -> list[int]:
    """Draw new seeds for generations."""
    seeds: list[int] = rng.integers(SEEDS, size=count).tolist()
    return seeds
