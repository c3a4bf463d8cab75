"""RecordedSteps datasets: what the environment did, readable by Minari itself, recorded once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import minari
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from baselines.dataset import RecordConfig, RecordedSteps, load, record
from baselines.reference import REFERENCES
from baselines.worlds import expected_utilities
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import ConfigurationError, PreparationError
from tests.fake_worlds import make_tiny_world
from tests.fakes import KnownVectorEnv

SMALL = RecordConfig(episodes=4)


def make_envs(**settings: object) -> EagleVectorEnv:
    return EagleVectorEnv.from_world(make_tiny_world(observation="latent", **settings), num_envs=2)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    record(make_envs(), folder, SMALL, progress=False)
    return folder


@pytest.fixture(scope="module")
def recorded(root: Path) -> RecordedSteps:
    return load(root)


def test_every_step_of_every_policy_is_there(recorded: RecordedSteps) -> None:
    steps = len(REFERENCES) * 4 * 3  # episodes of three steps
    assert len(recorded) == len(recorded.texts) == steps
    assert {name: recorded.policies.count(name) for name in REFERENCES} == dict.fromkeys(REFERENCES, 12)
    assert recorded.cost.calls == steps
    np.testing.assert_array_equal(np.bincount(recorded.episodes), np.full(12, 3))
    np.testing.assert_allclose(recorded.observation["time"][:3, 0], [0, 1 / 3, 2 / 3], rtol=1e-6)


def test_steps_are_those_of_the_environment(root: Path) -> None:
    """An episode that is played again with its seed and its actions is the recorded one."""
    data = minari.MinariDataset(next(root.glob("**/uniform-v0/data")))
    envs = EagleVectorEnv.from_world(make_tiny_world(observation="latent"), num_envs=1)
    for episode, meta in zip(data.iterate_episodes(), data.storage.get_episode_metadata(range(4)), strict=True):
        observation, infos = envs.reset(seed=meta["seed"])
        for step, action in enumerate(episode.actions):
            for key in observation:
                np.testing.assert_array_equal(episode.observations[key][step], observation[key][0])
            assert f"Text: {infos['text'][0]}\n" in episode.observations["text"][step]
            np.testing.assert_allclose(episode.infos["expected_utility"][step], expected_utilities(envs)[0])
            np.testing.assert_allclose(episode.infos["utility"][step], infos["utility"]["total"][0])
            observation, reward, terminated, _, infos = envs.step(np.array([action]))
            assert (episode.rewards[step], episode.terminations[step]) == (reward[0], terminated[0])
        assert f"Text: {infos['text'][0]}\n" in episode.observations["text"][-1]


def test_returns_are_what_an_episode_still_gains(recorded: RecordedSteps) -> None:
    rewards = recorded.rewards.reshape(-1, 3)
    expected = np.stack([rewards.sum(1), rewards[:, 1:].sum(1), rewards[:, 2]], axis=1)
    np.testing.assert_allclose(recorded.returns, expected.reshape(-1))


def test_all_policies_are_known_in_every_state(recorded: RecordedSteps) -> None:
    mask = recorded.observation["mask"]
    for name in REFERENCES:
        probabilities = recorded.probabilities(name)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        assert np.all(probabilities[mask == 0] == 0)
    np.testing.assert_allclose(recorded.probabilities("g_optimal"), recorded.observation["weights"], atol=1e-6)
    best = np.where(mask > 0, recorded.expected_utility, -np.inf).argmax(axis=1)
    assert np.all(recorded.probabilities("optimistic")[np.arange(len(recorded)), best] > 0)
    chosen = recorded.probabilities("optimistic")[np.arange(len(recorded)), recorded.actions]
    assert np.all(chosen[[name == "optimistic" for name in recorded.policies]] > 0)
    with pytest.raises(ConfigurationError, match="no reference policy 'greedy'"):
        recorded.probabilities("greedy")


def test_minari_finds_them_by_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(root))
    data = minari.load_dataset("eagle_gym/g_optimal-v0")
    assert (data.total_episodes, data.total_steps) == (4, 12)
    assert data.action_space.n == 6
    text = next(data.iterate_episodes()).observations["text"][0]
    assert data.observation_space["text"].contains(text)


def test_recorded_once(root: Path) -> None:
    envs = make_envs()
    record(envs, root, SMALL, progress=False)
    assert envs.usage.calls == 0
    with pytest.raises(ConfigurationError, match=r"recorded differently: seed \(0 there\)"):
        record(envs, root, replace(SMALL, seed=1), progress=False)
    with pytest.raises(ConfigurationError, match="settings"):
        record(make_envs(horizon=4), root, SMALL, progress=False)


def test_seeds_differ_between_policies_and_recordings(tmp_path: Path) -> None:
    for seed in (0, 1):
        record(make_envs(), tmp_path / str(seed), RecordConfig(("uniform", "g_optimal"), 2, seed), progress=False)
    seeds = set()
    for path in tmp_path.glob("**/data"):
        seeds |= {meta["seed"] for meta in minari.MinariDataset(path).storage.get_episode_metadata(range(2))}
    assert len(seeds) == 8


def test_what_cannot_be_recorded_is_named(tmp_path: Path) -> None:
    world = make_tiny_world(observation="latent")
    same_step = EagleVectorEnv.from_world(world, num_envs=2, autoreset_mode=AutoresetMode.SAME_STEP)
    cases = [
        (make_envs(split="test"), SMALL, "train users"),
        (EagleVectorEnv.from_world(make_tiny_world(), num_envs=2), SMALL, "observation='latent'"),
        (KnownVectorEnv(), SMALL, "KnownVectorEnv"),
        (same_step, SMALL, "SAME_STEP"),
        (make_envs(), RecordConfig(episodes=3), "multiple of num_envs = 2, got 3"),
        (make_envs(), RecordConfig(("no_op",), 2), "no_op"),
    ]
    for envs, config, message in cases:
        with pytest.raises(ConfigurationError, match=message):
            record(envs, tmp_path, config, progress=False)


def test_bad_datasets_are_named(tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match="got 0"):
        load(tmp_path)
    record(make_envs(), tmp_path, RecordConfig(("uniform",), 2), progress=False)
    path = next(tmp_path.glob("**/uniform-v0/data"))
    whole = (path / "metadata.json").read_text()
    (path / "metadata.json").write_text(json.dumps(json.loads(whole) | {"format": 99}))
    with pytest.raises(PreparationError, match="format 2"):
        load(tmp_path, ["uniform"])
    (path / "metadata.json").write_text(whole)
    (path / "main_data.hdf5").write_bytes(b"not data")
    with pytest.raises(PreparationError, match="cannot be read"):
        load(tmp_path, ["uniform"])
