"""The vector environment: as many single ones, stepped together, in every autoreset mode."""

from __future__ import annotations

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit

from eagle_gym import design
from eagle_gym.envs.checks import compare
from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.vector import EagleVectorEnv, as_autoreset_mode
from eagle_gym.envs.world import World
from eagle_gym.errors import ConfigurationError, EpisodeError, LanguageModelError
from tests.fake_worlds import ScriptedModel, make_tiny_world

MODES = list(AutoresetMode)
TEXT = "A dark western film set on a train."


def vector(world: World, num_envs: int = 3, mode: AutoresetMode = AutoresetMode.NEXT_STEP, **kwargs) -> EagleVectorEnv:
    return EagleVectorEnv.from_world(world, num_envs, autoreset_mode=mode, **kwargs)


def same(one: object, other: object) -> bool:
    return data_equivalence(one, other, exact=True)


@pytest.mark.parametrize("observation", ["text", "latent"])
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("num_envs", [1, 4])
def test_equal_step_by_step_to_single_environments(observation: str, mode: AutoresetMode, num_envs: int) -> None:
    world = make_tiny_world(observation=observation)
    single = SyncVectorEnv([lambda: EagleEnv.from_world(world)] * num_envs, autoreset_mode=mode)
    batch = vector(world, num_envs, mode)
    assert batch.metadata["autoreset_mode"] is single.metadata["autoreset_mode"] is mode
    compare(batch, single, steps=8)


def test_equal_where_some_are_reset_before_their_end() -> None:
    world = make_tiny_world(observation="latent")
    mode = AutoresetMode.DISABLED
    batch = vector(world, 3, mode)
    single = SyncVectorEnv([lambda: EagleEnv.from_world(world)] * 3, autoreset_mode=mode)
    mask = np.array([True, False, True])
    for seed in (4, None):
        assert same(batch.reset(seed=seed), single.reset(seed=seed))
        for _ in range(2):
            assert same(batch.step(np.array([1, 0, 2])), single.step(np.array([1, 0, 2])))
        options = [{"reset_mask": mask, "user": "u1"} for _ in range(2)]
        assert same(batch.reset(options=options[0]), single.reset(options=options[1]))
        assert options[0].keys() == {"reset_mask", "user"}, "the caller's options are left alone"
        assert same(batch.step(np.array([3, 3, 3])), single.step(np.array([3, 3, 3])))
        with pytest.raises(EpisodeError, match=r"episodes \[1\] are over"):
            batch.step(np.zeros(3, int))


def test_a_time_limit_truncates_as_gymnasiums_wrapper_does() -> None:
    world = make_tiny_world()
    for mode in MODES:
        batch = vector(world, 2, mode, max_episode_steps=2)
        single = SyncVectorEnv([lambda: TimeLimit(EagleEnv.from_world(world), 2)] * 2, autoreset_mode=mode)
        compare(batch, single, steps=6)
        exact = vector(world, 2, mode, max_episode_steps=3)
        limited = SyncVectorEnv([lambda: TimeLimit(EagleEnv.from_world(world), 3)] * 2, autoreset_mode=mode)
        compare(exact, limited, steps=5)


