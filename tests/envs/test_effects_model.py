"""Action sets that predict another model than the environment's own."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from eagle_gym.envs import opening
from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.opening import make_world
from eagle_gym.envs.transition import make_states
from eagle_gym.envs.world import RawState, World
from eagle_gym.errors import ConfigurationError
from tests.fake_worlds import ScriptedModel


def test_action_sets_stay_what_they_are_while_the_environment_changes(plots: World) -> None:
    own, other = plots, make_world(language_model="embedded:pitch", effects_model="embedded")
    assert own.model.fingerprint != other.model.fingerprint
    item = int(own.resources.split.train_items[0])
    user = int(own.resources.split.train_users[0])
    text = own.catalog.items[item].text
    (here,), (there,) = (make_states(world, [RawState(text, user, item, 0, True)]) for world in (own, other))
    assert here.action_set.edits == there.action_set.edits
    np.testing.assert_array_equal(here.action_set.features, there.action_set.features)
    np.testing.assert_array_equal(here.action_set.weights, there.action_set.weights)


@pytest.mark.parametrize("one", [{"record": "calls.jsonl"}, {"max_calls": 9}, {"max_tokens": 9}])
def test_what_is_of_one_model_does_not_go_with_a_second(one: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=f"{next(iter(one))} applies to one language model and cannot be"):
        make_world(effects_model="embedded:pitch", effects="rollout", **one)


def test_both_models_count_for_determinism_and_are_closed_with_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    opened: dict[str, ScriptedModel] = {}

    def load(spec: str, **_: object) -> ScriptedModel:
        opened[spec] = ScriptedModel(deterministic=spec == "embedded")
        monkeypatch.setattr(opened[spec], "close", lambda: closed.append(spec))
        return opened[spec]

    monkeypatch.setattr(opening, "load_language_model", load)
    world = make_world(effects="rollout", effects_model="embedded:pitch", pool=33)
    assert not world.resources.deterministic
    assert not EagleEnv.from_world(world).deterministic
    assert world.resources.models == tuple(opened.values())
    del world
    gc.collect()
    assert sorted(closed) == ["embedded", "embedded:pitch"]


@pytest.mark.parametrize(("spec", "asked_in"), [("transformers:some/model", "chat"), ("embedded:pitch", None)])
def test_the_second_model_is_asked_in_the_same_words_if_it_takes_any(
    monkeypatch: pytest.MonkeyPatch, spec: str, asked_in: str | None
) -> None:
    asked: dict[str, object] = {}

    def load(spec: str, prompts: object = None, **_: object) -> ScriptedModel:
        asked[spec] = prompts
        return ScriptedModel()

    monkeypatch.setattr(opening, "load_language_model", load)
    make_world(language_model="openai:some@http://here", effects="rollout", effects_model=spec, prompts="chat")
    assert asked == {"openai:some@http://here": "chat", spec: asked_in}


def test_a_model_that_there_is_not_is_a_typed_error() -> None:
    with pytest.raises(ConfigurationError, match="unknown language model"):
        make_world(effects_model="nothing:here")
    with pytest.raises(ConfigurationError, match="expected effects_model to be the spec of a language model or None"):
        make_world(effects_model="")
