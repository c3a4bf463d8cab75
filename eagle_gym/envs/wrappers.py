"""Wrappers that put the action mask, or the text, into the observation."""

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
    """Observations with their mask: `{mask_key: int8 [K], observation_key: observation}`.

    RLlib reads `action_mask` and `observations` (the defaults), tianshou `mask` and `obs`.

    Args:
        env: An environment with `action_masks()`.
        mask_key: Name of the mask.
        observation_key: Name of the observation.

    Raises:
        ConfigurationError: The names are equal, or the environment has no mask.
    """

    def __init__(self, env: Base, mask_key: str = "action_mask", observation_key: str = "observations") -> None:
        if mask_key == observation_key:
            raise ConfigurationError(f"expected two names for mask and observation, got {mask_key!r} for both")
        if not env.has_wrapper_attr("action_masks"):
            raise ConfigurationError(f"expected an environment with action_masks(), got {env}")
        gym.utils.RecordConstructorArgs.__init__(self, mask_key=mask_key, observation_key=observation_key)
        super().__init__(env)
        self._mask_key, self._observation_key = mask_key, observation_key
        assert isinstance(env.action_space, gym.spaces.Discrete)
        mask = gym.spaces.Box(0, 1, (int(env.action_space.n),), np.int8)
        self.observation_space = gym.spaces.Dict({mask_key: mask, observation_key: env.observation_space})

    def observation(self, observation: Any) -> Observation:  # noqa: ANN401
        """The observation, together with its mask."""
        mask: NDArray[np.bool_] = self.get_wrapper_attr("action_masks")()
        return {self._mask_key: mask.astype(np.int8), self._observation_key: observation}


class AddText(gym.ObservationWrapper[Observation, Any, Any], gym.utils.RecordConstructorArgs):
    """The latent observation with the text observation added as `"text"`, for agents that use both.

    Args:
        env: An environment of eagle_gym with `observation="latent"`.

    Raises:
        ConfigurationError: The observation is not a Dict, or has a text already.
    """

    def __init__(self, env: Base) -> None:
        space = env.observation_space
        if not isinstance(space, gym.spaces.Dict) or "text" in space.spaces:
            raise ConfigurationError(f"expected the latent observation, a Dict without a text, got {space}")
        gym.utils.RecordConstructorArgs.__init__(self)
        super().__init__(env)
        self.observation_space = gym.spaces.Dict({**space.spaces, "text": FreeText()})

    def observation(self, observation: Observation) -> Observation:
        """The arrays and the text."""
        return {**observation, "text": self.get_wrapper_attr("read")()}
