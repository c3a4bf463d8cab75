"""The arguments of an environment: JSON values, checked before anything is loaded."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from eagle_gym.actions.action_set import SELECTIONS
from eagle_gym.errors import ConfigurationError
from eagle_gym.language.metering import Limits
from eagle_gym.language.model import masked

CATALOGS: Final = ("plots", "movielens", "amazon", "table")
OBSERVATIONS: Final = ("text", "latent")
SPLITS: Final = ("train", "test")
REWARDS: Final = ("improvement", "terminal")
CANDIDATES: Final = ("lexicon", "model")
EFFECTS: Final = ("surrogate", "rollout")
FEATURES: Final = ("displacement", "next")
PREPARE: Final = ("auto", "never")
DTYPES: Final = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every argument of an environment. All are JSON values, so that a spec round-trips; checked when made.

    Attributes:
        catalog: where items and ratings come from: ``"plots"``, ``"movielens"``, ``"amazon"`` or
            ``"table"``.
        root: folder of a GroupLens data set (``"movielens"``) or of an Amazon one (``"amazon"``).
        texts: ``"movielens"``: ``"rendered"`` (plot English, the default) or ``"overview"`` (free text);
            ``"table"``: path of the file of items.
        ratings: path of the file of ratings (``"table"``).
        language_model: ``"embedded"``, ``"transformers:NAME_OR_PATH"``, ``"openai:MODEL@URL"`` or ``"replay:PATH"``;
            ``"embedded:pitch"`` is a second embedded model, of another grammar and size.
        observation: ``"text"`` (one string) or ``"latent"`` (a flat Dict of float32 boxes).
        split: whose episodes these are: ``"train"`` or ``"test"`` users and start items.
        horizon: steps in an episode.
        reward: ``"improvement"`` (the gain in utility at each step) or ``"terminal"`` (the utility of the last text).
        actions: K, the edits offered in a state.
        pool: candidate edits from which they are chosen.
        candidates: ``"lexicon"`` or ``"model"``: who proposes them.
        personalised: share of the candidates proposed with the user's profile, 0 to 1.
        macro: share of the lexicon's candidates that ask for three edits at once, 0 to 1.
        effects: ``"surrogate"`` (a fitted model of the language model) or ``"rollout"`` (the language model itself).
        effects_model: the language model whose rewrites the expected effects foresee, where it is not the
            environment's own: action sets then stay what they are while the environment's model changes. Recordings and
            budgets are of one model, so neither goes with it, and ``usage`` does not count what it generates.
        rollout_samples: generations per candidate where effects are rollouts.
        features: what the design covers: ``"displacement"`` or ``"next"``.
        selection: how the K are chosen from the candidates: ``"g_optimal"`` (by design); to compare it with,
            ``"g_optimal_unit"``, ``"longest"``, ``"uniform"`` or ``"top_weight"`` (see
            :class:`eagle_gym.actions.action_set.ActionSets`).
        temperature: of the language model's rewriting; 0 is greedy.
        utility: ``None`` for content gaps, or ``"module:factory"``.
        utility_kwargs: keywords of the utility, such as ``{"weight": 0.5}``.
        dim: dimension of the latent space.
        prepare: ``"auto"`` makes what is absent (latent space, surrogate), ``"never"`` raises instead.
        cache_dir: where prepared things are kept; ``None`` for the platform's cache folder.
        device: of the language model: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, or ``"auto"`` (accelerate spreads it).
        dtype: of the language model: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        batch_invariant: compute in fixed tiles, so that trajectories do not depend on the batch to the last bit.
        max_new_tokens: the longest generation; None for the language model's own limit.
        record: file to which every answer of the language model is appended, and from which it is taken where it stands
            there already; ``language_model="replay:PATH"`` then needs no model.
        max_calls: generations after which the language model stops with an error, those of preparing included; copies
            of an environment in one process spend from one budget.
        max_tokens: tokens after which it does, edits included.
        max_cost: US dollars after which it does; needs prices.
        prompt_price: US dollars per million tokens read.
        completion_price: US dollars per million tokens written.

    Raises:
        ConfigurationError: a value that cannot be, or one that the catalog needs and lacks.
    """

    catalog: str = "plots"
    root: str | None = None
    texts: str | None = None
    ratings: str | None = None
    language_model: str = "embedded"
    observation: str = "text"
    split: str = "train"
    horizon: int = 5
    reward: str = "improvement"
    actions: int = 16
    pool: int = 64
    candidates: str = "lexicon"
    personalised: float = 0.5
    macro: float = 0.0
    effects: str = "surrogate"
    effects_model: str | None = None
    rollout_samples: int = 4
    features: Literal["displacement", "next"] = "displacement"
    selection: str = "g_optimal"
    temperature: float = 1.0
    utility: str | None = None
    utility_kwargs: Mapping[str, Any] | None = None
    dim: int = 8
    prepare: Literal["auto", "never"] = "auto"
    cache_dir: str | None = None
    device: str = "cpu"
    dtype: str = "float32"
    batch_invariant: bool = False
    max_new_tokens: int | None = None
    record: str | None = None
    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    prompt_price: float = 0.0
    completion_price: float = 0.0

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            _check_choice(name, getattr(self, name), choices)
        for name, lowest in _INTEGERS.items():
            _check_integer(name, getattr(self, name), lowest, optional=name in _OPTIONAL)
        for name, (low, high) in _NUMBERS.items():
            _check_number(name, getattr(self, name), low, high, optional=name in _OPTIONAL)
        for name in _STRINGS:
            _check_string(name, getattr(self, name), optional=name in _OPTIONAL)
        if not isinstance(self.batch_invariant, bool):
            raise ConfigurationError(f"batch_invariant must be True or False, got {self.batch_invariant!r}")
        if self.actions > self.pool:
            raise ConfigurationError(
                f"actions (K={self.actions}) are chosen from the pool of candidates: pool must be at least as large, "
                f"got pool={self.pool}"
            )
        if self.dim >= self.pool:
            raise ConfigurationError(
                f"a design over {self.pool} candidates says nothing in {self.dim} dimensions or more: "
                f"pool must be larger than dim, better four times as large; got pool={self.pool}, dim={self.dim}"
            )
        Limits(self.max_calls, self.max_tokens, self.max_cost, self.prompt_price, self.completion_price)
        _check_effects_model(self)
        _check_utility(self.utility, self.utility_kwargs)
        _CATALOG_CHECKS[self.catalog](self)

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Settings:
        """Settings from keywords.

        Raises:
            ConfigurationError: an unknown keyword (near ones are named), or a value that cannot be.
        """
        known = [f.name for f in dataclasses.fields(cls)]
        for name in arguments:
            if name not in known:
                raise ConfigurationError(f"unknown argument {name!r}{suggest(name, known)}; arguments: {known}")
        return cls(**arguments)

    def as_kwargs(self) -> dict[str, Any]:
        """The settings as JSON-able keywords."""
        values = dataclasses.asdict(self)
        if self.utility_kwargs is not None:
            values["utility_kwargs"] = dict(self.utility_kwargs)
        return values

    @property
    def text_kind(self) -> str:
        """How the texts of the catalog read: ``"rendered"`` or ``"overview"``; of a table its path."""
        return self.texts or "rendered"

    @property
    def model_arguments(self) -> dict[str, Any]:
        """The keywords of the language model, beside its name."""
        return {name: getattr(self, name) for name in _MODEL_ARGUMENTS}

    @property
    def catalog_key(self) -> str:
        """What the catalog is read from: files that were changed since make another key."""
        files = {"root": self.root, "ratings": self.ratings}
        if self.catalog == "table":
            files["texts"] = self.texts
        located = {name: _located(path) for name, path in files.items() if path is not None}
        return json.dumps([self.catalog, self.text_kind if self.catalog != "table" else "", located], sort_keys=True)

    @property
    def key(self) -> str:
        """What a world's heavy parts depend on: worlds whose settings have one key share them.

        A key says what is meant, not how it was written: ``1`` is ``1.0``, and a file stands by where it is.
        """
        values = {name: value for name, value in self.as_kwargs().items() if name not in _LIGHT_SETTINGS}
        values |= {name: float(values[name]) for name in _NUMBERS if values[name] is not None}
        values["catalog"] = self.catalog_key
        values["language_model"] = _located_model(self.language_model)
        values["effects_model"] = _located_model(self.effects_model) if self.effects_model is not None else None
        values["record"] = str(Path(self.record).expanduser().resolve()) if self.record is not None else None
        values["utility_kwargs"] = dict(self.utility_kwargs or {})
        return json.dumps(values, sort_keys=True)


