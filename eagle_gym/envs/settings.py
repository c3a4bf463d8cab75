"""The arguments of an environment: JSON values, checked before anything is loaded."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from eagle_gym.actions.action_set import SELECTIONS
from eagle_gym.catalog.fields import FIELDS
from eagle_gym.catalogs import CATALOGS
from eagle_gym.envs.arguments import Argument, Part, argument, located
from eagle_gym.errors import ArgumentError, ConfigurationError, PreparationError, suggest
from eagle_gym.language.metering import Limits
from eagle_gym.language.model import masked
from eagle_gym.language.prompts import PromptSource, load_prompts
from eagle_gym.latent import AFFINITIES
from eagle_gym.latent.text_encoders import check_spec, split_spec
from eagle_gym.tasks import TASKS

SPLITS: Final = ("train", "test")
CACHED: Final = "cache"  # value of pools: a file in the cache folder
Features = Literal["displacement", "next"]
Prepare = Literal["auto", "never"]
Placebo = Literal["refuse", "allow"]

OF_CONTENT_GAP: Final = ("affinity", "interests")  # arguments that are keyword arguments of ContentGap too


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All arguments of an environment, checked; every one is a JSON value, so that a spec round-trips.

    `Settings.arguments()` describes them. Those that a task sets are None where they are not given, and have the task's
    value once the settings are made.

    Raises:
        ArgumentError: An invalid argument or combination, or an argument that the catalog needs and lacks.
    """

    catalog: str = argument(
        "plots",
        choices=tuple(CATALOGS),
        help="Where items and ratings come from. Each environment id sets its own.",
        applies_to="catalog",
    )
    root: str | None = argument(
        None,
        of=str,
        kind="path",
        help="Folder of a GroupLens or Amazon data set.",
        applies_to="catalog",
    )
    texts: str | None = argument(
        None,
        of=str,
        help="Films: `'rendered'` (plot English, the default) or `'free'` (free text). Tables: path of the file of "
        "items.",
        applies_to="catalog",
    )
    fields: tuple[str, ...] | None = argument(
        None,
        of=tuple,
        kind="names",
        choices=FIELDS,
        help="What the texts of films say. By default, all of it that the data set has.",
        applies_to="catalog",
    )
    ratings: str | None = argument(None, of=str, kind="path", help="Path of the file of ratings.", applies_to="catalog")
    columns: Mapping[str, str] | None = argument(
        None,
        of=dict,
        help="Your column names, where they differ from ours, such as `{'item': 'asin', 'text': 'description'}`.",
        applies_to="catalog",
    )
    scale: tuple[float, float] | None = argument(
        None,
        of=tuple,
        help="The lowest and the highest possible rating. By default, those in the data.",
        applies_to="catalog",
    )
    min_ratings: int | None = argument(
        None,
        of=int,
        at_least=0,
        help="Items with fewer ratings are left out. By default, all are kept, except on Amazon: there, users and "
        "products need at least 5 ratings among each other.",
        applies_to="catalog",
    )
    language_model: str = argument(
        "embedded",
        kind="model",
        help="The model that rewrites: `'embedded'`, `'embedded:pitch'` (a second one, with another grammar and size), "
        "`'grammar'` (no weights: the grammar itself, at the speed of arrays), `'transformers:NAME_OR_PATH'`, "
        "`'openai:MODEL@URL'`, `'replay:PATH'` or `'python:MODULE:FACTORY'`.",
        applies_to="rewriting",
    )
    prompts: PromptSource | None = argument(
        None,
        of=str,
        kind="prompts",
        help="The words in which `language_model` and `effects_model` are asked: `'chat'`, `'chat_few_shot'`, "
        "`'few_shot'`, `'plain'`, the path of a TOML file, or a dict such as `{'based_on': 'chat', 'noun': 'product "
        "description'}`. By default, words that the model understands.",
        applies_to="rewriting",
    )
    temperature: float = argument(
        1.0,
        at_least=0,
        at_most=10,
        help="Sampling temperature of the rewriting. 0 takes the most likely token.",
        applies_to="rewriting",
    )
    task: str = argument(
        "default",
        choices=tuple(TASKS),
        help="A preset of arguments; an argument that is given wins over it. Ids such as `EagleGym/PlotsEasy-v0` name "
        "one.",
        applies_to="episode",
    )
    observation: str = argument(
        "text",
        choices=("text", "latent"),
        help="`'text'` is one string, `'latent'` a flat `Dict` of float32 boxes.",
        applies_to="episode",
    )
    action_features: str = argument(
        None,
        of=str,
        by_task=True,
        choices=("effect", "edit", "none"),
        help="What the latent observation shows of each edit: `'effect'` is what the edit is expected to do, `'edit'` "
        "an embedding of its own words, `'none'` nothing. `expected_utility()` needs `'effect'`.",
        applies_to="episode",
    )
    taste: str = argument(
        None,
        of=str,
        by_task=True,
        choices=("shown", "hidden"),
        help="Whether the agent is told the user's taste. If it is hidden, the last reward and the change that it was "
        "paid for are observed instead, infos and renderings name no user, and no candidate is personalised.",
        applies_to="episode",
    )
    order: str = argument(
        None,
        of=str,
        by_task=True,
        choices=("pool", "match"),
        help="The order of the offered edits: `'pool'` is arbitrary, `'match'` begins with those that go with the "
        "user's taste, by what they ask for or are expected to do, and ends with those that go against it.",
        applies_to="episode",
    )
    infos: str = argument(
        "full",
        choices=("full", "arrays"),
        help="`'arrays'` leaves `text`, `user_id`, `item_id`, `profile` and `edits` out of `info`, for libraries that "
        "take arrays only.",
        applies_to="episode",
    )
    split: str = argument(
        "train",
        choices=SPLITS,
        help="Whether episodes start from train or test users and items.",
        applies_to="episode",
    )
    horizon: int = argument(None, of=int, by_task=True, at_least=1, help="Steps in an episode.", applies_to="episode")
    reward: str = argument(
        "improvement",
        choices=("improvement", "terminal"),
        help="`'improvement'` is the gain in utility at each step, `'terminal'` the utility of the last text.",
        applies_to="episode",
    )
    actions: int = argument(
        None, of=int, by_task=True, at_least=2, help="K, the edits offered in a state.", applies_to="actions"
    )
    pool: int = argument(
        None,
        of=int,
        by_task=True,
        at_least=2,
        help="Candidate edits from which the K are chosen.",
        applies_to="actions",
    )
    candidates: str = argument(
        "auto",
        choices=("auto", "lexicon", "model"),
        help="Who proposes the candidates: `'lexicon'` of plot English, or the language `'model'`. `'auto'` takes the "
        "lexicon where the texts and the model are of plot English, and the model elsewhere.",
        applies_to="actions",
    )
    personalised: float = argument(
        None,
        of=float,
        by_task=True,
        at_least=0,
        at_most=1,
        help="Share of the candidates proposed with the user's profile; 0 if the taste is hidden.",
        applies_to="actions",
    )
    pools: str | None = argument(
        None,
        of=str,
        kind="path",
        help="File that keeps a pool of candidates for each item, or `'cache'` for one in `cache_dir`. An episode "
        "then takes its edits from its first item's pool, so a step asks the language model for a rewrite only. Absent "
        "pools are made when they are needed, or by `python -m eagle_gym prepare`. No candidate is personalised.",
        applies_to="actions",
    )
    macro: float = argument(
        0.0,
        at_least=0,
        at_most=1,
        help="Share of the lexicon's candidates that ask for three changes at once.",
        applies_to="actions",
    )
    effects: str = argument(
        "surrogate",
        choices=("surrogate", "rollout", "words"),
        help="What predicts the effect of a candidate: a surrogate fitted to the language model, the language model "
        "itself, or the edit's own words, which need neither a fit nor a generation and know no model.",
        applies_to="actions",
    )
    effects_model: str | None = argument(
        None,
        of=str,
        kind="model",
        help="The language model whose rewrites the expected effects predict, if it is not `language_model`. Action "
        "sets then stay the same while the environment's model changes. `usage` does not count its generations.",
        applies_to="actions",
    )
    rollout_samples: int = argument(
        4, at_least=1, help="Generations per candidate with `effects='rollout'`.", applies_to="actions"
    )
    features: Features = argument(
        "displacement",
        choices=get_args(Features),
        help="What the design covers: expected displacements or expected next embeddings.",
        applies_to="actions",
    )
    selection: str = argument(
        "g_optimal",
        choices=SELECTIONS,
        help="How the K are chosen: `'g_optimal'` by G-optimal design. To compare with it: `'g_optimal_unit'` "
        "(features of unit length), `'longest'` (the longest features), `'uniform'` (at random), `'top_weight'` (the "
        "largest weights in a design over the whole pool).",
        applies_to="actions",
    )
    utility: str | None = argument(
        None,
        of=str,
        help="`'module:factory'`, which makes a utility. By default, affinity plus novelty.",
        applies_to="utility",
    )
    utility_kwargs: Mapping[str, Any] | None = argument(
        None, of=dict, help="Keyword arguments of the utility, such as `{'weight': 0.5}`.", applies_to="utility"
    )
    affinity: str = argument(
        None,
        of=str,
        by_task=True,
        choices=AFFINITIES,
        help="`'absolute'` is the predicted rating, `'personal'` the predicted rating minus the mean train user's for "
        "the same text.",
        applies_to="utility",
    )
    interests: int = argument(
        None,
        of=int,
        by_task=True,
        at_least=1,
        help="How many interests a user has. 1 is a single direction of taste; with more, a text is liked that is near "
        "any one of several centres, fitted to the items that the user liked.",
        applies_to="utility",
    )
    drift_penalty: float = argument(
        None,
        of=float,
        by_task=True,
        at_least=0,
        help="Utility that is lost for each unit of distance in the latent space from the first text of the episode.",
        applies_to="utility",
    )
    edit_cost: float = argument(
        None,
        of=float,
        by_task=True,
        at_least=0,
        help="Utility that is lost at each step.",
        applies_to="utility",
    )
    encoder: str = argument(
        "words",
        kind="encoder",
        help="What reads free text, before it is mapped into the latent space: `'words'`, `'minilm'` (a small sentence "
        "encoder), `'transformers:PATH'` (any other), `'openai:MODEL@URL'` (a server's embeddings), or both, such as "
        "`'words+minilm'`. Plot English is always read by its attributes.",
        applies_to="latent space",
    )
    dim: int = argument(8, at_least=2, help="Dimension of the latent space.", applies_to="latent space")
    prepare: Prepare = argument(
        "auto",
        choices=get_args(Prepare),
        help="`'auto'` makes the latent space and the surrogate if they are absent; `'never'` raises an error instead.",
        applies_to="preparation",
    )
    placebo: Placebo = argument(
        "refuse",
        choices=get_args(Placebo),
        help="What happens to a latent space that predicts ratings no better than a placebo, the same fit with texts "
        "permuted among items: `'refuse'` raises an error, `'allow'` does not. With too few ratings to tell, the space "
        "is allowed.",
        applies_to="preparation",
    )
    cache_dir: str | None = argument(
        None,
        of=str,
        kind="path",
        help="Folder of prepared latent spaces and surrogates. By default, the platform's cache folder.",
        applies_to="preparation",
    )
    device: str = argument(
        "cpu",
        help="Where the language model computes: `'cpu'`, `'cuda'`, `'cuda:1'`, or `'auto'`, with which "
        "accelerate spreads a large model over devices.",
        applies_to="language models",
    )
    dtype: str = argument(
        "float32",
        choices=("float32", "bfloat16", "float16"),
        help="Number format of the language model.",
        applies_to="language models",
    )
    batch_invariant: bool = argument(
        False,
        help="Compute in fixed tiles, so that trajectories are equal to the last bit whatever the batch. Slower.",
        applies_to="language models",
    )
    max_new_tokens: int | None = argument(
        None,
        of=int,
        at_least=1,
        help="The most tokens of a generation. By default, the language model's own limit.",
        applies_to="language models",
    )
    record: str | None = argument(
        None,
        of=str,
        kind="path",
        help="File that records the language model's answers. Recorded questions are answered from it.",
        applies_to="recording and budget",
    )
    max_calls: int | None = argument(
        None,
        of=int,
        at_least=0,
        help="Generations, retries and preparation included, after which the language model stops with an error.",
        applies_to="recording and budget",
    )
    max_tokens: int | None = argument(
        None,
        of=int,
        at_least=0,
        help="Tokens, prompts included, after which the language model stops with an error.",
        applies_to="recording and budget",
    )
    max_cost: float | None = argument(
        None,
        of=float,
        at_least=0,
        help="US dollars after which the language model stops with an error. Needs `prompt_price` or "
        "`completion_price`.",
        applies_to="recording and budget",
    )
    prompt_price: float = argument(
        0.0, at_least=0, help="US dollars per million prompt tokens.", applies_to="recording and budget"
    )
    completion_price: float = argument(
        0.0, at_least=0, help="US dollars per million generated tokens.", applies_to="recording and budget"
    )

    def __post_init__(self) -> None:
        for name, record in self.arguments().items():
            object.__setattr__(self, name, record.checked(name, getattr(self, name)))
        _check_affinity(self)
        for name, value in self._preset().items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        _check_sizes(self)
        _check_taste(self)
        _check_pools(self)
        _check_budget(self)
        if self.utility is not None and ":" not in self.utility:
            raise ArgumentError(f"expected utility to be 'module:factory' or None, got {self.utility!r}")
        self.loader_keywords()  # which checks the arguments of the catalog
        _check_language(self)
        _check_encoder(self)
        _check_prompts(self)

    def _preset(self) -> dict[str, Any]:
        """The arguments that the task sets.

        A hidden taste personalises nothing, whoever hides it, nor do pools that are kept, and what is not shown orders
        nothing. A utility of one's
        own has no affinity and no interests, and what `utility_kwargs` says of them wins over the task.
        """
        values = TASKS[self.task].arguments
        if (self.taste or values["taste"]) == "hidden":
            values |= {"personalised": 0.0, "order": "pool"}
        if self.pools is not None:
            values["personalised"] = 0.0
        if (self.action_features or values["action_features"]) == "none":
            values["order"] = "pool"
        if self.utility is not None:
            return {name: value for name, value in values.items() if name not in OF_CONTENT_GAP}
        within = self.utility_kwargs or {}
        return values | {name: within[name] for name in OF_CONTENT_GAP if within.get(name) is not None}

    @property
    def shows_taste(self) -> bool:
        """Whether observation and info tell the user's taste."""
        return self.taste == "shown"

    @classmethod
    def arguments(cls) -> dict[str, Argument]:
        """What is declared of each argument, by name."""
        return {field.name: field.metadata["argument"] for field in dataclasses.fields(cls)}

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Settings:
        """Make settings from keywords.

        Raises:
            ArgumentError: An unknown keyword, or as for the class.
        """
        known = list(cls.arguments())
        for name in arguments:
            if name not in known:
                raise ArgumentError(
                    f"got an unexpected keyword argument {name!r}{suggest(name, known)}; the arguments are "
                    f"{', '.join(known)}"
                )
        return cls(**arguments)

    def as_kwargs(self) -> dict[str, Any]:
        """The settings as keywords with JSON values."""
        values = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def applying_to(self, *parts: Part) -> dict[str, Any]:
        """The arguments that some parts of the environment use, as keywords."""
        return {name: getattr(self, name) for name, record in self.arguments().items() if record.applies_to in parts}

    def loader_keywords(self) -> dict[str, Any]:
        """The keywords of the catalog's loader; those that were not given are left out.

        Raises:
            ArgumentError: The catalog needs another argument, or does not take one of these.
        """
        values = self.applying_to("catalog")
        return CATALOGS[values.pop("catalog")].keywords(values)

    @property
    def utility_keywords(self) -> dict[str, Any]:
        """The keyword arguments of the utility: `utility_kwargs`, and for the package's own also what the task sets."""
        given = self.utility_kwargs or {}
        if self.utility is not None:
            return dict(given)
        return {**TASKS[self.task].utility, **given, **{name: getattr(self, name) for name in OF_CONTENT_GAP}}

    @property
    def catalog_key(self) -> str:
        """Identifies the catalog; a change of its files changes the key."""
        found = self.loader_keywords()
        sources = {name: _stamped(value) if isinstance(value, Path) else value for name, value in found.items()}
        return json.dumps([self.catalog, sources], sort_keys=True)

    @property
    def key(self) -> str:
        """Identifies the heavy parts of a world: worlds with equal keys share them.

        Equal settings have equal keys however they are written: `1` is `1.0`, and a path stands for its place.
        """
        heavy = {
            name: _identified(record, getattr(self, name))
            for name, record in self.arguments().items()
            if not record.light and record.applies_to not in ("catalog", "utility")
        }
        scored = {"utility": self.utility, "utility_kwargs": self.utility_keywords}  # prices are not of the utility
        return json.dumps({**heavy, **scored, "catalog": self.catalog_key}, sort_keys=True)


