"""What agents need from an environment's world: the world itself, utilities of texts, seeds for imagined rewrites."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from eagle_gym.envs.episode import SEEDS
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


def states_of(env: Any) -> Sequence[State]:  # noqa: ANN401 - any environment of eagle_gym
    """The current states of a vector environment, or the one of a single environment."""
    base = env.unwrapped
    return [base.state] if isinstance(base, gym.Env) else base.states  # type: ignore[no-any-return]


def utilities(world: World, raw: Sequence[RawState]) -> NDArray[np.float64]:
    """Utility of texts for their users, `[B]`."""
    if not raw:
        return np.zeros(0)
    z = np.asarray(world.space.encoder.encode([state.text for state in raw]), np.float64)
    users = world.space.users[[state.user for state in raw]]
    return world.resources.utility(z, users, np.array([state.item for state in raw])).total


def fresh_seeds(rng: np.random.Generator, count: int) -> list[int]:
    """Draw new seeds for generations."""
    seeds: list[int] = rng.integers(SEEDS, size=count).tolist()
    return seeds
