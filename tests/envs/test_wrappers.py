"""Wrappers that put the action mask, or the text, into the observation."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.wrappers import AddText, MaskedObservation
from eagle_gym.errors import ConfigurationError
from tests.fake_worlds import make_tiny_world


@pytest.mark.parametrize("names", [("action_mask", "observations"), ("mask", "obs")])
@pytest.mark.parametrize("observation", ["text", "latent"])
def test_the_mask_is_put_with_the_observation(names: tuple[str, str], observation: str) -> None:
    env = MaskedObservation(EagleEnv.from_world(make_tiny_world(observation=observation)), *names)
    first, info = env.reset(seed=0)
    for seen in (first, env.step(0)[0]):
        assert seen in env.observation_space
        assert list(seen) == list(names)
        np.testing.assert_array_equal(seen[names[0]], info["action_mask"])
    assert env.get_wrapper_attr("action_masks")().all()


def test_what_has_no_mask_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="action_masks"):
        MaskedObservation(gym.make("CartPole-v1"))
    with pytest.raises(ConfigurationError, match="two names"):
        MaskedObservation(EagleEnv.from_world(make_tiny_world()), "obs", "obs")


def test_the_text_is_added_to_the_arrays() -> None:
    env = AddText(EagleEnv.from_world(make_tiny_world(observation="latent")))
    observation, info = env.reset(seed=0)
    assert observation in env.observation_space
    assert info["text"] in observation["text"]
    assert "state" in observation
    with pytest.raises(ConfigurationError, match="latent"):
        AddText(EagleEnv.from_world(make_tiny_world()))


@pytest.mark.parametrize("wrap", [AddText, MaskedObservation])
def test_texts_in_a_dict_are_refused_by_shared_memory_too(wrap: type[gym.Wrapper]) -> None:
    observation = "latent" if wrap is AddText else "text"
    with pytest.raises(ValueError, match="shared_memory"):
        gym.vector.AsyncVectorEnv([lambda: wrap(EagleEnv.from_world(make_tiny_world(observation=observation)))] * 2)
