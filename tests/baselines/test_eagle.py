"""EAGLE: verified against the closed form, resumed bit for bit, learns a task whose answer is known."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from baselines.dataset import RecordConfig, load, record
from baselines.eagle import (
    EagleAgent,
    EagleConfig,
    EpisodeBatch,
    Optimizers,
    imitate,
    improve,
    kl,
    make_agent,
    minibatches,
    play,
    train,
)
from baselines.reference import ExpectedUtilities, Uniform, divergence, floored, make_reference
from baselines.supervised import SupervisedConfig
from baselines.supervised import make_agent as make_supervised
from eagle_gym.envs import transition
from eagle_gym.envs.observation import observe_text
from eagle_gym.envs.spaces import LatentLayout
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.envs.world import World
from eagle_gym.errors import ConfigurationError, PreparationError
from tests.baselines.closed_form import enumerate_tree, optimum, value_of, visits
from tests.fake_worlds import make_tiny_world
from tests.fakes import KnownVectorEnv
from tests.language.tiny import write_llama, write_tokenizer

TINY = EagleConfig(batch_size=3, total_timesteps=48, hidden=16, n_epochs=2, kl_weight=0.1)


def one_start(world: World) -> World:
    """The same world with one train user and one start item, so that its episodes are one tree."""
    parts = world.resources
    split = replace(parts.split, train_users=parts.split.train_users[:1], train_items=parts.split.train_items[:1])
    return replace(world, resources=replace(parts, split=split))


@pytest.mark.parametrize(("reference", "actions"), [("uniform", 4), ("g_optimal", 6)])
def test_finds_the_optimum_that_is_known(reference: str, actions: int) -> None:
    world = one_start(make_tiny_world(observation="latent", task="easy", temperature=0.0, actions=actions, horizon=3))
    root = transition.sample_start(world, np.random.default_rng(0))
    tree = enumerate_tree(world, transition.make_states(world, [root])[0])
    alpha = 0.2
    there = make_reference(reference, ExpectedUtilities(tree.expected_utility), np.random.default_rng(0))
    prior = floored(there.probabilities(tree.observation), tree.mask)
    best, values = optimum(tree, prior, alpha)
    weights = visits(tree, best) / visits(tree, best).sum()
    assert weights @ divergence(best, prior) >= 0.5  # the reference policy itself is far from it

    config = EagleConfig(
        reference=reference,
        total_timesteps=4_800,
        kl_weight=alpha,
        batch_size=48,
        hidden=32,
        policy_learning_rate=3e-3,
        value_learning_rate=5e-3,
    )
    agent = train(EagleVectorEnv.from_world(world, num_envs=64), config, progress=False)
    policy = agent.probabilities(tree.observation)
    reached, started = (value_of(tree, some, prior, alpha)[0] for some in (policy, prior))
    assert (reached - started) / (values[0] - started) >= 0.95
    assert weights @ divergence(policy, best) < 0.05


def inner_texts(world: World) -> list[str]:
    """Text observations of a tree's inner states, in the tree's order."""
    level = transition.make_states(world, [transition.sample_start(world, np.random.default_rng(0))])
    texts: list[str] = []
    while not transition.is_over(world, level[0]):
        texts += [observe_text(world, state) for state in level]
        moves = [(state, int(action)) for state in level for action in np.flatnonzero(state.action_set.mask)]
        states, actions = zip(*moves, strict=True)
        level, _ = transition.step(world, states, actions, [0] * len(moves))
    return texts


@pytest.mark.slow
def test_a_language_model_finds_the_optimum_that_is_known(tmp_path: Path) -> None:
    world = one_start(make_tiny_world(observation="latent", task="easy", temperature=0.0, actions=4, horizon=2))
    root = transition.sample_start(world, np.random.default_rng(0))
    tree = enumerate_tree(world, transition.make_states(world, [root])[0])
    texts, alpha = inner_texts(world), 0.2
    prior = floored(tree.mask / tree.mask.sum(axis=1, keepdims=True), tree.mask)
    best, values = optimum(tree, prior, alpha)
    weights = visits(tree, best) / visits(tree, best).sum()
    assert weights @ divergence(best, prior) >= 0.5

    words = write_tokenizer(tmp_path, words=texts * 4, size=1_024)
    with torch.random.fork_rng(devices=[]):
        write_llama(tmp_path, vocab_size=len(words), num_hidden_layers=1, max_position_embeddings=512)
    blank = make_supervised(SupervisedConfig(model=f"transformers:{tmp_path}"), 4)
    blank.save(tmp_path / "blank", torch.optim.AdamW(blank.policy.parameters()))
    config = EagleConfig(
        policy="language",
        supervised=str(tmp_path / "blank"),
        reference="uniform",
        total_timesteps=3_456,
        kl_weight=alpha,
        policy_learning_rate=3e-3,
        value_learning_rate=5e-3,
        trust_weight=0.1,
        n_epochs=8,
        batch_size=128,
    )
    agent = train(EagleVectorEnv.from_world(world, num_envs=64), config, progress=False)
    policy = agent.probabilities(texts)
    reached, started = (value_of(tree, some, prior, alpha)[0] for some in (policy, prior))
    assert (reached - started) / (values[0] - started) >= 0.95
    assert weights @ divergence(policy, best) < 0.05


def mean_return(agent: EagleAgent, episodes: int = 200, **kwargs: int) -> float:
    envs = KnownVectorEnv(num_envs=episodes, **kwargs)
    observation, _ = envs.reset(seed=10_000)
    total = np.zeros(episodes)
    for _ in range(envs.horizon):
        observation, rewards, *_ = envs.step(agent.predict(observation, deterministic=True)[0])
        total += rewards
    return float(total.mean())


def test_learns_which_of_two_is_best() -> None:
    # Two opposite unit displacements: the better one gains |cos| of a random angle, 2 / pi on average; chance gains 0.
    config = EagleConfig(reference="uniform", total_timesteps=2_880, batch_size=24, hidden=32, kl_weight=0.01)
    agent = train(KnownVectorEnv(num_envs=32, actions=2), config, progress=False)
    best = 3 * 2 / np.pi
    assert mean_return(agent, actions=2) > 0.9 * best
    assert agent.curve[0]["return"] < 0.3 * best < 0.7 * best < agent.curve[-1]["return"]


def test_a_heavy_kl_keeps_it_at_its_reference() -> None:
    config = EagleConfig(reference="uniform", total_timesteps=960, batch_size=24, hidden=16, kl_weight=50.0)
    agent = train(KnownVectorEnv(num_envs=32), config, progress=False)
    observation, _ = KnownVectorEnv(num_envs=50).reset(seed=0)
    np.testing.assert_allclose(agent.probabilities(observation), 1 / 3, atol=0.05)


def test_masked_actions_are_never_taken() -> None:
    envs = KnownVectorEnv(num_envs=16, actions=4, masked=True)  # raises where one is taken
    agent = train(envs, TINY, progress=False)
    observation, _ = envs.reset(seed=0)
    assert np.all(agent.probabilities(observation)[:, 3] == 0)
    assert all(np.isfinite(list(row.values())).all() for row in agent.curve)


def test_advantages_by_hand() -> None:
    config = EagleConfig(kl_weight=0.5, gamma=0.9, gae_lambda=0.8)
    nothing = np.zeros((2, 1, 3))
    episodes = EpisodeBatch(
        batch={},
        actions=np.zeros((2, 1), np.int64),
        probabilities=nothing,
        reference=nothing,
        rewards=np.array([[1.0], [2.0]]),
        divergences=np.array([[0.2], [0.4]]),
        values=np.array([[0.3], [0.6], [0.0]]),
    )
    last = 2.0 - 0.5 * 0.4 - 0.6
    first = 1.0 - 0.5 * 0.2 + 0.9 * 0.6 - 0.3
    np.testing.assert_allclose(episodes.advantages(config)[:, 0], [first + 0.9 * 0.8 * last, last])


def test_kl_is_that_of_the_probabilities(rng: np.random.Generator) -> None:
    prior = np.array([[0.2, 0.8, 0.0], [0.3, 0.3, 0.4]])
    scores = torch.tensor(rng.normal(size=(2, 3)), requires_grad=True)
    log_policy = torch.log_softmax(scores.masked_fill(torch.tensor(prior == 0), -1e8), dim=-1)
    distances = kl(log_policy, torch.tensor(prior))
    np.testing.assert_allclose(distances.detach().numpy(), divergence(log_policy.exp().detach().numpy(), prior))
    distances.sum().backward()
    assert torch.isfinite(scores.grad).all()


def improved(config: EagleConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Policy before and after one iteration in the states of its episodes, and the mask, each `[M, K]`."""
    agent = make_agent(config, LatentLayout(2, 4, 2))
    episodes = play(
        agent,
        KnownVectorEnv(num_envs=64, actions=4, masked=True),
        Uniform(np.random.default_rng(0)),
        np.random.default_rng(7),
    )
    before = agent.evaluate(episodes.batch)[0]
    improve(agent, episodes, Optimizers(agent.model, config), np.random.default_rng(8))
    return before, agent.evaluate(episodes.batch)[0], episodes.reference.reshape(-1, 4) > 0


