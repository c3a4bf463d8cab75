"""Prices of drift and of steps: paid whatever the utility, and named in every info."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym.envs import transition
from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.opening import make_world
from eagle_gym.envs.render import shown_parts
from eagle_gym.envs.sb3 import SB3VecEnv
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.envs.world import World
from eagle_gym.errors import ConfigurationError
from eagle_gym.latent import ContentGap, Priced, UtilityParts
from tests.fake_worlds import ScriptedModel, make_tiny_world

PRICES = {"drift_penalty": 0.3, "edit_cost": 0.1}
TEXT = "A dark western film set on a train."
PLOTS = "EagleGym/Plots-v0"


@pytest.fixture
def priced() -> World:
    return make_tiny_world(**PRICES, action_features="effect")


def play(env: EagleEnv, actions: list[int], **options: Any) -> list[tuple[float, dict[str, float]]]:
    """Rewards and utilities of an episode, its start first."""
    _, info = env.reset(seed=3, options=options)
    found = [(0.0, info["utility"])]
    for action in actions:
        _, reward, _, _, info = env.step(action)
        found.append((reward, info["utility"]))
    return found


@pytest.mark.parametrize("options", [{}, {"text": TEXT, "item": "m1"}, {"text": TEXT}])
def test_total_is_the_utility_less_the_prices(priced: World, options: dict[str, str]) -> None:
    env = EagleEnv.from_world(priced)
    env.reset(seed=3, options=options)
    origin = env.state.z
    found = play(env, [0, 1, 2], **options)
    assert (found[0][1]["drift"], found[0][1]["cost"]) == (0.0, 0.0)
    for step, (frame, (reward, parts)) in enumerate(zip(env.frames, found, strict=True)):
        assert frame.state.start.tobytes() == origin.tobytes()
        assert parts["drift"] == pytest.approx(0.3 * np.linalg.norm(frame.state.z - origin))
        assert parts["cost"] == pytest.approx(0.1 * step)
        assert parts["total"] == pytest.approx(
            parts["affinity"] + parts["novelty"] - parts["drift"] - parts["cost"], abs=1e-12
        )
        if step:
            assert reward == pytest.approx(parts["total"] - found[step - 1][1]["total"])


def test_prices_change_nothing_but_what_is_paid(priced: World) -> None:
    unpriced = make_tiny_world(action_features="effect")
    with_prices, without = (play(EagleEnv.from_world(world), [0, 1, 2]) for world in (priced, unpriced))
    for (_, charged), (_, free) in zip(with_prices, without, strict=True):
        assert {name: charged[name] for name in ("affinity", "novelty", "percentile")} == {
            name: free[name] for name in ("affinity", "novelty", "percentile")
        }
        assert (free["drift"], free["cost"]) == (0.0, 0.0)
        assert charged["total"] == pytest.approx(free["total"] - charged["drift"] - charged["cost"])
    assert with_prices[-1][1]["drift"] > 0


@pytest.mark.parametrize("language", ["plot_english", "free"])
def test_a_step_that_changes_nothing_loses_its_cost(language: str) -> None:
    env = EagleEnv.from_world(make_tiny_world(ScriptedModel(lazy=True, language=language), **PRICES))
    assert [reward for reward, _ in play(env, [0, 1, 2])][1:] == pytest.approx([-0.1] * 3)


def test_an_improper_rewrite_loses_its_cost_even_where_it_scores_higher() -> None:
    world = make_tiny_world(ScriptedModel(language="free"), **PRICES)
    env = EagleEnv.from_world(world)
    play(env, [0])
    before, after = (frame.state for frame in env.frames)
    better = replace(after, valid=False, utility=after.utility | {"total": before.total + 9.0})
    assert transition.with_rewards(world, [before], [better])[0].reward == pytest.approx(-0.1)


def test_a_terminal_reward_is_the_total(priced: World) -> None:
    env = EagleEnv.from_world(make_tiny_world(reward="terminal", **PRICES))
    found = play(env, [0, 1, 2])
    assert [reward for reward, _ in found[:-1]] == [0.0] * 3
    assert found[-1][0] == found[-1][1]["total"]


def test_expected_utility_is_the_total_after_the_step(priced: World) -> None:
    env = EagleEnv.from_world(priced)
    play(env, [0])
    state, free = env.state, make_tiny_world()
    plain = free.resources.utility(state.action_set.expected, np.full(6, state.user), np.full(6, state.item)).total
    drift = np.linalg.norm(state.action_set.expected - state.start, axis=1)
    np.testing.assert_allclose(env.expected_utility(), plain - 0.3 * drift - 0.1 * (state.step + 1))


def test_batches_pay_as_single_environments(priced: World) -> None:
    single, envs = EagleEnv.from_world(priced), EagleVectorEnv.from_world(priced, 3)
    envs.reset(seed=3)
    single.reset(seed=3)
    for action in (0, 2, 1):
        _, rewards, _, _, infos = envs.step([action] * 3)
        _, reward, _, _, info = single.step(action)
        assert rewards[0] == reward
        assert {name: infos["utility"][name][0] for name in info["utility"]} == info["utility"]
        np.testing.assert_array_equal(envs.expected_utility()[0], single.expected_utility())


def test_a_snapshot_remembers_where_the_episode_began(priced: World) -> None:
    env = EagleEnv.from_world(priced)
    other = EagleEnv.from_world(make_tiny_world(**PRICES, action_features="effect"))
    play(env, [0])
    snapshot = pickle.loads(pickle.dumps(env.get_state()))
    other.set_state(snapshot)
    batch = EagleVectorEnv.from_world(priced, 2)
    batch.set_state([snapshot, snapshot])
    wanted = env.step(1)[4]["utility"]
    assert other.step(1)[4]["utility"] == wanted
    assert batch.step([1, 1])[4]["utility"]["drift"].tolist() == [wanted["drift"]] * 2
    assert wanted["drift"] > 0


def test_stable_baselines_is_paid_the_same() -> None:
    world = make_tiny_world(observation="latent", **PRICES)
    plain, wrapped = EagleVectorEnv.from_world(world, 2), SB3VecEnv(EagleVectorEnv.from_world(world, 2))
    plain.reset(seed=[3, 4])
    wrapped.seed(3)
    wrapped.reset()
    _, rewards, _, _, infos = plain.step([0, 1])
    _, again, _, listed = wrapped.step(np.array([0, 1]))
    np.testing.assert_array_equal(rewards.astype(np.float32), again)
    assert [info["utility"]["drift"] for info in listed] == infos["utility"]["drift"].tolist()


def test_prices_are_shown_where_there_are_any(priced: World, tiny: World) -> None:
    for world, shown in ((priced, ["affinity", "novelty", "drift", "cost"]), (tiny, ["affinity", "novelty"])):
        env = EagleEnv.from_world(world, render_mode="ansi")
        play(env, [0, 1])
        assert [name for name, _ in shown_parts(env.state)] == shown
        assert ("cost -0.20" in env.render()) == (world is priced)


@given(st.floats(0, 5), st.floats(0, 5), st.integers(0, 9), st.integers(0, 2**32 - 1))
def test_prices_are_subtracted_from_any_utility(penalty: float, cost: float, step: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    z, starts = (rng.normal(size=(4, 3)) for _ in range(2))
    users = np.arange(4)

    def anything(z: np.ndarray, users: np.ndarray, exclude: np.ndarray) -> UtilityParts:
        nothing = np.zeros(len(z))
        return UtilityParts(z[:, 0] * users, nothing, nothing, nothing)

    paid = Priced(anything, penalty, cost)
    found = paid(z, users, np.full(4, -1), starts, np.full(4, step))
    np.testing.assert_allclose(
        found.total, z[:, 0] * users - penalty * np.linalg.norm(z - starts, axis=1) - cost * step, atol=1e-12
    )
    at_start = paid(starts, users, np.full(4, -1), starts, np.zeros(4, np.int64))
    assert at_start.drift.tolist() == at_start.cost.tolist() == [0.0] * 4
    anchored = paid.anchored(starts[0])(z[:1], users[:1], np.array([-1]))
    assert anchored.total[0] == pytest.approx(found.total[0] + cost * step)


@pytest.fixture(scope="module")
def plots() -> World:
    return make_world(interests=3, affinity="personal", utility_kwargs={"weight": 0.5}, **PRICES)


def test_the_parts_of_a_real_episode_add_up(plots: World) -> None:
    assert plots.resources.interests is not None
    assert plots.resources.interests.centres.shape == (len(plots.catalog.users), 3, plots.space.dim)
    for _, parts in play(EagleEnv.from_world(plots), [0, 1]):
        wanted = parts["affinity"] + 0.5 * parts["novelty"] - parts["drift"] - parts["cost"]
        assert parts["total"] == pytest.approx(wanted, abs=1e-12)


def test_worlds_of_other_prices_share_their_resources(plots: World) -> None:
    other = make_world(interests=3, affinity="personal", utility_kwargs={"weight": 0.5})
    assert other.resources is plots.resources
    assert other.priced.drift_penalty == 0.0


def test_arguments_reach_the_environment_in_either_place(plots: World) -> None:
    env = gym.make(PLOTS, utility_kwargs={"weight": 0.5, "interests": 3, "affinity": "personal"}, **PRICES)
    assert env.unwrapped.world.resources is plots.resources
    env.unwrapped.set_state(EagleEnv.from_world(plots).get_state())


def test_a_price_is_no_argument_of_the_utility() -> None:
    with pytest.raises(ConfigurationError, match=r"ContentGap cannot be made with .*drift_penalty"):
        make_world(utility_kwargs={"drift_penalty": 0.5})


def test_prices_apply_to_a_utility_of_ones_own(plots: World) -> None:
    world = make_world(utility="tests.fake_worlds:make_plain_utility", edit_cost=0.5)
    assert not isinstance(world.resources.utility, ContentGap)
    assert world.resources.interests is None
    for step, (_, parts) in enumerate(play(EagleEnv.from_world(world), [0, 1])):
        assert parts["total"] == pytest.approx(parts["affinity"] - 0.5 * step)
