"""Action sets that foresee another model than the environment's own."""

from __future__ import annotations

import numpy as np
import pytest

from eagle_gym.envs.world import Arrival, arrive, make_world
from eagle_gym.errors import ConfigurationError


def test_action_sets_stay_what_they_are_while_the_environment_changes() -> None:
    own, other = make_world(), make_world(language_model="embedded:pitch", effects_model="embedded")
    assert own.model.fingerprint != other.model.fingerprint
    entity = int(own.resources.split.train_entities[0])
    user = int(own.resources.split.train_users[0])
    text = own.catalog.entities[entity].text
    (here,), (there,) = (arrive(world, [Arrival(text, user, entity, 0, True)]) for world in (own, other))
    assert here.action_set.prompts == there.action_set.prompts
    np.testing.assert_array_equal(here.action_set.features, there.action_set.features)
    np.testing.assert_array_equal(here.action_set.weights, there.action_set.weights)


def test_a_model_that_there_is_not_is_a_typed_error() -> None:
    with pytest.raises(ConfigurationError, match="unknown language model"):
        make_world(effects_model="nothing:here")
    with pytest.raises(ConfigurationError, match="effects_model must be a non-empty string"):
        make_world(effects_model="")
