"""Opening a world: load or prepare everything that its settings name."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

from platformdirs import user_cache_path

from eagle_gym.actions.action_set import ActionSets
from eagle_gym.actions.candidates import Candidates, LexiconCandidates, ModelCandidates
from eagle_gym.actions.effects import Effects, Rollout
from eagle_gym.actions.surrogate.store import prepare_surrogate
from eagle_gym.catalog import Catalog, Profiles, Split, split_catalog
from eagle_gym.catalogs import CATALOGS
from eagle_gym.envs.settings import Settings
from eagle_gym.envs.world import Resources, Scorer, World
from eagle_gym.errors import ConfigurationError
from eagle_gym.language.loading import load_language_model
from eagle_gym.language.model import Language, LanguageModel
from eagle_gym.latent import ContentGap, LatentSpace, make_utility, prepare_space

PROFILED_USERS = 100  # train users whose profiles propose edits when a surrogate is fitted on free text


_OPEN: weakref.WeakValueDictionary[str, Resources] = weakref.WeakValueDictionary()
_OPENING = threading.RLock()


def make_world(settings: Settings | None = None, **arguments: Any) -> World:  # noqa: ANN401
    """Open the world that settings or keywords describe. Worlds of one process share their heavy parts.

    Args:
        settings: The settings, or None to make them from the keywords.
        **arguments: Fields of `Settings`.

    Raises:
        ArgumentError: An invalid argument or combination; raised before anything is loaded.
        ConfigurationError: A language model, device or utility that cannot be opened.
        CatalogError: Bad data.
        PreparationError: Something is absent or does not match, and `prepare="never"`.
    """
    if settings is None:
        settings = Settings.of(arguments)
    elif arguments:
        raise ConfigurationError(f"expected settings or keywords, got settings and also {sorted(arguments)}")
    with _OPENING:
        key = settings.key
        resources = _OPEN.get(key)
        if resources is None:
            resources = open_resources(settings)
            for model in resources.models:
                weakref.finalize(resources, model.close)
            _OPEN[key] = resources
    return World(settings, resources)


def make_scorer(settings: Settings) -> Scorer:
    """Open what scores texts: catalog, latent space and utility. No language model is opened.

    Raises:
        CatalogError: Bad data.
        ConfigurationError: A utility that cannot be made.
        PreparationError: The latent space is absent or does not match, and `prepare="never"`.
    """
    with _OPENING:
        catalog = shared(_CATALOGS, settings.catalog_key, lambda: load_catalog(settings))
        split = split_catalog(catalog)
        space_key = f"{catalog.hash}-{settings.dim}-{settings.placebo}"
        space = shared(_SPACES, space_key, lambda: open_space(settings, catalog, split))
    utility = make_utility(settings.utility, space, catalog, split, **settings.utility_keywords)
    return Scorer(settings, catalog, space, utility)


def open_resources(settings: Settings) -> Resources:
    """Open all heavy parts that the settings name; what is absent is made if `prepare` allows it.

    Raises:
        CatalogError: Bad data.
        ConfigurationError: A language model or utility that cannot be opened, or texts that the model does not speak.
        PreparationError: Something is absent or does not match, and `prepare="never"`.
    """
    catalog = shared(_CATALOGS, settings.catalog_key, lambda: load_catalog(settings))
    keywords = settings.applying_to("language models", "recording and budget")
    model = load_language_model(
        settings.language_model, prompts=settings.prompts, cache_dir=settings.cache_dir, **keywords
    )
    if model.language == "plot_english" and catalog.language != "plot_english":
        raise ConfigurationError(
            f"the texts of the catalog {catalog.name!r} are free text, which the language model {model.name!r} does "
            "not speak: choose a general one, such as language_model='transformers:Qwen/Qwen2.5-0.5B-Instruct'"
        )
    split = split_catalog(catalog)
    space_key = f"{catalog.hash}-{settings.dim}-{settings.placebo}"
    space = shared(_SPACES, space_key, lambda: open_space(settings, catalog, split))
    candidates = open_candidates(settings, model)
    effects_model = open_effects_model(settings) or model
    effects, quality = open_effects(settings, catalog, split, space, effects_model, candidates)
    action_sets = ActionSets(
        candidates,
        effects,
        pool=settings.pool,
        k=settings.actions,
        features=settings.features,
        selection=settings.selection,
    )
    utility = make_utility(settings.utility, space, catalog, split, **settings.utility_keywords)
    interests = utility.interests if isinstance(utility, ContentGap) else None
    return Resources(catalog, split, space, model, action_sets, utility, quality, effects_model, interests)


T = TypeVar("T")

# Shared by worlds that differ in language model or action sets, and dropped with the last of them.
_CATALOGS: weakref.WeakValueDictionary[str, Catalog] = weakref.WeakValueDictionary()
_SPACES: weakref.WeakValueDictionary[str, LatentSpace] = weakref.WeakValueDictionary()


def shared(open_now: weakref.WeakValueDictionary[str, T], key: str, make: Callable[[], T]) -> T:
    """The open object under this key; it is made if there is none."""
    found = open_now.get(key)
    if found is None:
        found = open_now[key] = make()
    return found


def open_space(settings: Settings, catalog: Catalog, split: Split) -> LatentSpace:
    """The latent space of a catalog, prepared if it is absent."""
    return prepare_space(
        catalog,
        split,
        parameters={"dim": settings.dim},
        prepare=settings.prepare,
        placebo=settings.placebo,
        cache_dir=settings.cache_dir,
    )


def load_catalog(settings: Settings) -> Catalog:
    """The catalog that the settings name, from the loader that its spec names."""
    spec = CATALOGS[settings.catalog]
    module, _, function = spec.loader.partition(":")
    load: Callable[..., Catalog] = getattr(import_module(module), function)
    cache_dir = settings.cache_dir or user_cache_path("eagle_gym")
    return load(**settings.loader_keywords(), **({"cache_dir": cache_dir} if spec.is_cached else {}))


def open_candidates(settings: Settings, model: LanguageModel) -> Candidates:
    """What proposes candidate edits. A general language model uses its own words, even for rendered texts."""
    if settings.candidates == "lexicon":
        return LexiconCandidates(settings.personalised, settings.macro)
    return ModelCandidates(model, language=model.language, personalised=settings.personalised)


def open_effects_model(settings: Settings) -> LanguageModel | None:
    """The language model that the effects predict, if it is not the environment's own."""
    if settings.effects_model is None:
        return None
    keywords = settings.applying_to("language models")
    return load_language_model(settings.effects_model, cache_dir=settings.cache_dir, **keywords)


def open_effects(
    settings: Settings,
    catalog: Catalog,
    split: Split,
    space: LatentSpace,
    model: LanguageModel,
    candidates: Candidates,
) -> tuple[Effects, dict[str, float]]:
    """What predicts the effects of edits, and the measured quality of the surrogate (empty for rollouts)."""
    if settings.effects == "rollout":
        return Rollout(model, space, samples=settings.rollout_samples, temperature=settings.temperature), {}
    language = surrogate_language(settings, catalog, model)
    # Edits of the lexicon are drawn without a profile.
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
    """The language of the surrogate: plot English if both texts and edits can be parsed, else free text."""
    parsed = settings.candidates == "lexicon" or model.language == "plot_english"
    return "plot_english" if catalog.language == "plot_english" and parsed else "free"
