"""Stable-Baselines3 on batches: a ``VecEnv`` over the vector environment, so that PPO trains on batched model calls.

SB3 takes no Gymnasium ``VectorEnv``, and its ``DummyVecEnv`` would step one environment after the other. SB3 resets an
environment in the very step in which its episode ends, and finds the last observation in ``terminal_observation``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from eagle_gym.envs.observation import make_info, make_observation, observe_latent
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import ConfigurationError, EpisodeError

try:
    from stable_baselines3.common.vec_env import VecEnv
except ImportError as error:
    raise ConfigurationError(
        "eagle_gym.envs.sb3 needs stable-baselines3: pip install 'eagle_gym[baselines]'"
    ) from error

Indices = None | int | Iterable[int]

# Methods whose result the vector environment gives as one row per environment.
_BATCHED = ("action_masks", "expected_utility", "get_state")


class SB3VecEnv(VecEnv):
    """Episodes of a vector environment's world, as SB3 wants them.

    Args:
        envs: with the latent observation. Where it resets in the same step it is driven itself; else as many
            environments that do are opened in the same world, and ``envs`` is left as it is.

    Raises:
        ConfigurationError: not a vector environment of eagle_gym, one with the text observation, or one in a wrapper,
            which would see nothing of these episodes.
    """

    def __init__(self, envs: gym.vector.VectorEnv[Any, Any, Any]) -> None:
        base = envs.unwrapped
        if not isinstance(base, EagleVectorEnv):
            raise ConfigurationError(
                f"SB3VecEnv goes over a vector environment of eagle_gym (gym.make_vec), got {type(base).__name__}"
            )
        if base is not envs:
            raise ConfigurationError(
                f"SB3VecEnv drives the vector environment itself, past its wrapper {type(envs).__name__}: give it "
                "envs.unwrapped, and put what the wrapper does into a VecEnvWrapper of SB3 around this one"
            )
        if base.settings.observation != "latent":
            raise ConfigurationError("SB3 takes arrays alone: make the environment with observation='latent'")
        self.envs = base if base.autoreset_mode is AutoresetMode.SAME_STEP else _in_same_step(base)
        self._actions: NDArray[np.integer[Any]] | None = None
        super().__init__(base.num_envs, self.envs.single_observation_space, self.envs.single_action_space)

    def reset(self) -> Any:  # noqa: ANN401 - a dict of arrays
        """Start an episode in every environment, with the seeds and options that were set beforehand."""
        names = {name for options in self._options for name in options}
        options = {name: [own.get(name) for own in self._options] for name in names}
        observations, _ = self.envs.reset(seed=list(self._seeds), options=options)
        self.reset_infos = [make_info(self.envs.world, state) for state in self.envs.states]
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: NDArray[np.integer[Any]]) -> None:
        """Keep the actions for ``step_wait``."""
        self._actions = np.asarray(actions)

    def step_wait(self) -> Any:  # noqa: ANN401 - SB3's own four-tuple
        """Step every environment; one whose episode ended is at the start of its next one.

        Raises:
            EpisodeError: before ``step_async``, or as :meth:`eagle_gym.EagleVectorEnv.step`.
            LanguageModelError: a generation failed; every episode stands where it stood.
        """
        if self._actions is None:
            raise EpisodeError("step_wait() comes after step_async(actions)")
        result = self.envs.transition(self._actions)
        self._actions = None
        world = self.envs.world
        dones = result.terminated | result.truncated
        infos = []
        for i, state in enumerate(result.states):
            info = make_info(world, result.final.get(i, state))
            info["TimeLimit.truncated"] = bool(result.truncated[i] and not result.terminated[i])
            if i in result.final:
                info["terminal_observation"] = make_observation(world, result.final[i])
                self.reset_infos[i] = make_info(world, state)
            infos.append(info)
        return observe_latent(world, result.states), result.rewards.astype(np.float32), dones, infos

    def close(self) -> None:
        """Let go of the world."""
        self.envs.close()

    def render(self, mode: str | None = None) -> NDArray[Any] | None:
        """SB3 draws images alone; for texts call ``env_method("render")``."""
        return None

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """An attribute of the environments, once for each."""
        return [getattr(self.envs, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:  # noqa: ANN401
        """Environments of one batch have no attributes of their own to set.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError(f"environments of one batch share their attributes: {attr_name!r} cannot be set")

    def env_method(
        self,
        method_name: str,
        *method_args: Any,  # noqa: ANN401
        indices: Indices = None,
        **method_kwargs: Any,  # noqa: ANN401
    ) -> list[Any]:
        """Call ``action_masks``, ``expected_utility``, ``get_state``, ``set_state`` or ``render``, once for each.

        ``set_state`` takes one list of snapshots, one per environment.

        Raises:
            AttributeError: there is no such method.
        """
        if method_name == "set_state":
            self.envs.set_state(*method_args, **method_kwargs)
            return [None] * self.num_envs
        if method_name not in (*_BATCHED, "render"):
            raise AttributeError(f"environments of a batch have no method {method_name!r} to call one by one")
        rows: Sequence[Any] | None = getattr(self.envs, method_name)(*method_args, **method_kwargs)
        return [None if rows is None else rows[i] for i in self._get_indices(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: Indices = None
    ) -> list[bool]:
        """Whether environments are wrapped one by one: never."""
        return [False for _ in self._get_indices(indices)]


def _in_same_step(envs: EagleVectorEnv) -> EagleVectorEnv:
    return EagleVectorEnv.from_world(
        envs.world,
        envs.num_envs,
        autoreset_mode=AutoresetMode.SAME_STEP,
        max_episode_steps=envs.max_episode_steps,
        render_mode=envs.render_mode,
    )


__all__ = ["SB3VecEnv"]