def _check_sizes(settings: Settings) -> None:
    if settings.actions > settings.pool:
        raise ArgumentError(
            f"expected pool to be at least as large as actions, got pool={settings.pool} and "
            f"actions={settings.actions}: the actions are chosen from the pool"
        )
    if settings.dim >= settings.pool:
        raise ArgumentError(
            f"expected pool to be larger than dim, got pool={settings.pool} and dim={settings.dim}: a design needs "
            "more candidates than dimensions, better four times as many"
        )


def _check_taste(settings: Settings) -> None:
    if not settings.shows_taste and settings.personalised > 0:
        raise ArgumentError(
            f"expected personalised=0 with taste='hidden', got {settings.personalised}: personalised candidates would "
            "reveal the taste; leave personalised out, or choose taste='shown'"
        )
    if settings.order == "match" and not (settings.shows_taste and settings.action_features != "none"):
        raise ArgumentError(
            f"expected order='pool' with taste={settings.taste!r} and action_features={settings.action_features!r}, "
            "got 'match': an order may only repeat what is shown, so choose taste='shown' and action_features='edit' "
            "or 'effect'"
        )


def _check_pools(settings: Settings) -> None:
    if settings.pools is not None and settings.personalised > 0:
        raise ArgumentError(
            f"expected personalised=0 with pools={settings.pools!r}, got {settings.personalised}: a pool that is kept "
            "for an item knows no user; leave personalised out, or leave pools out"
        )


