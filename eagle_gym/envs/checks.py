"""What `python -m eagle_gym check` runs: checkers of other libraries, and checks of our own."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from eagle_gym.envs.vector import EagleVectorEnv

Arguments = dict[str, Any]


class NotInstalledError(Exception):
    """A checker belongs to a package that is not installed. The message says how to install it."""


def gymnasium_text(env_id: str, arguments: Arguments) -> None:
    """Gymnasium's checker on the text observation."""
    _gymnasium(env_id, arguments | {"observation": "text"})


def gymnasium_latent(env_id: str, arguments: Arguments) -> None:
    """Gymnasium's checker on the latent observation."""
    _gymnasium(env_id, arguments | {"observation": "latent"})


def _gymnasium(env_id: str, arguments: Arguments) -> None:
    env = gym.make(env_id, disable_env_checker=True, **arguments)
    check_env(env.unwrapped)
    env.close()


def sb3_latent(env_id: str, arguments: Arguments) -> None:
    """Stable-Baselines3's checker on the latent observation."""
    try:
        from stable_baselines3.common.env_checker import check_env as check_sb3
    except ImportError as error:
        raise NotInstalledError("pip install 'eagle_gym[baselines]'") from error

    env = gym.make(env_id, disable_env_checker=True, **(arguments | {"observation": "latent"}))
    check_sb3(env.unwrapped, warn=True)
    env.close()


def spec_round_trip(env_id: str, arguments: Arguments) -> None:
    """An environment's spec, written as JSON and read back, makes an equal environment."""
    env = gym.make(env_id, **arguments)
    assert env.spec is not None
    spec = gym.envs.registration.EnvSpec.from_json(env.spec.to_json())
    _require(spec == env.spec, "the spec that was read back is not equal")
    twin = gym.make(spec)
    _require(data_equivalence(env.reset(seed=3), twin.reset(seed=3), exact=True), "the environments differ")
    env.close()
    twin.close()


def vector_equals_single(env_id: str, arguments: Arguments, num_envs: int = 3, steps: int = 7) -> None:
    """The vector environment equals single environments, step by step and in every autoreset mode.

    The language model computes in fixed tiles here. Otherwise the size of a batch changes the last bits of the logits,
    which may flip a token in rare ties.
    """
    settings: dict[str, Any] = {"batch_invariant": True} | dict(arguments)
    for mode in AutoresetMode:
        batch = gym.make_vec(env_id, num_envs=num_envs, autoreset_mode=mode, **settings)
        single = SyncVectorEnv([lambda: gym.make(env_id, **settings)] * num_envs, autoreset_mode=mode)
        compare(batch, single, steps)
        batch.close()
        single.close()


def compare(
    batch: gym.vector.VectorEnv[Any, Any, Any], single: gym.vector.VectorEnv[Any, Any, Any], steps: int
) -> None:
    """Step two vector environments with the same actions; reset them where they do not reset themselves.

    Raises:
        AssertionError: They differ. The message says where.
    """
    assert isinstance(batch.unwrapped, EagleVectorEnv)
    manual = batch.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    pair = batch.reset(seed=5), single.reset(seed=5)
    _require(data_equivalence(*pair, exact=True), "reset() differs")
    rng = np.random.default_rng(0)
    for step in range(steps):
        actions = np.array([rng.choice(np.flatnonzero(mask)) for mask in batch.unwrapped.action_masks()])
        left, right = batch.step(actions), single.step(actions)
        names = ("observations", "rewards", "terminated", "truncated", "infos")
        for name, one, other in zip(names, left, right, strict=True):
            _require(data_equivalence(one, other, exact=True), f"step {step}: {name} differ")
        over = left[2] | left[3]
        if manual and over.any():
            one, other = (envs.reset(options={"reset_mask": over.copy()}) for envs in (batch, single))
            _require(data_equivalence(one, other, exact=True), f"step {step}: reset() with a mask differs")


def _require(holds: bool, complaint: str) -> None:
    if not holds:
        raise AssertionError(complaint)


CHECKS: MappingProxyType[str, Callable[[str, Arguments], None]] = MappingProxyType(
    {
        "gymnasium's check_env, text observation": gymnasium_text,
        "gymnasium's check_env, latent observation": gymnasium_latent,
        "stable-baselines3's check_env, latent observation": sb3_latent,
        "spec through JSON and back": spec_round_trip,
        "vector environment equals single ones": vector_equals_single,
    }
)
