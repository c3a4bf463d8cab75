"""Opening a world: load or prepare everything that its settings name."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

from platformdirs import user_cache_path

from eagle_gym.actions.action_set import ActionSets
from eagle_gym.actions.candidates import Candidates, LexiconCandidates, ModelCandidates
from eagle_gym.actions.effects import Effects, Rollout
from eagle_gym.actions.surrogate.store import prepare_surrogate
from eagle_gym.catalog import (
    Catalog,
    Profiles,
    Split,
    load_amazon,
    load_movielens,
    load_plots,
    load_table,
    split_catalog,
)
from eagle_gym.envs.settings import Settings
from eagle_gym.envs.world import Resources, World
from eagle_gym.errors import ConfigurationError
from eagle_gym.language.loading import load_language_model
from eagle_gym.language.model import Language, LanguageModel
from eagle_gym.latent import LatentSpace, make_utility, prepare_space

PROFILED_USERS = 100  # train users for whom edits are tried where a surrogate is fitted on free text


_OPEN: weakref.WeakValueDictionary[str, Resources] = weakref.WeakValueDictionary()
_OPENING = threading.RLock()


def make_world(settings: Settings | None = None, **arguments: Any) -> World:  # noqa: ANN401
    """The world that settings, or keywords, describe. Worlds of one process share what is heavy.

    Args:
        settings: the settings, where they are made already.
        **arguments: fields of :class:`Settings`, else.

    Raises:
        ConfigurationError: a keyword or value that cannot be; raised before anything is loaded where no file or model
            is needed to tell.
        CatalogError: bad data.
        PreparationError: something is absent or does not match, and ``prepare="never"``.
    """
    if settings is None:
        settings = Settings.of(arguments)
    elif arguments:
        raise ConfigurationError(f"give settings or keywords, not both; got also {sorted(arguments)}")
    with _OPENING:
        key = settings.key
        resources = _OPEN.get(key)
        if resources is None:
            resources = open_resources(settings)
            for model in resources.models:
                weakref.finalize(resources, model.close)
            _OPEN[key] = resources
    return World(settings, resources)


def open_resources(settings: Settings) -> Resources:
    """Everything heavy that the settings name; made where it is absent and ``prepare`` allows.

    Raises:
        CatalogError: bad data.
        ConfigurationError: a model or utility that cannot be, or texts that the model does not speak.
        PreparationError: something is absent or does not match, and ``prepare="never"``.
    """
    catalog = shared(_CATALOGS, settings.catalog_key, lambda: load_catalog(settings))
    model = load_language_model(settings.language_model, **settings.model_arguments)
    if model.language == "plot_english" and catalog.language != "plot_english":
        raise ConfigurationError(
            f"the texts of the catalog {catalog.name!r} are free text, which the language model {model.name!r} does "
            "not speak: name a general one, such as language_model='transformers:Qwen/Qwen2.5-0.5B-Instruct'"
        )
    split = split_catalog(catalog)
    space = shared(_SPACES, f"{catalog.hash}-{settings.dim}", lambda: open_space(settings, catalog, split))
    candidates = open_candidates(settings, model)
    predicted_model = open_effects_model(settings) or model
    effects, quality = open_effects(settings, catalog, split, space, predicted_model, candidates)
    action_sets = ActionSets(
        candidates,
        effects,
        pool=settings.pool,
        k=settings.actions,
        features=settings.features,
        selection=settings.selection,
    )
    utility = make_utility(settings.utility, space, catalog, **(settings.utility_kwargs or {}))
    return Resources(catalog, split, space, model, action_sets, utility, quality, predicted_model)


T = TypeVar("T")

# What worlds share though they differ in language model or action sets; gone with the last of them.
_CATALOGS: weakref.WeakValueDictionary[str, Catalog] = weakref.WeakValueDictionary()
_SPACES: weakref.WeakValueDictionary[str, LatentSpace] = weakref.WeakValueDictionary()


def shared(open_now: weakref.WeakValueDictionary[str, T], key: str, make: Callable[[], T]) -> T:
    """What is open under the key, else what is made now."""
    found = open_now.get(key)
    if found is None:
        found = open_now[key] = make()
    return found


def open_space(settings: Settings, catalog: Catalog, split: Split) -> LatentSpace:
    """The latent space of a catalog, prepared where it is absent."""
    return prepare_space(
        catalog,
        split,
        parameters={"dim": settings.dim},
        prepare=settings.prepare,
        cache_dir=settings.cache_dir,
    )


def load_catalog(settings: Settings) -> Catalog:
    """The catalog that the settings name."""
    cache_dir = settings.cache_dir or user_cache_path("eagle_gym")
    if settings.catalog == "movielens":
        assert settings.root is not None  # checked with the settings
        texts: Literal["rendered", "overview"] = "overview" if settings.texts == "overview" else "rendered"
        return load_movielens(Path(settings.root).expanduser(), texts=texts, cache_dir=cache_dir)
    if settings.catalog == "amazon":
        assert settings.root is not None
        return load_amazon(Path(settings.root).expanduser(), cache_dir=cache_dir)
    if settings.catalog == "table":
        assert settings.texts is not None
        assert settings.ratings is not None
        return load_table(Path(settings.texts).expanduser(), Path(settings.ratings).expanduser())
    return load_plots()


def open_candidates(settings: Settings, model: LanguageModel) -> Candidates:
    """Who proposes. A general model asks in its own words, of rendered texts too."""
    if settings.candidates == "lexicon":
        return LexiconCandidates(settings.personalised, settings.macro)
    return ModelCandidates(model, language=model.language, personalised=settings.personalised)


def open_effects_model(settings: Settings) -> LanguageModel | None:
    """The model whose rewrites the effects foresee, where it is not the environment's own."""
    if settings.effects_model is None:
        return None
    named = ("device", "dtype", "batch_invariant", "max_new_tokens")
    return load_language_model(settings.effects_model, **{name: settings.model_arguments[name] for name in named})


def open_effects(
    settings: Settings,
    catalog: Catalog,
    split: Split,
    space: LatentSpace,
    model: LanguageModel,
    candidates: Candidates,
) -> tuple[Effects, dict[str, float]]:
    """What estimates the effects, and the surrogate's reported quality."""
    if settings.effects == "rollout":
        return Rollout(model, space, samples=settings.rollout_samples, temperature=settings.temperature), {}
    language = surrogate_language(settings, catalog, model)
    # The lexicon's edits need no user to ask for.
    users = split.train_users[: PROFILED_USERS if language == "free" else 0]
    profiles = Profiles(catalog, split)
    surrogate = prepare_surrogate(
        catalog,
        space,
        model,
        candidates,
        language=language,
        profiles=[profiles.text(int(user)) for user in users],
        temperature=settings.temperature,
        prepare=settings.prepare,
        cache_dir=settings.cache_dir,
    )
    return surrogate, surrogate.quality


def surrogate_language(settings: Settings, catalog: Catalog, model: LanguageModel) -> Language:
    """Whether the edits can be parsed: those of the lexicon and of models of plot English, on plot English."""
    parsed = settings.candidates == "lexicon" or model.language == "plot_english"
    return "plot_english" if catalog.language == "plot_english" and parsed else "free"
