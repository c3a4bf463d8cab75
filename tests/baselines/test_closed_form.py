"""The closed form against plain sums, on a tree that is small enough to write down and on the tiny world's."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.reference import uniform_probabilities
from eagle_gym.envs import transition
from eagle_gym.envs.observation import observe_latent
from eagle_gym.errors import ConfigurationError
from tests.baselines.closed_form import StateTree, enumerate_tree, optimum, value_of, visits
from tests.fake_worlds import make_tiny_world

ALPHA = 0.3


def two_steps() -> StateTree:
    """A root with two actions, each leading to a state with two actions; the last has only one."""
    nothing = {"state": np.zeros((3, 1), np.float32)}
    mask = np.array([[True, True], [True, True], [True, False]])
    rewards = np.array([[0.0, 0.5], [1.0, -1.0], [0.25, 0.0]])
    children = np.array([[1, 2], [-1, -1], [-1, -1]])
    return StateTree(nothing, np.zeros((3, 2)), mask, rewards, children)


def test_optimum_by_hand() -> None:
    tree = two_steps()
    reference = uniform_probabilities(tree.mask)
    policy, values = optimum(tree, reference, ALPHA)
    left = ALPHA * np.log((np.exp(1 / ALPHA) + np.exp(-1 / ALPHA)) / 2)
    worth = np.array([left, 0.5 + 0.25])
    root = ALPHA * np.log(np.exp(worth / ALPHA).sum() / 2)
    np.testing.assert_allclose(values, [root, left, 0.25])
    np.testing.assert_allclose(policy[0], np.exp(worth / ALPHA) / np.exp(worth / ALPHA).sum())
    np.testing.assert_allclose(policy[2], [1, 0])
    np.testing.assert_allclose(value_of(tree, policy, reference, ALPHA), values)
    np.testing.assert_allclose(visits(tree, policy), [1, *policy[0]])


def test_discount_counts() -> None:
    tree = two_steps()
    reference = uniform_probabilities(tree.mask)
    policy = np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]])
    cost = ALPHA * np.log(2)  # of a sure choice between two
    assert value_of(tree, policy, reference, ALPHA, gamma=0.5)[0] == pytest.approx(0.5 - cost + 0.5 * 0.25)


def test_nothing_is_better_than_the_optimum(rng: np.random.Generator) -> None:
    tree = two_steps()
    reference = np.array([[0.2, 0.8], [0.9, 0.1], [1.0, 0.0]])
    policy, values = optimum(tree, reference, ALPHA, gamma=0.9)
    for _ in range(100):
        other = rng.random(policy.shape) * tree.mask
        other /= other.sum(axis=1, keepdims=True)
        assert np.all(value_of(tree, other, reference, ALPHA, gamma=0.9) <= values + 1e-12)


def test_tree_of_a_world_is_what_its_episodes_do() -> None:
    world = make_tiny_world(observation="latent", task="easy", temperature=0.0, actions=3, horizon=2)
    root = transition.make_states(world, [transition.sample_start(world, np.random.default_rng(0))])[0]
    tree = enumerate_tree(world, root)
    assert tree.mask.all()
    assert tree.mask.shape == (1 + 3, 3)
    for first in range(3):
        for second in range(3):
            (state,), (reward,) = transition.step(world, [root], [first], [5])
            assert tree.rewards[0, first] == pytest.approx(reward)
            inner = tree.children[0, first]
            np.testing.assert_array_equal(
                tree.observation["state"][inner], observe_latent(world, [state])["state"][0]
            )
            _, (reward,) = transition.step(world, [state], [second], [6])
            assert tree.rewards[inner, second] == pytest.approx(reward)
            assert tree.children[inner, second] == -1


def test_a_sampling_model_has_no_tree() -> None:
    world = make_tiny_world(observation="latent")
    root = transition.make_states(world, [transition.sample_start(world, np.random.default_rng(0))])[0]
    with pytest.raises(ConfigurationError, match="temperature=0"):
        enumerate_tree(world, root)
