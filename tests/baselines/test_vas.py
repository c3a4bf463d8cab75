"""Value-augmented sampling: the formula, what it learns from records, reload and resume."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from baselines import registry
from baselines.agent import read_latent
from baselines.dataset import RecordConfig, record
from baselines.evaluate import evaluate
from baselines.reference import floored, make_reference
from baselines.vas import VASAgent, VASConfig, make_agent, train
from baselines.worlds import expected_utilities
from eagle_gym.envs.spaces import LatentLayout
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import ConfigurationError, PreparationError
from tests.fake_worlds import make_tiny_world
from tests.fakes import KnownVectorEnv


def make_envs(num_envs: int = 8) -> EagleVectorEnv:
    return EagleVectorEnv.from_world(make_tiny_world(observation="latent"), num_envs=num_envs)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("data")
    record(make_envs(), folder, RecordConfig(("g_optimal", "optimistic"), episodes=64), progress=False)
    return str(folder)


def test_probabilities_are_those_of_the_formula() -> None:
    agent = make_agent(VASConfig(reference="g_optimal", beta=0.5), LatentLayout(2, 4, 2))
    observation, _ = KnownVectorEnv(num_envs=5, actions=4, masked=True).reset(seed=0)
    mask = read_latent(observation).mask
    prior = floored(observation["weights"].astype(float), mask)
    with torch.no_grad():
        values = agent.values({key: torch.as_tensor(part) for key, part in observation.items()}).double().numpy()
    weights = prior * np.exp(np.where(mask, values, 0) / 0.5)
    np.testing.assert_allclose(agent.probabilities(observation), weights / weights.sum(1, keepdims=True), rtol=1e-5)
    assert np.all(agent.probabilities(observation)[:, 3] == 0)


def test_learns_from_records_alone(data: str) -> None:
    envs = make_envs()
    agent = train(envs, VASConfig(dataset=data, n_epochs=40), progress=False)
    assert envs.usage.calls == 0
    assert agent.steps == 64 * 3
    assert agent.curve[-1]["loss"] < 0.5 * agent.curve[0]["loss"]
    gain = np.mean([row.gain for row in evaluate(agent, envs, method="vas", episodes=64, deterministic=True).rows])
    reference = make_reference("g_optimal", envs, np.random.default_rng(0))
    assert gain > np.mean([row.gain for row in evaluate(reference, envs, method="g", episodes=64).rows]) + 0.5


def test_learns_which_of_two_is_worth_more(tmp_path: Path) -> None:
    world = make_tiny_world(observation="latent", task="easy", actions=2, horizon=1)
    envs = EagleVectorEnv.from_world(world, num_envs=64)
    record(envs, tmp_path, RecordConfig(("uniform",), episodes=512), progress=False)
    agent = train(envs, VASConfig(dataset=str(tmp_path), reference="uniform", n_epochs=40), progress=False)
    observation, _ = envs.reset(seed=10_000)
    expected = envs.expected_utility()
    clear = np.abs(expected[:, 0] - expected[:, 1]) > 1  # where one of the two is the obvious one
    chosen, _ = agent.predict(observation, deterministic=True)
    assert clear.sum() > 10
    assert np.mean(chosen[clear] == expected.argmax(axis=1)[clear]) > 0.9


def test_the_optimistic_policy_looks_ahead_where_it_acts(data: str, tmp_path: Path) -> None:
    envs = make_envs()
    train(envs, VASConfig(dataset=data, reference="optimistic", n_epochs=1), folder=tmp_path, progress=False)
    observation, _ = envs.reset(seed=0)
    with pytest.raises(ConfigurationError, match=r"call bind\(env\) first"):
        VASAgent.load(tmp_path).probabilities(observation)
    bound = registry.make(str(tmp_path), envs, np.random.default_rng(0))
    assert isinstance(bound, VASAgent)
    best = expected_utilities(envs).argmax(axis=1)
    assert np.all(bound.probabilities(observation)[np.arange(8), best] > 0.8)


def test_resumed_runs_end_as_if_they_had_not_stopped(data: str, tmp_path: Path) -> None:
    config = VASConfig(dataset=data, n_epochs=4, hidden=8)
    whole = train(make_envs(), config, progress=False)
    train(make_envs(), replace(config, n_epochs=2), folder=tmp_path, progress=False)
    again = train(make_envs(), config, folder=tmp_path, resume=True, progress=False)
    assert again.curve == whole.curve
    for one, other in zip(again.values.parameters(), whole.values.parameters(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(ConfigurationError, match="beta"):
        train(make_envs(), replace(config, beta=1.0), folder=tmp_path, resume=True, progress=False)


def test_saved_agents_act_alike(data: str, tmp_path: Path) -> None:
    agent = train(make_envs(), VASConfig(dataset=data, n_epochs=1), folder=tmp_path, progress=False)
    observation, _ = make_envs().reset(seed=0)
    again = VASAgent.load(tmp_path)
    np.testing.assert_array_equal(agent.probabilities(observation), again.probabilities(observation))
    assert (again.steps, again.curve, again.config) == (agent.steps, agent.curve, agent.config)
    assert EventAccumulator(str(tmp_path / "tensorboard")).Reload().Tags()["scalars"] == ["loss"]


def test_errors_are_named(data: str, tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match="got 0"):
        train(make_envs(), VASConfig(dataset=str(tmp_path)), progress=False)
    train(make_envs(), VASConfig(dataset=data, n_epochs=1), folder=tmp_path, progress=False)
    header = json.loads((tmp_path / "agent.json").read_text())
    (tmp_path / "agent.json").write_text(json.dumps(header | {"layout": header["layout"] | {"n": 9}}))
    with pytest.raises(PreparationError, match="cannot be read"):
        VASAgent.load(tmp_path)
    agent = make_agent(VASConfig(), LatentLayout(2, 3, 2))
    with pytest.raises(ConfigurationError, match="got K = 4"):
        agent.predict(KnownVectorEnv(actions=4).reset(seed=0)[0])
    with pytest.raises(ConfigurationError, match='observation="latent"'):
        agent.predict("a text")
    for wrong in ({"reference": "no_op"}, {"beta": 0.0}, {"n_epochs": 0}):
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            VASConfig(**wrong)  # type: ignore[arg-type]
