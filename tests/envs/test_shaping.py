"""Shaped rewards: what they sum to, on single, vector and SB3 environments."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.shaping import (
    KINDS,
    RolloutReferences,
    Shape,
    ShapedReward,
    Shaper,
    VectorShapedReward,
    reference_returns,
    uniform_returns,
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


@given(
    st.sampled_from(KINDS),
    arrays(np.float64, (3, 2), elements=st.one_of(numbers, st.sampled_from([1.0, np.nan, np.inf]))),
    arrays(np.bool_, 3).filter(np.any),
)
def test_references_of_a_start_are_used_or_refused(kind: str, drawn: np.ndarray, rows: np.ndarray) -> None:
    """Rows that start pay by their own references, the others as before; what is refused changes nothing."""
    shaper, same = (Shaper(Shape(kind), REFERENCES[:2], 3) for _ in range(2))
    for one in (shaper, same):
        one(np.ones(3), np.zeros(3, np.bool_))
    own = drawn[rows]
    fits = np.isfinite(own).all() and (kind in ("par", "log_sigmoid") or (np.ptp(own, axis=1) >= 1e-6).all())
    expected = same(np.full(3, 0.5), np.zeros(3, np.bool_))
    if not fits:
        with pytest.raises(ConfigurationError, match="expected ref"):
            shaper.begin(rows, drawn)
        np.testing.assert_array_equal(shaper(np.full(3, 0.5), np.zeros(3, np.bool_)), expected)
        return
    shaper.begin(rows, drawn)
    paid = shaper(np.full(3, 0.5), np.zeros(3, np.bool_))
    np.testing.assert_array_equal(paid[~rows], expected[~rows])
    np.testing.assert_allclose(paid[rows], Shape(kind)([0.5] * len(own), own) - Shape(kind)([0.0] * len(own), own))


@pytest.mark.parametrize("kind", ["min_max", "clip"])
@pytest.mark.parametrize(
    "references", [0.5, [0.5, 0.5], [1.0, 1.0 + 1e-12], RolloutReferences(), lambda _: [0.5, 0.5], lambda _: 0.5]
)
def test_a_shape_that_needs_a_range_gets_one(kind: str, references: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"different size|at least 2 samples"):
        ShapedReward(EagleEnv.from_world(make_tiny_world()), kind, references).reset(seed=0)


def test_a_function_returns_finite_rows_of_one_length() -> None:
    env = EagleEnv.from_world(make_tiny_world())
    for wrong in ([np.nan], [[0.0], [1.0]], [[0.0], [1.0, 2.0]], ["a"], []):
        with pytest.raises(ConfigurationError, match="expected reference returns"):
            ShapedReward(env, references=lambda _, wrong=wrong: wrong).reset(seed=0)
    shaper = Shaper(Shape(), [0.0, 1.0], 2)
    with pytest.raises(ConfigurationError, match="2 references as in the other episodes"):
        shaper.begin(np.array([True, False]), [[0.0], [0.0]])


class Counting(RolloutReferences):
    """Rollouts that say how many starts they play from."""

    def _played(self, world: Any, held: Any, limit: int | None) -> np.ndarray:
        PLAYED.append(len(held))
        return super()._played(world, held, limit)


PLAYED: list[int] = []


def test_references_are_drawn_for_the_rows_that_start() -> None:
    """Row 0 starts again while row 1 is in the middle and row 2 is over."""
    world = make_tiny_world(horizon=3)
    base = EagleVectorEnv.from_world(world, 3, autoreset_mode="Disabled")
    envs = VectorShapedReward(base, references=Counting(samples=2))
    PLAYED.clear()
    envs.reset(seed=0)
    for _ in range(2):
        envs.step(np.zeros(3, np.int64))
    held = envs._shaper._references.copy()
    envs.reset(options={"reset_mask": np.array([False, True, False])})
    envs.step(np.zeros(3, np.int64))
    assert base.over.tolist() == [True, False, True]
    before = envs._shaper._references.copy()
    np.testing.assert_array_equal(before[[0, 2]], held[[0, 2]])
    envs.reset(options={"reset_mask": np.array([True, False, False])})
    np.testing.assert_array_equal(envs._shaper._references[1:], before[1:])
    assert PLAYED == [3, 1, 1]
    assert base.states[1].step == 1, "the present episode has not moved"
    found = RolloutReferences(samples=2)(base)
    assert found[2].tolist() == [0.0, 0.0], "an episode that is over gains nothing more"
    assert (found[:2] != 0).any()
    found = RolloutReferences(samples=2)(base, np.array([True, False, False]))
    assert np.isnan(found[1:]).all()
    assert np.isfinite(found[0]).all()


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_uniform_returns_are_those_of_each_episode(mode: str) -> None:
    """Episodes of different lengths to go: each is paid until its own end."""
    world = make_tiny_world(horizon=3)
    single = EagleEnv.from_world(world)
    snapshots = []
    for steps in (0, 1, 3, 2):
        single.reset(seed=steps)
        for _ in range(steps):
            single.step(0)
        snapshots.append(single.get_state())
    envs = EagleVectorEnv.from_world(world, 4, autoreset_mode=mode)
    envs.set_state(snapshots)
    paid: list[float] = []
    plain = EagleVectorEnv.transition

    def counted(self: EagleVectorEnv, actions: Any) -> Any:
        result = plain(self, actions)
        paid.append(float(result.rewards.sum()))
        assert not (result.rewards == 0).all()
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EagleVectorEnv, "transition", counted)
        returns = uniform_returns(envs, np.random.default_rng(0))
    assert returns[2] == 0
    assert returns.sum() == pytest.approx(sum(paid))
    assert len(paid) == 3


def test_what_cannot_be_shaped_is_refused() -> None:
    env = EagleEnv.from_world(make_tiny_world())
    with pytest.raises(ConfigurationError, match="a shape among"):
        ShapedReward(env, "sqrt")
    with pytest.raises(ConfigurationError, match="finite numbers"):
        ShapedReward(env, references=[float("nan")])
    with pytest.raises(ConfigurationError, match="different size"):
        ShapedReward(env, "clip", references=[1.0])
    with pytest.raises(ConfigurationError, match="finite numbers"):
        ShapedReward(env, references=["a"])
    with pytest.raises(ConfigurationError, match="one list for all"):
        ShapedReward(env, references=[[0.0, 1.0], [1.0, 2.0]])
    for unit in (0.0, -1.0, np.inf, np.nan, "1"):
        with pytest.raises(ConfigurationError, match="positive finite unit"):
            Shape(unit=unit)
    for wrong in ({"samples": 0}, {"samples": 1.5}, {"samples": True}, {"seed": -1}):
        with pytest.raises(ConfigurationError, match="an integer of at least"):
            RolloutReferences(**wrong)
    with pytest.raises(ConfigurationError, match="Disabled"):
        VectorShapedReward(EagleVectorEnv.from_world(make_tiny_world(), 2), references=RolloutReferences())


def test_the_wrapper_keeps_the_spec_of_a_made_environment() -> None:
    env = ShapedReward(gym.make("EagleGym/Plots-v0", language_model="grammar"), references=[0.0])
    assert env.spec is not None


@pytest.mark.parametrize("vector", [False, True])
def test_references_end_where_the_episodes_do(*, vector: bool) -> None:
    world = make_tiny_world()

    def found(limit: int | None) -> Any:
        if vector:
            env: Any = EagleVectorEnv.from_world(world, 1, autoreset_mode="Disabled", max_episode_steps=limit)
        else:
            env = EagleEnv.from_world(world)
            env = env if limit is None else gym.wrappers.TimeLimit(env, limit)
        env.reset(seed=0)
        return RolloutReferences(samples=4)(env)

    assert not np.array_equal(found(1), found(None))
    assert np.array_equal(found(world.settings.horizon), found(None))
