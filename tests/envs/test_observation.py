"""Infos: whole ones, and those of arrays only."""

from __future__ import annotations

import numpy as np
import pytest

from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.observation import TEXT_KEYS
from eagle_gym.envs.transition import sample_start
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.envs.world import World
from eagle_gym.errors import ConfigurationError
from tests.fake_worlds import make_tiny_world


def leaves(value: object) -> list[object]:
    return [leaf for part in value.values() for leaf in leaves(part)] if isinstance(value, dict) else [value]


def test_infos_of_arrays_hold_arrays_only_and_no_key_of_the_observation() -> None:
    full = EagleEnv.from_world(make_tiny_world(observation="latent"))
    arrays = EagleEnv.from_world(make_tiny_world(observation="latent", infos="arrays"))
    observation, whole = full.reset(seed=0)
    _, info = arrays.reset(seed=0)
    assert set(whole) - set(info) == set(TEXT_KEYS) - {"rewrite"}  # of free text only
    assert not set(whole) & set(observation)
    assert all(isinstance(leaf, np.ndarray) and leaf.dtype.kind in "bif" for leaf in leaves(info))
    assert all(isinstance(whole[key], kind) for key, kind in {"step": int, "valid": bool}.items())
    for key, value in info.items():
        np.testing.assert_equal(value, whole[key])
    assert not set(TEXT_KEYS) & set(arrays.step(0)[4])


def test_batched_infos_leave_texts_out_too() -> None:
    envs = EagleVectorEnv.from_world(make_tiny_world(infos="arrays", horizon=1), 2, autoreset_mode="SameStep")
    assert not set(TEXT_KEYS) & set(envs.reset(seed=0)[1])
    infos = envs.step(np.zeros(2, int))[4]
    assert not set(TEXT_KEYS) & (set(infos) | set(infos["final_info"]))
    assert (infos["step"].dtype, infos["valid"].dtype) == (np.int64, np.bool_)
    assert infos["final_info"]["step"].tolist() == [1, 1]


@pytest.mark.parametrize("options", [5, "user", ["user"], {3: "u1"}, {"usr": "u1"}])
def test_options_that_are_none_are_typed_errors(tiny: World, options: object) -> None:
    with pytest.raises(ConfigurationError, match="expected reset options"):
        sample_start(tiny, np.random.default_rng(0), options)  # type: ignore[arg-type]
