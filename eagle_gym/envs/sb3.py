"""Stable-Baselines3 on batches: a `VecEnv` over the vector environment, so that PPO trains on batched model calls.

SB3 does not accept Gymnasium's vector environments, and its `DummyVecEnv` would step one environment after the other.
SB3 starts the next episode in the step that ends one, and reads the last observation from
`info["terminal_observation"]`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.observation import make_info, make_observation, observe_latent
from eagle_gym.envs.shaping import Shape, Shaper
from eagle_gym.envs.vector import EagleVectorEnv, check_attribute
from eagle_gym.errors import ConfigurationError, EpisodeError, NotShownError

try:
    from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
except ImportError as error:
    raise ConfigurationError(
        "eagle_gym.envs.sb3 needs stable-baselines3: pip install 'eagle_gym[baselines]'"
    ) from error

Indices = None | int | Iterable[int]

# Attributes that are looked up in the vector environment where this one has none.
_DELEGATED: Final = (
    *("spec", "world", "settings", "usage", "deterministic", "states"),
    *("action_masks", "expected_utility", "get_state", "set_state"),
)


class SB3VecEnv(VecEnv):
    """The episodes of a vector environment, as SB3 expects them. Rewards are float32, as everywhere in SB3.

    Args:
        envs: A vector environment with the latent observation. If its autoreset mode is `"SameStep"`, its own episodes
            are used. Otherwise the same number of new environments in that mode is made in its world, and `envs` stays
            as it is.

    Raises:
        ConfigurationError: It is not a vector environment of eagle_gym, has the text observation, or is in a wrapper,
            which would not see these episodes.
    """

    def __init__(self, envs: gym.vector.VectorEnv[Any, Any, Any]) -> None:
        base = envs.unwrapped
        if not isinstance(base, EagleVectorEnv):
            raise ConfigurationError(
                f"expected a vector environment of eagle_gym, got {type(base).__name__}: make one with gym.make_vec"
            )
        if base is not envs:
            raise ConfigurationError(
                f"expected a vector environment without wrappers: SB3VecEnv would step past its wrapper "
                f"{type(envs).__name__}; give it envs.unwrapped, and put a VecEnvWrapper of SB3 around SB3VecEnv"
            )
        if base.settings.observation != "latent":
            raise ConfigurationError("expected observation='latent', got observation='text': SB3 reads arrays only")
        self.envs = base if base.autoreset_mode is AutoresetMode.SAME_STEP else _in_same_step(base)
        self._actions: NDArray[np.integer[Any]] | None = None
        super().__init__(base.num_envs, self.envs.single_observation_space, self.envs.single_action_space)
        self.metadata = {**self.metadata, "render_fps": self.envs.metadata["render_fps"]}

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if name in _DELEGATED:
            return getattr(self.envs, name)
        raise AttributeError(f"SB3VecEnv has no attribute {name!r}")

    def reset(self) -> Any:  # noqa: ANN401 - a dict of arrays
        """Start an episode in every environment, with the seeds and options set before."""
        names = {name for options in self._options for name in options}
        options = {name: [own.get(name) for own in self._options] for name in names}
        observations, _ = self.envs.reset(seed=list(self._seeds), options=options)
        self.reset_infos = [make_info(self.envs.world, state) for state in self.envs.states]
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: NDArray[np.integer[Any]]) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = np.asarray(actions)

    def step_wait(self) -> Any:  # noqa: ANN401 - SB3's own four-tuple
        """Step every environment. An environment whose episode ended is at the start of its next episode.

        Raises:
            EpisodeError: `step_async` was not called, or as in `EagleVectorEnv.step`.
            LanguageModelError: A generation failed; every episode is where it was before.
        """
        if self._actions is None:
            raise EpisodeError("expected actions: call step_async(actions) before step_wait()")
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
        """Release the world."""
        self.envs.close()

    def get_images(self) -> list[Any]:
        """Pictures of the episodes, [N]; each is None without `render_mode="rgb_array"`."""
        if self.render_mode != "rgb_array":
            return [None] * self.num_envs
        return [env.render() for env in self.envs.envs]

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """An attribute of the single environments, or else of the vector environment, once for each."""
        return [
            env.get_wrapper_attr(attr_name) if env.has_wrapper_attr(attr_name) else getattr(self.envs, attr_name)
            for env in self._chosen(indices)
        ]

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:  # noqa: ANN401
        """Set an attribute of single environments.

        Raises:
            ConfigurationError: It is one of the settings, which the environments share.
        """
        check_attribute(attr_name)
        for env in self._chosen(indices):
            env.set_wrapper_attr(attr_name, value)

    def env_method(
        self,
        method_name: str,
        *method_args: Any,  # noqa: ANN401
        indices: Indices = None,
        **method_kwargs: Any,  # noqa: ANN401
    ) -> list[Any]:
        """Call a method of single environments, such as `read` or `action_masks`, with the same arguments each.

        `set_state` also takes a list with one snapshot per environment in `indices`.

        Raises:
            AttributeError: There is no such method, or (a `NotShownError`) the task does not show it.
        """
        if method_name == "set_state" and method_args and isinstance(method_args[0], list | tuple):
            rows = list(self._get_indices(indices))
            set_rows = partial(self.envs.set_state, indices=rows)
            set_rows(*method_args, **method_kwargs)
            return [None] * len(rows)
        methods = [self._method(env, method_name) for env in self._chosen(indices)]
        return [method(*method_args, **method_kwargs) for method in methods]

    @staticmethod
    def _method(env: EagleEnv, name: str) -> Any:  # noqa: ANN401
        try:
            return env.get_wrapper_attr(name)
        except NotShownError:
            raise
        except AttributeError as error:
            raise AttributeError(f"environments have no method {name!r}") from error

    def _chosen(self, indices: Indices) -> list[EagleEnv]:
        return [self.envs.envs[i] for i in self._get_indices(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: Indices = None
    ) -> list[bool]:
        """Whether single environments are in a wrapper: never."""
        return [False for _ in self._get_indices(indices)]


class ShapedVecEnv(VecEnvWrapper):
    """Environments of SB3 with shaped rewards (see `eagle_gym.envs.shaping`).

    Args:
        venv: The environments.
        kind: The shape: `"par"`, `"log_sigmoid"`, `"min_max"` or `"clip"`.
        references: Returns of a reference policy.
        unit: τ, in units of utility.

    Raises:
        ConfigurationError: There is no such shape, or the references are not numbers that it can use.
    """

    def __init__(self, venv: VecEnv, kind: str, references: Sequence[float], unit: float = 1.0) -> None:
        super().__init__(venv)
        self._shaper = Shaper(Shape(kind, unit), references, venv.num_envs)

    def reset(self) -> Any:  # noqa: ANN401 - a dict of arrays
        """Start an episode in every environment."""
        self._shaper.begin(np.ones(self.num_envs, np.bool_))
        return self.venv.reset()

    def step_wait(self) -> Any:  # noqa: ANN401 - SB3's own four-tuple
        """Step every environment."""
        observations, rewards, dones, infos = self.venv.step_wait()
        return observations, self._shaper(rewards, dones).astype(np.float32), dones, infos


class WrappedVecEnv(VecEnv):
    """A vector environment in wrappers, such as `VectorLatentActions`, as SB3 expects it.

    Args:
        envs: A vector environment of Gymnasium in the autoreset mode `"SameStep"`, whose observation is a Dict of
            arrays.

    Raises:
        ConfigurationError: It has another autoreset mode.
    """

    def __init__(self, envs: gym.vector.VectorEnv[Any, Any, Any]) -> None:
        if envs.metadata.get("autoreset_mode") != AutoresetMode.SAME_STEP:
            raise ConfigurationError("expected autoreset_mode='SameStep', as SB3 starts episodes: make it with that")
        self.envs = envs
        self._actions: NDArray[np.integer[Any]] | None = None
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> Any:  # noqa: ANN401 - a dict of arrays
        """Start an episode in every environment, with the seeds set before."""
        seeds: Any = list(self._seeds)
        observations, _ = self.envs.reset(seed=seeds)
        self._reset_seeds()
        return observations

    def step_async(self, actions: NDArray[np.integer[Any]]) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = np.asarray(actions)

    def step_wait(self) -> Any:  # noqa: ANN401 - SB3's own four-tuple
        """Step every environment."""
        observations, rewards, terminated, truncated, found = self.envs.step(self._actions)
        infos: list[dict[str, Any]] = [
            {"TimeLimit.truncated": bool(cut and not end)} for cut, end in zip(truncated, terminated, strict=True)
        ]
        for row in np.flatnonzero(found.get("_final_obs", [])):
            infos[row]["terminal_observation"] = found["final_obs"][row]
        return observations, rewards.astype(np.float32), terminated | truncated, infos

    def close(self) -> None:
        """Close the environments."""
        self.envs.close()

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """An attribute of the vector environment, once for each."""
        return [getattr(self.envs, attr_name, None) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:  # noqa: ANN401
        """Refused: the environments share their attributes."""
        raise ConfigurationError(f"expected no attribute to be set on wrapped environments, got {attr_name!r}")

    def env_method(
        self,
        method_name: str,
        *method_args: Any,  # noqa: ANN401
        indices: Indices = None,
        **method_kwargs: Any,  # noqa: ANN401
    ) -> list[Any]:
        """`action_masks`, where the wrappers have it; other methods of single environments cannot be reached."""
        if method_name == "action_masks" and hasattr(self.envs, method_name):
            masks: Any = getattr(self.envs, method_name)()
            return [masks[row] for row in self._get_indices(indices)]
        raise AttributeError(f"wrapped environments have no method {method_name!r}")

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: Indices = None
    ) -> list[bool]:
        """Whether single environments are in a wrapper: never."""
        return [False for _ in self._get_indices(indices)]


def _in_same_step(envs: EagleVectorEnv) -> EagleVectorEnv:
    same = EagleVectorEnv.from_world(
        envs.world,
        envs.num_envs,
        autoreset_mode=AutoresetMode.SAME_STEP,
        max_episode_steps=envs.max_episode_steps,
        render_mode=envs.render_mode,
    )
    same.spec = envs.spec
    return same


__all__ = ["SB3VecEnv", "ShapedVecEnv", "WrappedVecEnv"]
