"""LinUCB: it finds what is paid within an episode, reads no user, and forgets with the episode."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from baselines.agent import read_latent
from baselines.evaluate import evaluate
from baselines.linucb import LinUCB, LinUCBConfig, asked
from baselines.reference import Uniform
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import ConfigurationError
from tests.fake_worlds import make_tiny_world
from tests.fakes import KnownVectorEnv


class HiddenVectorEnv(KnownVectorEnv):
    """The known world with a hidden taste: the last reward is observed in place of the user."""

    last: np.ndarray

    def reset(self, **kwargs: Any) -> Any:
        self.last = np.zeros(self.num_envs)
        return super().reset(**kwargs)

    def step(self, actions: Any) -> Any:
        _, rewards, over, cut, infos = super().step(actions)
        self.last = np.where(over, 0.0, rewards)
        return self.observe(), rewards, over, cut, infos

    def observe(self) -> dict[str, Any]:
        seen = super().observe()
        del seen["user"]
        rewards = self.last.astype(np.float32)[:, None]
        return seen | {"reward": rewards, "change": np.zeros_like(seen["state"])}


def test_it_finds_the_taste_within_an_episode(rng: np.random.Generator) -> None:
    envs = HiddenVectorEnv(num_envs=8, horizon=12, users=32)
    found = evaluate(LinUCB(envs, LinUCBConfig(), rng), envs, method="linucb", episodes=64).rows
    chance = evaluate(Uniform(rng), envs, method="uniform", episodes=64).rows
    assert np.mean([row.gain for row in chance]) < 2
    assert np.mean([row.gain for row in found]) > 8, "nearly the best, 1 for each step"
    late = [row.utilities[-1] - row.utilities[-4] for row in found]
    assert np.mean(late) > 2


def test_an_episode_that_starts_is_met_without_memory(rng: np.random.Generator) -> None:
    envs = HiddenVectorEnv(num_envs=4)
    observation, _ = envs.reset(seed=0)
    agent = LinUCB(envs, LinUCBConfig(alpha=0.0), rng)
    _, memory = agent.predict(observation)
    assert memory is not None
    paid = observation | {"reward": np.ones((4, 1), np.float32)}
    _, (matrix, vector, _) = agent.predict(paid, memory, np.array([True, True, False, False]))  # type: ignore[misc]
    assert not vector[:2].any()
    assert vector[2:].any(axis=1).all()
    np.testing.assert_array_equal(matrix[:2], 0.3 * np.tile(np.eye(envs.dim), (2, 1, 1)))


def test_the_bound_is_that_of_the_regression(rng: np.random.Generator) -> None:
    envs = HiddenVectorEnv(num_envs=1)
    observation, _ = envs.reset(seed=0)
    x = asked(read_latent(observation))[0]
    matrix, vector, last = np.eye(envs.dim) + 1.0, np.arange(envs.dim) + 1.0, np.zeros(envs.dim)
    inverse = np.linalg.inv(matrix)
    bounds = [row @ inverse @ vector + 0.7 * np.sqrt(row @ inverse @ row) for row in x]
    agent = LinUCB(envs, LinUCBConfig(alpha=0.7), rng)
    action, _ = agent.predict(observation, (matrix[None], vector[None], last[None]))
    assert action.tolist() == [int(np.argmax(bounds))]


def test_single_observations_and_masks(rng: np.random.Generator) -> None:
    envs = HiddenVectorEnv(num_envs=1, masked=True)
    observation, _ = envs.reset(seed=0)
    agent = LinUCB(envs, LinUCBConfig(), rng)
    single = {key: part[0] for key, part in observation.items()}
    envs.rows[0].displacements[-1] *= 9  # the masked action would teach the most
    loud = {key: part[0] for key, part in envs.observe().items()}
    for seen in (single, loud):
        assert int(agent.predict(seen)[0]) < envs.actions - 1


def test_exact_ties_are_broken_at_random(rng: np.random.Generator) -> None:
    envs = HiddenVectorEnv(num_envs=1)
    observation, _ = envs.reset(seed=0)
    nothing = observation | {"effects": np.zeros_like(observation["effects"])}
    agent = LinUCB(envs, LinUCBConfig(), rng)
    assert {int(agent.predict(nothing)[0][0]) for _ in range(100)} == set(range(envs.actions))


def test_what_is_taken_out_counts_against_it() -> None:
    envs = EagleVectorEnv.from_world(make_tiny_world(task="hidden", observation="latent"), 2)
    observation, _ = envs.reset(seed=0)
    n = envs.world.space.dim
    rows = observation["actions"].reshape(2, 6, -1)
    np.testing.assert_allclose(
        asked(read_latent(observation)), rows[..., :n] - 2 * rows[..., n : 2 * n].astype(float), rtol=1e-6
    )


@pytest.mark.parametrize("settings", [{"task": "default"}, {"task": "hidden", "action_features": "none"}])
def test_it_says_what_it_needs(settings: dict[str, Any], rng: np.random.Generator) -> None:
    envs = EagleVectorEnv.from_world(make_tiny_world(observation="latent", **settings), 2)
    observation, _ = envs.reset(seed=0)
    with pytest.raises(ConfigurationError, match="taste='hidden' and action_features='edit'"):
        LinUCB(envs, LinUCBConfig(), rng).predict(observation)


@pytest.mark.parametrize("wrong", [{"alpha": -0.1}, {"ridge": 0.0}])
def test_wrong_arguments_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        LinUCBConfig(**wrong)
