"""The single environment: its contract with Gymnasium, its episodes, its errors, branching and pickling."""

from __future__ import annotations

import copy
import itertools
import pickle
import sys
import unicodedata
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.wrappers import TimeLimit
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from eagle_gym import plot_english
from eagle_gym.actions.action_set import ActionSets
from eagle_gym.envs import transition
from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.render import Frame, draw_last, printable
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.envs.world import RawState, State, World
from eagle_gym.errors import ConfigurationError, EpisodeError, LanguageModelError, TextError
from eagle_gym.language.model import LanguageModel
from eagle_gym.language.replay import RecordedModel, ReplayedModel
from tests.fake_worlds import ScriptedModel, make_tiny_world

TEXT = "A dark western film set on a train."


def raiser(error: Exception):
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("observation", ["text", "latent"])
@pytest.mark.parametrize("features", ["displacement", "next"])
def test_gymnasiums_checker_has_no_complaint(observation: str, features: str) -> None:
    env = EagleEnv.from_world(make_tiny_world(observation=observation, features=features))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*not having a spec.*")
        check_env(env)


def test_sb3s_checker_has_no_complaint(tiny_latent: World) -> None:
    from stable_baselines3.common.env_checker import check_env as check_sb3

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_sb3(EagleEnv.from_world(tiny_latent), warn=True)


def test_an_episode_from_start_to_end(tiny: World, model: ScriptedModel) -> None:
    env = EagleEnv.from_world(tiny)
    observation, info = env.reset(seed=0)
    start = info["utility"]["total"]
    total = 0.0
    for step in range(1, 4):
        edit, text = info["edits"][2], info["text"]
        observation, reward, terminated, truncated, info = env.step(2)
        total += reward
        assert type(reward) is float
        assert (terminated, truncated) == (step == 3, False)
        assert type(terminated) is type(truncated) is bool
        assert observation in env.observation_space
        assert model.batches[-1] == 1
        assert edit
        assert info["text"] != text or reward == 0.0
    assert total == pytest.approx(info["utility"]["total"] - start)
    with pytest.raises(EpisodeError, match="is over"):
        env.step(0)
    assert model.usage.calls == 3


def test_info_holds_what_the_manual_says(tiny: World) -> None:
    env = EagleEnv.from_world(tiny)
    _, info = env.reset(seed=1)
    assert set(info) == {
        "text", "user_id", "item_id", "profile", "step", "valid", "edits", "action_mask", "design", "utility",
    }  # fmt: skip
    assert info["user_id"] in tiny.catalog.users
    assert info["text"] == tiny.catalog.items[tiny.catalog.item_index(info["item_id"])].text
    assert len(info["edits"]) == 6
    assert info["action_mask"].dtype == np.int8
    assert set(info["design"]) == {"weights", "gap", "C"}
    assert info["design"]["weights"].sum() == pytest.approx(1.0)
    assert set(info["utility"]) == {"total", "affinity", "novelty", "percentile", "drift", "cost"}
    assert all(type(value) is float for value in info["utility"].values())
    assert info["valid"] is True


def test_the_mask_samples_and_the_method_agrees(tiny: World) -> None:
    env = EagleEnv.from_world(tiny)
    _, info = env.reset(seed=1)
    assert env.action_space.sample(info["action_mask"]) in env.action_space
    np.testing.assert_array_equal(env.action_masks(), info["action_mask"].astype(bool))
    wrapped = TimeLimit(env, 9)
    np.testing.assert_array_equal(wrapped.get_wrapper_attr("action_masks")(), env.action_masks())


def test_the_text_observation_says_all_an_agent_needs(tiny: World) -> None:
    env = EagleEnv.from_world(tiny)
    observation, info = env.reset(seed=2)
    assert info["profile"] in observation
    assert info["text"] in observation
    assert "Step 0 of 3." in observation
    for number, edit in enumerate(info["edits"]):
        assert f"\n{number}. {edit}" in observation
    assert env.read() == observation


