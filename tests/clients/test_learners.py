"""Libraries of agents as clients, each where it is installed: their ways to open an environment, and a few steps."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from eagle_gym.registration import ENTRY_POINT, VECTOR_ENTRY_POINT

ID = "EagleGym/Plots-v0"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "libraries.md"
LATENT = {"observation": "latent", "horizon": 3, "actions": 4, "pool": 32, "language_model": "grammar"}

# Warnings of other libraries, at their import and in their loops, are not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")


def library(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name} is not installed")


@pytest.fixture
def latent_id() -> Iterator[str]:
    """An id whose environment has the latent observation, for clients that take an id and no arguments."""
    name = "Tests/LatentPlots-v0"
    gym.register(
        name, entry_point=ENTRY_POINT, vector_entry_point=VECTOR_ENTRY_POINT, kwargs={"catalog": "plots", **LATENT}
    )
    yield name
    del gym.registry[name]


def test_sb3_makes_environments_by_id() -> None:
    make_vec_env = library("stable_baselines3.common.env_util").make_vec_env
    envs = make_vec_env(ID, n_envs=2, seed=0, env_kwargs=LATENT)
    assert envs.render_mode == "rgb_array", "what SB3 asks for where nothing is said"
    envs.reset()
    observation, *_ = envs.step(np.zeros(2, int))
    assert observation["state"].shape == (2, 8)
    assert envs.env_method("read")[0].startswith("User: ")
    assert [image.shape for image in envs.get_images()] == [(540, 960, 3)] * 2
    envs.close()
    plain = make_vec_env(ID, n_envs=1, env_kwargs={**LATENT, "render_mode": None})
    assert plain.render_mode is None
    plain.close()


def test_sb3_trains_on_an_id(latent_id: str) -> None:
    ppo = library("stable_baselines3").PPO
    agent = ppo("MultiInputPolicy", latent_id, n_steps=4, batch_size=4, n_epochs=1, seed=0, device="cpu")
    agent.learn(4)
    assert agent.num_timesteps == 4
    action, _ = agent.predict(agent.env.reset(), deterministic=True)
    assert 0 <= int(action[0]) < 4


def test_sb3_records_videos_of_batches(tmp_path: Path) -> None:
    vec_env = library("stable_baselines3.common.vec_env")
    library("moviepy")
    from eagle_gym.envs.sb3 import SB3VecEnv

    envs = SB3VecEnv(gym.make_vec(ID, num_envs=2, render_mode="rgb_array", **LATENT))
    recorder = vec_env.VecVideoRecorder(envs, str(tmp_path), lambda step: step == 0, video_length=2)
    recorder.reset()
    for _ in range(4):
        recorder.step(np.zeros(2, int))
    recorder.close()
    assert list(tmp_path.glob("*.mp4"))


def test_rl_zoo3_trains_an_agent(tmp_path: Path) -> None:
    library("rl_zoo3")
    manager = library("rl_zoo3.exp_manager").ExperimentManager
    config = tmp_path / "ppo.yml"
    config.write_text(
        f"{ID}:\n  n_envs: 2\n  n_timesteps: 16\n  policy: MultiInputPolicy\n  n_steps: 8\n  batch_size: 8\n"
        "  n_epochs: 1\n"
    )
    experiment = manager(
        argparse.Namespace(),
        "ppo",
        ID,
        str(tmp_path),
        env_kwargs=LATENT,
        config=str(config),
        eval_freq=8,
        n_eval_episodes=1,
        device="cpu",
        verbose=0,
        log_interval=-1,
    )
    agent, _ = experiment.setup_experiment()
    experiment.learn(agent)
    assert agent.num_timesteps == 16


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_cleanrls_loop_learns_of_returns(mode: str) -> None:
    """CleanRL is scripts, not a library: its way to make environments, and to read returns from infos of a batch."""
    from gymnasium.vector import AutoresetMode, SyncVectorEnv
    from gymnasium.wrappers import FlattenObservation, RecordEpisodeStatistics

    def make(index: int) -> gym.Env:
        env = RecordEpisodeStatistics(FlattenObservation(gym.make(ID, **LATENT)))
        env.action_space.seed(index)
        return env

    envs = SyncVectorEnv([lambda i=i: make(i) for i in range(2)], autoreset_mode=AutoresetMode(mode))
    observation, _ = envs.reset(seed=0)
    assert observation.shape == (2, int(np.prod(envs.single_observation_space.shape)))
    total, returns = np.zeros(2), []
    for _ in range(3):
        observation, rewards, terminated, truncated, infos = envs.step(envs.action_space.sample())
        total += rewards
        done = infos.get("final_info", infos)
        if "episode" in done:
            returns += done["episode"]["r"][done["_episode"]].tolist()
    assert terminated.all()
    assert not truncated.any()
    np.testing.assert_allclose(returns, total, rtol=1e-5)
    envs.close()


def test_pufferlib_steps_batches() -> None:
    library("pufferlib")
    emulation, vector = library("pufferlib.emulation"), library("pufferlib.vector")

    def make(**given: Any) -> Any:
        return emulation.GymnasiumPufferEnv(env_creator=gym.make, env_args=[ID], env_kwargs=LATENT, **given)

    envs, twin = (vector.make(make, backend=vector.Serial, num_envs=2) for _ in range(2))
    for each in (envs, twin):
        each.reset(seed=0)
    plain = gym.make(ID, **LATENT)
    size = gym.spaces.flatdim(plain.observation_space)
    for step in range(3):
        observation, rewards, terminated, truncated, _ = envs.step(np.array([0, 1]))
        assert observation.shape == (2, size)
        np.testing.assert_array_equal(rewards, twin.step(np.array([0, 1]))[1])
        assert terminated.all() == (step == 2)
        assert not truncated.any()
    envs.close()


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_skrl_steps_batches(mode: str) -> None:
    torch, wrap = library("torch"), library("skrl.envs.wrappers.torch").wrap_env
    env = wrap(gym.make_vec(ID, num_envs=2, autoreset_mode=mode, **LATENT))
    observation, _ = env.reset()
    size = observation.shape[1]
    for _ in range(5):
        observation, rewards, terminated, *_ = env.step(torch.zeros((2, 1), dtype=torch.long))
        assert observation.shape == (2, size)
        assert rewards.shape == terminated.shape == (2, 1)
    env.close()


@pytest.mark.parametrize("observation", ["text", "latent"])
def test_torchrl_opens_the_id(observation: str) -> None:
    envs = library("torchrl.envs")
    env = envs.GymEnv(ID, **(LATENT | {"observation": observation}))
    envs.check_env_specs(env)
    assert env.rollout(3, break_when_any_done=False).shape == (3,)
    env.close()


def test_torchrl_reads_infos() -> None:
    envs = library("torchrl.envs")
    env = envs.GymEnv(ID, infos="arrays", **LATENT)
    env.set_info_dict_reader(envs.default_info_dict_reader(["step", "valid", "action_mask"]))
    steps = env.rollout(3, break_when_any_done=False)["next"]
    assert steps["step"].tolist() == [1, 2, 3]
    assert steps["valid"].all()
    assert steps["action_mask"].shape == (3, LATENT["actions"])


@pytest.mark.parametrize("observation", ["text", "latent"])
def test_torchrl_steps_batches(observation: str) -> None:
    envs = library("torchrl.envs")
    batch = gym.make_vec(ID, num_envs=2, autoreset_mode="Disabled", **(LATENT | {"observation": observation}))
    env = envs.GymWrapper(batch)
    envs.check_env_specs(env)
    assert env.rollout(5, break_when_any_done=False).shape == (2, 5)
    env.close()


@pytest.mark.parametrize("data_format", ["hdf5", "arrow"])
@pytest.mark.parametrize("observation", ["text", "latent"])
def test_minari_collects_episodes(
    observation: str, data_format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minari = library("minari")
    library("jax")  # what Minari collects with
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    env = gym.make(ID, **(LATENT | {"observation": observation}))
    collector = minari.DataCollector(env, record_infos=True, data_format=data_format)
    seen = []
    for seed in range(2):
        seen.append(collector.reset(seed=seed)[0])
        for _ in range(3):
            collector.step(0)
    collector.create_dataset("eagle/plots-v0")
    data = minari.load_dataset("eagle/plots-v0")
    assert data.observation_space == env.observation_space
    assert len(data) == 2
    for episode, first in zip(data, seen, strict=True):
        if observation == "text":
            assert episode.observations[0] == first
            assert all(text in data.observation_space for text in episode.observations)
        else:
            np.testing.assert_array_equal(episode.observations["state"][0], first["state"])
    assert data.recover_environment().unwrapped.settings == env.unwrapped.settings


PAGES = [
    ("skrl", "skrl"),
    ("TorchRL", "torchrl"),
    ("PufferLib and CleanRL", "pufferlib"),
    ("Minari", "jax"),
]


@pytest.mark.parametrize(("section", "needs"), PAGES)
def test_the_page_shows_code_that_runs(
    section: str, needs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library(needs)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    text = PAGE.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(f"import gymnasium as gym\nimport eagle_gym\n{code}", {})
