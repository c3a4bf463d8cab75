"""The SB3 adapter: SB3's conventions, on batched steps, and agents of SB3 train on it."""

from __future__ import annotations

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.sb3 import SB3VecEnv
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import ConfigurationError, EpisodeError
from tests.fake_worlds import ScriptedModel, make_tiny_world

WORLD = make_tiny_world(observation="latent")


def adapter(num_envs: int = 3, mode: str = "NextStep") -> SB3VecEnv:
    return SB3VecEnv(EagleVectorEnv.from_world(WORLD, num_envs, autoreset_mode=mode))


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_equal_to_sb3s_own_loop_over_single_environments(mode: str) -> None:
    ours, theirs = adapter(mode=mode), DummyVecEnv([lambda: EagleEnv.from_world(WORLD)] * 3)
    for each in (ours, theirs):
        each.seed(4)
    assert data_equivalence(dict(ours.reset()), dict(theirs.reset()), exact=True)
    assert data_equivalence(ours.reset_infos, theirs.reset_infos, exact=True)
    for step in range(8):
        actions = np.array([step % 6, 1, 5])
        left, right = ours.step(actions), theirs.step(actions)
        assert data_equivalence(dict(left[0]), dict(right[0]), exact=True)
        for one, other in zip(left[1:], right[1:], strict=True):
            assert data_equivalence(one, other, exact=True)
    assert data_equivalence(ours.reset_infos, theirs.reset_infos, exact=True)


def test_the_step_is_batched() -> None:
    model = ScriptedModel()
    envs = SB3VecEnv(EagleVectorEnv.from_world(make_tiny_world(model, observation="latent"), 4))
    envs.reset()
    envs.step(np.zeros(4, int))
    assert model.batches == [4]


def test_an_environment_that_resets_in_the_step_is_driven_itself() -> None:
    batch = EagleVectorEnv.from_world(WORLD, 2, autoreset_mode=AutoresetMode.SAME_STEP)
    assert SB3VecEnv(batch).envs is batch
    other = EagleVectorEnv.from_world(WORLD, 2)
    assert SB3VecEnv(other).envs.world is other.world


def test_ends_are_marked_as_sb3_wants_them() -> None:
    envs = SB3VecEnv(EagleVectorEnv.from_world(WORLD, 2, max_episode_steps=2))
    envs.reset()
    assert not envs.step(np.zeros(2, int))[2].any()
    observation, _, dones, infos = envs.step(np.zeros(2, int))
    assert dones.all()
    for i, info in enumerate(infos):
        assert info["TimeLimit.truncated"] is True
        assert info["terminal_observation"]["time"] == pytest.approx(2 / 3)
        assert observation["time"][i] == 0.0


def test_masks_and_other_methods_go_through_env_method() -> None:
    envs = adapter()
    envs.seed(0)
    envs.reset()
    masks = envs.env_method("action_masks")
    assert [mask.shape for mask in masks] == [(6,)] * 3
    with pytest.raises(AttributeError, match="no method 'nothing'"):
        envs.env_method("nothing")
    assert envs.has_attr("render_mode")
    assert envs.get_attr("num_envs") == [3] * 3
    kept = envs.env_method("get_state")
    first = envs.step(np.ones(3, int))
    envs.env_method("set_state", kept)
    assert data_equivalence(first[3], envs.step(np.ones(3, int))[3], exact=True)
    assert envs.env_is_wrapped(VecMonitor) == [False] * 3
    with pytest.raises(AttributeError, match="no method"):
        envs.env_method("fly")
    with pytest.raises(AttributeError):
        envs.get_attr("wings")
    with pytest.raises(ConfigurationError, match="share"):
        envs.set_attr("horizon", 3)


def test_methods_and_attributes_are_those_of_single_environments() -> None:
    envs, single = adapter(), EagleEnv.from_world(WORLD)
    envs.seed(0)
    envs.reset()
    single.reset(seed=1)
    assert envs.env_method("read", indices=1) == [single.read()]
    assert envs.get_attr("settings", [0, 2]) == [WORLD.settings] * 2
    assert envs.get_attr("state")[1].text == single.state.text
    envs.set_attr("label", "second", indices=1)
    assert envs.get_attr("label", 1) == ["second"]
    assert not envs.envs.envs[0].has_wrapper_attr("label")
    kept = single.get_state()
    assert envs.env_method("step", 2, indices=[1])[0][4]["text"] == single.step(2)[4]["text"]
    assert [state.step for state in envs.states] == [0, 1, 0]
    assert kept.state.step == 0