def test_the_latent_observation_is_what_the_info_says() -> None:
    tiny_latent = make_tiny_world(observation="latent", task="easy")
    env = EagleEnv.from_world(tiny_latent)
    observation, info = env.reset(seed=2)
    chosen, user = env.state.action_set, tiny_latent.space.users[tiny_latent.catalog.user_index(info["user_id"])]
    np.testing.assert_allclose(observation["state"], tiny_latent.space.encoder.encode([info["text"]])[0], rtol=1e-6)
    np.testing.assert_allclose(observation["user"][:-1] * observation["user"][-1], user[:-1], rtol=1e-5)
    assert np.linalg.norm(observation["user"][:-1]) == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(observation["effects"].reshape(6, 4), chosen.features, atol=1e-6)
    np.testing.assert_allclose(observation["weights"], info["design"]["weights"], atol=1e-7)
    assert observation["mask"].tolist() == [1.0] * 6
    assert observation["time"].tolist() == [0.0]
    assert env.step(0)[0]["time"].tolist() == pytest.approx([1 / 3])


def test_terminal_reward_is_the_last_texts_utility() -> None:
    env = EagleEnv.from_world(make_tiny_world(reward="terminal"))
    env.reset(seed=0)
    steps = [env.step(1) for _ in range(3)]
    assert [step[1] for step in steps[:2]] == [0.0, 0.0]
    assert steps[2][1] == steps[2][4]["utility"]["total"]


def test_expected_utility_is_the_utility_of_the_expected_embedding() -> None:
    tiny = make_tiny_world(task="easy")
    env = EagleEnv.from_world(tiny)
    env.reset(seed=0)
    state = env.state
    wanted = tiny.resources.utility(state.action_set.expected, np.full(6, state.user), np.full(6, state.item)).total
    np.testing.assert_array_equal(env.expected_utility(), wanted)


def test_reset_takes_user_item_and_text(tiny: World) -> None:
    env = EagleEnv.from_world(tiny)
    _, info = env.reset(seed=0, options={"user": "u4", "item": "m5"})
    assert (info["user_id"], info["item_id"]) == ("u4", "m5")
    _, info = env.reset(options={"text": TEXT})
    assert (info["text"], info["item_id"]) == (TEXT, None)
    _, info = env.reset(options={"text": TEXT, "item": "m5"})
    assert (info["text"], info["item_id"]) == (TEXT, "m5")


@pytest.mark.parametrize(("split", "user", "item"), [("train", "u3", "m10"), ("test", "u4", "m5")])
def test_the_other_split_is_entered_on_purpose_alone(split: str, user: str, item: str) -> None:
    env = EagleEnv.from_world(make_tiny_world(split=split))
    other = {"train": "test", "test": "train"}[split]
    for options in ({"user": user}, {"item": item}, {"user": user, "any_split": False}):
        with pytest.raises(ConfigurationError, match=f"belongs to the {other} split, and this .* {split} split"):
            env.reset(seed=0, options=options)
    _, info = env.reset(seed=0, options={"user": user, "item": item, "any_split": True})
    assert (info["user_id"], info["item_id"]) == (user, item)
    own = EagleEnv.from_world(make_tiny_world(split=other))
    assert data_equivalence(own.reset(seed=0, options={"user": user, "item": item})[1], info, exact=True)


def test_options_do_not_shift_the_randomness(tiny: World) -> None:
    env = EagleEnv.from_world(tiny)
    _, drawn = env.reset(seed=4)
    after = env.np_random.bit_generator.state
    env.reset(seed=4, options={"user": drawn["user_id"], "item": drawn["item_id"]})
    assert env.np_random.bit_generator.state == after


