"""Supervised: imitates its reference policy, is resumed bit for bit, runs on several processes under accelerate."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from baselines import eagle
from baselines.dataset import RecordConfig, load, record
from baselines.eagle import EagleAgent, EagleConfig
from baselines.evaluate import evaluate
from baselines.reference import divergence
from baselines.supervised import SupervisedAgent, SupervisedConfig, make_agent, train
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import ConfigurationError, PreparationError
from tests.fake_worlds import make_tiny_world
from tests.fakes import KnownVectorEnv
from tests.language.tiny import write_llama, write_tokenizer

ROOT = Path(__file__).resolve().parents[2]


def make_envs(num_envs: int = 4, observation: str = "latent") -> EagleVectorEnv:
    return EagleVectorEnv.from_world(make_tiny_world(observation=observation), num_envs=num_envs)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("data")
    record(make_envs(), folder, RecordConfig(("g_optimal", "optimistic"), episodes=16), progress=False)
    return str(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    with torch.random.fork_rng(devices=[]):
        write_llama(folder, max_position_embeddings=1024)
    write_tokenizer(folder)
    return f"transformers:{folder}"


@pytest.fixture
def config(data: str, model: str) -> SupervisedConfig:
    return SupervisedConfig(dataset=data, model=model, training_steps=4, batch_size=4)


@pytest.mark.parametrize("reference", ["optimistic", "g_optimal"])
@pytest.mark.slow
def test_imitates_its_reference_policy(config: SupervisedConfig, reference: str) -> None:
    config = replace(config, reference=reference, training_steps=60, batch_size=16, learning_rate=3e-3, dropout=0.0)
    envs = make_envs()
    agent = train(envs, config, progress=False)
    assert envs.usage.calls == 0
    assert agent.steps == 16 * 3
    recorded = load(Path(config.dataset), [reference])
    wanted, policy = recorded.probabilities(reference), agent.probabilities(list(recorded.texts))
    mask = recorded.observation["mask"] > 0.5
    uniform = mask / mask.sum(axis=1, keepdims=True)
    assert divergence(wanted, policy).mean() < 0.6 * divergence(wanted, uniform).mean()


def test_learns_which_of_two_is_the_obvious_one(model: str, tmp_path: Path) -> None:
    envs = EagleVectorEnv.from_world(make_tiny_world(observation="latent", actions=2), num_envs=4)
    record(envs, tmp_path, RecordConfig(("optimistic",), episodes=16), progress=False)
    config = SupervisedConfig(
        dataset=str(tmp_path), model=model, reference="optimistic", training_steps=60, batch_size=16
    )
    agent = train(envs, replace(config, learning_rate=3e-3, dropout=0.0), progress=False)
    recorded = load(tmp_path, ["optimistic"])
    chosen, _ = agent.predict(list(recorded.texts), deterministic=True)
    assert np.mean(chosen == recorded.probabilities("optimistic").argmax(axis=1)) > 0.9


def test_resumed_runs_end_as_if_they_had_not_stopped(config: SupervisedConfig, tmp_path: Path) -> None:
    whole = train(make_envs(), config, progress=False)

    class Stopped(Exception):
        pass

    def stop(*_: object) -> None:
        raise Stopped

    with pytest.MonkeyPatch.context() as patch:
        saved = SupervisedAgent.save
        patch.setattr(SupervisedAgent, "save", lambda *given: (saved(*given), stop()))
        with pytest.raises(Stopped):
            train(make_envs(), config, folder=tmp_path, checkpoint_every=2, progress=False)
    again = train(make_envs(), config, folder=tmp_path, resume=True, progress=False)
    assert again.curve == whole.curve
    for name, weight in again.policy.trained().items():
        assert torch.equal(weight, whole.policy.trained()[name]), name


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_saved_agents_act_alike(config: SupervisedConfig, tmp_path: Path, lora_rank: int) -> None:
    config = replace(config, lora_rank=lora_rank)
    agent = train(make_envs(), config, folder=tmp_path, progress=False)
    again = SupervisedAgent.load(tmp_path)
    observation, _ = make_envs(observation="text").reset(seed=0)
    np.testing.assert_array_equal(agent.probabilities(observation), again.probabilities(observation))
    assert (again.config, again.steps, again.curve) == (config, agent.steps, agent.curve)
    action, _ = again.predict(observation[0])
    assert np.ndim(action) == 0
    assert EventAccumulator(str(tmp_path / "tensorboard")).Reload().Tags()["scalars"] == ["loss"]


@pytest.mark.parametrize("observation", ["latent", "text"])
def test_is_evaluated_on_either_observation(config: SupervisedConfig, observation: str) -> None:
    agent = train(make_envs(), config, progress=False)
    envs = make_envs(observation=observation)
    rows = evaluate(agent, envs, method="supervised", episodes=4, deterministic=True).rows
    assert len(rows) == 4


@pytest.mark.slow
def test_two_processes_train_what_one_does(config: SupervisedConfig, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    # Without --multi_gpu, accelerate starts one process on a machine without GPUs, whatever --num_processes says.
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    command = ["-m", "baselines", "train", "supervised", "--num-envs", "1", "--out", str(tmp_path / "two")]
    settings = {"dataset": config.dataset, "model": config.model, "training_steps": 4, "batch_size": 4, "dropout": 0.0}
    command += [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    done = subprocess.run([*launch, *command], env=environment, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("trained for 48 steps") == 2  # by each of the processes
    one = train(make_envs(), replace(config, dropout=0.0), progress=False)
    two = SupervisedAgent.load(tmp_path / "two")
    np.testing.assert_allclose([row["loss"] for row in two.curve], [row["loss"] for row in one.curve], rtol=1e-4)
    for name, weight in two.policy.trained().items():
        torch.testing.assert_close(weight, one.policy.trained()[name], rtol=1e-3, atol=1e-4)


def test_eagle_goes_on_from_it(config: SupervisedConfig, tmp_path: Path) -> None:
    config = replace(config, reference="optimistic", training_steps=20, learning_rate=3e-3)
    earlier = train(make_envs(), config, folder=tmp_path / "supervised", progress=False)
    settings = EagleConfig(
        policy="language",
        supervised=str(tmp_path / "supervised"),
        reference="optimistic",
        total_timesteps=earlier.steps,
        n_epochs=1,
        batch_size=12,
    )
    begun = eagle.train(make_envs(), settings, progress=False)
    observation, _ = make_envs(observation="text").reset(seed=0)
    np.testing.assert_array_equal(begun.probabilities(observation), earlier.probabilities(observation))
    settings = replace(settings, total_timesteps=earlier.steps + 24)
    agent = eagle.train(make_envs(), settings, folder=tmp_path / "eagle", progress=False)
    assert agent.steps == earlier.steps + 24
    assert np.abs(agent.probabilities(observation) - earlier.probabilities(observation)).max() > 1e-4
    again = EagleAgent.load(tmp_path / "eagle")
    np.testing.assert_array_equal(agent.probabilities(observation), again.probabilities(observation))
    assert len(evaluate(again, make_envs(), method="eagle", episodes=4).rows) == 4
    with pytest.raises(ConfigurationError, match="expected K = 6 actions, as in training, got 3"):
        again.predict(KnownVectorEnv(actions=3).reset(seed=0)[0])
    with pytest.raises(ConfigurationError, match='observation="text"'):
        again.predict(KnownVectorEnv(actions=6).reset(seed=0)[0])
    with pytest.raises(ConfigurationError, match=r"expected a run with K = 3 actions, got K = 6"):
        eagle.train(KnownVectorEnv(), settings, progress=False)


def test_errors_are_named(config: SupervisedConfig, tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match="got 0"):
        train(make_envs(), replace(config, dataset=str(tmp_path)), progress=False)
    train(make_envs(), replace(config, training_steps=1), folder=tmp_path, progress=False)
    with pytest.raises(ConfigurationError, match="batch_size"):
        train(make_envs(), replace(config, batch_size=8), folder=tmp_path, resume=True, progress=False)
    header = json.loads((tmp_path / "agent.json").read_text())
    (tmp_path / "agent.json").write_text(json.dumps(header | {"config": header["config"] | {"lora_rank": 2}}))
    with pytest.raises(PreparationError, match="cannot be read"):
        SupervisedAgent.load(tmp_path)
    agent = make_agent(config, 6)
    with pytest.raises(ConfigurationError, match='observation="text"'):
        agent.predict(KnownVectorEnv(actions=6).reset(seed=0)[0])
    with pytest.raises(ConfigurationError, match="expected K = 6 actions, as in training, got 3"):
        agent.predict(KnownVectorEnv(actions=3).reset(seed=0)[0])
    for wrong in ({"reference": "no_op"}, {"score": "sum"}, {"batch_size": 0}, {"dropout": 1.0}):
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            SupervisedConfig(**wrong)  # type: ignore[arg-type]
