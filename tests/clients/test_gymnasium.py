"""Gymnasium as a client: its checker, render modes, pickling, determinism, specs, and wrappers that store observations.

Its own test suite asks the same of the environments that it ships.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.wrappers import vector as vector_wrappers

from eagle_gym.envs.eagle import EagleEnv

ID = "EagleGym/Plots-v0"


def rollout(env: gym.Env, seed: int = 0, steps: int = 5) -> list[object]:
    """Steps by sampled actions, resetting at each end; everything that was returned."""
    env.action_space.seed(seed)
    seen: list[object] = [env.reset(seed=seed)]
    for _ in range(steps):
        seen.append(env.step(env.action_space.sample()))
        if seen[-1][2] or seen[-1][3]:
            seen.append(env.reset())
    return seen


def test_the_checker_has_no_complaint(small: dict[str, object]) -> None:
    env = gym.make(ID, **small).unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env)
    env.close()


def test_rollouts_with_one_seed_are_equal(small: dict[str, object]) -> None:
    env, twin = gym.make(ID, **small), gym.make(ID, **small)
    assert env.observation_space == twin.observation_space
    assert env.action_space == twin.action_space
    assert data_equivalence(rollout(env, 3), rollout(twin, 3), exact=True)


@pytest.mark.parametrize("mode", EagleEnv.metadata["render_modes"])
def test_every_render_mode_renders(small: dict[str, object], mode: str) -> None:
    env = gym.make(ID, render_mode=mode, **small)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    shown = env.render()
    if mode == "ansi":
        assert isinstance(shown, str)
    else:
        assert (shown.dtype, shown.ndim, shown.shape[2]) == (np.uint8, 3, 3)
    env.close()


def test_pickled_environments_go_on_alike(small: dict[str, object]) -> None:
    env = gym.make(ID, **small)
    env.reset(seed=0)
    env.step(1)
    twin = pickle.loads(pickle.dumps(env))
    assert twin.spec == env.spec
    assert data_equivalence(env.step(2), twin.step(2), exact=True)
    assert data_equivalence(env.reset(), twin.reset(), exact=True)


def test_pickled_batches_go_on_alike(small: dict[str, object]) -> None:
    envs = gym.make_vec(ID, num_envs=2, **small)
    envs.reset(seed=0)
    twins = pickle.loads(pickle.dumps(envs))
    assert data_equivalence(envs.step(np.array([0, 1])), twins.step(np.array([0, 1])), exact=True)
    assert data_equivalence(envs.call("read"), twins.call("read"), exact=True)


def test_the_spec_says_the_horizon_and_nothing_is_truncated() -> None:
    env = gym.make(ID, horizon=3, actions=4, pool=32, language_model="grammar")
    assert env.spec.max_episode_steps == env.unwrapped.spec.max_episode_steps == 3
    assert "TimeLimit" not in str(env)
    env.reset(seed=0)
    assert [env.step(0)[2:4] for _ in range(3)] == [(False, False), (False, False), (True, False)]


def test_a_shorter_limit_is_gymnasiums() -> None:
    env = gym.make(ID, horizon=3, actions=4, pool=32, language_model="grammar", max_episode_steps=2)
    assert env.spec.max_episode_steps == 2
    env.reset(seed=0)
    assert [env.step(0)[2:4] for _ in range(2)] == [(False, False), (False, True)]


def test_specs_make_equal_environments(small: dict[str, object]) -> None:
    env = gym.make(ID, **small)
    spec = EnvSpec.from_json(env.spec.to_json())
    assert spec == env.spec
    for again in (gym.make(spec), gym.make(env.spec), gym.make(spec, max_episode_steps=-1), env.spec.make()):
        assert again.spec == env.spec
        assert data_equivalence(env.reset(seed=1), again.reset(seed=1), exact=True)
    again = gym.make(spec, max_episode_steps=-1)
    again.reset(seed=1)
    assert [again.step(0)[2:4] for _ in range(3)][-1] == (True, False)


def test_a_batchs_spec_makes_an_equal_batch(small: dict[str, object]) -> None:
    envs = gym.make_vec(ID, num_envs=2, autoreset_mode="SameStep", **small)
    again = gym.make_vec(envs.spec)
    assert again.spec == envs.spec
    assert again.autoreset_mode is envs.autoreset_mode
    for each in (envs, again):
        each.reset(seed=0)
    for _ in range(4):
        results = [each.step(np.array([0, 1])) for each in (envs, again)]
        assert data_equivalence(*results, exact=True)
        assert not results[0][3].any()


STORING: dict[str, Callable[[gym.Env], gym.Env]] = {
    "stack": lambda env: wrappers.FrameStackObservation(env, 3),
    "stack zeros": lambda env: wrappers.FrameStackObservation(env, 3, padding_type="zero"),
    "delay": lambda env: wrappers.DelayObservation(env, 2),
    "flatten": wrappers.FlattenObservation,
    "statistics": wrappers.RecordEpisodeStatistics,
    "autoreset": wrappers.Autoreset,
    "sticky": lambda env: wrappers.StickyAction(env, 0.5),
}
DRAWING: dict[str, Callable[[gym.Env], gym.Env]] = {
    "pixels": wrappers.AddRenderObservation,
    "collection": wrappers.RenderCollection,
}


@pytest.mark.parametrize("name", [*STORING, *DRAWING])
def test_wrappers_that_store_and_reshape_work(small: dict[str, object], name: str) -> None:
    horizon = 1 if name in DRAWING else 3  # a picture takes long
    env = (STORING | DRAWING)[name](gym.make(ID, render_mode="rgb_array", **(small | {"horizon": horizon})))
    for result in rollout(env, steps=2 * horizon - 1):
        assert result[0] in env.observation_space
    env.close()


VECTOR: dict[str, Callable[[gym.vector.VectorEnv], gym.vector.VectorEnv]] = {
    "statistics": vector_wrappers.RecordEpisodeStatistics,
    "list of infos": vector_wrappers.DictInfoToList,
    "rewards": vector_wrappers.NormalizeReward,
    "flatten": vector_wrappers.FlattenObservation,
}


@pytest.mark.parametrize("name", VECTOR)
def test_wrappers_of_batches_work(small: dict[str, object], name: str) -> None:
    envs = VECTOR[name](gym.make_vec(ID, num_envs=2, **small))
    assert envs.reset(seed=0)[0] in envs.observation_space
    for _ in range(5):
        assert envs.step(np.array([0, 1]))[0] in envs.observation_space
    envs.close()


def test_the_statistics_are_those_of_the_episode(small: dict[str, object]) -> None:
    env = wrappers.RecordEpisodeStatistics(gym.make(ID, **small))
    steps = [result for result in rollout(env, steps=3) if len(result) == 5]
    assert steps[-1][4]["episode"]["l"] == 3
    assert steps[-1][4]["episode"]["r"] == pytest.approx(sum(step[1] for step in steps))


@pytest.mark.filterwarnings("ignore")
def test_videos_are_recorded(small: dict[str, object], tmp_path: Path) -> None:
    pytest.importorskip("moviepy", reason="moviepy is not installed")
    env = wrappers.RecordVideo(gym.make(ID, render_mode="rgb_array", **small), str(tmp_path), fps=1)
    rollout(env, steps=3)
    env.close()
    envs = gym.make_vec(ID, num_envs=2, render_mode="rgb_array", **small)
    envs = vector_wrappers.RecordVideo(envs, str(tmp_path / "batch"))
    envs.reset(seed=0)
    for _ in range(5):
        envs.step(np.array([0, 1]))
    envs.close()
    assert all(list(folder.glob("*.mp4")) for folder in (tmp_path, tmp_path / "batch"))


@pytest.mark.filterwarnings("ignore")
def test_a_person_can_watch(small: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pygame", reason="pygame is not installed")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = gym.make(ID, render_mode="human", **small)
    assert isinstance(env, wrappers.HumanRendering)
    rollout(env, steps=2)
    env.close()