# Arguments that worlds may differ in and share everything heavy: what an episode is and shows, how what is open came
# to be (it needs no preparation any more), and what the catalog's own key says.
_LIGHT_SETTINGS = (
    *("observation", "split", "horizon", "reward"),
    *("prepare", "cache_dir"),
    *("root", "texts", "ratings"),
)
_MODEL_ARGUMENTS = (
    *("device", "dtype", "batch_invariant", "max_new_tokens", "record"),
    *("max_calls", "max_tokens", "max_cost", "prompt_price", "completion_price"),
)
_OPTIONAL = (
    *("root", "texts", "ratings", "utility", "cache_dir", "record", "effects_model"),
    *("max_new_tokens", "max_calls", "max_tokens", "max_cost"),
)
_STRINGS = (
    *("root", "texts", "ratings", "utility", "cache_dir", "record"),
    *("language_model", "effects_model", "device"),
)
_CHOICES: dict[str, Sequence[str]] = {
    "catalog": CATALOGS,
    "observation": OBSERVATIONS,
    "split": SPLITS,
    "reward": REWARDS,
    "candidates": CANDIDATES,
    "effects": EFFECTS,
    "features": FEATURES,
    "selection": SELECTIONS,
    "prepare": PREPARE,
    "dtype": DTYPES,
}
_INTEGERS = {
    **{"horizon": 1, "actions": 2, "pool": 2, "rollout_samples": 1, "dim": 2},
    **{"max_new_tokens": 1, "max_calls": 0, "max_tokens": 0},
}
_NUMBERS = {
    **{"personalised": (0.0, 1.0), "macro": (0.0, 1.0), "temperature": (0.0, 10.0)},
    **{"max_cost": (0.0, 1e9), "prompt_price": (0.0, 1e9), "completion_price": (0.0, 1e9)},
}


