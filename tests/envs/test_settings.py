"""Arguments: wrong ones are refused before anything is loaded, and right ones survive JSON."""

from __future__ import annotations

import json
from pathlib import Path

import gymnasium as gym
import pytest

import eagle_gym
from eagle_gym.envs import opening
from eagle_gym.envs.settings import Settings
from eagle_gym.errors import ConfigurationError

WRONG = [
    ({"horizn": 3}, "did you mean 'horizon'"),
    ({"horizon": 0}, "horizon must be an integer"),
    ({"horizon": 2.5}, "horizon must be an integer"),
    ({"horizon": True}, "horizon must be an integer"),
    ({"actions": 1}, "actions must be an integer"),
    ({"actions": 65}, "pool must be at least as large"),
    ({"pool": 8, "actions": 4}, "pool must be larger than dim"),
    ({"observation": "latnt"}, "did you mean 'latent'"),
    ({"reward": "sparse"}, "reward must be one of"),
    ({"split": "validation"}, "split must be one of"),
    ({"candidates": "gpt"}, "candidates must be one of"),
    ({"effects": "oracle"}, "effects must be one of"),
    ({"features": "delta"}, "features must be one of"),
    ({"prepare": "sometimes"}, "prepare must be one of"),
    ({"dtype": "int4"}, "dtype must be one of"),
    ({"temperature": -1.0}, "temperature must be a number"),
    ({"temperature": "hot"}, "temperature must be a number"),
    ({"personalised": 1.5}, "personalised must be a number"),
    ({"rollout_samples": 0}, "rollout_samples must be an integer"),
    ({"dim": 1}, "dim must be an integer"),
    ({"utility": "mymodule"}, "module:factory"),
    ({"utility_kwargs": [1]}, "utility_kwargs must be a dict"),
    ({"utility_kwargs": {"f": print}}, "JSON values"),
    ({"language_model": ""}, "language_model must be a non-empty string"),
    ({"cache_dir": 3}, "cache_dir must be a non-empty string or None"),
    ({"batch_invariant": 1}, "batch_invariant must be True or False"),
    ({"catalog": "plotz"}, "did you mean 'plots'"),
    ({"root": "somewhere"}, "takes no root"),
    ({"texts": "overview"}, "texts='rendered' only"),
    ({"catalog": "movielens"}, "needs root="),
    ({"catalog": "movielens", "root": "/no/such/folder"}, "there is none"),
    ({"catalog": "table"}, "needs texts="),
    ({"catalog": "table", "texts": "/no/such.csv", "ratings": "r.csv"}, "there is no file"),
]


@pytest.mark.parametrize(("arguments", "complaint"), WRONG, ids=[str(arguments) for arguments, _ in WRONG])
@pytest.mark.parametrize("vector", [False, True], ids=["single", "vector"])
def test_wrong_arguments_are_refused_before_anything_is_loaded(
    arguments: dict[str, object], complaint: str, vector: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "open_resources", lambda settings: pytest.fail("something was loaded"))
    make = eagle_gym.EagleVectorEnv if vector else eagle_gym.EagleEnv
    with pytest.raises(ConfigurationError, match=complaint):
        make(**arguments)


def test_gym_make_passes_the_errors_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "open_resources", lambda settings: pytest.fail("something was loaded"))
    with pytest.raises(ConfigurationError, match="unknown argument 'horizn'"):
        gym.make("EagleGym/Plots-v0", horizn=3)
    with pytest.raises(ConfigurationError, match="needs root="):
        gym.make_vec("EagleGym/MovieLens-v0", num_envs=2)
    with pytest.raises(ConfigurationError, match="render_mode"):
        eagle_gym.EagleEnv(render_mode="human")


def test_free_text_and_the_embedded_model_do_not_go_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not speak"):
        Settings(catalog="movielens", root=str(tmp_path), texts="overview")
    Settings(catalog="movielens", root=str(tmp_path), texts="overview", language_model="transformers:some/model")


def test_settings_survive_json() -> None:
    settings = Settings(horizon=3, utility_kwargs={"weight": 0.5}, observation="latent")
    assert Settings.of(json.loads(json.dumps(settings.as_kwargs()))) == settings


def test_worlds_that_differ_in_the_episode_alone_share_a_key() -> None:
    base = Settings()
    assert Settings(observation="latent", split="test", horizon=9, reward="terminal").key == base.key
    assert Settings(pool=32).key != base.key