def _check_affinity(settings: Settings) -> None:
    """Check what concerns only the package's own utility, which may be an argument or stand in `utility_kwargs`."""
    for name in OF_CONTENT_GAP:
        value, within = getattr(settings, name), (settings.utility_kwargs or {}).get(name)
        if settings.utility is not None and value is not None:
            raise ArgumentError(
                f"{name} belongs to the package's own utility, got {name}={value!r} and utility={settings.utility!r}: "
                "leave one of them out"
            )
        if settings.utility is None:
            settings.arguments()[name].checked(f"utility_kwargs[{name!r}]", within)
            if None not in (value, within) and value != within:
                raise ArgumentError(
                    f"expected {name} and utility_kwargs[{name!r}] to agree, got {value!r} and {within!r}: "
                    "leave one of them out"
                )


def _check_budget(settings: Settings) -> None:
    try:
        Limits(**{field.name: getattr(settings, field.name) for field in dataclasses.fields(Limits)})
    except ConfigurationError as error:
        raise ArgumentError(str(error)) from error
    budget = settings.applying_to("recording and budget")
    given = [name for name, value in budget.items() if value is not None and settings.arguments()[name].optional]
    if settings.effects_model is not None and given:
        raise ArgumentError(
            f"{given[0]} applies to one language model and cannot be combined with "
            f"effects_model={masked(settings.effects_model)!r}, a second one: leave one of them out"
        )