def _check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ConfigurationError(f"{name} must be one of {list(choices)}, got {value!r}{suggest(value, choices)}")


def _check_integer(name: str, value: object, lowest: int, *, optional: bool) -> None:
    right = isinstance(value, int) and not isinstance(value, bool) and value >= lowest
    _require(right, f"{name} must be an integer of at least {lowest}", value, optional)


def _check_number(name: str, value: object, low: float, high: float, *, optional: bool) -> None:
    right = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    _require(right, f"{name} must be a number from {low:g} to {high:g}", value, optional)


def _check_string(name: str, value: object, *, optional: bool) -> None:
    _require(isinstance(value, str) and bool(value.strip()), f"{name} must be a non-empty string", value, optional)


def _require(right: bool, rule: str, value: object, optional: bool) -> None:
    if not right and not (optional and value is None):
        raise ConfigurationError(f"{rule}{' or None' if optional else ''}, got {value!r}")


def _check_effects_model(settings: Settings) -> None:
    given = [name for name in ("record", "max_calls", "max_tokens", "max_cost") if getattr(settings, name) is not None]
    if settings.effects_model is not None and given:
        raise ConfigurationError(
            f"{given[0]} is of one language model, and effects_model={masked(settings.effects_model)!r} is a second "
            "one, which it would not hold for: leave one of them out"
        )


