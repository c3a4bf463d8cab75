"""The first offered edit is taken, whatever is offered, and without chance."""

from __future__ import annotations

import numpy as np
import pytest

from baselines import registry
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import ConfigurationError
from tests.fake_worlds import make_tiny_world


def test_takes_the_first_offered_edit() -> None:
    envs = EagleVectorEnv.from_world(make_tiny_world(observation="latent"), num_envs=3)
    agent = registry.make("first", envs, np.random.default_rng(0))
    observation, _ = envs.reset(seed=0)
    np.testing.assert_array_equal(agent.predict(observation)[0], [0, 0, 0])
    observation["mask"][1, :2] = 0
    for _ in range(5):
        np.testing.assert_array_equal(agent.predict(observation)[0], [0, 2, 0])
    observation["mask"][2] = 0
    with pytest.raises(ConfigurationError, match="at least one offered action"):
        agent.predict(observation)


def test_is_not_privileged() -> None:
    assert registry.reads("first") == ""