def _check_language(settings: Settings) -> None:
    speaker = _OF_PLOT_ENGLISH.get(settings.language_model.partition(":")[0])
    if settings.texts in CATALOGS[settings.catalog].free_texts and speaker is not None:
        other = f", or leave out texts={settings.texts!r}" if settings.texts else ""
        raise ArgumentError(
            f"the texts of the catalog {settings.catalog!r} are free text, which {speaker} does not speak: "
            f"choose a general language_model, such as 'transformers:Qwen/Qwen2.5-0.5B-Instruct'{other}"
        )


# The package's own models, which speak plot English only, as error messages call them.
_OF_PLOT_ENGLISH: Final = {"embedded": "the embedded model", "grammar": "the grammar"}


def _check_encoder(settings: Settings) -> None:
    try:
        check_spec(settings.encoder)
    except ConfigurationError as error:
        raise ArgumentError(str(error)) from error
    spec = CATALOGS[settings.catalog]
    texts = spec.takes.get("texts")
    is_rendered = texts is not None and texts.kind == "choice" and settings.texts not in spec.free_texts
    if settings.encoder != "words" and is_rendered:
        other = f", or choose texts={spec.free_texts[0]!r}" if spec.free_texts else ""
        raise ArgumentError(
            f"expected encoder='words' with texts in plot English, got {masked(settings.encoder)!r}: plot English is "
            f"read by its attributes; leave encoder out{other}"
        )


