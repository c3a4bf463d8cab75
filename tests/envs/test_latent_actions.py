"""Codes as actions: the wrappers are environments, seeded, and equal one by one and in batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, RecordEpisodeStatistics, TimeLimit
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.policy import EquivariantPolicy
from eagle_gym import plot_english
from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.latent_actions import LatentActions, VectorLatentActions
from eagle_gym.envs.sb3 import WrappedVecEnv
from eagle_gym.envs.shaping import ShapedReward, VectorShapedReward
from eagle_gym.envs.spaces import LatentLayout
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import ConfigurationError, EpisodeError
from eagle_gym.language.codes import CodeModel, CodeSettings, make_codes
from eagle_gym.language.codes.branches import Branches
from eagle_gym.language.codes.model import Reader
from eagle_gym.language.loading import load_language_model
from eagle_gym.language.prompts import Prompt
from tests.fake_worlds import make_tiny_world


@pytest.fixture(scope="module")
def codes() -> CodeModel:
    """A code model whose codes matter: its world model is not that of the start, but small random numbers."""
    model = make_codes(CodeSettings(codes=4, every=4), seed=1)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        for layer in (model.world.merge, model.world.refine):
            layer.down.weight.normal_(0.0, 0.2)
    return model


def single(codes: CodeModel, **settings: Any) -> LatentActions:
    settings = {"horizon": 2, "observation": "latent", **settings}
    steer = settings.pop("steer", "edit")
    every, shown = settings.pop("every", 8), settings.pop("shown", "none")
    return LatentActions(EagleEnv.from_world(make_tiny_world(**settings)), codes, every, steer, shown)


def play(env: LatentActions, seed: int, code: int = 0, limit: int = 200) -> tuple[list[str], float, int]:
    """Texts, return and steps of an episode under one code."""
    _, info = env.reset(seed=seed)
    texts, total = [info["text"]], 0.0
    for step in range(1, limit):
        observation, reward, over, _, info = env.step(code)
        assert observation in env.observation_space
        texts += [info["text"]] if info["text"] != texts[-1] else []
        total += reward
        if over:
            return texts, total, step
    raise AssertionError("the episode did not end")


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version")  # as every wrapper is
@pytest.mark.parametrize("shown", ["none", "edit"])
@pytest.mark.parametrize("observation", ["latent", "text"])
def test_gymnasium_finds_no_fault(codes: CodeModel, observation: str, shown: str) -> None:
    check_env(single(codes, observation=observation, shown=shown, infos="arrays"), skip_render_check=True)


@pytest.mark.parametrize("steer", ["edit", "both"])
def test_rewards_sum_to_the_gain_and_seeds_decide(codes: CodeModel, steer: str) -> None:
    env = single(codes, steer=steer, every=40)
    env.reset(seed=2)
    before = env.unwrapped.state.total
    texts, total, _ = play(env, seed=2)
    assert total == pytest.approx(env.unwrapped.state.total - before)
    assert env.unwrapped.state.step == 2
    assert play(env, seed=2)[0] == texts
    assert play(env, seed=3)[0] != texts


def test_an_untrained_code_model_writes_as_its_base_model_does() -> None:
    env = single(make_codes(CodeSettings(codes=4, every=4)), steer="both", horizon=1, every=8)
    _, info = env.reset(seed=0)
    state = env.unwrapped.state
    base = load_language_model("embedded")
    profile = env.unwrapped.world.resources.profile(state.user)
    edit = base.generate([Prompt("propose", text=state.text, profile=profile)], [0], temperature=0)[0].text
    text = base.generate([Prompt("rewrite", text=state.text, edit=edit)], [0], temperature=0)[0].text
    over = False
    while not over:
        _, _, over, _, info = env.step(1)
    assert info["text"] == text
    assert env.unwrapped.frames[-1].edit == edit


def test_codes_change_what_is_written(codes: CodeModel) -> None:
    found = {tuple(play(single(codes, steer="both", horizon=1, every=8), seed=1, code=code)[0]) for code in range(4)}
    assert len(found) > 1


def test_generations_are_counted(codes: CodeModel) -> None:
    env = single(codes, horizon=1)
    env.reset(seed=0)
    before = env.unwrapped.usage.snapshot()
    play(env, seed=0)
    used = env.unwrapped.usage.snapshot() - before
    assert used.calls == 2  # the edit, by the code model, and the text, by the environment's
    assert used.completion_tokens > 0


def test_an_edit_that_plot_english_does_not_have_leaves_the_text(codes: CodeModel) -> None:
    env = single(codes, horizon=2)
    _, before = env.reset(seed=0)
    draft = env._steering.answers[0]
    draft.tokens, draft.done = codes.format.encode_answer("Give it a jazz style."), True
    ((state, reward),) = env._steering._finish([0]).values()
    assert (state.text, state.step, state.valid) == (before["text"], 1, False)
    assert reward <= 0
    assert env.unwrapped.frames[-1].edit == "Give it a jazz style."


@pytest.mark.parametrize(("text", "ends"), [("", True), (" ", True), ("A dark drama about a", False)])
def test_a_text_that_is_empty_or_cut_off_leaves_the_text(codes: CodeModel, text: str, ends: bool) -> None:
    env = single(codes, horizon=2, steer="both")
    _, before = env.reset(seed=0)
    steering, calls = env._steering, env.unwrapped.usage.calls
    answer, tokens = steering.answers[0], codes.format.encode_answer(text)
    answer.edit, answer.tokens, answer.done = "Make the tone dark.", tokens if ends else tokens[:-1], True
    assert answer.stopped(codes) == ends
    ((state, reward),) = steering._finish([0]).values()
    assert (state.text, state.step, state.valid) == (before["text"], 1, False)
    assert reward <= 0
    assert env.unwrapped.usage.calls - calls == 1, "the environment's own language model is not asked"


@pytest.mark.parametrize("shown", ["none", "edit"])
@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_a_batch_is_its_single_environments(codes: CodeModel, mode: str, shown: str) -> None:
    world = make_tiny_world(horizon=1, observation="latent")
    batch = VectorLatentActions(EagleVectorEnv.from_world(world, 2, autoreset_mode=mode), codes, 8, "edit", shown)
    seen, _ = batch.reset(seed=7)
    alone = [LatentActions(EagleEnv.from_world(world), codes, 8, "edit", shown) for _ in range(2)]
    own = [env.reset(seed=7 + i)[0] for i, env in enumerate(alone)]
    over = np.zeros(2, np.bool_)
    for _ in range(12):
        rows = [i for i in range(2) if not over[i]]
        for i in rows:
            for name in own[i]:
                np.testing.assert_allclose(seen[name][i], own[i][name], atol=2e-3, err_msg=name)
        if over.all() or (mode == "Disabled" and over.any()):
            break
        seen, rewards, ended, _, infos = batch.step(np.array([1, 2]))
        for i in rows:
            own[i], reward, done, _, _ = alone[i].step(1 + i)
            assert rewards[i] == pytest.approx(reward)
            assert ended[i] == done
            if done and mode == "SameStep":
                np.testing.assert_allclose(infos["final_obs"][i]["state"], own[i]["state"], atol=1e-6)
        over |= ended
    assert over.any()
    if mode == "Disabled":
        with pytest.raises(EpisodeError, match="are over"):
            batch.step(np.array([0, 0]))
        batch.reset(options={"reset_mask": over})
        batch.step(np.array([0, 0]))


def test_what_does_not_fit_is_refused(codes: CodeModel) -> None:
    env = EagleEnv.from_world(make_tiny_world(horizon=1))
    with pytest.raises(ConfigurationError, match="multiple of 4"):
        LatentActions(env, codes, every=6)
    for every in (0, -4, 8.0, True, "8"):
        with pytest.raises(ConfigurationError, match="positive integer"):
            LatentActions(env, codes, every=every)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="a code model, its folder"):
        LatentActions(env, 3)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="steer among"):
        LatentActions(env, codes, steer="all")
    with pytest.raises(ConfigurationError, match="eagle_gym"):
        LatentActions(gym.make("CartPole-v1"), codes)
    wrapped = LatentActions(env, codes)
    wrapped.reset(seed=0)
    with pytest.raises(EpisodeError, match="a code from 0 to 3"):
        wrapped.step(4)
    with pytest.raises(EpisodeError, match="one integer"):
        wrapped.step(0.5)
    with pytest.raises(ConfigurationError, match="action_features among"):
        LatentActions(env, codes, steer="edit", action_features="effect")
    with pytest.raises(ConfigurationError, match="steer='edit'"):
        LatentActions(env, codes, action_features="edit")


def test_a_code_model_is_read_from_a_path(codes: CodeModel, tmp_path: Path) -> None:
    codes.save(tmp_path)
    env = EagleEnv.from_world(make_tiny_world(horizon=1, observation="latent"))
    for place in (tmp_path, str(tmp_path)):
        seen = LatentActions(env, place, np.int64(8), "edit").reset(seed=0)[0]
        np.testing.assert_array_equal(seen["prior"], single(codes, horizon=1).reset(seed=0)[0]["prior"])


def test_wrappers_that_change_steps_belong_around(codes: CodeModel) -> None:
    world = make_tiny_world(horizon=1)
    for wrapper in (ShapedReward, RecordEpisodeStatistics, lambda env: single(codes)):
        with pytest.raises(ConfigurationError, match="put LatentActions first"):
            LatentActions(wrapper(EagleEnv.from_world(world)), codes)
    with pytest.raises(ConfigurationError, match="put VectorLatentActions first"):
        VectorLatentActions(VectorShapedReward(EagleVectorEnv.from_world(world, 2)), codes)
    env = ShapedReward(single(codes, horizon=1), "clip", references=[0.0, 0.1])
    total = play(env, seed=2)[1]  # type: ignore[arg-type]
    assert total == pytest.approx(np.clip(play(single(codes, horizon=1), seed=2)[1], 0.0, 0.1))


@pytest.mark.parametrize(("limit", "rewrites"), [(1, 1), (2, 2), (3, 2)])
def test_a_time_limit_counts_rewrites(codes: CodeModel, limit: int, rewrites: int) -> None:
    plain = EagleEnv.from_world(make_tiny_world(horizon=2, observation="latent"))
    env = LatentActions(TimeLimit(OrderEnforcing(PassiveEnvChecker(plain)), limit), codes, 8, "edit")
    env.reset(seed=1)
    terminated = truncated = False
    while not (terminated or truncated):
        seen, _, terminated, truncated, info = env.step(0)
    assert (terminated, truncated, info["step"]) == (rewrites == 2, limit <= 2, rewrites)
    assert seen["prior"].sum() == pytest.approx(0.0 if terminated else 1.0), "a cut episode could have gone on"
    with pytest.raises(EpisodeError, match=f"over after {rewrites} rewrites"):
        env.step(0)


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_a_batch_is_cut_as_single_environments_are(codes: CodeModel, mode: str) -> None:
    world = make_tiny_world(horizon=2, observation="latent")
    base = EagleVectorEnv.from_world(world, 2, autoreset_mode=mode, max_episode_steps=1)
    batch = VectorLatentActions(base, codes, 8, "edit")
    singles = [LatentActions(TimeLimit(EagleEnv.from_world(world), 1), codes, 8, "edit") for _ in range(2)]
    batch.reset(seed=3)
    for row, env in enumerate(singles):
        env.reset(seed=3 + row)
    going = np.ones(2, np.bool_)
    while going.any():
        _, rewards, terminated, truncated, infos = batch.step(np.array([1, 2]))
        assert not terminated.any()
        for row in np.flatnonzero(going):
            _, reward, _, cut, info = singles[row].step(1 + row)
            assert (rewards[row], truncated[row]) == (pytest.approx(reward), cut)
            last = infos["final_info"] if cut and mode == "SameStep" else infos
            assert last["step"][row] == info["step"]
        going &= ~truncated
        if mode == "Disabled" and truncated.any():
            with pytest.raises(EpisodeError, match="are over"):
                batch.step(np.array([0, 0]))
            batch.reset(options={"reset_mask": truncated})


def test_an_action_that_does_not_fit_changes_nothing(codes: CodeModel) -> None:
    """Row 0 is over and would start again in this step."""
    base = EagleVectorEnv.from_world(make_tiny_world(horizon=1), 2)
    batch = VectorLatentActions(base, codes, 4, "edit")
    batch.reset(seed=0)
    while not base.over[0]:
        base.envs[0].step(0)
    over = base.envs[0].state
    with pytest.raises(EpisodeError, match="a code from 0 to 3"):
        batch.step(np.array([0, 4]))
    assert base.envs[0].state is over


@pytest.mark.parametrize("shown", ["none", "edit"])
def test_masks_are_those_of_codes(codes: CodeModel, shown: str) -> None:
    """Four codes and four edits: masks of the edits would fit, and be wrong."""
    four = {"horizon": 1, "observation": "latent", "actions": 4}
    env = single(codes, shown=shown, **four)
    envs = EagleVectorEnv.from_world(make_tiny_world(**four), 2, autoreset_mode="SameStep")
    batch = VectorLatentActions(envs, codes, 8, "edit", shown)
    venv = WrappedVecEnv(batch)
    with pytest.raises(EpisodeError, match="no episode yet"):
        env.action_masks()
    seen, info = env.reset(seed=3)
    batch.reset(seed=3)
    for inner in (env.unwrapped, *envs.envs):  # the edits' mask says something else
        object.__setattr__(inner.state.action_set, "mask", np.array([0, 1, 0, 0], np.int8))
    expected = seen["mask"] if shown == "edit" else np.ones(4)
    np.testing.assert_array_equal(env.get_wrapper_attr("action_masks")(), expected)
    np.testing.assert_array_equal(info["action_mask"], expected)
    assert info["action_mask"].dtype == np.int8
    np.testing.assert_array_equal(batch.action_masks()[0], expected)
    np.testing.assert_array_equal(venv.env_method("action_masks", indices=[0])[0], expected)
    play(env, seed=3)
    assert env.action_masks().all(), "an episode that is over masks nothing"


@settings(max_examples=8, deadline=None)
@given(before=st.lists(st.integers(0, 3), max_size=2), after=st.lists(st.integers(0, 3), min_size=1, max_size=2))
@pytest.mark.parametrize("shown", ["none", "edit"])
def test_a_snapshot_begins_the_rewrite_afresh(
    codes: CodeModel, shown: str, before: list[int], after: list[int]
) -> None:
    """Whatever was written since, the codes after `set_state` write what they write after a reset."""
    env = single(codes, shown=shown, every=4, horizon=2)
    env.reset(seed=1)
    start = env.unwrapped.get_state()
    fresh = [env.step(code) for code in after]
    env.reset(seed=2)
    for moved in ([], before):
        env.unwrapped.set_state(start)
        for code in moved:
            env.step(code)
        env.unwrapped.set_state(start)
        again = [env.step(code) for code in after]
        for one, other in zip(fresh, again, strict=True):
            assert one[4]["draft"] == other[4]["draft"]
            assert one[1:4] == other[1:4]
            for name in one[0]:
                np.testing.assert_allclose(one[0][name], other[0][name], atol=1e-5)
    env.unwrapped.set_state(start)
    np.testing.assert_array_equal(env.action_masks(), single_mask(codes, shown))


def single_mask(codes: CodeModel, shown: str) -> np.ndarray[Any, Any]:
    """The mask at the start of the episode with seed 1."""
    env = single(codes, shown=shown, every=4, horizon=2)
    env.reset(seed=1)
    return env.action_masks()


def listed(text: str) -> list[str]:
    """The edits to which the codes lead, as a text observation lists them."""
    return [line.partition(". ")[2] for line in text.partition("Codes:\n")[2].splitlines()]


@pytest.mark.parametrize("every", [4, 40])
def test_a_code_writes_the_edit_that_is_shown_of_it(codes: CodeModel, every: int) -> None:
    plain, seeing = (single(codes, observation="text", every=every, horizon=1, shown=s) for s in ("none", "edit"))
    found = set()
    for code in range(4):
        shown = listed(seeing.reset(seed=1)[0])
        assert len(shown) == 4
        found |= set(shown)
        for env in (plain, seeing):
            env.reset(seed=1)
            env.step(code)
            if every == 40:
                assert env.unwrapped.frames[-1].edit == shown[code]
            else:
                begun = env._steering.answers[0]
                assert len(begun.tokens) == 4
                assert shown[code].startswith(begun.said(codes))
    assert len(found) > 1


def test_what_is_shown_of_codes_is_their_edits_words(codes: CodeModel) -> None:
    env, reader = single(codes, shown="edit"), single(codes, shown="edit", observation="text")
    seen, _ = env.reset(seed=3)
    shown = listed(reader.reset(seed=3)[0])
    words = env.unwrapped.world.resources.edit_features.of(shown)
    np.testing.assert_allclose(seen["actions"].reshape(4, -1), words, atol=1e-6)
    np.testing.assert_array_equal(seen["weights"], seen["prior"])
    np.testing.assert_allclose(seen["match"], along_taste(env, shown), atol=1e-6)
    layout = LatentLayout.of(env.observation_space)
    assert (layout.actions, layout.width, layout.effects) == (4, words.shape[1], False)
    probabilities = EquivariantPolicy(env.observation_space, env.action_space, lambda _: 1e-3).get_distribution(
        {name: torch.as_tensor(part[None]) for name, part in seen.items()}
    )
    assert probabilities.distribution.probs.shape == (1, 4)


def along_taste(env: LatentActions, edits: list[str]) -> np.ndarray[Any, Any]:
    """How far what edits ask for points in the direction of the taste."""
    parts = env.unwrapped.world.resources
    return parts.edit_features.asked(edits) @ parts.tastes[env.unwrapped.state.user, :-1]


def test_edits_that_change_nothing_are_masked(codes: CodeModel) -> None:
    env = single(codes, shown="edit")
    seen, _ = env.reset(seed=3)
    now = plot_english.read(env.unwrapped.state.text)
    slot, value = now.pairs()[0]
    idle = plot_english.render_edit((plot_english.Change("add" if slot == "genres" else "set", slot, value),))
    steering = env._steering
    assert steering._changing([idle, "Give it a jazz style.", "Change it in no way.", offered(now)], 0).tolist() == [
        0,
        0,
        0,
        1,
    ]
    assert steering._changing([idle, "Give it a jazz style."], 0).tolist() == [1, 1], "something has to be offered"
    edits = [draft.said(codes) for draft in steering._ahead[0]]
    np.testing.assert_array_equal(seen["mask"], steering._changing(edits, 0))


def offered(now: plot_english.Attributes) -> str:
    """An edit that changes a text with these attributes."""
    tone = next(value for value in ("dark", "funny") if value not in now.values("tone"))
    return plot_english.render_edit((plot_english.Change("set", "tone", tone),))


def test_every_edit_that_is_looked_at_counts(codes: CodeModel) -> None:
    env = single(codes, every=40, horizon=1, shown="edit")
    before = env.unwrapped.usage.snapshot()
    env.reset(seed=0)
    assert (env.unwrapped.usage.snapshot() - before).calls == 4
    env.step(0)
    assert (env.unwrapped.usage.snapshot() - before).calls <= 5  # the rewrite, if the edit can be asked for


def test_branches_read_as_rows_of_their_own(codes: CodeModel) -> None:
    prompts = [codes.format.encode(Prompt("propose", text=text, profile=""))[0] for text in ("A drama.", "A dark war.")]
    with torch.no_grad():
        branches = Branches(Reader(codes.base, prompts, codes.stop[0]))
        branches.keep(torch.tensor([0, 0, 1]))
        branches.add(torch.tensor([3, 4, 5]))
        branches.keep(torch.tensor([1, 1, 2]))  # the first token 4 goes on in two ways
        branches.add(torch.tensor([9, 10, 11]))
        branches.keep(torch.tensor([0, 1]))  # of the first prompt only
        branches.add(torch.tensor([6, 7]))
        alone = Reader(codes.base, [[*prompts[0], 4, 9, 6], [*prompts[0], 4, 10, 7]], codes.stop[0])
    torch.testing.assert_close(branches.hidden, alone.hidden, atol=1e-4, rtol=1e-4)