@pytest.mark.parametrize(
    ("options", "error", "complaint"),
    [
        ({"user": "u33"}, ConfigurationError, "did you mean 'u3'"),
        ({"item": "film"}, ConfigurationError, "no item 'film'"),
        ({"usr": "u1"}, ConfigurationError, "did you mean 'user'"),
        ({"usr": None}, ConfigurationError, "did you mean 'user'"),
        ({"user": "u3", "any_split": "yes"}, ConfigurationError, "any_split must be True or False"),
        ({"text": "The quick brown fox."}, TextError, "plot English"),
        ({"text": "Ein Film über Züge 🚂"}, TextError, "plot English"),
        ({"text": "  "}, TextError, "non-empty"),
        ({"text": 7}, TextError, "non-empty string"),
        ({"text": "\ud800"}, TextError, "surrogates"),
    ],
)
def test_starts_that_cannot_be_are_typed_errors(
    tiny: World, options: dict[str, object], error: type[Exception], complaint: str
) -> None:
    env = EagleEnv.from_world(tiny, render_mode="ansi")
    env.reset(seed=0)
    env.step(1)
    before, generator, shown = env.get_state(), env.np_random, env.render()
    for seed in (None, 5):
        with pytest.raises(error, match=complaint):
            env.reset(seed=seed, options=options)
        assert env.state is before.state
        assert env.get_state() == before, "history, randomness and seed are as they were"
        assert env.np_random is generator
        assert env.render() == shown


def test_a_reset_that_fails_in_the_making_leaves_all_as_it_was(tiny: World, monkeypatch: pytest.MonkeyPatch) -> None:
    env, twin = EagleEnv.from_world(tiny), EagleEnv.from_world(tiny)
    for each in (env, twin):
        each.reset(seed=0)
    with monkeypatch.context() as patch:
        patch.setattr(ActionSets, "build", raiser(LanguageModelError("no candidate was proposed")))
        for seed in (None, 9):
            with pytest.raises(LanguageModelError, match="no candidate"):
                env.reset(seed=seed)
    assert env.np_random_seed == 0
    assert data_equivalence(env.step(2), twin.step(2), exact=True)
    assert data_equivalence(env.reset(), twin.reset(), exact=True)


@pytest.mark.parametrize("action", [6, -1, 2.0, "1", None, np.array([0, 1])])
def test_actions_that_are_not_offered_are_errors(tiny: World, model: ScriptedModel, action: object) -> None:
    env = EagleEnv.from_world(tiny)
    env.reset(seed=0)
    with pytest.raises(EpisodeError, match="action"):
        env.step(action)
    assert model.batches == []


def test_a_masked_action_is_an_error(tiny: World) -> None:
    env = EagleEnv.from_world(tiny)
    env.reset(seed=0)
    state = env.state
    mask = np.array([1, 1, 1, 0, 0, 0], np.int8)
    env._state = replace(state, action_set=replace(state.action_set, mask=mask))
    with pytest.raises(EpisodeError, match="offers 3 of 6"):
        env.step(4)


@pytest.mark.parametrize("action", [np.int64(1), np.array(1), np.array([1]), 1])
def test_actions_may_be_numpy_integers(tiny: World, action: object) -> None:
    env = EagleEnv.from_world(tiny)
    env.reset(seed=0)
    assert env.step(action)[4]["step"] == 1


def test_step_before_reset_and_after_close(tiny: World) -> None:
    env = EagleEnv.from_world(tiny)
    with pytest.raises(EpisodeError, match="reset"):
        env.step(0)
    with pytest.raises(EpisodeError, match="reset"):
        env.action_masks()
    env.close()
    env.close()
    with pytest.raises(EpisodeError, match="closed"):
        env.reset()


def test_a_failed_call_is_an_error_and_the_episode_stands_where_it_stood() -> None:
    model = ScriptedModel(fail_on=1)
    env, twin = EagleEnv.from_world(make_tiny_world(model)), EagleEnv.from_world(make_tiny_world())
    for each in (env, twin):
        each.reset(seed=0)
        each.step(0)
    before = env.get_state()
    with pytest.raises(LanguageModelError):
        env.step(1)
    assert env.state is before.state
    assert data_equivalence(env.step(1), twin.step(1), exact=True), "a second try goes on as if nothing had happened"


