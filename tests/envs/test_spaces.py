"""The space of free text, and the boxes of the latent observation."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces.utils import is_space_dtype_shape_equiv
from gymnasium.vector.utils import (
    batch_differing_spaces,
    batch_space,
    concatenate,
    create_empty_array,
    create_shared_memory,
    iterate,
)
from gymnasium.wrappers.utils import create_zero_array
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.spaces import LATENT_KEYS, FreeText, LatentLayout, latent_space
from eagle_gym.envs.world import World
from eagle_gym.errors import ConfigurationError
from tests.fake_worlds import make_tiny_world


@given(st.text())
def test_any_unicode_is_contained(text: str) -> None:
    assert text in FreeText()


@pytest.mark.parametrize("stranger", [3, None, b"bytes", np.array("x"), ["x"], "lone \ud800 surrogate"])
def test_other_things_are_not(stranger: object) -> None:
    assert stranger not in FreeText()


def test_length_is_limited_where_asked() -> None:
    assert "abc" in FreeText(3)
    assert "abcd" not in FreeText(3)
    with pytest.raises(ConfigurationError, match="max_length"):
        FreeText(-1)


@given(st.integers(0, 2**31), st.none() | st.integers(0, 50))
def test_samples_are_contained_and_seeded(seed: int, longest: int | None) -> None:
    space, twin = FreeText(longest, seed=seed), FreeText(longest, seed=seed)
    samples = [space.sample() for _ in range(5)]
    assert all(sample in space for sample in samples)
    assert samples == [twin.sample() for _ in range(5)]


def test_samples_take_no_mask() -> None:
    with pytest.raises(ConfigurationError, match="mask"):
        FreeText().sample(mask=np.ones(3, np.int8))


def test_equality_copies_and_json() -> None:
    space = FreeText(9)
    assert space == copy.deepcopy(space) == pickle.loads(pickle.dumps(space))
    assert space != FreeText()
    assert space != gym.spaces.Text(9)
    assert len({space, FreeText(9), FreeText()}) == 2
    assert space.from_jsonable(space.to_jsonable(["é", "x"])) == ["é", "x"]
    assert repr(FreeText()) == "FreeText()"


def test_a_batch_is_a_tuple_of_texts() -> None:
    batch = batch_space(FreeText(), 2)
    assert isinstance(batch, gym.spaces.Tuple)
    assert ("é", "") in batch
    assert concatenate(FreeText(), ["a", "b"], create_empty_array(FreeText(), 2)) == ("a", "b")


def test_gymnasiums_hooks_know_it() -> None:
    space = FreeText()
    assert create_zero_array(space) == ""
    assert create_zero_array(space) in space
    assert create_empty_array(space, 3) == ("", "", "")
    assert batch_differing_spaces([FreeText(2), FreeText()]) == gym.spaces.Tuple([FreeText(2), FreeText()])
    assert is_space_dtype_shape_equiv(FreeText(2), FreeText())
    assert not is_space_dtype_shape_equiv(FreeText(), gym.spaces.Discrete(2))
    assert list(iterate(batch_space(space, 2), ("a", "b"))) == ["a", "b"]
    with pytest.raises(ValueError, match="cannot be flattened"):
        gym.spaces.flatdim(space)


def test_a_dict_with_a_text_is_flattened_around_it() -> None:
    space = gym.spaces.Dict({"state": gym.spaces.Box(-1, 1, (2, 2)), "text": FreeText()})
    sample = space.sample()
    flat = gym.spaces.flatten(space, sample)
    assert flat in gym.spaces.flatten_space(space)
    assert flat["text"] == sample["text"]
    assert flat["state"].shape == (4,)
    assert gym.spaces.unflatten(space, flat)["text"] == sample["text"]


@pytest.mark.parametrize("longest", [None, 9])
def test_minari_writes_it_and_reads_it_back(longest: int | None) -> None:
    serialization = pytest.importorskip("minari.serialization", reason="minari is not installed")
    space = FreeText(longest)
    written = serialization.serialize_space(gym.spaces.Dict({"text": space, "n": gym.spaces.Discrete(2)}))
    read = serialization.deserialize_space(written)["text"]
    assert read == space
    assert "\u6620 \U0001f3ac"[: longest] in read
    assert read.sample() in space
    assert serialization.deserialize_space(serialization.serialize_space(read)) == space


def test_shared_memory_refuses_loudly() -> None:
    with pytest.raises(gym.error.CustomSpaceError):
        create_shared_memory(FreeText(), 2)


def test_a_text_space_would_go_stale_there_and_ours_must_not_be_one() -> None:
    assert not isinstance(FreeText(), gym.spaces.Text)


@pytest.mark.parametrize(("features", "reach"), [("displacement", 2.0), ("next", 1.0)])
def test_the_latent_boxes_are_flat_float32_and_bounded(features: str, reach: float) -> None:
    world = make_tiny_world(observation="latent", task="easy", features=features, actions=5)
    space, radius = world.observation_space(), world.space.radius
    shapes = {"state": 4, "user": 5, "effects": 20, "weights": 5, "mask": 5, "time": 1}
    assert {name: box.shape for name, box in space.spaces.items()} == {k: (n,) for k, n in shapes.items()}
    for box in space.spaces.values():
        assert isinstance(box, gym.spaces.Box)
        assert box.dtype == np.float32
        assert box.is_bounded()
        assert (box.low < box.high).all()
    assert space["effects"].high.max() == pytest.approx(reach * radius)
    assert space["user"].high.tolist() == pytest.approx([1, 1, 1, 1, world.resources.strength])


def space_of(layout: LatentLayout) -> gym.spaces.Dict:
    width = layout.width
    return latent_space(layout, radius=3.0, strength=2.0, action_bounds=(-np.ones(width), np.ones(width)))


@given(
    n=st.integers(2, 5),
    actions=st.integers(2, 6),
    width=st.integers(0, 9),
    interests=st.integers(0, 3),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
)
def test_a_layout_is_read_off_its_space(n: int, actions: int, width: int, interests: int, flags: tuple) -> None:
    effects, user, match, reward = flags
    layout = LatentLayout(n, actions, width, effects or not width, user, match, interests, reward)
    space = space_of(layout)
    assert LatentLayout.of(space) == layout
    assert LatentLayout.of({**space.sample(), "text": "ignored"}) == layout
    assert {name: box.shape for name, box in space.items()} == layout.shapes
    assert set(space) <= set(LATENT_KEYS)
    for box in space.values():
        assert isinstance(box, gym.spaces.Box)
        assert box.is_bounded()


def test_other_spaces_have_no_layout() -> None:
    space = space_of(LatentLayout(4, 5, 4))
    other = gym.spaces.Dict({**space.spaces, "user": gym.spaces.Box(-1, 1, (4,))})
    for wrong in (FreeText(), other, gym.spaces.Dict({"state": FreeText(), "mask": FreeText()})):
        with pytest.raises(ConfigurationError, match='observation="latent"'):
            LatentLayout.of(wrong)


def with_strengths(world: World, test: float) -> World:
    """The same world, where every test user's taste is as strong as said."""
    users = world.space.users.copy()
    rows = world.resources.split.test_users
    users[rows, :-1] *= test / np.linalg.norm(users[rows, :-1], axis=1, keepdims=True)
    resources = dataclasses.replace(world.resources, space=dataclasses.replace(world.space, users=users))
    return dataclasses.replace(world, resources=resources)


@pytest.mark.parametrize("strength", [1e-3, 1e6])
def test_test_users_set_no_bound_and_lie_within_it(strength: float) -> None:
    world = make_tiny_world(observation="latent", split="test")
    train = np.linalg.norm(world.space.users[world.resources.split.train_users, :-1], axis=1)
    env = EagleEnv.from_world(with_strengths(world, strength))
    assert env.observation_space == world.observation_space()
    assert env.observation_space["user"].high[-1] == pytest.approx(2 * train.max())
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    assert observation["user"][-1] == pytest.approx(min(strength, 2 * train.max()))
