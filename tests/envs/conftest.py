"""Worlds for the environments' tests: a tiny one of fakes, and the embedded one."""

from __future__ import annotations

import pytest

from eagle_gym.envs.opening import make_world
from eagle_gym.envs.world import World
from tests.fake_worlds import ScriptedModel, make_tiny_world


@pytest.fixture
def model() -> ScriptedModel:
    """The scripted model of `tiny`."""
    return ScriptedModel()


@pytest.fixture
def tiny(model: ScriptedModel) -> World:
    """A world of fakes with the text observation."""
    return make_tiny_world(model)


@pytest.fixture
def tiny_latent(model: ScriptedModel) -> World:
    """A world of fakes with the latent observation."""
    return make_tiny_world(model, observation="latent")


@pytest.fixture(scope="session")
def plots() -> World:
    """The embedded world; held for the session, so that it is opened once."""
    return make_world(prepare="never")