@pytest.mark.parametrize("language", ["free", "plot_english"])
def test_a_rewrite_that_is_cut_off_leaves_the_text_and_is_not_valid(language: str) -> None:
    model = ScriptedModel(language=language)
    env = EagleEnv.from_world(make_tiny_world(model, edit_cost=0.25))
    env.reset(seed=0)
    before = env.step(0)[4]
    model.cut = before["edits"]
    with pytest.warns(RuntimeWarning, match="raise max_new_tokens"):
        _, reward, _, _, after = env.step(1)
    assert (after["text"], after["valid"], after["step"]) == (before["text"], False, 2)
    assert reward == pytest.approx(-0.25)
    assert after.get("rewrite") == ("cut off" if language == "free" else None)
    env.set_state(env.get_state())
    model.cut = ()
    assert env.step(2)[4]["step"] == 3


def test_text_that_left_the_language_is_drawn_again() -> None:
    model = ScriptedModel(garble=0.5)
    env, twin = EagleEnv.from_world(make_tiny_world(model)), EagleEnv.from_world(make_tiny_world())
    texts = []
    for seed in range(8):
        for each in (env, twin):
            each.reset(seed=seed)
        for action in (0, 3, 1):
            *_, info = env.step(action)
            assert plot_english.parse(info["text"])
            assert info["valid"] is True
            texts.append(info["text"])
    assert set(model.batches) == {1}
    assert model.usage.retries == len(model.batches) - len(texts) > 5
    assert model.usage.calls == len(model.batches)


