"""What `taste="hidden"` hides: whatever an agent is given, two users differ only in what they are paid."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.episode import Snapshot
from eagle_gym.envs.observation import HIDDEN_KEYS, HIDDEN_PARTS, observe_latent, observe_text
from eagle_gym.envs.sb3 import SB3VecEnv
from eagle_gym.envs.spaces import REWARD_BOUND
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.envs.world import World
from eagle_gym.errors import ConfigurationError
from tests.fake_worlds import make_tiny_world

PAID = {"total", "affinity", "novelty", "drift", "cost"}
USERS = ("u0", "u1")


def hidden(**settings: Any) -> World:
    return make_tiny_world(**({"task": "hidden", "observation": "latent", "horizon": 2} | settings))


def without_pay(value: Any) -> Any:
    """What an agent is given, less what it is paid."""
    if isinstance(value, dict):
        return {key: without_pay(each) for key, each in value.items() if key not in ("reward", "utility")}
    return value


def told(env: EagleEnv, user: str) -> list[Any]:
    """What an agent is given in an episode of one user, less what it is paid."""
    given = [env.reset(seed=0, options={"user": user, "item": "m5"})]
    while True:
        observation, _, over, _, info = env.step(1)
        given.append((observation, info))
        if over:
            return [(without_pay(observation), without_pay(info)) for observation, info in given]


@pytest.mark.parametrize("infos", ["full", "arrays"])
def test_two_users_differ_only_in_what_is_paid(infos: str) -> None:
    env = EagleEnv.from_world(hidden(infos=infos))
    first, second = (told(env, user) for user in USERS)
    np.testing.assert_equal(first, second)


def test_two_users_read_alike_but_for_the_reward() -> None:
    env = EagleEnv.from_world(hidden(observation="text"))
    first, second = ([observation for observation, _ in told(env, user)] for user in USERS)
    assert first[0] == second[0]
    for one, other in zip(first[1:], second[1:], strict=True):
        apart = [lines for lines in zip(one.splitlines(), other.splitlines(), strict=True) if lines[0] != lines[1]]
        assert all(line.startswith("Last reward: ") for lines in apart for line in lines)
        assert "User:" not in one


def test_infos_name_the_parts_of_what_is_paid_and_no_user() -> None:
    env = EagleEnv.from_world(hidden())
    for info in (env.reset(seed=0)[1], env.step(0)[4]):
        assert not set(HIDDEN_KEYS) & set(info)
        assert set(info["utility"]) == PAID
    for world in (hidden(taste="shown"), make_tiny_world()):
        _, info = EagleEnv.from_world(world).reset(seed=0)
        assert set(HIDDEN_KEYS) <= set(info)
        assert set(info["utility"]) == PAID | set(HIDDEN_PARTS)


@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.name)
@pytest.mark.parametrize("infos", ["full", "arrays"])
def test_infos_of_batches_hide_the_same(mode: AutoresetMode, infos: str) -> None:
    envs = EagleVectorEnv.from_world(hidden(infos=infos), 2, autoreset_mode=mode)
    found = [envs.reset(seed=0)[1], *(envs.step([0, 1])[4] for _ in range(2))]
    if mode is AutoresetMode.SAME_STEP:
        found.append(found[-1]["final_info"])
    for each in found:
        assert not set(HIDDEN_KEYS) & set(each)
        assert {name for name in each["utility"] if not name.startswith("_")} == PAID


def test_infos_of_stable_baselines_hide_the_same() -> None:
    envs = SB3VecEnv(EagleVectorEnv.from_world(hidden(), 2))
    envs.reset()
    for infos in (envs.reset_infos, envs.step(np.array([0, 1]))[3]):
        for info in infos:
            assert not set(HIDDEN_KEYS) & set(info)
            assert set(info["utility"]) == PAID


def test_what_is_rendered_names_no_user() -> None:
    world = hidden()
    env = EagleEnv.from_world(world, render_mode="ansi")
    for user in USERS:
        env.reset(seed=0, options={"user": user, "item": "m5"})
        env.step(1)
        drawn = env.render()
        assert "User: hidden" in drawn
        assert "liked" not in drawn
        assert user not in drawn
        assert world.resources.profile(env.state.user) not in drawn
    shown = EagleEnv.from_world(hidden(taste="shown"), render_mode="ansi")
    shown.reset(seed=0)
    assert "predicted to be liked" in shown.render()


def test_pictures_of_two_users_of_one_utility_are_equal() -> None:
    pytest.importorskip("matplotlib")
    pictures = {}
    for taste in ("hidden", "shown"):
        env = EagleEnv.from_world(hidden(taste=taste, personalised=0.0, order="pool"), render_mode="rgb_array")
        for user in USERS:
            env.reset(seed=0, options={"user": user, "item": "m5"})
            paid = dataclasses.replace(env.state, utility=dict.fromkeys(env.state.utility, 0.0))
            env.restore(paid, [dataclasses.replace(env.frames[0], state=paid)], env.np_random, 0)
            pictures[taste, user] = env.render()
    assert (pictures["hidden", "u0"] == pictures["hidden", "u1"]).all()
    assert (pictures["shown", "u0"] != pictures["shown", "u1"]).any()


def test_a_snapshot_cannot_be_continued_where_the_taste_is_shown() -> None:
    env, shown = EagleEnv.from_world(hidden()), EagleEnv.from_world(hidden(taste="shown"))
    env.reset(seed=0)
    snapshot = pickle.loads(pickle.dumps(env.get_state()))
    assert isinstance(snapshot, Snapshot)
    assert not [value for value in snapshot.made_with.values() if value in env.world.catalog.users]
    with pytest.raises(ConfigurationError, match="expected taste='shown', got taste='hidden'"):
        shown.set_state(snapshot)
    with pytest.raises(ConfigurationError, match="expected taste='shown', got taste='hidden'"):
        EagleVectorEnv.from_world(shown.world, 1).set_state([snapshot])


def test_recordings_tell_no_taste(tmp_path: Path) -> None:
    env = gym.make(
        "EagleGym/PlotsHidden-v0", language_model="grammar", record=str(tmp_path / "answers.jsonl"), horizon=2
    )
    _, info = env.reset(seed=0)
    base: Any = env.unwrapped
    user, profile = base.world.catalog.users[base.state.user], base.world.resources.profile(base.state.user)
    for _ in range(2):
        env.step(0)
    env.close()
    lines = (tmp_path / "answers.jsonl").read_text().splitlines()
    assert len(lines) > 2
    assert info["text"] in "\n".join(lines)
    words = {word for line in lines for word in json.dumps(json.loads(line)).replace('"', " ").split()}
    assert user not in words
    assert profile not in "\n".join(lines)


# ------------------------------------------------------------------- the feedback


def test_the_last_reward_is_observed_where_the_taste_is_hidden() -> None:
    world = hidden(horizon=3)
    env = EagleEnv.from_world(world)
    observation, _ = env.reset(seed=0)
    assert observation["reward"].tolist() == [0.0]
    assert "\nLast reward: 0.00.\n" in env.read()
    observation, reward, *_ = env.step(1)
    assert observation["reward"] == pytest.approx([reward], rel=1e-6)
    assert f"\nLast reward: {reward:.2f}.\n" in env.read()
    rich = dataclasses.replace(env.state, reward=1e6)
    assert observe_latent(world, [rich])["reward"].tolist() == [[REWARD_BOUND]]
    assert "Last reward" not in observe_text(make_tiny_world(), env.state)


def test_the_change_that_the_last_reward_was_paid_for_is_observed() -> None:
    env, envs = EagleEnv.from_world(hidden()), EagleVectorEnv.from_world(hidden(), 2)
    before, _ = env.reset(seed=0)
    envs.reset(seed=[0, 1])
    assert not before["change"].any()
    after = env.step(1)[0]
    np.testing.assert_allclose(after["change"], after["state"] - before["state"], atol=1e-6)
    assert after["change"].any()
    np.testing.assert_array_equal(envs.step([1, 1])[0]["change"][0], after["change"])
    assert not env.reset()[0]["change"].any()


def test_a_snapshot_remembers_the_last_feedback() -> None:
    env = EagleEnv.from_world(hidden(horizon=3))
    env.reset(seed=0)
    before = env.step(1)[0]
    kept = pickle.loads(pickle.dumps(env.get_state()))
    env.step(2)
    env.set_state(kept)
    np.testing.assert_equal(observe_latent(env.world, [env.state])["change"][0], before["change"])
    assert env.state.reward == pytest.approx(before["reward"][0])


def test_expected_utilities_would_tell_a_hidden_taste() -> None:
    env = EagleEnv.from_world(make_tiny_world(taste="hidden", action_features="effect"))
    env.reset(seed=0)
    assert not hasattr(env, "expected_utility")
    with pytest.raises(ConfigurationError, match="it would tell the taste"):
        env.expected_utility()
