"""The tasks: presets of arguments, what each shows, and that a hidden taste stays hidden."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.env_checker import check_env as check_sb3

from eagle_gym.actions.edit_features import OPERATIONS, EditFeatures
from eagle_gym.catalogs import CATALOGS
from eagle_gym.envs import transition
from eagle_gym.envs.checks import compare
from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.sb3 import SB3VecEnv
from eagle_gym.envs.settings import Settings
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.envs.world import World
from eagle_gym.errors import ConfigurationError, NotShownError
from eagle_gym.latent.interests import Interests
from eagle_gym.plot_english.edits import directions
from eagle_gym.registration import IDS
from eagle_gym.tasks import BASE, TASKS, values_by_task
from tests.fake_worlds import N, make_tiny_world

GIVEN = st.fixed_dictionaries(
    {},
    optional={
        "action_features": st.sampled_from(["effect", "edit", "none"]),
        "taste": st.sampled_from(["shown", "hidden"]),
        "actions": st.integers(2, 9),
        "pool": st.integers(16, 99),
        "horizon": st.integers(1, 20),
        "affinity": st.sampled_from(["absolute", "personal"]),
        "interests": st.integers(1, 8),
        "drift_penalty": st.floats(0, 2),
        "edit_cost": st.floats(0, 2),
    },
)


@given(task=st.sampled_from(sorted(TASKS)), given=GIVEN)
def test_explicit_arguments_win_over_the_preset_and_the_rest_is_the_preset(task: str, given: dict[str, Any]) -> None:
    settings = Settings(task=task, **given)
    preset = TASKS[task].arguments
    for name, value in preset.items():
        if name not in ("personalised", "order"):
            assert getattr(settings, name) == given.get(name, value)
    assert settings.personalised == (0.0 if settings.taste == "hidden" else preset["personalised"])
    unordered = settings.taste == "hidden" or settings.action_features == "none"
    assert settings.order == ("pool" if unordered else preset["order"])
    assert Settings.of(json.loads(json.dumps(settings.as_kwargs()))) == settings


def test_presets_set_declared_arguments_of_the_base_only() -> None:
    for task in TASKS.values():
        assert set(task.changes) <= set(BASE) <= set(Settings.arguments())
        assert all(value != BASE[name] for name, value in task.changes.items())
        Settings(**task.arguments)
    assert values_by_task("horizon") == {"default": 5, "hidden": 10}


def test_a_shown_taste_in_the_hidden_task_is_personalised_only_on_request() -> None:
    assert Settings(task="hidden", taste="shown").personalised == 0.0
    assert Settings(task="hidden", taste="shown", personalised=0.5).personalised == 0.5


@pytest.mark.parametrize("observation", ["text", "latent"])
@pytest.mark.parametrize("task", TASKS)
def test_checkers_accept_every_task(task: str, observation: str) -> None:
    world = make_tiny_world(task=task, observation=observation, actions=5)
    check_env(EagleEnv.from_world(world), skip_render_check=True)
    if observation == "latent":
        check_sb3(EagleEnv.from_world(world))


@pytest.mark.parametrize("env_id", [env_id for env_id, kwargs in IDS.items() if kwargs["catalog"] == "plots"])
def test_every_id_of_plots_can_be_made(env_id: str, plots: World) -> None:
    env = gym.make(env_id, observation="latent", prepare="never", horizon=2)
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    assert env.step(0)[0] in env.observation_space
    task = TASKS[IDS[env_id].get("task", "default")].arguments
    assert env.unwrapped.action_space.n == task["actions"]
    assert ("user" in observation, "reward" in observation) == (task["taste"] == "shown", task["taste"] == "hidden")


# ------------------------------------------------------------------- what a task shows


def keys(**settings: Any) -> set[str]:
    return set(make_tiny_world(observation="latent", **settings).observation_space())


def test_each_knob_has_its_keys() -> None:
    always = {"state", "weights", "mask", "time"}
    assert keys(task="easy") == always | {"user", "effects"}
    assert keys(action_features="edit") == always | {"user", "actions"}
    assert keys(action_features="edit", order="pool") == always | {"user", "actions", "match"}
    assert keys(action_features="none") == always | {"user"}
    assert keys(task="hidden") == always | {"actions", "reward", "change"}
    assert keys(task="hidden", action_features="none") == always | {"reward", "change"}


def test_interests_are_shown_where_there_are_some() -> None:
    world = make_tiny_world(observation="latent")
    users = len(world.catalog.users)
    centres = np.random.default_rng(0).uniform(-1, 1, (users, 2, N))
    interests = Interests(centres, np.full((users, 2), 0.5))
    several = dataclasses.replace(world, resources=dataclasses.replace(world.resources, interests=interests))
    env = EagleEnv.from_world(several)
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    np.testing.assert_allclose(observation["interests"], centres[env.state.user].ravel(), rtol=1e-6)
    hidden = make_tiny_world(observation="latent", task="hidden")
    hidden = dataclasses.replace(hidden, resources=dataclasses.replace(hidden.resources, interests=interests))
    assert "interests" not in hidden.observation_space()


def test_match_is_the_taste_along_what_an_edit_asks_for() -> None:
    world = make_tiny_world(observation="latent", order="pool")
    env = EagleEnv.from_world(world)
    observation, _ = env.reset(seed=0)
    named, taken_out = np.split(observation["actions"].reshape(6, -1)[:, : 2 * N], 2, axis=1)
    np.testing.assert_allclose(observation["match"], (named - 2 * taken_out) @ observation["user"][:-1], atol=1e-5)
    assert np.abs(observation["match"]).max() > 0.01
    assert np.abs(taken_out).max() > 0.01


def test_taking_out_what_a_user_likes_matches_worst() -> None:
    world = make_tiny_world(observation="latent", actions=3)
    env = EagleEnv.from_world(world)
    env.reset(seed=0)
    edits = ("Make it less of a war film.", "Do as you please with it.", "Mix it with war.")
    offered = dataclasses.replace(env.state.action_set, edits=edits)
    likes_war = value("genres", "War") / np.linalg.norm(value("genres", "War"))
    world.resources.tastes[env.state.user, :-1] = likes_war
    worst, indifferent, best = transition.match(world, offered, env.state.user)
    assert worst == pytest.approx(-best)
    assert worst < indifferent == 0.0 < best
    world.resources.tastes[env.state.user, :-1] *= -1.0
    assert transition.match(world, offered, env.state.user).argmax() == 0


@pytest.mark.parametrize("features", ["edit", "none"])
def test_expected_utility_is_not_there_unless_effects_are_shown(features: str) -> None:
    world = make_tiny_world(observation="latent", action_features=features)
    env, envs = EagleEnv.from_world(world), EagleVectorEnv.from_world(world, 2)
    adapter = SB3VecEnv(envs)
    for each in (env, envs, adapter, gym.Wrapper(env)):
        each.reset()
        assert not hasattr(each, "expected_utility")
    complaint = f"expected action_features='effect' for expected_utility.., got '{features}': make .* task='easy'"
    for call in (
        lambda: env.expected_utility(),
        lambda: envs.expected_utility(),
        lambda: envs.call("expected_utility"),
        lambda: adapter.expected_utility(),
        lambda: adapter.env_method("expected_utility"),
    ):
        with pytest.raises(NotShownError, match=complaint):
            call()
    assert transition.expected_utility(world, [env.state]).shape == (1, 6)


def test_expected_utility_is_there_where_effects_are_shown() -> None:
    envs = EagleVectorEnv.from_world(make_tiny_world(observation="latent", task="easy"), 2)
    envs.reset(seed=0)
    adapter = SB3VecEnv(envs)
    adapter.reset()
    for each in (envs, adapter, envs.envs[0]):
        assert hasattr(each, "expected_utility")
    assert envs.expected_utility().shape == (2, 6)
    assert [row.shape for row in adapter.env_method("expected_utility")] == [(6,)] * 2


@pytest.mark.parametrize("task", ["default", "hidden"])
@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.name)
def test_batches_equal_single_environments_in_every_task(task: str, mode: AutoresetMode) -> None:
    world = make_tiny_world(task=task, observation="latent", horizon=2)
    batch = EagleVectorEnv.from_world(world, 3, autoreset_mode=mode)
    single = SyncVectorEnv([lambda: EagleEnv.from_world(world)] * 3, autoreset_mode=mode)
    compare(batch, single, 5)


# ------------------------------------------------------------------- the order of the actions


@pytest.mark.parametrize(("order", "fits"), [("pool", True), ("match", False)])
def test_snapshots_know_what_orders_the_actions(order: str, fits: bool) -> None:
    one, other = (
        EagleEnv.from_world(make_tiny_world(action_features=features, order=order)) for features in ("edit", "effect")
    )
    one.reset(seed=0)
    if fits:
        other.set_state(one.get_state())
        assert other.state.action_set.edits == one.state.action_set.edits
    else:
        with pytest.raises(ConfigurationError, match="expected action_features='effect', got action_features='edit'"):
            other.set_state(one.get_state())


@pytest.mark.parametrize("features", ["edit", "effect"])
def test_what_goes_with_the_taste_stands_first_and_everything_moves_with_it(features: str) -> None:
    worlds = [make_tiny_world(observation="latent", action_features=features, order=o) for o in ("pool", "match")]
    pool, ordered = (EagleEnv.from_world(world) for world in worlds)
    pool.reset(seed=0)
    ordered.reset(seed=0)
    match = transition.match(worlds[1], ordered.state.action_set, ordered.state.user)
    goes = np.sign(np.round(match, 6))
    assert np.all(np.diff(goes) <= 0)
    assert len(set(goes)) > 1
    rows = [pool.state.action_set.edits.index(edit) for edit in ordered.state.action_set.edits]
    assert rows != list(range(6))
    assert sorted(rows) == list(range(6))
    assert all(low < high for low, high, same in zip(rows, rows[1:], np.diff(goes) == 0, strict=False) if same)
    for name in ("expected", "features", "weights", "mask"):
        one, other = (getattr(env.state.action_set, name) for env in (pool, ordered))
        np.testing.assert_array_equal(one[rows], other)
        assert not other.flags.writeable
    assert pool.state.utility == ordered.state.utility


# ------------------------------------------------------------------- the features of an edit


@pytest.fixture
def features() -> EditFeatures:
    world = make_tiny_world()
    return world.resources.edit_features


def parts(features: EditFeatures, edit: str) -> tuple[np.ndarray, np.ndarray, set[str], set[str]]:
    """The words of an edit, those that it takes out, its operations and its vague directions."""
    row = features.of([edit])[0]
    operations = {OPERATIONS[i] for i in np.flatnonzero(row[2 * N : 2 * N + len(OPERATIONS)])}
    vague = {list(directions())[i] for i in np.flatnonzero(row[2 * N + len(OPERATIONS) :])}
    return row[:N], row[N : 2 * N], operations, vague


def value(slot: str, name: str) -> np.ndarray:
    from eagle_gym.plot_english import arrays

    return make_tiny_world().space.encoder.weights[arrays.feature_index()[slot, name]]


def test_features_of_edits_by_hand(features: EditFeatures) -> None:
    words, out, operations, vague = parts(features, "Replace children's with war.")
    np.testing.assert_allclose(words, value("genres", "War") + value("genres", "Children"))
    np.testing.assert_allclose(out, value("genres", "Children"))
    assert (operations, vague) == ({"replace"}, set())
    words, out, operations, vague = parts(features, "Make it more mysterious.")
    assert not words.any()
    assert not out.any()
    assert operations == {"vague"}
    assert len(vague) == 1
    words, out, operations, vague = parts(features, "Make it less of a war film; mix it with fantasy; make it darker.")
    np.testing.assert_allclose(words, value("genres", "Fantasy") + value("genres", "War"))
    np.testing.assert_allclose(out, value("genres", "War"))
    assert operations == {"remove", "add", "vague"}
    assert len(vague) == 1
    assert not features.of(["", "Do as you please with it."]).any()


def test_edits_ask_for_what_comes_in_and_against_what_goes(features: EditFeatures) -> None:
    added, removed, replaced = features.asked(
        ["Mix it with fantasy.", "Make it less of a fantasy film.", "Replace children's with war."]
    )
    np.testing.assert_allclose(added, value("genres", "Fantasy"))
    np.testing.assert_allclose(removed, -added)
    np.testing.assert_allclose(replaced, value("genres", "War") - value("genres", "Children"))


@given(seed=st.integers(0, 99))
def test_features_depend_on_the_edit_only(seed: int) -> None:
    world = make_tiny_world()
    fresh, used = world.resources.edit_features, make_tiny_world().resources.edit_features
    rng = np.random.default_rng(seed)
    starts = [transition.sample_start(world, rng) for _ in range(2)]
    edits = [edit for state in transition.make_states(world, starts) for edit in state.action_set.edits]
    together = fresh.of(edits)
    np.testing.assert_array_equal(together, np.concatenate([used.of([edit]) for edit in reversed(edits)])[::-1])
    low, high = fresh.bounds
    assert together.shape == (12, fresh.width) == (12, len(low)) == (12, len(high))


def test_features_of_free_text_are_its_words() -> None:
    world = make_tiny_world()
    free = EditFeatures(world.space.encoder, N, "free")
    assert free.width == N
    np.testing.assert_allclose(free.of(["a war film"])[0], value("genres", "War"))
    np.testing.assert_array_equal(free.asked(["a war film"]), free.of(["a war film"]))


def test_every_catalog_takes_the_tasks() -> None:
    assert {kwargs["catalog"] for kwargs in IDS.values()} == set(CATALOGS)
    assert {kwargs.get("task", "default") for kwargs in IDS.values() if kwargs["catalog"] == "plots"} == set(TASKS)
