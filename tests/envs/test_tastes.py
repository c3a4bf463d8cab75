"""How a taste is shown: its direction has length 1 however weak it is, and a user without taste has none."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.observation import observe_latent
from eagle_gym.envs.spaces import LatentLayout, latent_space
from eagle_gym.envs.world import World


def shown(world: World, strength: float) -> np.ndarray:
    """What is observed of a user whose taste is scaled to a strength."""
    env = EagleEnv.from_world(world)
    env.reset(seed=0)
    users = world.space.users.copy()
    users[:, :-1] *= strength / np.linalg.norm(users[:, :-1], axis=1, keepdims=True)
    space = dataclasses.replace(world.space, users=users)
    scaled = dataclasses.replace(world, resources=dataclasses.replace(world.resources, space=space))
    return observe_latent(scaled, [env.state])["user"][0]


@pytest.mark.parametrize("strength", [1e-11, 1e-9, 1e-6, 1e-3, 0.5])
def test_the_direction_of_the_weakest_taste_has_length_one(tiny_latent: World, strength: float) -> None:
    user = shown(tiny_latent, strength)
    assert np.linalg.norm(user[:-1]) == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(user[:-1], shown(tiny_latent, 1.0)[:-1], atol=1e-6)


def test_a_user_without_taste_has_no_direction(tiny_latent: World) -> None:
    assert shown(tiny_latent, 0.0).tolist() == [0.0] * 5


@pytest.mark.parametrize(("strength", "bound"), [(0.0, 1e-6), (1e-5, 1e-5), (2.0, 2.0)])
def test_the_bound_of_the_strength_is_never_zero(strength: float, bound: float) -> None:
    bounds = (-np.ones(2), np.ones(2))
    box = latent_space(LatentLayout(2, 3, 2), radius=1.0, strength=strength, action_bounds=bounds)["user"]
    assert box.high.tolist() == pytest.approx([1.0, 1.0, bound], rel=1e-6)
