"""Arguments: wrong ones are refused before anything is loaded, and right ones survive JSON."""

from __future__ import annotations

import ast
import dataclasses
import json
from pathlib import Path

import gymnasium as gym
import pytest

import eagle_gym
from eagle_gym.envs import opening
from eagle_gym.envs.settings import Settings
from eagle_gym.errors import ConfigurationError
from tests.fake_worlds import ScriptedModel

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
    ({"record": ""}, "record must be a non-empty string or None"),
    ({"max_new_tokens": 0}, "max_new_tokens must be an integer of at least 1 or None"),
    ({"max_calls": -1}, "max_calls must be an integer of at least 0 or None"),
    ({"max_tokens": 2.5}, "max_tokens must be an integer"),
    ({"max_cost": float("nan")}, "max_cost must be a number from 0"),
    ({"max_cost": 1.0}, "max_cost needs prompt_price or completion_price"),
    ({"prompt_price": None}, "prompt_price must be a number from 0"),
    ({"completion_price": float("inf")}, "completion_price must be a number from 0"),
    ({"catalog": "plotz"}, "did you mean 'plots'"),
    ({"root": "somewhere"}, "takes no root"),
    ({"texts": "overview"}, "texts='rendered' only"),
    ({"catalog": "movielens"}, "needs root="),
    ({"catalog": "amazon"}, "the catalog 'amazon' needs root="),
    ({"catalog": "amazon", "root": "/no/such/folder"}, "got '/no/such/folder'"),
    ({"catalog": "amazon", "root": "/", "texts": "rendered"}, "the catalog 'amazon' takes no texts"),
    ({"catalog": "amazon", "root": "/"}, "descriptions of products are free text"),
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


def test_a_general_model_proposes_in_its_own_words_for_rendered_texts_too() -> None:
    candidates = opening.open_candidates(Settings(candidates="model"), ScriptedModel(language="free"))
    assert candidates.settings["language"] == "free"
    candidates = opening.open_candidates(Settings(candidates="model"), ScriptedModel())
    assert candidates.settings["language"] == "plot_english"


def test_settings_survive_json() -> None:
    settings = Settings(
        horizon=3,
        utility_kwargs={"weight": 0.5},
        observation="latent",
        record="calls.jsonl",
        max_calls=9,
        max_cost=0.5,
        prompt_price=1.0,
    )
    assert Settings.of(json.loads(json.dumps(settings.as_kwargs()))) == settings


def test_worlds_that_differ_in_the_episode_alone_share_a_key() -> None:
    base = Settings()
    assert Settings(observation="latent", split="test", horizon=9, reward="terminal").key == base.key
    assert Settings(prepare="never", cache_dir="elsewhere").key == base.key
    assert Settings(temperature=1, personalised=0.5, utility_kwargs={}, texts="rendered").key == base.key


@pytest.mark.parametrize(
    "change",
    [
        {"pool": 32},
        {"temperature": 0.5},
        {"utility_kwargs": {"weight": 2.0}},
        {"record": "calls.jsonl"},
        {"max_calls": 5},
        {"prompt_price": 0.1},
        {"max_new_tokens": 99},
        {"batch_invariant": True},
    ],
)
def test_worlds_that_differ_in_what_is_heavy_do_not(change: dict[str, object]) -> None:
    assert Settings(**change).key != Settings().key


def test_files_are_known_by_where_they_are_and_what_stands_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (root / "ratings.csv").write_text("a")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(root)

    def key(path: str) -> str:
        return Settings(catalog="movielens", root=path).key

    before = key(str(root))
    assert key("data") == key("./data/../data") == key("link") == before
    (root / "ratings.csv").write_text("other ratings")
    assert key("data") != before
    tables = [Settings(catalog="table", texts=path, ratings=path) for path in ("data/ratings.csv", "link/ratings.csv")]
    assert tables[0].key == tables[1].key


def test_language_models_are_known_by_where_they_are_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    one, other = (Settings(language_model=f"transformers:{path}") for path in ("model", tmp_path / "model"))
    assert one.key == other.key
    assert Settings(language_model="transformers:another").key != one.key
    assert Settings(record="calls").key == Settings(record=str(tmp_path / "calls")).key
    (tmp_path / "calls").write_text("1")
    replayed = Settings(language_model="replay:calls")
    before = replayed.key
    assert before == Settings(language_model=f"replay:{tmp_path}/calls").key
    (tmp_path / "calls").write_text("12")
    assert replayed.key != before


def test_the_page_lists_every_argument_with_its_default() -> None:
    page = (Path(__file__).parents[2] / "docs" / "environments.md").read_text(encoding="utf-8")
    table = page.partition("## All arguments")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| `")]
    listed = {name.strip("`"): ast.literal_eval(default.strip("`")) for name, default, _ in rows}
    assert listed == {field.name: field.default for field in dataclasses.fields(Settings)}
