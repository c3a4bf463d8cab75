"""Pools of candidates: synthetic ones, and those recorded from EagleGym/Plots-v0."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def synthetic(kind: str, size: int, width: int, seed: int = 0) -> Floats:
    """A pool `[K, n]`: "gaussian"; "clustered" around five centres; or "deficient", with half the rank."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(size, width))
    if kind == "clustered":
        return 3 * rng.normal(size=(5, width))[rng.integers(5, size=size)] + 0.1 * z
    if kind == "deficient":
        return np.asarray(z[:, : width // 2] @ rng.normal(size=(width // 2, width)))
    return z


def recorded(size: int, width: int, count: int, *, prepare: str) -> list[Floats]:
    """Displacements `[K, n]` of the candidates of start states of Plots.

    Args:
        size: K, candidates of a state; a text that admits fewer edits gives fewer.
        width: n, dimensions of the latent space.
        count: Start states.
        prepare: "auto" prepares what is missing, "never" raises.

    Raises:
        PreparationError: Something is missing, and `prepare` is "never".
    """
    import gymnasium as gym

    import eagle_gym

    gym.register_envs(eagle_gym)
    settings: dict[str, Any] = {"pool": size, "dim": width, "actions": min(16, size), "prepare": prepare}
    envs: Any = gym.make_vec("EagleGym/Plots-v0", num_envs=count, **settings).unwrapped
    try:
        envs.reset(seed=0)
        return displacements(envs)
    finally:
        envs.close()


def displacements(envs: Any) -> list[Floats]:  # noqa: ANN401 - the vector environment, whatever it is in a test
    """Features of all candidates of the environments' current states, not only of those that are offered."""
    parts, states = envs.world.resources, envs.states
    texts, z = [state.text for state in states], np.stack([state.z for state in states])
    profiles = [parts.profile(state.user) for state in states]
    return [pool.features for pool in parts.action_sets.pools(texts, profiles, z)]
