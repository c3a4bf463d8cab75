"""Every kind of agent trains, acts and is reloaded in every task, whatever the task shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines import registry
from baselines.dataset import RecordConfig, record
from baselines.evaluate import evaluate
from baselines.language import read_texts
from baselines.networks import ActionFeatures
from baselines.reference import FIXED
from baselines.sb3 import SB3Agent
from eagle_gym.envs.observation import observe_text
from eagle_gym.envs.spaces import LatentLayout
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import ConfigurationError
from eagle_gym.tasks import TASKS
from tests.fake_worlds import make_tiny_world

QUICK: dict[str, dict[str, Any]] = {
    "ppo": {"total_timesteps": 12, "n_steps": 3, "n_epochs": 1, "hidden": 8},
    "ppo-stock": {"total_timesteps": 12, "n_steps": 3, "n_epochs": 1, "hidden": 8},
    "maskable_ppo": {"total_timesteps": 12, "n_steps": 3, "n_epochs": 1, "hidden": 8},
    "recurrent_ppo": {"total_timesteps": 12, "n_steps": 3, "n_epochs": 1, "hidden": 8},
    "recurrent_ppo-stock": {"total_timesteps": 12, "n_steps": 3, "n_epochs": 1, "hidden": 8},
    "a2c": {"total_timesteps": 12, "n_steps": 3, "hidden": 8},
    "dqn": {"total_timesteps": 12, "learning_starts": 4, "batch_size": 4, "gradient_steps": 1, "hidden": 8},
    "eagle": {"total_timesteps": 12, "n_epochs": 1, "hidden": 8},
    "vas": {"n_epochs": 1, "hidden": 8},
}


def make_envs(task: str, **settings: Any) -> EagleVectorEnv:
    world = make_tiny_world(observation="latent", task=task, actions=4, **settings)
    return EagleVectorEnv.from_world(world, num_envs=2)


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("task", TASKS)
def test_learners_train_and_are_reloaded(task: str, name: str, tmp_path: Path) -> None:
    envs = make_envs(task)
    settings = dict(QUICK[name])
    if name == "vas":
        record(envs, tmp_path / "data", RecordConfig(("g_optimal",), episodes=4), progress=False)
        settings["dataset"] = str(tmp_path / "data")
    agent = registry.train(name, envs, settings, folder=tmp_path / "run", progress=False)
    observation, _ = envs.reset(seed=5)
    again = registry.make(str(tmp_path / "run"), envs, np.random.default_rng(0))
    begin = np.ones(2, bool)
    one, _ = agent.predict(observation, episode_start=begin, deterministic=True)
    other, _ = again.predict(observation, episode_start=begin, deterministic=True)
    np.testing.assert_array_equal(one, other)
    rows = evaluate(agent, envs, method=name, episodes=2).rows
    assert [row.steps for row in rows] == [3, 3]


@pytest.mark.parametrize("name", ["ppo", "eagle"])
def test_learners_train_where_no_features_are_shown(name: str) -> None:
    agent = registry.train(name, make_envs("hidden", action_features="none"), QUICK[name], progress=False)
    assert agent.steps == 12


@pytest.mark.parametrize("spec", [*FIXED, "lookahead:budget=12", "beam:budget=12", "mcts:budget=12"])
@pytest.mark.parametrize("task", ["default", "hidden"])
def test_methods_that_do_not_learn_work_in_every_task(task: str, spec: str) -> None:
    envs = make_envs(task)
    agent = registry.make(spec, envs, np.random.default_rng(0))
    assert len(evaluate(agent, envs, method=spec, episodes=2).rows) == 2


def test_all_reference_policies_are_recorded_where_effects_are_not_shown(tmp_path: Path) -> None:
    record(make_envs("hidden"), tmp_path, RecordConfig(episodes=2), progress=False)
    assert len(list(tmp_path.glob("**/main_data.hdf5"))) == 3


def test_an_agent_of_one_task_is_refused_by_another() -> None:
    agent = registry.train("ppo", make_envs("default"), QUICK["ppo"], progress=False)
    assert isinstance(agent, SB3Agent)
    with pytest.raises(ConfigurationError, match=r"user .*, as in training, got .*reward"):
        agent.predict(make_envs("hidden").reset(seed=0)[0])


def test_the_memory_of_a_recurrent_policy_reads_the_last_reward() -> None:
    envs = make_envs("hidden")
    seen = {key: torch.as_tensor(part) for key, part in envs.reset(seed=0)[0].items()}
    features = ActionFeatures(LatentLayout.of(envs.single_observation_space))
    _, context, _ = features(seen)
    _, other, _ = features(seen | {"reward": seen["reward"] + 1})
    assert (other - context).abs().sum(1).tolist() == pytest.approx([1.0, 1.0])


def test_text_agents_read_observations_of_a_hidden_taste() -> None:
    world = make_tiny_world(task="hidden")
    envs = EagleVectorEnv.from_world(world, 2)
    envs.reset(seed=0)
    envs.step(np.array([1, 2]))
    for state in envs.states:
        (found,) = read_texts(observe_text(world, state), 6)
        assert (found.text, found.profile, found.edits) == (state.text, "", state.action_set.edits)
        assert found.time == pytest.approx(1 / 3)
        assert found.reward == pytest.approx(state.reward, abs=0.005)
        assert found.reward != 0
