"""What other libraries open: an environment by its id, small, with the grammar as its language model."""

from __future__ import annotations

import pytest

from eagle_gym.envs.opening import make_world
from eagle_gym.envs.world import World

SMALL = {"horizon": 3, "actions": 4, "pool": 32, "language_model": "grammar"}


@pytest.fixture(scope="package", autouse=True)
def held() -> World:
    """Keeps the world open, so that environments of the tests share it."""
    return make_world(**SMALL)


@pytest.fixture(params=["text", "latent"])
def small(request: pytest.FixtureRequest) -> dict[str, object]:
    """Arguments of a small environment, with each observation."""
    return {**SMALL, "observation": request.param}
