"""What agents need from an environment's world: the world itself, utilities of texts, seeds for imagined rewrites."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eagle_gym.envs.episode import SEEDS
from eagle_gym.envs.transition import score
from eagle_gym.envs.world import RawState, World
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