def test_a_trajectory_does_not_depend_on_the_number_of_environments() -> None:
    world = make_tiny_world(observation="latent")
    wide, narrow = vector(world, 5), vector(world, 1)
    wide.reset(seed=10)
    narrow.reset(seed=12)
    for action in (0, 3, 1):
        left, right = wide.step(np.full(5, action)), narrow.step(np.array([action]))
        for name, rows in left[0].items():
            np.testing.assert_array_equal(rows[2], right[0][name][0])
        assert left[1][2] == right[1][0]
        assert left[4]["text"][2] == right[4]["text"][0]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_one_model_call_one_encoder_pass_and_one_design_a_step(
    mode: AutoresetMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ScriptedModel()
    world = make_tiny_world(model, horizon=2)
    # Effects are rollouts here, which encode too; the environment's own passes are told apart by their size.
    counts = {"encode": [], "design": []}
    encoder, select = type(world.space.encoder), design.select_batch
    encode = encoder.encode
    monkeypatch.setattr(
        encoder, "encode", lambda self, texts: counts["encode"].append(len(texts)) or encode(self, texts)
    )
    monkeypatch.setattr(
        design,
        "select_batch",
        lambda pools, k, **options: counts["design"].append(len(pools)) or select(pools, k, **options),
    )
    envs = vector(world, 4, mode)
    envs.reset(seed=0)
    for step in range(2):
        for found in counts.values():
            found.clear()
        envs.step(np.zeros(4, int))
        assert model.batches == [4] * (step + 1)
        resets = 4 if step == 1 and mode is AutoresetMode.SAME_STEP else 0
        assert counts["encode"][0] == 4 + resets
        assert len(counts["encode"]) == 2, "one pass for the states, one for the rollouts"
        assert len(counts["design"]) <= 1


def test_the_mode_may_be_named_and_stands_in_the_metadata(tiny: World) -> None:
    for name, mode in (("NextStep", "NEXT_STEP"), ("SameStep", "SAME_STEP"), ("Disabled", "DISABLED")):
        assert as_autoreset_mode(name) is as_autoreset_mode(mode) is AutoresetMode[mode]
        envs = EagleVectorEnv.from_world(tiny, 2, autoreset_mode=name)
        assert envs.metadata["autoreset_mode"] is AutoresetMode[mode]
    assert "autoreset_mode" not in EagleVectorEnv.metadata, "the class's own metadata is not touched"
    with pytest.raises(ConfigurationError, match="autoreset_mode"):
        EagleVectorEnv.from_world(tiny, 2, autoreset_mode="Sometimes")


@pytest.mark.parametrize("observation", ["text", "latent"])
def test_everything_returned_is_fresh_and_in_its_space(observation: str) -> None:
    envs = vector(make_tiny_world(observation=observation), 2, AutoresetMode.SAME_STEP)
    results = [envs.reset(seed=0)]
    for _ in range(4):
        observation_, rewards, terminated, truncated, infos = envs.step(np.array([0, 1]))
        assert observation_ in envs.observation_space
        assert (rewards.dtype, terminated.dtype, truncated.dtype) == (np.float64, np.bool_, np.bool_)
        results.append((observation_, infos, rewards, terminated, truncated))
    kept = copy.deepcopy(results)
    envs.step(np.array([2, 2]))
    assert same(results, kept)
    arrays = [result[0]["state"] for result in results] if observation == "latent" else []
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


def test_final_observation_and_info_are_those_of_the_ended_episode() -> None:
    world = make_tiny_world(observation="latent", horizon=2)
    same_step, next_step = vector(world, 2, AutoresetMode.SAME_STEP), vector(world, 2)
    for envs in (same_step, next_step):
        envs.reset(seed=0)
        envs.step(np.array([1, 1]))
    *_, infos = same_step.step(np.array([2, 2]))
    last, *_, last_infos = next_step.step(np.array([2, 2]))
    for i in range(2):
        assert same({k: v[i] for k, v in last.items()}, infos["final_obs"][i])
        assert infos["final_info"]["text"][i] == last_infos["text"][i]
        assert infos["final_info"]["utility"]["total"][i] == last_infos["utility"]["total"][i]
    observation, rewards, terminated, *_ = next_step.step(np.array([99, -1]))  # ignored: these environments reset
    assert rewards.tolist() == [0.0, 0.0]
    assert not terminated.any()
    assert observation["time"].tolist() == [[0.0], [0.0]]


def test_seeds_may_be_a_list_and_options_one_for_each(tiny: World) -> None:
    envs = vector(tiny)
    _, one = envs.reset(seed=7)
    _, other = envs.reset(seed=[7, 8, 9])
    assert same(one, other)
    _, infos = envs.reset(options={"user": ["u1", None, "u3"], "text": [None, TEXT, None], "any_split": True})
    assert (infos["user_id"][0], infos["user_id"][2]) == ("u1", "u3")
    assert infos["text"][1] == TEXT
    assert infos["item_id"][1] is None
    assert envs.np_random_seed == (7, 8, 9)
    assert len(envs.np_random) == 3
    for wrong in (
        {"user": ["u1"]},
        {"user": ["u1", "u2", "u3"]},
        {"user": ["u1", "u2", "u3"], "any_split": [True, True, False]},
        {"usr": "u1"},
        {"reset_mask": np.array([1, 0, 1])},
        {"reset_mask": np.zeros(3, bool)},
    ):
        with pytest.raises(ConfigurationError):
            envs.reset(options=wrong)
    with pytest.raises(ConfigurationError, match="seed"):
        envs.reset(seed=[1, 2])


@pytest.mark.parametrize("seed", [1.7, "a", -1])
def test_what_is_no_seed_is_refused_as_by_single_environments(tiny: World, seed: object) -> None:
    envs, single = vector(tiny), EagleEnv.from_world(tiny)
    envs.reset(seed=0)
    for env, given in ((single, seed), (envs, seed), (envs, [0, 1, seed])):
        with pytest.raises(gym.error.Error, match="Seed must be"):
            env.reset(seed=given)
    assert envs.np_random_seed == (0, 1, 2)
    envs.reset(seed=np.int64(4))
    assert envs.np_random_seed == (4, 5, 6)


def test_the_first_reset_is_of_all(tiny: World) -> None:
    envs = vector(tiny)
    with pytest.raises(EpisodeError, match="reset"):
        envs.step(np.zeros(3, int))
    with pytest.raises(EpisodeError, match="first reset"):
        envs.reset(options={"reset_mask": np.array([True, False, False])})


@pytest.mark.parametrize("actions", [[0, 1], 0, [0.0, 1.0, 2.0], [[0], [1], [2]], [0, 1, 6], ["0", "1", "2"]])
def test_actions_that_do_not_fit_are_errors(tiny: World, model: ScriptedModel, actions: object) -> None:
    envs = vector(tiny)
    envs.reset(seed=0)
    with pytest.raises(EpisodeError, match="action"):
        envs.step(actions)
    assert model.batches == []


@pytest.mark.parametrize(
    "arguments", [{"num_envs": 0}, {"num_envs": 2.0}, {"max_episode_steps": 0}, {"render_mode": "rgb"}]
)
def test_impossible_arguments_are_refused(tiny: World, arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        EagleVectorEnv.from_world(tiny, **arguments)


def test_a_failed_call_leaves_every_episode_where_it_stood() -> None:
    envs, twin = vector(make_tiny_world(ScriptedModel(fail_on=1))), vector(make_tiny_world())
    for each in (envs, twin):
        each.reset(seed=0)
        each.step(np.zeros(3, int))
    before = envs.states
    with pytest.raises(LanguageModelError):
        envs.step(np.ones(3, int))
    assert all(now is then for now, then in zip(envs.states, before, strict=True))
    assert same(envs.step(np.ones(3, int)), twin.step(np.ones(3, int)))


@pytest.mark.parametrize("seed", [None, 5, [5, None, -1], [1, 2]])
def test_a_failed_reset_leaves_every_episode_where_it_stood(tiny: World, seed: object) -> None:
    envs = vector(tiny, render_mode="ansi")
    envs.reset(seed=0)
    envs.step(np.zeros(3, int))
    before, generators, shown = envs.get_state(), envs.np_random, envs.render()
    with pytest.raises((ConfigurationError, gym.error.Error)):
        envs.reset(seed=seed, options={"user": ["u1", "u2", "nobody"]})
    assert envs.get_state() == before
    assert all(now is then for now, then in zip(envs.np_random, generators, strict=True))
    assert envs.np_random_seed == (0, 1, 2)
    assert envs.render() == shown


def test_a_failed_first_reset_leaves_nothing_behind(tiny: World) -> None:
    envs = vector(tiny)
    before = envs.get_state()
    with pytest.raises(ConfigurationError):
        envs.reset(seed=5, options={"user": "nobody"})
    assert envs.get_state() == before
    with pytest.raises(EpisodeError, match="reset"):
        envs.step(np.zeros(3, int))


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_texts_that_left_the_language_are_drawn_again_row_by_row(mode: AutoresetMode) -> None:
    model = ScriptedModel(garble=0.4)
    world = make_tiny_world(model)
    envs = vector(world, 8, mode)
    envs.reset(seed=0)
    envs.step(np.zeros(8, int))
    assert len(model.batches) > 1
    assert model.batches[0] == 8
    assert model.batches == sorted(model.batches, reverse=True), "those that parse are not drawn again"
    assert model.usage.retries == sum(model.batches[1:])
    single = SyncVectorEnv([lambda: EagleEnv.from_world(world)] * 8, autoreset_mode=mode)
    compare(envs, single, steps=8)


def test_a_draw_again_that_fails_stops_the_step_and_moves_nothing() -> None:
    model = ScriptedModel()
    envs, twin = vector(make_tiny_world(model)), vector(make_tiny_world())
    for each in (envs, twin):
        each.reset(seed=0)
    before = envs.get_state()
    model.garble, model.fail_on = 1.0, len(model.batches) + 1
    with pytest.raises(LanguageModelError, match="the scripted failure"):
        envs.step(np.ones(3, int))
    assert envs.get_state() == before
    model.garble, model.fail_on = 0.0, -1
    assert same(envs.step(np.ones(3, int)), twin.step(np.ones(3, int)))


def test_masks_and_expected_utilities_are_the_single_ones() -> None:
    tiny = make_tiny_world(task="easy")
    envs, single = vector(tiny), EagleEnv.from_world(tiny)
    envs.reset(seed=3)
    for i in range(3):
        single.reset(seed=3 + i)
        np.testing.assert_array_equal(envs.action_masks()[i], single.action_masks())
        np.testing.assert_array_equal(envs.expected_utility()[i], single.expected_utility())
    assert envs.action_masks().dtype == np.bool_


def test_branching_one_episode_into_many(tiny: World) -> None:
    single, envs = EagleEnv.from_world(tiny), vector(tiny)
    single.reset(seed=0)
    single.step(1)
    envs.set_state([single.get_state()] * 3)
    assert envs.np_random_seed == (0, 0, 0)
    *_, infos = envs.step(np.array([0, 0, 0]))
    assert set(infos["text"]) == {single.step(0)[4]["text"]}
    envs.set_state(envs.get_state(), seed=[1, 1, 2])
    *_, infos = envs.step(np.array([3, 3, 3]))
    assert infos["text"][0] == infos["text"][1]
    with pytest.raises(ConfigurationError, match="3 snapshots"):
        envs.set_state([single.get_state()])
    fresh = EagleEnv.from_world(tiny).get_state()
    before = envs.get_state()
    with pytest.raises(EpisodeError, match="before the first reset"):
        envs.set_state([single.get_state(), fresh, fresh])
    with pytest.raises(ConfigurationError, match="seed"):
        envs.set_state([single.get_state()] * 3, seed=[1, 2])
    with pytest.raises(ConfigurationError, match="get_state"):
        envs.set_state([single.get_state(), None, None])  # type: ignore[list-item]
    assert envs.get_state() == before


def test_snapshots_of_a_batch_repeat_it_and_pass_through_pickle(tiny: World) -> None:
    envs, other = vector(tiny), vector(tiny)
    envs.reset(seed=0)
    other.set_state(pickle.loads(pickle.dumps(envs.get_state())))
    assert other.np_random_seed == (0, 1, 2)
    for _ in range(5):
        assert same(envs.step(np.array([1, 2, 3])), other.step(np.array([1, 2, 3])))


def test_single_environments_are_called_as_in_a_sync_vector_env() -> None:
    tiny = make_tiny_world(task="easy")
    envs, sync = vector(tiny), SyncVectorEnv([lambda: EagleEnv.from_world(tiny)] * 3)
    for each in (envs, sync):
        each.reset(seed=0)
        each.step(np.array([1, 2, 3]))
    for name in ("read", "action_masks", "expected_utility", "render_mode", "np_random_seed"):
        assert same(envs.call(name), sync.call(name)), name
    assert same(envs.get_attr("settings"), sync.get_attr("settings"))
    assert same(envs.call("reset", seed=5, options={"user": "u1"}), sync.call("reset", seed=5, options={"user": "u1"}))
    assert same(envs.step(np.array([1, 1, 0])), sync.step(np.array([1, 1, 0])))
    for each in (envs, sync):
        each.set_attr("label", ["a", "b", "c"])
        assert each.get_attr("label") == ("a", "b", "c")
        each.set_attr("label", 7)
        assert each.get_attr("label") == (7, 7, 7)
        with pytest.raises(ValueError, match="3"):
            each.set_attr("label", [1, 2])
        with pytest.raises(AttributeError, match="wings"):
            each.get_attr("wings")


def test_settings_cannot_be_set_as_attributes(tiny: World) -> None:
    envs = vector(tiny)
    with pytest.raises(ConfigurationError, match="share their settings"):
        envs.set_attr("horizon", 9)


def test_set_state_of_some_environments(tiny: World) -> None:
    envs = vector(tiny)
    fresh = envs.get_state()
    envs.reset(seed=0)
    before = envs.get_state()
    envs.step(np.zeros(3, int))
    moved = envs.get_state()
    envs.set_state([before[0]], indices=[2])
    assert [one.state for one in envs.get_state()] == [moved[0].state, moved[1].state, before[0].state]
    standing = envs.get_state()
    for indices in ([3], [-1], [0, 0], [], [1.5], "0"):
        with pytest.raises(ConfigurationError, match=r"indices|snapshots"):
            envs.set_state([before[0]] * len(indices), indices=indices)
    with pytest.raises(EpisodeError, match="before the first reset"):
        envs.set_state([fresh[0]], indices=[0])
    assert envs.get_state() == standing


def test_pictures_are_those_of_single_environments(tiny: World) -> None:
    envs, single = vector(tiny, 2, render_mode="rgb_array"), EagleEnv.from_world(tiny, render_mode="rgb_array")
    envs.reset(seed=0)
    single.reset(seed=1)
    first, second = envs.render()
    np.testing.assert_array_equal(second, single.render())
    assert (first != second).any()


def test_render_close_and_what_the_model_says(tiny: World, model: ScriptedModel) -> None:
    envs = vector(tiny, render_mode="ansi")
    envs.reset(seed=0)
    assert [shown.startswith("User ") for shown in envs.render()] == [True] * 3
    assert vector(tiny).render() is None
    assert envs.usage is model.usage
    assert envs.deterministic
    envs.close()
    envs.close()
    with pytest.raises(EpisodeError, match="closed"):
        envs.reset()


def test_async_with_shared_memory_refuses_text_loudly_and_works_without() -> None:
    def make() -> gym.Env:
        return EagleEnv.from_world(make_tiny_world())

    with pytest.raises(ValueError, match="shared_memory"):
        gym.vector.AsyncVectorEnv([make] * 2, shared_memory=True)
    envs = gym.vector.AsyncVectorEnv([make] * 2, shared_memory=False)
    try:
        here = vector(make_tiny_world(), 2)
        assert envs.reset(seed=0)[0] == here.reset(seed=0)[0]
        for _ in range(2):
            assert envs.step(np.array([1, 2]))[0] == here.step(np.array([1, 2]))[0], "the text must not go stale"
    finally:
        envs.close()


def test_async_with_shared_memory_gives_right_arrays() -> None:
    world = make_tiny_world(observation="latent")
    envs = gym.vector.AsyncVectorEnv([lambda: EagleEnv.from_world(world)] * 2, shared_memory=True)
    try:
        here = vector(world, 2)
        assert same(envs.reset(seed=0)[0], here.reset(seed=0)[0])
        for _ in range(4):
            assert same(envs.step(np.array([1, 2]))[0], here.step(np.array([1, 2]))[0])
    finally:
        envs.close()