def test_texts_drawn_again_are_recorded_and_replayed(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    inner = ScriptedModel(garble=0.5)

    def episodes(model: LanguageModel) -> list[object]:
        envs = EagleVectorEnv.from_world(make_tiny_world(model), 6)
        return [envs.reset(seed=0), *(envs.step(np.full(6, action)) for action in (0, 3, 1))]

    recorded = episodes(RecordedModel(inner, path))
    replayed = ReplayedModel(path)
    assert data_equivalence(recorded, episodes(replayed), exact=True)
    assert inner.usage.retries == replayed.usage.retries > 0


def test_text_that_never_parses_stands_and_is_not_valid() -> None:
    model = ScriptedModel(garble=1.0)
    env = EagleEnv.from_world(make_tiny_world(model))
    _, info = env.reset(seed=0)
    assert info["valid"]
    _, reward, _, _, info = env.step(0)
    assert len(model.batches) == 8
    assert not info["valid"]
    assert not plot_english.parses(info["text"])
    assert np.isfinite(reward)
    env.step(0)


def test_greedy_text_is_never_drawn_again() -> None:
    model = ScriptedModel(garble_greedy=True)
    env = EagleEnv.from_world(make_tiny_world(model, temperature=0.0))
    env.reset(seed=0)
    assert not env.step(2)[4]["valid"]
    assert len(model.batches) == 1


def test_free_text_is_kept_and_judged() -> None:
    model = ScriptedModel(language="free", garble=1.0)
    env = EagleEnv.from_world(make_tiny_world(model))
    env.reset(seed=0)
    *_, info = env.step(0)
    assert info["text"].startswith("Once upon a time, qwerty!")
    assert info["valid"] is True
    assert model.usage.retries == 0
    long = "A film. " * 200
    assert env.reset(options={"text": long})[1]["valid"] is True
    assert env.step(0)[4]["valid"] is False, "far longer than any text of the catalog"
    model.lazy = True
    env.reset(options={"text": TEXT})
    *_, info = env.step(0)
    assert info["text"] == TEXT
    assert info["valid"] is False, "returned unchanged"


@pytest.mark.parametrize("language", ["free", "plot_english"])
def test_a_text_that_is_no_proper_rewrite_earns_no_more_than_the_text_before(language: str) -> None:
    world = make_tiny_world(ScriptedModel(language=language), horizon=1)
    terminal = make_tiny_world(ScriptedModel(language=language), horizon=1, reward="terminal")
    low = transition.make_states(world, [RawState(TEXT, 0, 0)])[0]
    low = replace(low, utility=low.utility | {"total": 1.0})
    for valid, total in ((True, 3.0), (False, 3.0), (False, -3.0)):
        new = replace(low, step=1, valid=valid, utility=low.utility | {"total": total})
        counts = total if valid else min(total, 1.0)
        for made, reward in ((world, counts - 1.0), (terminal, counts)):
            (paid,) = transition.with_rewards(made, [low], [new])
            assert paid.reward == reward
            assert paid.total == counts, "what follows counts from what was paid"


def test_gains_and_searches_count_what_is_paid() -> None:
    """An improper text on the way neither lends its utility to a gain nor takes it back afterwards."""
    world = make_tiny_world(ScriptedModel(language="free"), horizon=2)
    first = transition.make_states(world, [RawState(TEXT, 0, 0)])[0]
    low = replace(first, utility=first.utility | {"total": 0.0})
    high = replace(low, step=1, valid=False, utility=low.utility | {"total": 3.0})
    (paid,) = transition.with_rewards(world, [low], [high])
    (back,) = transition.with_rewards(world, [paid], [replace(low, step=2)])
    assert paid.reward + back.reward == back.total - low.total == 0.0
    assert transition.capped(world, low, 3.0, valid=False) == 0.0
    assert transition.capped(world, low, 3.0, valid=True) == 3.0


def test_two_runs_with_one_seed_are_equal(tiny: World) -> None:
    env, twin = EagleEnv.from_world(tiny), EagleEnv.from_world(make_tiny_world())
    for seed in (0, None, 3):
        if seed is not None:
            assert data_equivalence(env.reset(seed=seed), twin.reset(seed=seed), exact=True)
        else:
            assert data_equivalence(env.reset(), twin.reset(), exact=True)
        for action in (1, 0, 5):
            assert data_equivalence(env.step(action), twin.step(action), exact=True)


def test_other_environments_do_not_interfere(tiny: World) -> None:
    env, other, twin = (EagleEnv.from_world(tiny) for _ in range(3))
    env.reset(seed=0)
    other.reset(seed=9)
    interleaved = []
    for action in (1, 2, 3):
        interleaved.append(env.step(action))
        other.step(action)
    twin.reset(seed=0)
    assert data_equivalence(interleaved, [twin.step(action) for action in (1, 2, 3)], exact=True)


def test_nothing_returned_is_used_again(tiny_latent: World) -> None:
    env = EagleEnv.from_world(tiny_latent)
    observation, info = env.reset(seed=0)
    kept = copy.deepcopy((observation, info))
    observation["state"][:] = 0.0
    info["action_mask"][:] = 0
    info["design"]["weights"][:] = 0.0
    info["utility"]["total"] = 99.0
    assert data_equivalence(env.reset(seed=0), kept, exact=True)


def test_a_branch_repeats_and_a_fresh_seed_departs(tiny: World) -> None:
    env = EagleEnv.from_world(tiny)
    env.reset(seed=0)
    env.step(1)
    snapshot = env.get_state()
    assert snapshot.seed == 0
    first = [env.step(action) for action in (0, 2)]
    env.set_state(snapshot)
    assert data_equivalence(first, [env.step(action) for action in (0, 2)], exact=True)
    texts = set()
    for seed in range(8):
        env.set_state(snapshot, seed=seed)
        assert env.np_random_seed == seed
        assert env.state is snapshot.state
        texts.add(env.step(0)[4]["text"])
    assert len(texts) > 1


OTHER_SETTINGS = {
    "actions": {"actions": 3},
    "horizon": {"horizon": 4},
    "features": {"features": "next"},
    "utility": {"utility": "tests.fake_worlds:make_plain_utility"},
    "reward": {"reward": "terminal"},
    "observation": {"observation": "latent"},
    "split": {"split": "test"},
    "temperature": {"temperature": 0.5},
    "utility_kwargs": {"utility_kwargs": {"weight": 2.0}},
    "affinity": {"affinity": "absolute"},
    "interests": {"interests": 2},
    "drift_penalty": {"drift_penalty": 0.5},
    "edit_cost": {"edit_cost": 0.5},
}


@pytest.mark.parametrize("name", OTHER_SETTINGS)
def test_a_snapshot_of_other_settings_is_refused(tiny: World, name: str) -> None:
    env, other = EagleEnv.from_world(tiny), EagleEnv.from_world(make_tiny_world(**OTHER_SETTINGS[name]))
    env.reset(seed=0)
    other.reset(seed=0)
    before = env.get_state()
    with pytest.raises(ConfigurationError, match=f"other settings: expected .*{name}="):
        env.set_state(other.get_state())
    with pytest.raises(ConfigurationError, match="other settings"):
        EagleVectorEnv.from_world(tiny, 2).set_state([before, other.get_state()])
    assert env.get_state() == before


def test_a_snapshot_of_another_space_or_model_is_refused(tiny: World) -> None:
    env, other = EagleEnv.from_world(tiny), EagleEnv.from_world(make_tiny_world(ScriptedModel(fingerprint="other")))
    for each in (env, other):
        each.reset(seed=0)
    with pytest.raises(ConfigurationError, match="expected model='scripted', got model='other'"):
        env.set_state(other.get_state())
    space = dict(env.get_state().made_with, space="beef")
    with pytest.raises(ConfigurationError, match="expected space='fake-space', got space='beef'"):
        env.set_state(replace(env.get_state(), made_with=space))


def test_a_snapshot_goes_where_only_storage_and_speed_differ(tiny: World) -> None:
    others = {"prepare": "never", "cache_dir": "elsewhere", "record": "calls.jsonl", "max_calls": 9, "dtype": "float16"}
    env, other = EagleEnv.from_world(tiny), EagleEnv.from_world(make_tiny_world(batch_invariant=True, **others))
    env.reset(seed=0)
    other.set_state(env.get_state())
    assert data_equivalence(env.step(1), other.step(1), exact=True)


def test_no_secret_of_a_models_spec_is_in_a_snapshot() -> None:
    env = EagleEnv.from_world(make_tiny_world(effects_model="openai:m@http://user:hidden@localhost:1/v1"))
    env.reset(seed=0)
    assert "hidden" not in repr(env.get_state().made_with)


@pytest.mark.parametrize("stranger", [5, None, "snapshot", {"state": None}, [1]])
def test_what_is_no_snapshot_is_refused(tiny: World, stranger: object) -> None:
    env, envs = EagleEnv.from_world(tiny), EagleVectorEnv.from_world(tiny, 2)
    env.reset(seed=0)
    envs.reset(seed=0)
    before, both = env.get_state(), envs.get_state()
    for go_back in (
        lambda: env.set_state(stranger),
        lambda: envs.set_state(stranger),
        lambda: envs.set_state([both[0], stranger]),
    ):
        with pytest.raises(ConfigurationError, match="snapshot"):
            go_back()
    assert env.get_state() == before
    assert envs.get_state() == both


BROKEN_STATES = {
    "text": "lone \ud800",
    "user": 99,
    "item": -2,
    "step": 4,
    "z": np.full(4, np.nan),
    "utility": {"total": float("inf")},
    "action_set": None,
    "valid": "yes",
    "start": np.zeros(3),
}


@pytest.mark.parametrize("part", ["rng", "seed", "frames", "state", "made_with", "edit", *BROKEN_STATES])
def test_a_broken_snapshot_is_refused_before_anything_moves(tiny: World, part: str) -> None:
    env, envs = EagleEnv.from_world(tiny), EagleVectorEnv.from_world(tiny, 2)
    env.reset(seed=0)
    envs.reset(seed=0)
    whole, both = env.get_state(), envs.get_state()
    if part in BROKEN_STATES:
        broken = replace(whole, state=replace(whole.state, **{part: BROKEN_STATES[part]}))
    elif part == "edit":
        broken = replace(whole, frames=(replace(whole.frames[0], edit=None),))
    else:
        values = {"rng": {"bit_generator": "PCG64"}, "seed": "0", "frames": (1,), "state": "text", "made_with": 3}
        broken = replace(whole, **{part: values[part]})
    with pytest.raises(ConfigurationError, match="the snapshot is broken"):
        env.set_state(broken)
    with pytest.raises(ConfigurationError, match="the snapshot is broken"):
        envs.set_state([whole, broken])
    assert env.get_state() == whole
    assert envs.get_state() == both
    env.set_state(whole)


def other_text(state: State) -> State:
    return replace(state, text=TEXT)


def half_utility(state: State) -> State:
    return replace(state, utility={"total": state.total})


def no_bool(state: State) -> State:
    return replace(state, valid=1)  # type: ignore[arg-type]


def nothing_offered(state: State) -> State:
    return replace(state, action_set=replace(state.action_set, mask=np.zeros_like(state.action_set.mask)))


def far_away(state: State) -> State:
    return replace(state, z=100.0 * state.z)


def other_start(state: State) -> State:
    return replace(state, start=0.5 * state.start)


@pytest.mark.parametrize("broken", [other_text, half_utility, no_bool, nothing_offered, far_away, other_start])
def test_a_snapshot_that_contradicts_itself_is_refused(tiny: World, broken: Callable[[State], State]) -> None:
    env = EagleEnv.from_world(tiny)
    env.reset(seed=0)
    env.step(1)
    whole = env.get_state()
    state = broken(env.state)
    with pytest.raises(ConfigurationError, match="the snapshot is broken"):
        env.set_state(replace(whole, state=state, frames=(*whole.frames[:-1], replace(whole.frames[-1], state=state))))
    assert env.get_state() == whole


def test_a_history_that_ends_elsewhere_is_refused(tiny: World) -> None:
    env = EagleEnv.from_world(tiny)
    env.reset(seed=0)
    env.step(1)
    whole = env.get_state()
    with pytest.raises(ConfigurationError, match="its history does not end in its state"):
        env.set_state(replace(whole, frames=whole.frames[:-1]))
    env.set_state(replace(whole, state=copy.deepcopy(whole.state)))


@pytest.mark.parametrize("options", [5, "user", ["user"], {3: "u1"}])
def test_options_that_are_no_dict_are_refused(tiny: World, options: object) -> None:
    for env in (EagleEnv.from_world(tiny), EagleVectorEnv.from_world(tiny, 2)):
        env.reset(seed=0)
        before = env.get_state()
        with pytest.raises(ConfigurationError, match="expected reset options as a dict"):
            env.reset(options=options)
        assert env.get_state() == before


def test_a_branch_goes_to_another_copy_and_through_pickle(tiny: World) -> None:
    env, other = EagleEnv.from_world(tiny), EagleEnv.from_world(tiny)
    env.reset(seed=0)
    env.step(1)
    other.reset(seed=8)
    other.set_state(pickle.loads(pickle.dumps(env.get_state())))
    assert other.np_random_seed == env.np_random_seed == 0
    assert other.get_state().rng == env.get_state().rng
    assert data_equivalence(env.step(3), other.step(3), exact=True)


def test_render_shows_the_episode(tiny: World) -> None:
    env = EagleEnv.from_world(tiny, render_mode="ansi")
    assert env.render() == "No episode yet."
    _, info = env.reset(seed=0)
    shown = env.render()
    assert shown.startswith("User ")
    assert info["edits"][1] in shown
    for _ in range(3):
        env.step(1)
    assert f"> {info['edits'][1]}" in env.render()
    assert "The end: utility" in env.render()
    assert EagleEnv.from_world(tiny).render() is None


def test_a_picture_shows_the_present_moment(tiny: World) -> None:
    env = EagleEnv.from_world(tiny, render_mode="rgb_array")
    with pytest.raises(EpisodeError, match="reset"):
        env.render()
    env.reset(seed=0)
    pictures = [env.render()]
    for action in (0, 3):
        env.step(action)
        pictures.append(env.render())
    for picture in pictures:
        assert (picture.shape, picture.dtype) == ((540, 960, 3), np.uint8)
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20
    assert all((one != other).any() for one, other in itertools.pairwise(pictures))
    np.testing.assert_array_equal(pictures[-1], env.render())


def test_a_picture_without_matplotlib_names_the_extra(tiny: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    env = EagleEnv.from_world(tiny, render_mode="rgb_array")
    env.reset(seed=0)
    with pytest.raises(ConfigurationError, match=r"eagle_gym\[render\]"):
        env.render()


@pytest.mark.parametrize("mode", ["human", "rgb", 3, ["ansi"]])
def test_other_render_modes_are_refused(tiny: World, mode: object) -> None:
    with pytest.raises(ConfigurationError, match="expected render_mode=None or one of"):
        EagleEnv.from_world(tiny, render_mode=mode)
    with pytest.raises(ConfigurationError, match="expected render_mode=None or one of"):
        EagleVectorEnv.from_world(tiny, render_mode=mode)
    with pytest.raises(ConfigurationError, match="expected render_mode=None or one of"):
        EagleEnv(render_mode=mode)


HOSTILE = "Red \x1b[31m text\x1b]0;title\x07 \x9b2J \r over \u202e backwards \u2028 and \x00"


def test_what_a_terminal_would_obey_is_written_out() -> None:
    env = EagleEnv.from_world(make_tiny_world(ScriptedModel(language="free")), render_mode="ansi")
    env.reset(seed=0, options={"text": HOSTILE})
    shown = env.render()
    state = env.state
    hostile = replace(state, action_set=replace(state.action_set, edits=(HOSTILE,) * 6))
    for text in (shown, draw_last(env.world, [Frame(hostile, HOSTILE, 1.0)])):
        assert all(character.isprintable() or character == "\n" for character in text)
        assert "\\x1b[31m text" in text
        assert "\\u202e backwards" in text


@given(st.text())
def test_printable_text_is_one_line_and_keeps_what_is_harmless(text: str) -> None:
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in shown)
    if text.isprintable():
        assert shown == text
    assert printable(shown) == shown


def test_joined_emoji_are_kept() -> None:
    family = "a \U0001f468\u200d\U0001f469\u200d\U0001f467 film"
    assert printable(family) == family


def test_usage_and_determinism_are_the_models(tiny: World, model: ScriptedModel) -> None:
    env = EagleEnv.from_world(tiny)
    assert env.usage is model.usage
    assert env.deterministic is True


def test_a_time_limit_truncates(tiny: World) -> None:
    env = TimeLimit(EagleEnv.from_world(tiny), 2)
    env.reset(seed=0)
    assert env.step(0)[2:4] == (False, False)
    assert env.step(0)[2:4] == (False, True)


class EpisodeMachine(RuleBasedStateMachine):
    """Any order of calls: the environment does what it says, or raises a typed error and stays as it was."""

    def __init__(self) -> None:
        super().__init__()
        self.env = EagleEnv.from_world(make_tiny_world(horizon=2))
        self.steps: int | None = None
        self.snapshots = []

    @rule(seed=st.integers(0, 99), text=st.none() | st.just(TEXT) | st.text(max_size=8))
    def reset(self, seed: int, text: str | None) -> None:
        try:
            self.env.reset(seed=seed, options={"text": text})
            self.steps = 0
        except TextError:
            assert text is not None

    @rule(action=st.integers(-1, 6))
    def step(self, action: int) -> None:
        possible = self.steps in (0, 1) and 0 <= action < 6
        try:
            terminated = self.env.step(action)[2]
        except EpisodeError:
            assert not possible
            return
        assert possible
        self.steps += 1
        assert terminated == (self.steps == 2)

    @precondition(lambda self: self.steps is not None)
    @rule()
    def keep(self) -> None:
        self.snapshots.append((self.env.get_state(), self.steps))

    @precondition(lambda self: self.snapshots)
    @rule(fresh=st.booleans())
    def go_back(self, fresh: bool) -> None:
        snapshot, self.steps = self.snapshots[-1]
        self.env.set_state(snapshot, seed=1 if fresh else None)

    @invariant()
    def steps_agree(self) -> None:
        if self.steps is not None:
            assert self.env.state.step == self.steps


EpisodeMachine.TestCase.settings = hypothesis_settings(max_examples=12, stateful_step_count=12, deadline=None)
TestEpisodeMachine = EpisodeMachine.TestCase
