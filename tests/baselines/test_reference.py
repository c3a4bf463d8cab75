"""Reference policies against probabilities that can be written down."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from baselines.agent import sample
from baselines.reference import (
    CROWD,
    FIXED,
    GOptimal,
    NoOp,
    Optimistic,
    Uniform,
    UserBlind,
    divergence,
    floored,
    make_reference,
)
from eagle_gym.envs import transition
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import ConfigurationError
from eagle_gym.tasks import TASKS
from tests.fake_worlds import make_tiny_world
from tests.fakes import KnownVectorEnv


@pytest.fixture
def envs() -> KnownVectorEnv:
    return KnownVectorEnv(num_envs=6, actions=4, masked=True)


def test_uniform_is_uniform_on_the_mask(envs: KnownVectorEnv, rng: np.random.Generator) -> None:
    observation, _ = envs.reset(seed=0)
    np.testing.assert_allclose(Uniform(rng).probabilities(observation), np.tile([1 / 3, 1 / 3, 1 / 3, 0], (6, 1)))


def test_g_optimal_samples_from_the_design(envs: KnownVectorEnv, rng: np.random.Generator) -> None:
    observation, _ = envs.reset(seed=0)
    observation["weights"][:] = [0.5, 0.25, 0.25, 0.0]
    agent = GOptimal(rng)
    np.testing.assert_allclose(agent.probabilities(observation), np.tile([0.5, 0.25, 0.25, 0], (6, 1)))
    drawn = np.concatenate([agent.predict(observation)[0] for _ in range(200)])
    counts = np.bincount(drawn, minlength=4)
    assert counts[3] == 0
    assert stats.chisquare(counts[:3], 1200 * np.array([0.5, 0.25, 0.25])).pvalue > 1e-3


def test_g_optimal_ignores_weight_off_the_mask(envs: KnownVectorEnv, rng: np.random.Generator) -> None:
    observation, _ = envs.reset(seed=0)
    observation["weights"][:] = [0.2, 0.2, 0.1, 0.5]
    np.testing.assert_allclose(GOptimal(rng).probabilities(observation)[0], [0.4, 0.4, 0.2, 0], rtol=1e-6)
    observation["weights"][:] = [0, 0, 0, 1]
    with pytest.raises(ConfigurationError, match="expected design weights"):
        GOptimal(rng).probabilities(observation)


@pytest.mark.parametrize("shown", ["effects", ""])
def test_no_op_moves_least_whatever_is_shown(envs: KnownVectorEnv, rng: np.random.Generator, shown: str) -> None:
    observation, _ = envs.reset(seed=0)
    for row in envs.rows:
        row.displacements = np.array([[3.0, 0], [1, 0], [2, 0], [0.5, 0]])  # the shortest is masked
    observation = {key: part for key, part in observation.items() if key != "effects" or shown}
    np.testing.assert_array_equal(NoOp(envs, rng).predict(observation)[0], np.ones(6))


@pytest.mark.parametrize("task", TASKS)
def test_privileged_policies_work_where_effects_are_not_shown(task: str, rng: np.random.Generator) -> None:
    world = make_tiny_world(observation="latent", task=task, actions=4)
    envs = EagleVectorEnv.from_world(world, 2)
    observation, _ = envs.reset(seed=0)
    values = transition.expected_utility(world, envs.states)
    for name in FIXED:
        probabilities = make_reference(name, envs, rng).probabilities(observation)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    best, _ = make_reference("optimistic", envs, rng).predict(observation)
    np.testing.assert_array_equal(values[[0, 1], best], values.max(axis=1))
    moves = [np.linalg.norm(state.action_set.expected - state.z, axis=1) for state in envs.states]
    least, _ = make_reference("no_op", envs, rng).predict(observation)
    np.testing.assert_array_equal(np.array(moves)[[0, 1], least], np.min(moves, axis=1))


def test_policies_are_found_by_name(envs: KnownVectorEnv, rng: np.random.Generator) -> None:
    observation, _ = envs.reset(seed=0)
    for name in (name for name in FIXED if name != "user_blind"):
        probabilities = make_reference(name, envs, rng).probabilities(observation)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        assert np.all(probabilities[:, 3] == 0), f"{name} takes a masked action"


def test_user_blind_takes_the_action_that_is_best_for_the_mean_train_user(rng: np.random.Generator) -> None:
    envs = EagleVectorEnv.from_world(make_tiny_world(observation="latent", split="test"), num_envs=2)
    observation, _ = envs.reset(seed=0)
    chosen = make_reference("user_blind", envs, rng).predict(observation)[0]
    users = envs.world.resources.split.train_users
    assert len(users) <= CROWD, "the test averages over all of them"
    values = [
        transition.expected_utility(envs.world, [replace(state, user=int(user)) for state in envs.states])
        for user in users
    ]
    np.testing.assert_array_equal(chosen, np.mean(values, axis=0).argmax(axis=1))


def test_user_blind_does_not_see_the_user(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    envs = EagleVectorEnv.from_world(make_tiny_world(observation="latent"), num_envs=2)
    observation, _ = envs.reset(seed=0)
    agent = UserBlind(envs, rng)
    before = agent.probabilities(observation)
    for user in envs.world.resources.split.train_users:
        strangers = [replace(state, user=int(user)) for state in envs.states]
        monkeypatch.setattr(EagleVectorEnv, "states", strangers)
        np.testing.assert_array_equal(agent.probabilities(observation), before)
        monkeypatch.undo()


def test_optimistic_takes_the_best_offered_action(envs: KnownVectorEnv, rng: np.random.Generator) -> None:
    observation, _ = envs.reset(seed=3)
    actions, _ = Optimistic(envs, rng).predict(observation)
    np.testing.assert_array_equal(actions, envs.expected_utility()[:, :3].argmax(axis=1))


def test_optimistic_shares_ties(rng: np.random.Generator) -> None:
    class Tied(KnownVectorEnv):
        def expected_utility(self) -> np.ndarray:
            return np.tile([1.0, 1.0, 0.0, 1.0], (self.num_envs, 1))

    envs = Tied(num_envs=2, actions=4, masked=True)
    observation, _ = envs.reset(seed=0)
    np.testing.assert_allclose(Optimistic(envs, rng).probabilities(observation)[0], [0.5, 0.5, 0, 0])


def test_optimistic_in_another_environment(envs: KnownVectorEnv, rng: np.random.Generator) -> None:
    other = KnownVectorEnv(num_envs=2, actions=4)
    envs.reset(seed=0)
    with pytest.raises(ConfigurationError, match="made with"):
        Optimistic(envs, rng).probabilities(other.reset(seed=0)[0])


def test_one_observation_without_a_batch_axis(envs: KnownVectorEnv, rng: np.random.Generator) -> None:
    observation, _ = envs.reset(seed=0)
    single = {key: value[0] for key, value in observation.items()}
    action, _ = Uniform(rng).predict(single)
    assert np.ndim(action) == 0
    assert action in (0, 1, 2)


def test_other_observations_are_refused(envs: KnownVectorEnv, rng: np.random.Generator) -> None:
    observation, _ = envs.reset(seed=0)
    with pytest.raises(ConfigurationError, match='observation="latent"'):
        Uniform(rng).predict("a text")
    with pytest.raises(ConfigurationError, match="expected 'user' of shape"):
        Uniform(rng).predict(observation | {"user": observation["user"][:, :2]})
    with pytest.raises(ConfigurationError, match="expected at least one offered action"):
        Uniform(rng).predict(observation | {"mask": 0 * observation["mask"]})


@given(mask=hnp.arrays(bool, (3, 5)), floor=st.floats(0.01, 1.0), data=st.data())
def test_floor_keeps_a_distribution(mask: np.ndarray, floor: float, data: st.DataObject) -> None:
    mask[:, 0] = True
    raw = data.draw(hnp.arrays(float, (3, 5), elements=st.floats(0, 1))) * mask + 1e-9 * mask
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    result = floored(probabilities, mask, floor)
    np.testing.assert_allclose(result.sum(axis=1), 1)
    assert np.all(result[~mask] == 0)
    assert np.all(result[mask] >= floor / 5 - 1e-12)


def test_floor_by_hand() -> None:
    mask = np.array([[True, True, False]])
    np.testing.assert_allclose(floored(np.array([[1.0, 0, 0]]), mask), [[0.95, 0.05, 0]])
    with pytest.raises(ConfigurationError, match="share"):
        floored(np.array([[1.0, 0, 0]]), mask, floor=0)


def test_divergence() -> None:
    first, second = np.array([[0.5, 0.5, 0.0]]), np.array([[0.25, 0.25, 0.5]])
    np.testing.assert_allclose(divergence(first, second), [np.log(2)])
    np.testing.assert_allclose(divergence(first, first), [0])


@given(seed=st.integers(0, 2**32 - 1))
def test_sample_never_takes_what_has_no_probability(seed: int) -> None:
    probabilities = np.array([[0, 1, 0], [0.5, 0, 0.5], [0, 0, 1]])
    drawn = sample(probabilities, np.random.default_rng(seed))
    assert np.all(probabilities[np.arange(3), drawn] > 0)
