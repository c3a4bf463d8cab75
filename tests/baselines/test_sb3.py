"""SB3's algorithms: each learns what is known to be best, treats actions alike, keeps to the mask, is reloaded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from baselines.agent import read_latent
from baselines.dataset import RecordConfig, load, record
from baselines.policy import EquivariantPolicy
from baselines.sb3 import (
    ALGORITHMS,
    A2CConfig,
    DQNConfig,
    MaskablePPOConfig,
    PPOConfig,
    RecurrentPPOConfig,
    SB3Agent,
    SB3Config,
    largest_divisor,
    make_model,
    make_policy,
    train,
)
from eagle_gym.envs.spaces import LatentLayout
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import ConfigurationError, PreparationError
from tests.fake_worlds import make_tiny_world
from tests.fakes import KnownVecEnv, KnownVectorEnv

LAYOUT = LatentLayout(n=3, actions=5, width=3)
TINY = PPOConfig(total_timesteps=48, n_epochs=2, hidden=16, n_steps=3, batch_size=3)
SMALL: dict[str, SB3Config] = {
    "ppo": TINY,
    "a2c": A2CConfig(total_timesteps=48, hidden=16, n_steps=3),
    "dqn": DQNConfig(
        total_timesteps=48, hidden=16, learning_starts=12, batch_size=8, gradient_steps=1, target_update_interval=12
    ),
    "maskable_ppo": MaskablePPOConfig(total_timesteps=48, n_epochs=2, hidden=16, n_steps=3, batch_size=3),
    "recurrent_ppo": RecurrentPPOConfig(total_timesteps=48, n_epochs=2, hidden=16, n_steps=3, batch_size=3),
}


def mean_return(agent: SB3Agent, *, episodes: int = 200) -> float:
    envs = KnownVectorEnv(num_envs=episodes, masked=True)
    observation, _ = envs.reset(seed=10_000)
    total, memory = np.zeros(episodes), None
    for step in range(envs.horizon):
        begin = np.full(episodes, step == 0)
        actions, memory = agent.predict(observation, memory, begin, deterministic=True)
        observation, rewards, *_ = envs.step(actions)
        total += rewards
    return float(total.mean())


@pytest.mark.parametrize(
    "config",
    [
        PPOConfig(total_timesteps=4_800, hidden=32, n_steps=3, batch_size=24),
        A2CConfig(total_timesteps=9_600, hidden=32, n_steps=3),
        DQNConfig(total_timesteps=4_800, hidden=32, gradient_steps=8, batch_size=128),
        MaskablePPOConfig(total_timesteps=4_800, hidden=32, n_steps=3, batch_size=24),
        RecurrentPPOConfig(total_timesteps=4_800, hidden=32, n_steps=3, n_epochs=6, batch_size=24),
    ],
    ids=lambda config: config.algorithm,
)
def test_learns_what_is_known_to_be_best(config: SB3Config) -> None:
    # Of three unit displacements at 120 degrees two are offered. Half their difference is sin(60) times a sine of the
    # angle to the user, so the better one gains sin(60) * 2 / pi a step on average; chance gains 0.
    agent = train(KnownVecEnv(num_envs=32, masked=True), config, progress=False)
    best = 3 * np.sin(np.pi / 3) * 2 / np.pi
    assert mean_return(agent) > 0.9 * best
    assert agent.curve[0]["return"] < 0.3 * best < 0.7 * best < agent.curve[-1]["return"]


@pytest.mark.parametrize(
    "config",
    [
        PPOConfig(total_timesteps=1_440, hidden=32, n_steps=3, n_epochs=6, batch_size=24),
        A2CConfig(total_timesteps=3_840, hidden=32, n_steps=3),
        DQNConfig(total_timesteps=1_920, hidden=32, gradient_steps=4, batch_size=64),
        MaskablePPOConfig(total_timesteps=1_440, hidden=32, n_steps=3, n_epochs=6, batch_size=24),
        RecurrentPPOConfig(total_timesteps=1_440, hidden=32, n_steps=3, n_epochs=4, batch_size=24),
    ],
    ids=lambda config: config.algorithm,
)
def test_stock_policies_learn_which_of_two_is_always_best(config: SB3Config) -> None:
    envs = {"num_envs": 32, "actions": 2, "users": 1, "fixed": True}
    agent = train(KnownVecEnv(**envs), replace(config, policy="stock"), progress=False)
    observation, _ = KnownVectorEnv(**envs).reset(seed=10_000)
    actions, _ = agent.predict(observation, None, np.ones(32, bool), deterministic=True)
    assert np.all(actions == 0)
    assert agent.curve[0]["return"] < 1.5 < 2.5 < agent.curve[-1]["return"]  # of 3 at most, and 0 by chance


def batch_of(dim: int = 3, count: int = 5, rows: int = 4) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    mask = np.ones((rows, count), np.float32)
    mask[0, 3:] = 0
    parts = {
        "state": rng.normal(size=(rows, dim)),
        "user": rng.normal(size=(rows, dim + 1)),
        "effects": rng.normal(size=(rows, count * dim)),
        "weights": rng.random((rows, count)),
        "mask": mask,
        "time": rng.random((rows, 1)),
    }
    return {key: value.astype(np.float32) for key, value in parts.items()}


def moved(batch: dict[str, np.ndarray], order: list[int]) -> dict[str, np.ndarray]:
    rows, count = batch["mask"].shape
    actions = batch["effects"].reshape(rows, count, -1)[:, order].reshape(rows, -1)
    return batch | {key: batch[key][:, order] for key in ("weights", "mask")} | {"effects": actions}


def scores(policy: Any, batch: dict[str, np.ndarray]) -> np.ndarray:
    """Probabilities (values under DQN) of the actions, `[B, K]`."""
    observation = {key: torch.as_tensor(value) for key, value in batch.items()}
    rows = len(batch["state"])
    with torch.no_grad():
        if hasattr(policy, "q_net"):
            return policy.q_net(observation).numpy()
        if hasattr(policy, "lstm_actor"):
            state = (torch.ones(1, rows, 16), torch.ones(1, rows, 16))
            return policy.get_distribution(observation, state, torch.zeros(rows))[0].distribution.probs.numpy()
        return policy.get_distribution(observation).distribution.probs.numpy()


@pytest.mark.parametrize("name", ALGORITHMS)
def test_permuting_actions_permutes_their_scores(name: str) -> None:
    torch.manual_seed(0)
    policy = make_policy(SMALL[name], LAYOUT)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(5)  # far from uniform
    batch, order = batch_of(), [2, 0, 4, 1, 3]
    before, after = scores(policy, batch), scores(policy, moved(batch, order))
    np.testing.assert_allclose(after, before[:, order], rtol=1e-4, atol=1e-6)
    assert before[1:].std(axis=1).min() > 1e-3


@pytest.mark.parametrize("name", ALGORITHMS)
def test_masked_actions_are_never_chosen_and_have_no_influence(name: str) -> None:
    torch.manual_seed(0)
    policy = make_policy(SMALL[name], LAYOUT)
    batch = batch_of()
    other = batch | {"effects": batch["effects"].copy()}
    other["effects"][0, 9:] = 7.0  # the features of actions 3 and 4, which row 0 does not offer
    np.testing.assert_allclose(scores(policy, other), scores(policy, batch), rtol=1e-5)
    agent = SB3Agent(policy, SMALL[name], 0)
    for deterministic in (True, False):
        chosen = np.stack([agent.predict(batch, deterministic=deterministic)[0] for _ in range(20)])
        assert chosen[:, 0].max() < 3


def test_values_do_not_change_with_the_order() -> None:
    torch.manual_seed(0)
    policy = make_policy(TINY, LAYOUT)
    assert isinstance(policy, EquivariantPolicy)
    observations = [
        {key: torch.as_tensor(v) for key, v in b.items()} for b in (batch_of(), moved(batch_of(), [2, 0, 4, 1, 3]))
    ]
    with torch.no_grad():
        torch.testing.assert_close(*(policy.predict_values(observation) for observation in observations))
    _, log_prob, entropy = policy.evaluate_actions(observations[0], torch.zeros(4, dtype=torch.long))
    assert torch.isfinite(log_prob).all()
    assert torch.isfinite(entropy).all()


@pytest.mark.parametrize("name", ALGORITHMS)
def test_equivariant_policies_need_the_latent_observation(name: str) -> None:
    import gymnasium as gym

    with pytest.raises(ConfigurationError, match="latent"):
        ALGORITHMS[name].equivariant(gym.spaces.Box(-1, 1, (3,)), gym.spaces.Discrete(2), lambda _: 1e-3)  # type: ignore[arg-type,call-arg]


def test_dqn_explores_among_the_offered_actions() -> None:
    model = make_model(KnownVecEnv(num_envs=4, masked=True), SMALL["dqn"])
    model.exploration_rate = 1.0  # type: ignore[attr-defined]
    observation, _ = KnownVectorEnv(num_envs=200, masked=True).reset(seed=0)
    chosen, _ = model.predict(observation)
    assert set(chosen) == {0, 1}
    greedy, _ = model.predict(observation, deterministic=True)
    model.exploration_rate = 0.0  # type: ignore[attr-defined]
    np.testing.assert_array_equal(model.predict(observation)[0], greedy)


def test_recurrent_policies_remember_within_an_episode() -> None:
    torch.manual_seed(0)
    agent = SB3Agent(make_policy(SMALL["recurrent_ppo"], LAYOUT), SMALL["recurrent_ppo"], 0)
    _, memory = agent.predict(batch_of())
    assert memory is not None
    _, later = agent.predict(batch_of(), memory, np.zeros(4, bool))
    _, fresh = agent.predict(batch_of(), memory, np.ones(4, bool))
    assert later is not None
    assert fresh is not None
    np.testing.assert_allclose(fresh[0], memory[0], rtol=1e-5)
    assert np.abs(later[0] - memory[0]).max() > 1e-4


@pytest.mark.parametrize("policy", ["equivariant", "stock"])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_saved_agents_act_alike(tmp_path: Path, name: str, policy: str) -> None:
    config: SB3Config = replace(SMALL[name], policy=policy)  # type: ignore[arg-type]
    agent = train(KnownVecEnv(num_envs=4), config, folder=tmp_path, progress=False)
    again = SB3Agent.load(tmp_path)
    observation, _ = KnownVectorEnv(num_envs=50).reset(seed=0)
    np.testing.assert_array_equal(
        agent.predict(observation, deterministic=True)[0], again.predict(observation, deterministic=True)[0]
    )
    assert (again.config, again.steps, again.curve) == (config, agent.steps, agent.curve)
    assert agent.curve
    assert EventAccumulator(str(tmp_path / "tensorboard")).Reload().Tags()["scalars"]


def test_stock_maskable_ppo_is_told_the_mask() -> None:
    config = replace(SMALL["maskable_ppo"], policy="stock")
    agent = train(KnownVecEnv(num_envs=4, masked=True), config, progress=False)  # raises where a masked one is taken
    observation, _ = KnownVectorEnv(num_envs=50, masked=True).reset(seed=0)
    assert read_latent(observation).mask[np.arange(50), agent.predict(observation)[0]].all()


def test_trains_on_gymnasiums_vector_environments() -> None:
    envs = EagleVectorEnv.from_world(make_tiny_world(observation="latent"), num_envs=4)
    agent = train(envs, replace(TINY, total_timesteps=24), progress=False)
    assert agent.steps == 24


def test_same_seed_same_agent() -> None:
    first, second, third = (
        train(KnownVecEnv(num_envs=4), replace(TINY, seed=seed), progress=False) for seed in (0, 0, 1)
    )
    weights = [agent.policy.state_dict()["mlp_extractor.scores.net.0.weight"] for agent in (first, second, third)]
    torch.testing.assert_close(weights[0], weights[1], rtol=0, atol=0)
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("name", ALGORITHMS)
def test_resume_goes_on_where_it_stopped(tmp_path: Path, name: str) -> None:
    config = SMALL[name]
    train(KnownVecEnv(num_envs=4), config, folder=tmp_path, progress=False)
    assert SB3Agent.load(tmp_path).steps == 48
    more = replace(config, total_timesteps=96)
    longer = train(KnownVecEnv(num_envs=4), more, folder=tmp_path, resume=True, progress=False)
    assert longer.steps == 96
    assert [point["steps"] for point in longer.curve] == list(range(12, 97, 12))
    # Nothing is left to do: the same agent comes back, and no environment is touched.
    same = train(None, more, folder=tmp_path, resume=True, progress=False)  # type: ignore[arg-type]
    assert same.steps == 96


def test_checkpoints_on_the_way(tmp_path: Path) -> None:
    class Killed(KnownVecEnv):
        def step_async(self, actions: Any) -> None:
            if (tmp_path / "agent.json").exists():
                raise KeyboardInterrupt
            super().step_async(actions)

    with pytest.raises(KeyboardInterrupt):
        train(Killed(num_envs=4), TINY, folder=tmp_path, checkpoint_every=24, progress=False)
    assert SB3Agent.load(tmp_path).steps == 24


def test_resume_refuses_another_run(tmp_path: Path) -> None:
    train(KnownVecEnv(num_envs=4), TINY, folder=tmp_path, progress=False)
    with pytest.raises(ConfigurationError, match=r"gamma \(1.0 there, 0.5 requested\)"):
        train(KnownVecEnv(num_envs=4), replace(TINY, gamma=0.5), folder=tmp_path, resume=True, progress=False)
    with pytest.raises(ConfigurationError, match="expected a run of a2c, got a run of ppo"):
        train(KnownVecEnv(num_envs=4), SMALL["a2c"], folder=tmp_path, resume=True, progress=False)


def test_bad_checkpoints_are_named(tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match=r"expected a file agent\.json"):
        SB3Agent.load(tmp_path)
    train(KnownVecEnv(num_envs=4), TINY, folder=tmp_path, progress=False)
    header = json.loads((tmp_path / "agent.json").read_text())
    (tmp_path / "agent.json").write_text(json.dumps(header | {"format": 99}))
    with pytest.raises(PreparationError, match="expected format 2, got 99"):
        SB3Agent.load(tmp_path)
    (tmp_path / "agent.json").write_text(json.dumps(header | {"algorithm": "sarsa"}))
    with pytest.raises(PreparationError, match="'sarsa' is no algorithm of SB3"):
        SB3Agent.load(tmp_path)
    (tmp_path / "agent.json").write_text(json.dumps(header | {"layout": header["layout"] | {"n": 7, "width": 7}}))
    with pytest.raises(PreparationError, match="cannot be read"):
        SB3Agent.load(tmp_path)
    (tmp_path / "agent.json").write_text(json.dumps(header))
    next(tmp_path.glob("policy-*")).write_bytes(b"not tensors")
    with pytest.raises(PreparationError, match="cannot be read"):
        SB3Agent.load(tmp_path)


def test_wrong_k_and_wrong_dim_are_named() -> None:
    agent = train(KnownVecEnv(num_envs=4), TINY, progress=False)
    with pytest.raises(ConfigurationError, match=r"expected K = 3 actions in 2 .* got K = 4 actions in 2"):
        agent.predict(KnownVectorEnv(num_envs=2, actions=4).reset(seed=0)[0])
    with pytest.raises(ConfigurationError, match="K = 3 actions in 5"):
        agent.predict(KnownVectorEnv(num_envs=2, dim=5).reset(seed=0)[0])
    with pytest.raises(ConfigurationError, match='observation="latent"'):
        agent.predict("a text")


def test_configuration_is_checked() -> None:
    with pytest.raises(ConfigurationError, match="equivariant"):
        PPOConfig(policy="mlp")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="n_epochs"):
        PPOConfig(n_epochs=0)
    with pytest.raises(ConfigurationError, match="batch_size"):
        PPOConfig(batch_size=0)


@pytest.mark.parametrize(
    ("size", "most", "expected"),
    [(320, 80, 80), (320, 79, 64), (12, 3, 3), (7, 4, 7), (10, 1, 2), (2, 2, 2), (12, 80, 12)],
)
def test_minibatches_divide_a_rollout(size: int, most: int, expected: int) -> None:
    assert largest_divisor(size, most) == expected


@pytest.mark.parametrize(
    ("num_envs", "batch_size", "expected"), [(64, None, 80), (32, None, 40), (16, None, 20), (1, None, 5), (32, 80, 80)]
)
def test_a_minibatch_is_a_quarter_of_a_rollout_unless_it_is_given(
    num_envs: int, batch_size: int | None, expected: int
) -> None:
    assert PPOConfig(batch_size=batch_size).arguments(num_envs)["batch_size"] == expected


@pytest.mark.parametrize("other", [{"shaping": "par"}, {"gamma": 0.9}])
def test_values_are_cloned_from_plain_returns_only(other: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="expected no shaping and gamma=1 with a dataset"):
        PPOConfig(dataset="somewhere", reference="uniform", **other)


@pytest.mark.parametrize("policy", ["equivariant", "stock"])
def test_ppo_begins_as_the_policy_that_it_clones(tmp_path: Path, policy: str) -> None:
    envs = EagleVectorEnv.from_world(make_tiny_world(observation="latent"), num_envs=8)
    record(envs, tmp_path, RecordConfig(("optimistic",), 16), progress=False)
    recorded = load(tmp_path, ["optimistic"])
    config = PPOConfig(
        policy=policy,  # type: ignore[arg-type]
        dataset=str(tmp_path),
        reference="optimistic",
        cloning_epochs=100,
        total_timesteps=len(recorded) + 40,
        learning_rate=1e-3,
    )
    untrained = replace(config, dataset="", total_timesteps=1, learning_rate=1e-9)
    far, near = (train(envs, some, progress=False) for some in (untrained, config))
    assert near.steps == len(recorded) + 40, "recorded steps count"
    wanted = recorded.probabilities("optimistic").argmax(1)
    hits = [(agent.predict(recorded.observation, deterministic=True)[0] == wanted).mean() for agent in (near, far)]
    assert hits[0] > 0.8
    assert hits[0] > hits[1]
