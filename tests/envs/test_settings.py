"""Arguments: wrong ones are refused before anything is loaded, and right ones survive JSON."""

from __future__ import annotations

import dataclasses
import inspect
import json
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eagle_gym
from eagle_gym.actions.surrogate import store
from eagle_gym.actions.surrogate.make import SUFFIXES
from eagle_gym.catalogs import CATALOGS, CatalogSpec
from eagle_gym.envs import opening
from eagle_gym.envs.arguments import markdown_table
from eagle_gym.envs.settings import Settings
from eagle_gym.errors import ArgumentError, ConfigurationError
from eagle_gym.tasks import BASE
from tests.fake_worlds import ScriptedModel

PLOTS = SimpleNamespace(language="plot_english")
WRONG = [
    ({"horizn": 3}, "did you mean 'horizon'"),
    ({"horizon": 0}, "expected horizon to be an integer"),
    ({"horizon": 2.5}, "expected horizon to be an integer"),
    ({"horizon": True}, "expected horizon to be an integer"),
    ({"actions": 1}, "expected actions to be an integer"),
    ({"actions": 65}, "expected pool to be at least as large"),
    ({"pool": 8, "actions": 4}, "expected pool to be larger than dim"),
    ({"observation": "latnt"}, "did you mean 'latent'"),
    ({"reward": "sparse"}, "expected reward to be one of"),
    ({"split": "validation"}, "expected split to be one of"),
    ({"pools": "pools.jsonl", "personalised": 0.5}, "expected personalised=0 with pools='pools.jsonl'"),
    ({"candidates": "gpt"}, "expected candidates to be one of"),
    ({"effects": "oracle"}, "expected effects to be one of"),
    ({"features": "delta"}, "expected features to be one of"),
    ({"prepare": "sometimes"}, "expected prepare to be one of"),
    ({"placebo": "ignore"}, "expected placebo to be one of"),
    ({"dtype": "int4"}, "expected dtype to be one of"),
    ({"temperature": -1.0}, "expected temperature to be a number"),
    ({"temperature": "hot"}, "expected temperature to be a number"),
    ({"personalised": 1.5}, "expected personalised to be a number"),
    ({"rollout_samples": 0}, "expected rollout_samples to be an integer"),
    ({"dim": 1}, "expected dim to be an integer"),
    ({"task": "hiden"}, "did you mean 'hidden'"),
    ({"action_features": "effects"}, "did you mean 'effect'"),
    ({"taste": "secret"}, "expected taste to be one of 'shown', 'hidden'"),
    ({"task": "hidden", "personalised": 0.5}, "expected personalised=0 with taste='hidden', got 0.5"),
    ({"taste": "hidden", "order": "match"}, "expected order='pool' with taste='hidden'"),
    ({"action_features": "none", "order": "match"}, "expected order='pool' with .*action_features='none'"),
    ({"task": "plan", "pool": 3}, "expected pool to be at least as large as actions"),
    ({"utility": "mymodule"}, "module:factory"),
    ({"utility_kwargs": [1]}, "expected utility_kwargs to be a dict"),
    ({"utility_kwargs": {"f": print}}, "JSON values"),
    ({"affinity": "relative"}, "expected affinity to be one of 'absolute', 'personal' or None, got 'relative'"),
    ({"interests": 0}, "expected interests to be an integer of at least 1 or None, got 0"),
    ({"interests": 2.0}, "expected interests to be an integer of at least 1 or None, got 2.0"),
    ({"drift_penalty": -0.1}, "expected drift_penalty to be a number of at least 0 or None, got -0.1"),
    ({"edit_cost": "much"}, "expected edit_cost to be a number of at least 0 or None, got 'much'"),
    ({"edit_cost": float("inf")}, "expected edit_cost to be a number of at least 0 or None"),
    ({"utility_kwargs": {"affinity": "own"}}, r"expected utility_kwargs\['affinity'\] to be one of .*got 'own'"),
    ({"utility_kwargs": {"interests": 1.5}}, r"expected utility_kwargs\['interests'\] to be an integer"),
    (
        {"affinity": "absolute", "utility_kwargs": {"affinity": "personal"}},
        r"expected affinity and utility_kwargs\['affinity'\] to agree, got 'absolute' and 'personal': leave one",
    ),
    ({"interests": 2, "utility_kwargs": {"interests": 3}}, "expected interests .* to agree, got 2 and 3"),
    ({"utility": "a:b", "affinity": "absolute"}, "affinity belongs to the package's own utility.*utility='a:b': leave"),
    ({"utility": "a:b", "interests": 1}, "interests belongs to the package's own utility"),
    ({"language_model": ""}, "expected language_model to be the spec of a language model, got ''"),
    ({"prompts": 3}, "expected prompts to be the name of built-in prompts, a path, or a dict of JSON values or None"),
    ({"prompts": "fewshot"}, "did you mean 'few_shot'"),
    ({"prompts": {"based_on": "chat", "nuon": "film"}}, "did you mean 'noun'"),
    ({"cache_dir": 3}, "expected cache_dir to be a path or None"),
    ({"batch_invariant": 1}, "expected batch_invariant to be True or False"),
    ({"record": ""}, "expected record to be a path or None"),
    ({"max_new_tokens": 0}, "expected max_new_tokens to be an integer of at least 1 or None"),
    ({"max_calls": -1}, "expected max_calls to be an integer of at least 0 or None"),
    ({"max_tokens": 2.5}, "expected max_tokens to be an integer"),
    ({"max_cost": float("nan")}, "expected max_cost to be a number"),
    ({"max_cost": 1.0}, "max_cost needs prompt_price or completion_price"),
    ({"prompt_price": None}, "expected prompt_price to be a number"),
    ({"completion_price": float("inf")}, "expected completion_price to be a number"),
    ({"catalog": "plotz"}, "did you mean 'plots'"),
    ({"root": "somewhere"}, "takes no root"),
    ({"texts": "overview"}, "takes texts= 'rendered', got 'overview'"),
    ({"catalog": "movielens"}, "needs root="),
    ({"catalog": "amazon"}, "the catalog 'amazon' needs root="),
    ({"catalog": "amazon", "root": "/no/such/folder"}, "got '/no/such/folder'"),
    ({"catalog": "amazon", "root": "/", "texts": "rendered"}, "the catalog 'amazon' takes no texts"),
    ({"catalog": "amazon", "root": "/"}, "the texts of the catalog 'amazon' are free text"),
    ({"catalog": "movielens", "root": "/no/such/folder"}, "there is no such folder"),
    ({"catalog": "table"}, "needs texts="),
    ({"observation": np.array(["text"])}, "expected observation to be one of"),
    ({"catalog": ["plots"]}, "expected catalog to be one of"),
    ({"horizon": np.arange(2)}, "expected horizon to be an integer"),
    ({"temperature": np.ones(2)}, "expected temperature to be a number"),
    ({"max_cost": 10**400}, "expected max_cost to be a number"),
    ({"utility_kwargs": {1: 2}}, "expected utility_kwargs to be a dict of JSON values"),
    ({"utility_kwargs": {"weight": float("nan")}}, "expected utility_kwargs to be a dict of JSON values"),
    ({"cache_dir": "a\0b"}, "expected cache_dir to be a path"),
    ({"infos": "none"}, "expected infos to be one of 'full', 'arrays'"),
    ({"scale": [1, 5]}, "takes no scale.*choose a catalog that takes it \\('table'\\)"),
    ({"min_ratings": -1}, "expected min_ratings to be an integer of at least 0 or None"),
    ({"scale": [5, 1]}, "expected scale to be two numbers in increasing order"),
    ({"scale": "15"}, "expected scale to be two numbers in increasing order"),
    ({"scale": [1, float("inf")]}, "expected scale to be two numbers"),
    ({"catalog": "movielens", "root": "~nosuchuser/x"}, "there is no such folder"),
    ({"catalog": "movielens", "root": "/", "texts": "rendred"}, "did you mean 'rendered'"),
    ({"catalog": "movielens", "root": "/", "texts": "overview"}, r"texts='free', fields=\['overview'\]"),
    ({"catalog": "movielens", "root": "/", "fields": []}, "expected fields to be a list of different names among"),
    ({"catalog": "movielens", "root": "/", "fields": "year"}, "expected fields to be a list of different names among"),
    ({"catalog": "movielens", "root": "/", "fields": ["yeer"]}, "expected fields to be a list of different names"),
    ({"catalog": "movielens", "root": "/", "fields": ["year", "year"]}, "expected fields to be a list of different"),
    ({"catalog": "movielens", "root": "/", "fields": [["year"]]}, "expected fields to be a list of different names"),
    ({"fields": ["year"]}, r"takes no fields.*choose a catalog that takes it \('movielens'\)"),
    ({"catalog": "table", "texts": "/no/such.csv", "ratings": "r.csv"}, "there is no such file"),
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
    with pytest.raises(ConfigurationError, match="unexpected keyword argument 'horizn'; did you mean 'horizon'"):
        gym.make("EagleGym/Plots-v0", horizn=3)
    with pytest.raises(ConfigurationError, match="needs root="):
        gym.make_vec("EagleGym/MovieLens-v0", num_envs=2)
    with pytest.raises(ConfigurationError, match="render_mode"):
        eagle_gym.EagleEnv(render_mode="human")


def test_free_text_and_the_embedded_model_do_not_go_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not speak"):
        Settings(catalog="movielens", root=str(tmp_path), texts="free")
    Settings(catalog="movielens", root=str(tmp_path), texts="free", language_model="transformers:some/model")


def test_a_general_model_proposes_in_its_own_words_for_rendered_texts_too() -> None:
    candidates = opening.open_candidates(Settings(candidates="model"), PLOTS, ScriptedModel(language="free"))
    assert candidates.settings["language"] == "free"
    candidates = opening.open_candidates(Settings(candidates="model"), PLOTS, ScriptedModel())
    assert candidates.settings["language"] == "plot_english"


@pytest.mark.parametrize(
    ("texts", "model", "proposer"),
    [
        ("plot_english", "plot_english", "lexicon"),
        ("plot_english", "free", "model"),
        ("free", "free", "model"),
    ],
)
def test_the_lexicon_proposes_only_where_all_is_plot_english(texts: str, model: str, proposer: str) -> None:
    catalog = SimpleNamespace(language=texts)
    for chosen, expected in (("auto", proposer), ("lexicon", "lexicon"), ("model", "model")):
        found = opening.open_candidates(Settings(candidates=chosen), catalog, ScriptedModel(language=model))
        assert found.settings["candidates"] == expected


def test_only_the_lexicon_proposes_macro_edits() -> None:
    opening.open_candidates(Settings(macro=0.5), PLOTS, ScriptedModel())
    with pytest.raises(ConfigurationError, match="expected macro=0 where the language model proposes"):
        opening.open_candidates(Settings(macro=0.5), SimpleNamespace(language="free"), ScriptedModel(language="free"))


def test_settings_survive_json() -> None:
    settings = Settings(
        horizon=3,
        utility_kwargs={"weight": 0.5},
        prompts={"based_on": "chat", "noun": "product"},
        observation="latent",
        affinity="personal",
        interests=3,
        drift_penalty=0.5,
        edit_cost=0.1,
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


def test_an_argument_of_the_utility_may_be_given_in_either_place() -> None:
    written = [
        Settings(affinity="absolute", interests=3),
        Settings(utility_kwargs={"affinity": "absolute", "interests": 3}),
        Settings(affinity="absolute", interests=3, utility_kwargs={"affinity": "absolute"}),
    ]
    assert all(one.utility_keywords == {"affinity": "absolute", "interests": 3} for one in written)
    assert len({one.key for one in written}) == 1
    assert all((one.affinity, one.interests) == ("absolute", 3) for one in written)
    assert all(Settings.of(one.as_kwargs()) == one for one in written)
    assert Settings().utility_keywords == {"affinity": "personal", "interests": 1}
    assert Settings(utility_kwargs={"weight": 2.0}).utility_keywords["weight"] == 2.0
    assert Settings(affinity="personal", interests=1).key == Settings().key


def test_a_utility_of_ones_own_gets_its_own_keywords_only() -> None:
    own = Settings(utility="mine:make", utility_kwargs={"affinity": "of my kind"}, drift_penalty=0.5, edit_cost=1)
    assert own.utility_keywords == {"affinity": "of my kind"}
    assert (own.affinity, own.interests, own.drift_penalty, own.edit_cost) == (None, None, 0.5, 1.0)
    assert Settings.of(own.as_kwargs()) == own


def test_worlds_that_differ_in_prices_share_a_key() -> None:
    assert Settings(drift_penalty=0.5, edit_cost=0.1).key == Settings().key
    assert (Settings().drift_penalty, Settings().edit_cost) == (0.0, 0.0)


@pytest.mark.parametrize(
    "change",
    [
        {"pool": 32},
        {"affinity": "absolute"},
        {"interests": 2},
        {"temperature": 0.5},
        {"utility_kwargs": {"weight": 2.0}},
        {"record": "calls.jsonl"},
        {"max_calls": 5},
        {"prompt_price": 0.1},
        {"max_new_tokens": 99},
        {"batch_invariant": True},
        {"prompts": "control"},
        {"prompts": {"based_on": "chat", "noun": "product"}},
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


def test_the_page_has_the_table_of_the_declarations() -> None:
    page = (Path(__file__).parents[2] / "docs" / "environments.md").read_text(encoding="utf-8")
    table = markdown_table(Settings.arguments())
    assert table in page, f"docs/environments.md: replace the table of all arguments by\n{table}"


def test_the_page_says_how_many_generations_a_first_use_takes() -> None:
    page = (Path(__file__).parents[2] / "docs" / "environments.md").read_text(encoding="utf-8")
    embedded, general = store.EMBEDDED_BUDGET, store.GENERAL_BUDGET
    measured = embedded.checks * embedded.check_samples * len(SUFFIXES)
    assert f"{embedded.trials + measured:,} of a model of plot English" in page
    assert f"{general.trials + general.checks * general.check_samples:,} of a general one" in page


def test_every_argument_is_declared() -> None:
    for field in dataclasses.fields(Settings):
        record = field.metadata["argument"]
        assert record == Settings.arguments()[field.name]
        assert record.default == field.default
        assert record.help.endswith("."), field.name
        assert ("None" in field.type) is (record.optional and not record.by_task), field.name
        assert record.by_task is (field.name in BASE), field.name


TAKERS = {name for spec in CATALOGS.values() for name in spec.takes}


def test_what_applies_to_catalogs_is_what_loaders_take() -> None:
    assert {"catalog", *TAKERS} == set(Settings().applying_to("catalog"))


@pytest.mark.parametrize("spec", CATALOGS.values(), ids=lambda spec: spec.name)
def test_loaders_have_the_keywords_that_are_declared(spec: CatalogSpec) -> None:
    module, _, name = spec.loader.partition(":")
    keywords = inspect.signature(getattr(import_module(module), name)).parameters
    for argument, parameter in spec.takes.items():
        if parameter.choices:  # the first choice is not passed
            assert argument not in keywords or keywords[argument].default == parameter.choices[0]
        else:
            assert argument in keywords
    assert ("cache_dir" in keywords) is spec.is_cached


@pytest.mark.parametrize("spec", CATALOGS.values(), ids=lambda spec: spec.name)
def test_arguments_reach_the_loader(spec: CatalogSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    given: dict[str, Any] = {"columns": {"text": "plot"}, "scale": [1, 5], "min_ratings": 3}
    given = {name: value for name, value in given.items() if name in spec.takes}
    for name, parameter in spec.takes.items():
        if parameter.is_required:
            given[name] = str(tmp_path / "file" if parameter.kind == "file" else tmp_path)
        elif parameter.choices:
            given[name] = parameter.choices[-1]
    calls: list[dict[str, Any]] = []
    module, _, function = spec.loader.partition(":")
    monkeypatch.setattr(import_module(module), function, lambda **keywords: calls.append(keywords))
    model = "transformers:some/model"
    settings = Settings(catalog=spec.name, language_model=model, cache_dir=str(tmp_path / "cache"), **given)
    opening.load_catalog(settings)
    expected: dict[str, Any] = {"cache_dir": str(tmp_path / "cache")} if spec.is_cached else {}
    for name, value in given.items():
        if spec.takes[name].is_required:
            expected[name] = Path(value)
        elif value not in spec.takes[name].choices[:1]:
            expected[name] = (1.0, 5.0) if name == "scale" else value
    assert calls == [expected]
    assert Settings.of(json.loads(json.dumps(settings.as_kwargs()))) == settings


def test_arguments_of_the_loader_change_the_key(tmp_path: Path) -> None:
    def key(**more: object) -> str:
        return Settings(catalog="movielens", root=str(tmp_path), **more).key

    assert key(min_ratings=5) != key()
    assert key(texts="rendered") == key()
    assert key(fields=["year", "genres"]) == key(fields=("genres", "year")) != key()
    assert key(texts="free", language_model="transformers:x") != key(language_model="transformers:x")


def test_constructor_errors_are_type_errors_too() -> None:
    """Stable-Baselines3 and TorchRL probe constructors and try again after a TypeError with Python's own words."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'frameskip'"):
        gym.make("EagleGym/Plots-v0", frameskip=4)
    with pytest.raises(TypeError, match="unexpected keyword argument 'frameskip'"):
        gym.make_vec("EagleGym/Plots-v0", frameskip=4)
    for arguments, _ in WRONG:
        with pytest.raises(ArgumentError) as caught:
            Settings.of(arguments)
        assert isinstance(caught.value, TypeError | ValueError)


def test_errors_show_no_password() -> None:
    with pytest.raises(ArgumentError) as caught:
        Settings(language_model="openai:m@http://me:secret@host/v1\0")
    assert "secret" not in str(caught.value)


@given(
    st.dictionaries(
        st.sampled_from(sorted(Settings.arguments())),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(),
            st.lists(st.integers(), max_size=2),
            st.dictionaries(st.text(), st.floats()),
            st.binary(),
            st.just(np.ones(3)),
        ),
        max_size=3,
    )
)
def test_any_values_make_settings_or_a_typed_error(arguments: dict[str, Any]) -> None:
    try:
        settings = Settings.of(arguments)
    except ArgumentError:
        return
    assert Settings.of(json.loads(json.dumps(settings.as_kwargs()))) == settings
    assert settings.key == Settings.of(settings.as_kwargs()).key