def _check_utility(utility: str | None, kwargs: object) -> None:
    if utility is not None and ":" not in utility:
        raise ConfigurationError(f"utility must be None or 'module:factory', got {utility!r}")
    if kwargs is None:
        return
    if not isinstance(kwargs, Mapping):
        raise ConfigurationError(f"utility_kwargs must be a dict or None, got {kwargs!r}")
    try:
        json.dumps(dict(kwargs))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"utility_kwargs must hold JSON values, got {kwargs!r} ({error})") from error


def _reject(settings: Settings, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if value is not None:
            raise ConfigurationError(f"the catalog {settings.catalog!r} takes no {name}, got {value!r}")


def _check_plots(settings: Settings) -> None:
    _reject(settings, "root", "ratings")
    if settings.texts not in (None, "rendered"):
        raise ConfigurationError(f"the catalog 'plots' has texts='rendered' only, got {settings.texts!r}")


def _check_movielens(settings: Settings) -> None:
    _reject(settings, "ratings")
    if settings.root is None:
        raise ConfigurationError(
            "the catalog 'movielens' needs root=, the folder of a GroupLens data set such as ml-latest-small "
            "(https://grouplens.org/datasets/movielens)"
        )
    if not Path(settings.root).expanduser().is_dir():
        raise ConfigurationError(f"root must be the folder of a GroupLens data set, there is none at {settings.root!r}")
    _check_choice("texts", settings.text_kind, ("rendered", "overview"))
    if settings.text_kind == "overview" and is_embedded(settings.language_model):
        raise ConfigurationError(
            "texts='overview' is free text, which the embedded model does not speak: name a general language_model, "
            "such as 'transformers:Qwen/Qwen2.5-0.5B-Instruct', or use texts='rendered'"
        )


def _check_amazon(settings: Settings) -> None:
    _reject(settings, "texts", "ratings")
    if settings.root is None or not Path(settings.root).expanduser().is_dir():
        raise ConfigurationError(
            "the catalog 'amazon' needs root=, a folder with one file of reviews and one of metadata "
            f"(https://amazon-reviews-2023.github.io/); got {settings.root!r}"
        )
    if is_embedded(settings.language_model):
        raise ConfigurationError(
            "descriptions of products are free text, which the embedded model does not speak: name a general "
            "language_model, such as 'transformers:Qwen/Qwen2.5-0.5B-Instruct'"
        )


def is_embedded(language_model: str) -> bool:
    """Whether a spec names one of the package's own models, which speak plot English alone."""
    return language_model.partition(":")[0] == "embedded"


def _check_table(settings: Settings) -> None:
    _reject(settings, "root")
    for name, what in (("texts", "items.csv, with the items"), ("ratings", "ratings.csv, with their ratings")):
        path = getattr(settings, name)
        if path is None:
            raise ConfigurationError(f"the catalog 'table' needs {name}=, the path of a file such as {what}")
        if not Path(path).expanduser().is_file():
            raise ConfigurationError(f"{name} must be a file; there is no file {path!r}")


_CATALOG_CHECKS: dict[str, Callable[[Settings], None]] = {
    "plots": _check_plots,
    "movielens": _check_movielens,
    "amazon": _check_amazon,
    "table": _check_table,
}


def _located(path: str) -> list[Any]:
    """A file or folder by where it is and what stands there now: names, sizes and times of its files."""
    place = Path(path).expanduser().resolve()
    files = sorted(place.iterdir()) if place.is_dir() else [place]
    stamps = [(file.name, file.stat()) for file in files if file.is_file()]
    return [str(place), [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stamps]]


def _located_model(spec: str) -> list[Any]:
    """A language model's spec, its file or folder by where it is; a recording also by what stands there now."""
    kind, _, target = spec.partition(":")
    if not target or not Path(target).expanduser().exists():
        return [spec]
    return [kind, *(_located(target) if kind == "replay" else [str(Path(target).expanduser().resolve())])]


def suggest(word: object, known: Sequence[str]) -> str:
    """``"; did you mean 'x'?"`` for a word that is nearly one of the known, else an empty string."""
    near = difflib.get_close_matches(str(word), list(known), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