def test_the_trust_region_keeps_a_policy_near_its_last_self() -> None:
    config = EagleConfig(
        reference="uniform", hidden=16, kl_weight=0.0, batch_size=48, n_epochs=20, policy_learning_rate=1e-2
    )
    moved = []
    for weight in (0.0, 1.0, 100.0):
        before, after, mask = improved(replace(config, trust_weight=weight))
        assert np.all(after[~mask] == 0)
        moved.append(divergence(after, before).mean())
    free, near, held = moved
    assert near < 0.5 * free
    assert held < 0.01 * free


def test_the_trust_region_is_in_units_of_the_advantages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rewards in other units move the policy as far: the weight is in standard deviations of the advantages."""
    config = EagleConfig(
        reference="uniform", hidden=16, kl_weight=0.0, batch_size=48, n_epochs=20, policy_learning_rate=1e-2
    )
    spread = []
    for scale in (1.0, 100.0):
        advantages = EpisodeBatch.advantages
        with monkeypatch.context() as patch:
            patch.setattr(EpisodeBatch, "advantages", lambda self, c, scale=scale, f=advantages: scale * f(self, c))
            before, after, _ = improved(replace(config, max_grad_norm=1e9))
        spread.append(divergence(after, before).mean())
    assert spread[1] == pytest.approx(spread[0], rel=0.1)


@pytest.mark.parametrize(("scale", "expected"), [(1e4, 0.5), (1e-9, 0.0)])
def test_gradients_of_policy_and_value_are_clipped_each_on_its_own(scale: float, expected: float) -> None:
    agent = make_agent(TINY, LatentLayout(2, 3, 2))
    optimizers = Optimizers(agent.model, TINY)
    scores, values = agent.model(agent.model.read(KnownVectorEnv(num_envs=8).reset(seed=0)[0]))
    optimizers.step(scale * (scores[:, 0].sum() + 3 * values.sum()))
    for part in agent.model.parts().values():
        norm = torch.cat([weight.grad.flatten() for weight in part]).norm()
        assert norm.item() == pytest.approx(expected, abs=1e-5)
        assert norm > 0


def test_episodes_come_from_their_generator_alone() -> None:
    agent = make_agent(TINY, LatentLayout(2, 3, 2))
    first, second = (
        play(agent, envs, Uniform(np.random.default_rng(0)), np.random.default_rng(7))
        for envs in (KnownVectorEnv(num_envs=4), KnownVectorEnv(num_envs=4))
    )
    np.testing.assert_array_equal(first.actions, second.actions)
    np.testing.assert_array_equal(first.rewards, second.rewards)
    assert first.rewards.shape == (3, 4)
    np.testing.assert_array_equal(first.values[-1], 0)  # terminated: nothing comes after
    chosen = np.take_along_axis(first.probabilities, first.actions[..., None], axis=2)
    assert np.all(chosen > 0)


def weights(agent: EagleAgent) -> torch.Tensor:
    return torch.cat([tensor.flatten() for tensor in agent.model.state_dict().values()])


def test_resumed_runs_end_as_if_they_had_not_been_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(TINY, total_timesteps=72)
    whole = train(KnownVectorEnv(num_envs=4), config, progress=False)

    class Killed(KnownVectorEnv):
        def reset(self, **kwargs: object):
            if len(list(tmp_path.glob("agent.json"))) and json.loads((tmp_path / "agent.json").read_text())["steps"]:
                raise KeyboardInterrupt
            return super().reset(**kwargs)

    with pytest.raises(KeyboardInterrupt):
        train(Killed(num_envs=4), config, folder=tmp_path, checkpoint_every=2, progress=False)
    assert EagleAgent.load(tmp_path).steps == 24
    again = train(KnownVectorEnv(num_envs=4), config, folder=tmp_path, resume=True, progress=False)
    assert torch.equal(weights(again), weights(whole))
    assert again.curve == whole.curve


def test_same_seed_same_agent() -> None:
    before = torch.random.get_rng_state()
    first, second, third = (
        train(KnownVectorEnv(num_envs=4), replace(TINY, seed=seed), progress=False) for seed in (0, 0, 1)
    )
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(third))
    assert torch.equal(torch.random.get_rng_state(), before), "torch's global randomness is not ours"


def test_saved_agents_act_alike(tmp_path: Path) -> None:
    agent = train(KnownVectorEnv(num_envs=4), TINY, folder=tmp_path, progress=False)
    again = EagleAgent.load(tmp_path)
    observation, _ = KnownVectorEnv(num_envs=20).reset(seed=0)
    np.testing.assert_array_equal(agent.probabilities(observation), again.probabilities(observation))
    assert (again.config, again.steps, again.curve) == (TINY, 48, agent.curve)
    single = {key: value[0] for key, value in observation.items()}
    assert np.ndim(again.predict(single)[0]) == 0


def test_tensorboard_shows_the_curve(tmp_path: Path) -> None:
    agent = train(KnownVectorEnv(num_envs=4), TINY, folder=tmp_path, progress=False)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert set(events.Tags()["scalars"]) == {"return", "kl", "policy_loss", "value_loss"}
    shown = [(event.step, event.value) for event in events.Scalars("return")]
    np.testing.assert_allclose(shown, [(row["steps"], row["return"]) for row in agent.curve], rtol=1e-6)


def test_begins_as_its_reference_policy(tmp_path: Path) -> None:
    envs = EagleVectorEnv.from_world(make_tiny_world(observation="latent"), num_envs=8)
    record(envs, tmp_path, RecordConfig(episodes=16), progress=False)
    recorded = load(tmp_path, ["optimistic"])
    budget = {"total_timesteps": len(recorded), "imitation_epochs": 150}
    config = EagleConfig(reference="optimistic", dataset=str(tmp_path), **budget)
    agent = train(envs, config, progress=False)
    assert agent.steps == len(recorded)  # recorded steps count, and there were no others
    wanted = recorded.probabilities("optimistic")
    blank = make_agent(config, agent.layout)
    near, far = (-np.log((some.probabilities(recorded.observation) * wanted).sum(1)).mean() for some in (agent, blank))
    assert near < 0.3 * far


def test_imitation_keeps_a_soft_policy_soft(tmp_path: Path) -> None:
    envs = EagleVectorEnv.from_world(make_tiny_world(observation="latent"), num_envs=8)
    record(envs, tmp_path, RecordConfig(("g_optimal",), 8), progress=False)
    recorded = load(tmp_path, ["g_optimal"])
    agent = make_agent(EagleConfig(imitation_epochs=150), LatentLayout.of(recorded.observation))
    imitate(agent, recorded)
    prior = recorded.probabilities("g_optimal")
    assert divergence(floored(prior, prior > 0, 0.01), agent.probabilities(recorded.observation)).mean() < 0.05


def test_resume_refuses_another_run(tmp_path: Path) -> None:
    train(KnownVectorEnv(num_envs=4), TINY, folder=tmp_path, progress=False)
    with pytest.raises(ConfigurationError, match=r"kl_weight \(0.1 there, 0.2 requested\)"):
        train(KnownVectorEnv(num_envs=4), replace(TINY, kl_weight=0.2), folder=tmp_path, resume=True, progress=False)
    more = replace(TINY, total_timesteps=60)
    longer = train(KnownVectorEnv(num_envs=4), more, folder=tmp_path, resume=True, progress=False)
    assert longer.steps == 60


def test_bad_checkpoints_are_named(tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match=r"expected a file agent\.json"):
        EagleAgent.load(tmp_path)
    train(KnownVectorEnv(num_envs=4), TINY, folder=tmp_path, progress=False)
    header = json.loads((tmp_path / "agent.json").read_text())
    for change, message in [
        ({"format": 99}, "expected format 2, got 99"),
        ({"layout": header["layout"] | {"n": 7, "width": 7}}, "cannot be read"),
        ({"layout": header["layout"] | {"n": 7}}, "expected a layout"),
        ({"layout": header["layout"] | {"n": "7"}}, "expected a layout"),
        ({"layout": {"dim": 7}}, "expected a layout"),
        ({"config": header["config"] | {"momentum": 1}}, "expected a EagleConfig"),
        ({"config": header["config"] | {"reference": "greedy"}}, "expected a EagleConfig"),
    ]:
        (tmp_path / "agent.json").write_text(json.dumps(header | change))
        with pytest.raises(PreparationError, match=message):
            EagleAgent.load(tmp_path)
    (tmp_path / "agent.json").write_text(json.dumps(header))
    next(tmp_path.glob("agent-*")).write_bytes(b"not tensors")
    with pytest.raises(PreparationError, match="cannot be read"):
        EagleAgent.load(tmp_path)
    (tmp_path / "agent.json").write_text("{")
    with pytest.raises(PreparationError, match="cannot be read"):
        EagleAgent.load(tmp_path)


def test_wrong_observations_are_named() -> None:
    agent = make_agent(TINY, LatentLayout(2, 3, 2))
    with pytest.raises(ConfigurationError, match=r"expected K = 3 actions in 2 .* got K = 4 actions in 2"):
        agent.predict(KnownVectorEnv(actions=4).reset(seed=0)[0])
    with pytest.raises(ConfigurationError, match='observation="latent"'):
        agent.predict("a text")


def test_wrong_environments_are_named() -> None:
    text = EagleVectorEnv.from_world(make_tiny_world(), num_envs=2)
    with pytest.raises(ConfigurationError, match='observation="latent"'):
        train(text, TINY, progress=False)
    envs = KnownVectorEnv()
    envs.metadata["autoreset_mode"] = AutoresetMode.SAME_STEP
    with pytest.raises(ConfigurationError, match="SAME_STEP"):
        train(envs, TINY, progress=False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"policy": "mlp"},
        {"reference": "no_op"},
        {"total_timesteps": 0},
        {"batch_size": 0},
        {"agent_temperature": 0.0},
        {"kl_weight": -1.0},
        {"trust_weight": -1.0},
    ],
)
def test_configuration_is_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        EagleConfig(**wrong)


@pytest.mark.parametrize(
    ("rows", "size", "expected"),
    [(160, None, [40] * 4), (5, None, [2, 1, 1, 1]), (2, None, [1, 1]), (160, 80, [80] * 2)],
)
def test_an_iteration_has_four_minibatches_unless_their_size_is_given(
    rows: int, size: int | None, expected: list[int]
) -> None:
    parts = minibatches(rows, size, np.random.default_rng(0))
    assert [len(part) for part in parts] == expected
    assert sorted(np.concatenate(parts)) == list(range(rows))


def test_hyperparameters_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        EagleConfig().total_timesteps = 1  # type: ignore[misc]
