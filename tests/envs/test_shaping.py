"""Shaped rewards: what they sum to, on single, vector and SB3 environments."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.shaping import (
    KINDS,
    RolloutReferences,
    Shape,
    ShapedReward,
    Shaper,
    VectorShapedReward,
    reference_returns,
)
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import ConfigurationError
from tests.fake_worlds import make_tiny_world

REFERENCES = [-0.5, 0.25, 1.0]
numbers = st.floats(-20, 20, allow_nan=False)


@given(st.lists(numbers, min_size=1, max_size=6), st.sampled_from(KINDS))
def test_an_episode_pays_the_shape_of_its_return(rewards: list[float], kind: str) -> None:
    shape = Shape(kind)
    shaper = Shaper(shape, REFERENCES, 1)
    over = [np.array([step == len(rewards) - 1]) for step in range(len(rewards))]
    paid = sum(float(shaper([reward], end)[0]) for reward, end in zip(rewards, over, strict=True))
    first, last = shape([0.0, sum(rewards)], REFERENCES)
    assert paid == pytest.approx(last - first, abs=1e-9)
    assert shaper([0.0], np.array([False]))[0] == 0.0  # the next episode starts at 0


@given(numbers, numbers, st.lists(numbers, min_size=2, max_size=5, unique=True))
def test_par_is_bounded_rises_and_is_centred(one: float, other: float, references: list[float]) -> None:
    low, high = Shape("par")(sorted([one, other]), references)
    assert 0 <= low <= high <= 1
    assert Shape("par")([references[0]], references[:1])[0] == pytest.approx(0.5)
    assert Shape("log_sigmoid")([one], references)[0] <= 0


def test_the_other_shapes_by_hand() -> None:
    assert Shape("min_max")([-1.0, 0.25, 4.0], [-1.0, 1.5]).tolist() == [0.0, 0.5, 2.0]
    assert Shape("clip")([-3.0, 0.25, 4.0], [-1.0, 1.5]).tolist() == [-1.0, 0.25, 1.5]
    assert Shape("par", unit=2.0)([2.0], [0.0])[0] == pytest.approx(1 / (1 + np.exp(-1)))


def test_a_single_environment_pays_shaped_rewards() -> None:
    plain = EagleEnv.from_world(make_tiny_world(horizon=3))
    shaped = ShapedReward(EagleEnv.from_world(make_tiny_world(horizon=3)), references=REFERENCES)
    total = paid = 0.0
    plain.reset(seed=3)
    shaped.reset(seed=3)
    for action in (0, 1, 0):
        reward, (_, other, over, _, info) = plain.step(action)[1], shaped.step(action)
        assert info["reward"] == pytest.approx(reward)
        total, paid = total + reward, paid + other
    assert over
    first, last = Shape()([0.0, total], REFERENCES)
    assert paid == pytest.approx(last - first)


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_a_vector_environment_starts_every_episode_at_0(mode: str) -> None:
    envs = VectorShapedReward(
        EagleVectorEnv.from_world(make_tiny_world(horizon=2), 2, autoreset_mode=mode), references=REFERENCES
    )
    envs.reset(seed=0)
    returns, paid = np.zeros(2), np.zeros(2)
    for _ in range(7):
        _, rewards, terminated, _, infos = envs.step(np.array([0, 1]))
        returns, paid = returns + infos["reward"], paid + rewards
        if terminated.all():
            np.testing.assert_allclose(paid, Shape()(returns, REFERENCES) - Shape()([0.0, 0.0], REFERENCES))
            returns, paid = np.zeros(2), np.zeros(2)


def test_references_of_the_start_at_hand_leave_the_episode_alone() -> None:
    world = make_tiny_world(horizon=2)
    env = ShapedReward(EagleEnv.from_world(world), references=RolloutReferences(samples=3, seed=1))
    plain = EagleEnv.from_world(world)
    assert env.reset(seed=5)[1]["text"] == plain.reset(seed=5)[1]["text"]
    assert env.step(0)[4]["text"] == plain.step(0)[4]["text"]
    drawn = RolloutReferences(samples=3, seed=1)(plain)
    np.testing.assert_array_equal(drawn, RolloutReferences(samples=3, seed=1)(plain))
    assert drawn.shape == (1, 3)
    disabled = EagleVectorEnv.from_world(world, 2, autoreset_mode="Disabled")
    envs = VectorShapedReward(disabled, references=RolloutReferences())
    envs.reset(seed=0)
    assert np.isfinite(envs.step(np.array([0, 0]))[1]).all()


def test_reference_returns_are_those_of_fresh_episodes() -> None:
    envs = EagleVectorEnv.from_world(make_tiny_world(horizon=2), 2)
    found = reference_returns(envs, 5, seed=4)
    assert found.shape == (5,)
    np.testing.assert_array_equal(found, reference_returns(envs, 5, seed=4))


def test_sb3_gets_shaped_rewards() -> None:
    sb3 = pytest.importorskip("eagle_gym.envs.sb3")
    world = make_tiny_world(horizon=2, observation="latent")
    plain = sb3.SB3VecEnv(EagleVectorEnv.from_world(world, 2))
    shaped = sb3.ShapedVecEnv(sb3.SB3VecEnv(EagleVectorEnv.from_world(world, 2)), "par", REFERENCES)
    for venv in (plain, shaped):
        venv.seed(0)
        venv.reset()
    returns, paid = np.zeros(2), np.zeros(2)
    for _ in range(2):
        returns += plain.step(np.array([0, 1]))[1]
        paid += shaped.step(np.array([0, 1]))[1]
    np.testing.assert_allclose(
        paid, Shape()(returns, REFERENCES) - Shape()([0.0, 0.0], REFERENCES), rtol=1e-5, atol=1e-6
    )


def test_what_cannot_be_shaped_is_refused() -> None:
    env = EagleEnv.from_world(make_tiny_world())
    with pytest.raises(ConfigurationError, match="a shape among"):
        ShapedReward(env, "sqrt")
    with pytest.raises(ConfigurationError, match="finite numbers"):
        ShapedReward(env, references=[float("nan")])
    with pytest.raises(ConfigurationError, match="different size"):
        ShapedReward(env, "clip", references=[1.0])
    with pytest.raises(ConfigurationError, match="positive unit"):
        Shape(unit=0.0)
    with pytest.raises(ConfigurationError, match="Disabled"):
        VectorShapedReward(EagleVectorEnv.from_world(make_tiny_world(), 2), references=RolloutReferences())


def test_the_wrapper_keeps_the_spec_of_a_made_environment() -> None:
    env = ShapedReward(gym.make("EagleGym/Plots-v0", language_model="grammar"), references=[0.0])
    assert env.spec is not None
