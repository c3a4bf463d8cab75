"""Opening a world: load or prepare everything that its settings name."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from platformdirs import user_cache_path

from eagle_gym.actions.action_set import ActionSets
from eagle_gym.actions.candidates import Candidates, LexiconCandidates
from eagle_gym.actions.edit_features import EditFeatures
from eagle_gym.actions.effects import EditWords, Effects, Rollout
from eagle_gym.actions.pools import ItemPools, PoolIdentity
from eagle_gym.actions.proposals import ModelCandidates
from eagle_gym.actions.surrogate.store import cache_folder, prepare_surrogate
from eagle_gym.catalog import Catalog, Profiles, Split, split_catalog
from eagle_gym.catalogs import CATALOGS
from eagle_gym.envs.settings import CACHED, Settings
from eagle_gym.envs.world import Resources, Scorer, World
from eagle_gym.errors import ConfigurationError
from eagle_gym.language.loading import load_language_model, takes_prompts
from eagle_gym.language.model import Language, LanguageModel
from eagle_gym.latent import ContentGap, LatentSpace, Utility, keep_interests, make_utility, prepare_space

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
        settings.language_model,
        prompts=settings.prompts,
        about=CATALOGS[settings.catalog].about,
        cache_dir=settings.cache_dir,
        **keywords,
    )
    if model.language == "plot_english" and catalog.language != "plot_english":
        raise ConfigurationError(
            f"the texts of the catalog {catalog.name!r} are free text, which the language model {model.name!r} does "
            "not speak: choose a general one, such as language_model='transformers:Qwen/Qwen2.5-0.5B-Instruct'"
        )
    split = split_catalog(catalog)
    space_key = f"{catalog.hash}-{settings.dim}-{settings.placebo}-{settings.encoder}"
    space = shared(_SPACES, space_key, lambda: open_space(settings, catalog, split))
    candidates = open_candidates(settings, catalog, model)
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
    utility = open_utility(settings, catalog, split, space)
    interests = utility.interests if isinstance(utility, ContentGap) else None
    return Resources(catalog, split, space, model, action_sets, utility, quality, effects_model, interests)


def open_utility(settings: Settings, catalog: Catalog, split: Split, space: LatentSpace) -> Utility:
    """The utility that the settings name. The package's own keeps the interests of large catalogs in the cache."""
    fit = partial(keep_interests, cache_dir=settings.cache_dir)
    return make_utility(settings.utility, space, catalog, split, fit, **settings.utility_keywords)


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
        encoder=settings.encoder,
        device="cpu" if settings.device == "auto" else settings.device,
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


def open_candidates(settings: Settings, catalog: Catalog, model: LanguageModel) -> Candidates:
    """What proposes candidate edits. A general language model uses its own words, even for rendered texts.

    Raises:
        ConfigurationError: Macro edits are asked for, which only the lexicon proposes, or pools, which only the model
            makes.
        PreparationError: The pools belong to other texts, or to another model.
    """
    in_plot_english = catalog.language == model.language == "plot_english"
    if settings.candidates == "lexicon" or (settings.candidates == "auto" and in_plot_english):
        if settings.pools is not None:
            raise ConfigurationError(
                f"expected no pools={settings.pools!r} where the lexicon proposes the candidates, which costs nothing: "
                "leave pools out, or choose candidates='model'"
            )
        return LexiconCandidates(settings.personalised, settings.macro)
    if settings.macro > 0.0:
        raise ConfigurationError(
            f"expected macro=0 where the language model proposes the candidates, got {settings.macro}: leave macro "
            "out, or choose candidates='lexicon'"
        )
    candidates = ModelCandidates(model, language=model.language, personalised=settings.personalised)
    return candidates if settings.pools is None else open_pools(settings, catalog, candidates)


def open_pools(settings: Settings, catalog: Catalog, candidates: ModelCandidates) -> ItemPools:
    """The pools kept for the catalog's items, in the file that the settings name or in one of the cache folder."""
    path = Path(settings.pools or "").expanduser()
    if settings.pools == CACHED:
        identity = PoolIdentity.of(catalog.texts, candidates, settings.pool)
        path = cache_folder(settings.cache_dir).with_name("pools") / identity.file_name
    return ItemPools(path, catalog.texts, candidates, settings.pool, prepare=settings.prepare)


def open_effects_model(settings: Settings) -> LanguageModel | None:
    """The language model that the effects predict, if it is not the environment's own, asked in the same words."""
    spec = settings.effects_model
    if spec is None:
        return None
    prompts = settings.prompts if takes_prompts(spec) else None
    keywords = settings.applying_to("language models")
    about = CATALOGS[settings.catalog].about
    return load_language_model(spec, prompts=prompts, about=about, cache_dir=settings.cache_dir, **keywords)


def open_effects(
    settings: Settings,
    catalog: Catalog,
    split: Split,
    space: LatentSpace,
    model: LanguageModel,
    candidates: Candidates,
) -> tuple[Effects, dict[str, float]]:
    """What predicts the effects of edits, and the measured quality of the surrogate (else empty)."""
    if settings.effects == "rollout":
        return Rollout(model, space, samples=settings.rollout_samples, temperature=settings.temperature), {}
    language = surrogate_language(catalog, model, candidates)
    if settings.effects == "words":
        return EditWords(EditFeatures(space.encoder, space.dim, language), space.radius), {}
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


def surrogate_language(catalog: Catalog, model: LanguageModel, candidates: Candidates) -> Language:
    """The language of the surrogate: plot English if both texts and edits can be parsed, else free text."""
    parsed = candidates.settings["candidates"] == "lexicon" or model.language == "plot_english"
    return "plot_english" if catalog.language == "plot_english" and parsed else "free"
