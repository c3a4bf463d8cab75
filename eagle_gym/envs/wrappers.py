"""Wrappers that speak other libraries' dialects of the action mask, and one that shows the text beside the arrays."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from eagle_gym.envs.spaces import FreeText
from eagle_gym.errors import ConfigurationError

Observation = dict[str, Any]
Base = gym.Env[Any, Any]


class MaskedObservation(gym.ObservationWrapper[Observation, Any, Any], gym.utils.RecordConstructorArgs):
    """Puts the action mask beside the observation: ``{mask_key: int8 [K], observation_key: observation}``.

    RLlib reads ``action_mask`` and ``observations`` (the defaults), tianshou ``mask`` and ``obs``.

    Args:
        env: an environment with ``action_masks()``.
        mask_key: name of the mask.
        observation_key: name of the observation.

    Raises:
        ConfigurationError: the names are equal, or the environment has no mask.
    """

    def __init__(self, env: Base, mask_key: str = "action_mask", observation_key: str = "observations") -> None:
        if mask_key == observation_key:
            raise ConfigurationError(f"mask and observation need two names, got {mask_key!r} for both")
        if not env.has_wrapper_attr("action_masks"):
            raise ConfigurationError(f"{env} has no action_masks()")
        gym.utils.RecordConstructorArgs.__init__(self, mask_key=mask_key, observation_key=observation_key)
        super().__init__(env)
        self._mask_key, self._observation_key = mask_key, observation_key
        assert isinstance(env.action_space, gym.spaces.Discrete)
        mask = gym.spaces.Box(0, 1, (int(env.action_space.n),), np.int8)
        self.observation_space = gym.spaces.Dict({mask_key: mask, observation_key: env.observation_space})

    def observation(self, observation: Any) -> Observation:  # noqa: ANN401
        """The observation with its mask."""
        mask: NDArray[np.bool_] = self.get_wrapper_attr("action_masks")()
        return {self._mask_key: mask.astype(np.int8), self._observation_key: observation}


class TextBeside(gym.ObservationWrapper[Observation, Any, Any], gym.utils.RecordConstructorArgs):
    """Adds the text observation to the latent one, under ``"text"``: for agents that read and embed.

    Args:
        env: an environment of eagle_gym with ``observation="latent"``.

    Raises:
        ConfigurationError: the observation is no Dict, or has a text already.
    """

    def __init__(self, env: Base) -> None:
        space = env.observation_space
        if not isinstance(space, gym.spaces.Dict) or "text" in space.spaces:
            raise ConfigurationError(f"TextBeside goes over the latent observation, a Dict without a text, got {space}")
        gym.utils.RecordConstructorArgs.__init__(self)
        super().__init__(env)
        self.observation_space = gym.spaces.Dict({**space.spaces, "text": FreeText()})

    def observation(self, observation: Observation) -> Observation:
        """The arrays and the text."""
        return {**observation, "text": self.get_wrapper_attr("read")()}
