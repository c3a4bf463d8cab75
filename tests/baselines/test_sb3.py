"""PPO: learns a task whose answer is known, treats actions alike, keeps to the mask, survives a reload."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.policy import EquivariantPolicy
from baselines.sb3 import PPOConfig, SB3Agent, largest_part, latent_space, make_policy, train_ppo
from eagle_gym.errors import ConfigurationError, PreparationError
from tests.fakes import KnownVecEnv, KnownVectorEnv

TINY = PPOConfig(steps=48, epochs=2, hidden=16, rollout=3)


def mean_return(agent: SB3Agent, *, episodes: int = 200) -> float:
    envs = KnownVectorEnv(num_envs=episodes, masked=True)
    observation, _ = envs.reset(seed=10_000)
    total = np.zeros(episodes)
    for _ in range(envs.horizon):
        observation, rewards, *_ = envs.step(agent.predict(observation, deterministic=True)[0])
        total += rewards
    return float(total.mean())


def make_batch(rows: int = 4, dim: int = 3, count: int = 5) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    mask = torch.ones(rows, count)
    mask[0, 3:] = 0
    return {
        "state": torch.randn(rows, dim, generator=generator),
        "user": torch.randn(rows, dim + 1, generator=generator),
        "actions": torch.randn(rows, count * dim, generator=generator),
        "action_weights": torch.rand(rows, count, generator=generator),
        "action_mask": mask,
        "time": torch.rand(rows, 1, generator=generator),
    }


def equivariant(dim: int = 3, count: int = 5) -> EquivariantPolicy:
    torch.manual_seed(0)
    policy = make_policy(PPOConfig(hidden=16), latent_space(dim, count), count)
    assert isinstance(policy, EquivariantPolicy)
    with torch.no_grad():
        policy.score_net[-1].weight.mul_(100)  # far from uniform
    return policy


def test_learns_what_is_known_to_be_best() -> None:
    # Of three unit displacements at 120 degrees two are offered. Half their difference is sin(60) times a sine of the
    # angle to the user, so the better one gains sin(60) * 2 / pi a step on average; chance gains 0.
    config = PPOConfig(steps=4_800, hidden=32, rollout=3)
    agent = train_ppo(KnownVecEnv(num_envs=32, masked=True), config, progress=False)
    best = 3 * np.sin(np.pi / 3) * 2 / np.pi
    assert mean_return(agent) > 0.9 * best
    assert agent.curve[0]["return"] < 0.3 * best < 0.8 * best < agent.curve[-1]["return"]


def test_permuting_actions_permutes_probabilities() -> None:
    policy, batch = equivariant(), make_batch()
    order = torch.tensor([2, 0, 4, 1, 3])
    moved = dict(batch)
    moved["actions"] = batch["actions"].reshape(4, 5, 3)[:, order].reshape(4, 15)
    for key in ("action_weights", "action_mask"):
        moved[key] = batch[key][:, order]
    with torch.no_grad():
        before, after = (policy.get_distribution(b).distribution.probs for b in (batch, moved))
        torch.testing.assert_close(after, before[:, order])
        torch.testing.assert_close(policy.predict_values(moved), policy.predict_values(batch))
    assert before.std(dim=1).min() > 0.01


def test_masked_actions_have_no_probability_and_no_influence() -> None:
    policy, batch = equivariant(), make_batch()
    with torch.no_grad():
        before = policy.get_distribution(batch).distribution.probs
        value = policy.predict_values(batch)
        other = batch | {"actions": batch["actions"].clone()}
        other["actions"][0, 9:] = 7.0  # the features of actions 3 and 4, which row 0 does not offer
        after = policy.get_distribution(other).distribution.probs
        torch.testing.assert_close(after, before)
        torch.testing.assert_close(policy.predict_values(other), value)
    assert torch.all(before[0, 3:] == 0)
    _, log_prob, entropy = policy.evaluate_actions(batch, torch.zeros(4, dtype=torch.long))
    assert torch.isfinite(log_prob).all()
    assert torch.isfinite(entropy).all()


def test_equivariant_policy_needs_the_latent_observation() -> None:
    import gymnasium as gym

    box = gym.spaces.Box(-1, 1, (3,))
    with pytest.raises(ConfigurationError, match="latent"):
        EquivariantPolicy(box, gym.spaces.Discrete(2), lambda _: 1e-3)  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", ["equivariant", "stock"])
def test_saved_agents_act_alike(tmp_path: Path, policy: str) -> None:
    agent = train_ppo(KnownVecEnv(num_envs=4), replace(TINY, policy=policy), folder=tmp_path, progress=False)
    again = SB3Agent.load(tmp_path)
    observation, _ = KnownVectorEnv(num_envs=50).reset(seed=0)
    np.testing.assert_array_equal(
        agent.predict(observation, deterministic=True)[0], again.predict(observation, deterministic=True)[0]
    )
    assert (again.config, again.steps, again.curve) == (agent.config, agent.steps, agent.curve)


def test_same_seed_same_agent() -> None:
    first, second, third = (
        train_ppo(KnownVecEnv(num_envs=4), replace(TINY, seed=seed), progress=False) for seed in (0, 0, 1)
    )
    weights = [agent.policy.state_dict()["score_net.0.weight"] for agent in (first, second, third)]
    torch.testing.assert_close(weights[0], weights[1], rtol=0, atol=0)
    assert not torch.equal(weights[0], weights[2])


def test_resume_goes_on_where_it_stopped(tmp_path: Path) -> None:
    train_ppo(KnownVecEnv(num_envs=4), TINY, folder=tmp_path, progress=False)
    assert SB3Agent.load(tmp_path).steps == 48
    longer = train_ppo(KnownVecEnv(num_envs=4), replace(TINY, steps=96), folder=tmp_path, resume=True, progress=False)
    assert longer.steps == 96
    assert [point["steps"] for point in longer.curve] == list(range(12, 97, 12))
    # Nothing is left to do: the same agent comes back, and no environment is touched.
    same = train_ppo(None, replace(TINY, steps=96), folder=tmp_path, resume=True, progress=False)  # type: ignore[arg-type]
    assert same.steps == 96


def test_resume_refuses_another_run(tmp_path: Path) -> None:
    train_ppo(KnownVecEnv(num_envs=4), TINY, folder=tmp_path, progress=False)
    with pytest.raises(ConfigurationError, match=r"gamma \(1.0 there, 0.5 asked for\)"):
        train_ppo(KnownVecEnv(num_envs=4), replace(TINY, gamma=0.5), folder=tmp_path, resume=True, progress=False)


def test_bad_checkpoints_are_named(tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match=r"no agent\.json"):
        SB3Agent.load(tmp_path)
    train_ppo(KnownVecEnv(num_envs=4), TINY, folder=tmp_path, progress=False)
    header = json.loads((tmp_path / "agent.json").read_text())
    (tmp_path / "agent.json").write_text(json.dumps(header | {"format": 99}))
    with pytest.raises(PreparationError, match="format 1"):
        SB3Agent.load(tmp_path)
    (tmp_path / "agent.json").write_text(json.dumps(header | {"dim": 7}))
    with pytest.raises(PreparationError, match="cannot be read"):
        SB3Agent.load(tmp_path)
    (tmp_path / "agent.json").write_text(json.dumps(header))
    (tmp_path / "policy.safetensors").write_bytes(b"not tensors")
    with pytest.raises(PreparationError, match="cannot be read"):
        SB3Agent.load(tmp_path)


def test_wrong_k_and_wrong_dim_are_named() -> None:
    agent = train_ppo(KnownVecEnv(num_envs=4), TINY, progress=False)
    with pytest.raises(ConfigurationError, match="K = 3 actions in 2 dimensions; the observation has K = 4 in 2"):
        agent.predict(KnownVectorEnv(num_envs=2, actions=4).reset(seed=0)[0])
    with pytest.raises(ConfigurationError, match="K = 3 in 5"):
        agent.predict(KnownVectorEnv(num_envs=2, dim=5).reset(seed=0)[0])


def test_configuration_is_checked() -> None:
    with pytest.raises(ConfigurationError, match="equivariant"):
        PPOConfig(policy="mlp")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="epochs"):
        PPOConfig(epochs=0)


@pytest.mark.parametrize(("size", "parts", "expected"), [(320, 4, 80), (12, 5, 3), (7, 2, 7), (10, 100, 2), (2, 1, 2)])
def test_minibatches_divide_a_rollout(size: int, parts: int, expected: int) -> None:
    assert largest_part(size, parts) == expected