def _check_prompts(settings: Settings) -> None:
    try:
        if settings.prompts is not None:
            load_prompts(settings.prompts)
    except (ConfigurationError, PreparationError) as error:
        raise ArgumentError(str(error)) from error


def _identified(record: Argument, value: Any) -> Any:  # noqa: ANN401
    """The value of an argument, paths by where they are."""
    if value is None:
        return None
    if record.kind == "path":
        return located(value)
    if record.kind == "prompts":
        return load_prompts(value).fingerprint
    if record.kind == "encoder":
        words, spec = split_spec(value)
        return [words, _identified_model(spec) if spec else None]
    return _identified_model(value) if record.kind == "model" else value


def _identified_model(spec: str) -> list[Any]:
    """A spec, its path by where it is; a recording also by its size and time of change."""
    kind, _, target = spec.partition(":")
    path = located(target)
    if not target or not os.path.exists(path):
        return [spec]
    return [kind, _stamped(Path(path)) if kind == "replay" else path]


def _stamped(path: Path) -> list[Any]:
    """A file or folder by where it is, with names, sizes and times of change of its files.

    Raises:
        ConfigurationError: It cannot be read.
    """
    place = Path(located(str(path)))
    try:
        files = sorted(place.iterdir()) if place.is_dir() else [place]
        stamps = [(file.name, file.stat()) for file in files if file.is_file()]
    except OSError as error:
        raise ConfigurationError(f"expected to read {str(path)!r}, got an error ({error.strerror})") from error
    return [str(place), [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stamps]]