def test_set_state_goes_to_the_environments_of_its_indices() -> None:
    envs = adapter()
    envs.seed(0)
    envs.reset()
    before = envs.get_state()
    envs.step(np.zeros(3, int))
    moved = envs.get_state()
    envs.env_method("set_state", [before[2], before[0]], indices=[0, 2])
    assert [snapshot.state for snapshot in envs.get_state()] == [before[2].state, moved[1].state, before[0].state]
    envs.env_method("set_state", before[1], indices=0)
    assert [state.step for state in envs.states] == [0, 1, 0]
    envs.env_method("set_state", list(before), seed=[7, 8, 9])
    assert envs.get_attr("np_random_seed") == [7, 8, 9]
    for wrong, indices in (([before[0]], [0, 1]), ([before[0], 5], [0, 1]), ([before[0]] * 2, [1, 1])):
        standing = envs.get_state()
        with pytest.raises(ConfigurationError):
            envs.env_method("set_state", wrong, indices=indices)
        assert envs.get_state() == standing


def test_attributes_of_the_batch_are_seen_through_sb3s_wrappers() -> None:
    envs = VecMonitor(adapter())
    envs.reset()
    assert envs.world is WORLD
    assert envs.usage is WORLD.model.usage
    assert envs.settings == WORLD.settings
    assert envs.action_masks().shape == (3, 6)
    assert envs.spec is None
    with pytest.raises(AttributeError, match="wings"):
        envs.wings  # noqa: B018


def test_the_spec_is_the_batchs_and_each_environment_has_its_own() -> None:
    batch = gym.make_vec("EagleGym/Plots-v0", num_envs=2, observation="latent", autoreset_mode="SameStep", horizon=4)
    envs = SB3VecEnv(batch)
    assert envs.spec == batch.spec
    assert envs.spec.id == "EagleGym/Plots-v0"
    assert VecMonitor(envs).spec.kwargs["num_envs"] == 2
    for spec in envs.get_attr("spec"):
        assert spec.max_episode_steps == 4
        assert gym.make(spec).unwrapped.settings == batch.settings
    envs.close()


def test_images_are_the_single_environments() -> None:
    envs = SB3VecEnv(EagleVectorEnv.from_world(WORLD, 2, render_mode="rgb_array"))
    envs.seed(0)
    envs.reset()
    first, second = envs.get_images()
    single = EagleEnv.from_world(WORLD, render_mode="rgb_array")
    single.reset(seed=1)
    np.testing.assert_array_equal(second, single.render())
    assert envs.render().shape == (first.shape[0] * 2, first.shape[1], 3)
    assert adapter().get_images() == [None] * 3


def test_sb3_contrib_finds_the_masks() -> None:
    masking = pytest.importorskip("sb3_contrib.common.maskable.utils")
    envs = adapter()
    assert masking.is_masking_supported(envs)
    envs.reset()
    np.testing.assert_array_equal(masking.get_action_masks(envs), envs.envs.action_masks())


def test_options_and_seeds_hold_for_one_reset() -> None:
    envs = adapter()
    envs.seed(0)
    envs.set_options([{"user": "u1"}, {}, {"user": "u2"}])
    envs.reset()
    assert [info["user_id"] for info in envs.reset_infos][::2] == ["u1", "u2"]
    first = envs.reset_infos
    envs.reset()
    assert envs.reset_infos != first


def test_what_it_cannot_go_over_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="latent"):
        SB3VecEnv(EagleVectorEnv.from_world(make_tiny_world(), 2))
    other = gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="sync")
    with pytest.raises(ConfigurationError, match="SyncVectorEnv"):
        SB3VecEnv(other)
    other.close()
    with pytest.raises(EpisodeError, match="step_async"):
        adapter().step_wait()


def test_a_wrapper_that_would_be_passed_by_is_refused() -> None:
    envs = RecordEpisodeStatistics(EagleVectorEnv.from_world(WORLD, 2))
    with pytest.raises(ConfigurationError, match="past its wrapper RecordEpisodeStatistics"):
        SB3VecEnv(envs)


def test_ppo_trains_on_it() -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        agent = PPO(
            "MultiInputPolicy", VecMonitor(adapter(2)), n_steps=4, batch_size=8, n_epochs=1, seed=0, device="cpu"
        )
        agent.learn(8)
    assert agent.num_timesteps == 8
    assert agent.ep_info_buffer is not None
