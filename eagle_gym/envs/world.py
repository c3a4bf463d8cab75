"""The world of an environment: what exists and how it moves, without any episode.

A ``World`` is a frozen bundle (catalog, split, latent space, language model, action sets, utility) shared by every copy
of an environment in a process. Episodes are frozen ``State`` records, and the functions that move them are batched:

- ``arrive``   texts become states: one encoder pass, one utility, one batched build of action sets
- ``rewrite``  chosen prompts become new texts: one batched call of the language model, and where texts are to be plot
  English and some are not, another for these alone
- ``start``, ``advance``, ``observe``, ``expected_utility`` are made of these

The single environment is the case of one row. Randomness comes in as seeds; nothing here draws any.
"""

from __future__ import annotations

import dataclasses
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from eagle_gym import plot_english
from eagle_gym.actions import rewriting
from eagle_gym.actions.action_set import ActionSet, ActionSets
from eagle_gym.actions.effects import Rollout
from eagle_gym.envs.settings import SPLITS, Settings, suggest
from eagle_gym.envs.spaces import FreeText, latent_space
from eagle_gym.errors import ConfigurationError, EpisodeError, TextError
from eagle_gym.language.prompts import Prompt

if TYPE_CHECKING:
    from eagle_gym.catalog import Catalog, Split
    from eagle_gym.language.model import LanguageModel
    from eagle_gym.latent import LatentSpace, Utility, UtilityParts


@dataclass(frozen=True, eq=False)
class Resources:
    """The heavy parts of a world, shared by all worlds of a process that differ in episode and observation alone.

    Attributes:
        catalog: entities, users and ratings.
        split: train and test users and start entities.
        space: the latent space.
        model: the language model; closed when the last world that uses it is gone.
        action_sets: builds and remembers the action sets.
        utility: scores embeddings.
        surrogate_quality: reported numbers of the surrogate, empty where effects are rollouts.
        effects_model: the language model whose rewrites the effects foresee, closed with the other; None stands for
            the same one.
    """

    catalog: Catalog
    split: Split
    space: LatentSpace
    model: LanguageModel
    action_sets: ActionSets
    utility: Utility
    surrogate_quality: Mapping[str, float] = field(default_factory=dict)
    effects_model: LanguageModel | None = None

    @property
    def models(self) -> tuple[LanguageModel, ...]:
        """The language models, the environment's own first."""
        other = self.effects_model
        return (self.model,) if other is None or other is self.model else (self.model, other)

    @property
    def deterministic(self) -> bool:
        """Whether all models promise equal answers for equal seeds, whatever shares a batch.

        A model that only a surrogate was fitted to answers nothing any more.
        """
        asked = self.models if isinstance(self.action_sets.effects, Rollout) else (self.model,)
        return all(model.deterministic for model in asked)

    @cached_property
    def speaks_plot_english(self) -> bool:
        """Whether texts are plot English, all of them: the catalog's and the model's."""
        return self.catalog.language == "plot_english" and self.model.speech == "plot_english"

    @cached_property
    def strength(self) -> float:
        """Largest strength of a taste that is shown, rating units: twice that of the train users.

        Test users have no part in it; one whose taste is stronger still is shown at the bound.
        """
        tastes = self.space.users[self.split.train_users, :-1]
        return 2.0 * float(np.linalg.norm(tastes, axis=1).max())

    @cached_property
    def longest(self) -> int:
        """Characters of the catalog's longest text."""
        return max(map(len, self.catalog.texts))

    @cached_property
    def profile(self) -> Callable[[int], str]:
        """The profile of a user (a row of the catalog) as text; each is made once."""
        from eagle_gym.catalog import Profiles

        return cache(Profiles(self.catalog, self.split).text)


@dataclass(frozen=True, eq=False)
class World:
    """Everything an environment needs that no episode changes.

    Attributes:
        settings: as given.
        resources: the heavy, shared parts.
    """

    settings: Settings
    resources: Resources

    @property
    def catalog(self) -> Catalog:
        """Entities, users and ratings."""
        return self.resources.catalog

    @property
    def space(self) -> LatentSpace:
        """The latent space."""
        return self.resources.space

    @property
    def model(self) -> LanguageModel:
        """The language model."""
        return self.resources.model

    @cached_property
    def users(self) -> NDArray[np.int64]:
        """Rows of the users of this split."""
        return np.asarray(getattr(self.resources.split, f"{self.settings.split}_users"), np.int64)

    @cached_property
    def entities(self) -> NDArray[np.int64]:
        """Rows of the start entities of this split."""
        return np.asarray(getattr(self.resources.split, f"{self.settings.split}_entities"), np.int64)

    def observation_space(self) -> gym.Space[Any]:
        """A fresh observation space of one environment."""
        if self.settings.observation == "text":
            return FreeText()
        return latent_space(
            n=self.space.dim,
            actions=self.settings.actions,
            radius=self.space.radius,
            strength=self.resources.strength,
            features=self.settings.features,
        )

    @cached_property
    def bounds(self) -> gym.spaces.Dict:
        """The boxes of the latent observation, for clipping away the rounding to float32."""
        space = self.observation_space()
        if not isinstance(space, gym.spaces.Dict):
            raise ConfigurationError("a text observation has no bounds")
        return space


OPTIONS: Final = ("user", "entity", "text", "any_split")  # of reset


@dataclass(frozen=True, slots=True)
class Arrival:
    """A text that an episode has come to, before anything is computed from it.

    Attributes:
        text: the text.
        user: row of the user it is written for.
        entity: row of the entity the episode started from, -1 for a text of the caller's own.
        step: steps taken.
        valid: as in :class:`State`.
    """

    text: str
    user: int
    entity: int
    step: int = 0
    valid: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A state of an episode; frozen, and the same whatever batch it was computed in.

    Attributes:
        text: the text x.
        user: row of the user in the catalog.
        entity: row of the start entity, -1 for a text of the caller's own.
        step: steps taken, 0 to the horizon.
        z: [n] embedding of the text.
        utility: total utility and its parts, by name.
        action_set: the K actions offered.
        valid: whether the text is a proper rewrite. Where texts are plot English, one that does not parse is not;
            since these are drawn again, they are rare. Free text is not where the language model gave back the text it
            got, or one over twice the length of the catalog's longest.
    """

    text: str
    user: int
    entity: int
    step: int
    z: NDArray[np.float64]
    utility: Mapping[str, float]
    action_set: ActionSet
    valid: bool

    @property
    def total(self) -> float:
        """The utility U(x)."""
        return self.utility["total"]


def place(world: World, rng: np.random.Generator, options: Mapping[str, Any] | None = None) -> Arrival:
    """Where an episode starts: a user and an entity drawn from ``rng`` (in this order), or those named in ``options``.

    Both are drawn whether or not they are named, so that options do not shift the randomness that follows.

    Args:
        world: the world.
        rng: the environment's generator.
        options: may hold ``user`` (id), ``entity`` (id), ``text`` (a text of the caller's own) and ``any_split`` (True
            where user and entity may be of the other split).

    Raises:
        ConfigurationError: an unknown option, user or entity, or one of the other split.
        TextError: a text that the environment's language does not know.
    """
    user = int(world.users[rng.integers(len(world.users))])
    entity = int(world.entities[rng.integers(len(world.entities))])
    for name in options or {}:
        if name not in OPTIONS:
            raise ConfigurationError(f"unknown reset option {name!r}{suggest(name, OPTIONS)}; options: {list(OPTIONS)}")
    options = {name: value for name, value in (options or {}).items() if value is not None}
    if not isinstance(options.get("any_split", False), bool):
        raise ConfigurationError(f"the reset option any_split must be True or False, got {options['any_split']!r}")
    if "user" in options:
        user = world.catalog.user_index(str(options["user"]))
        _check_split(world, "user", world.users, user, options)
    if "entity" in options:
        entity = world.catalog.entity_index(str(options["entity"]))
        _check_split(world, "entity", world.entities, entity, options)
    if "text" in options:
        return Arrival(check_text(world, options["text"]), user, entity if "entity" in options else -1)
    return Arrival(world.catalog.entities[entity].text, user, entity)


def _check_split(world: World, what: str, rows: NDArray[np.int64], row: int, options: Mapping[str, Any]) -> None:
    if row in rows or options.get("any_split"):
        return
    own = world.settings.split
    other = next(split for split in SPLITS if split != own)
    raise ConfigurationError(
        f"{what} {options[what]!r} belongs to the {other} split, and this environment to the {own} split: make it with "
        f"split={other!r}, or add the option any_split=True where the two are to be mixed"
    )


def check_text(world: World, text: object) -> str:
    """A text of the caller's own, or an error that says why it cannot be a state.

    Raises:
        TextError: not a string, blank, not Unicode, or outside plot English where the model speaks only that.
    """
    if not isinstance(text, str) or not text.strip():
        raise TextError(f"the start text must be a non-empty string, got {text!r}")
    if text not in FreeText():
        raise TextError(f"the start text must be Unicode, got lone surrogates in {text!r}")
    if world.resources.speaks_plot_english:
        plot_english.parse(text)
    return text


def arrive(world: World, arrivals: Sequence[Arrival]) -> list[State]:
    """Texts become states: one encoder pass, one utility, one batched build of action sets.

    Args:
        world: the world.
        arrivals: [B] texts with their users, entities and steps.

    Returns:
        [B] states.
    """
    if not arrivals:
        return []
    parts = world.resources
    texts = [arrival.text for arrival in arrivals]
    users = np.array([arrival.user for arrival in arrivals])
    entities = np.array([arrival.entity for arrival in arrivals])
    z = np.asarray(parts.space.encoder.encode(texts), np.float64)
    scores = utility_rows(parts.utility(z, parts.space.users[users], entities))
    action_sets = parts.action_sets.build(texts, [parts.profile(int(user)) for user in users], z)
    return [
        State(a.text, a.user, a.entity, a.step, row, score, action_set, a.valid)
        for a, row, score, action_set in zip(arrivals, z, scores, action_sets, strict=True)
    ]


def utility_rows(parts: UtilityParts) -> list[dict[str, float]]:
    """[B] dicts of floats from the utility's parts, each an array [B]."""
    columns = {f.name: getattr(parts, f.name) for f in dataclasses.fields(parts)}
    return [dict(zip(columns, row, strict=True)) for row in np.stack(list(columns.values()), 1).tolist()]


def rewrite(world: World, states: Sequence[State], actions: Sequence[int], seeds: Sequence[int]) -> list[Arrival]:
    """Chosen prompts become new texts, in one batched call of the language model.

    Where texts are plot English, those of the batch that do not parse are drawn again; see
    :mod:`eagle_gym.actions.rewriting`.

    Args:
        world: the world.
        states: [B] states.
        actions: [B] indices into the states' action sets.
        seeds: [B] generation seeds.

    Raises:
        EpisodeError: an action that its state does not offer.
        LanguageModelError: a generation that failed.
    """
    if not states:
        return []
    prompts = [
        Prompt("rewrite", text=state.text, instruction=state.action_set.prompts[check_action(state, action)])
        for state, action in zip(states, actions, strict=True)
    ]
    texts = rewriting.rewrite(world.model, prompts, seeds, temperature=world.settings.temperature)
    return [
        Arrival(text, state.user, state.entity, state.step + 1, is_proper(world, state.text, text))
        for text, state in zip(texts, states, strict=True)
    ]


def is_proper(world: World, before: str, after: str) -> bool:
    """Whether a text is a proper rewrite of another, as :class:`State` says of ``valid``."""
    if world.resources.speaks_plot_english:
        return plot_english.parses(after)
    return after != before and len(after) <= 2 * world.resources.longest


def check_action(state: State, action: int) -> int:
    """The action as an int.

    Raises:
        EpisodeError: it is not one of the actions that the state offers.
    """
    mask = state.action_set.mask
    if not 0 <= action < len(mask) or not mask[action]:
        offered = np.flatnonzero(mask)
        raise EpisodeError(
            f"action {action} is not offered: this state offers {len(offered)} of {len(mask)} actions "
            f"({offered[0]} to {offered[-1]}); see info['action_mask'] or action_masks()"
        )
    return int(action)


def start(world: World, arrivals: Sequence[Arrival]) -> list[State]:
    """The first states of episodes."""
    return arrive(world, arrivals)


def advance(
    world: World, states: Sequence[State], actions: Sequence[int], seeds: Sequence[int]
) -> tuple[list[State], list[float]]:
    """One step of every episode: [B] next states and [B] rewards."""
    after = arrive(world, rewrite(world, states, actions, seeds))
    return after, rewards(world, states, after)


def rewards(world: World, before: Sequence[State], after: Sequence[State]) -> list[float]:
    """[B] rewards of the steps from ``before`` to ``after``."""
    if world.settings.reward == "improvement":
        return [new.total - old.total for old, new in zip(before, after, strict=True)]
    return [new.total if is_over(world, new) else 0.0 for new in after]


def is_over(world: World, state: State) -> bool:
    """Whether the episode has reached its horizon."""
    return state.step >= world.settings.horizon


def expected_utility(world: World, states: Sequence[State]) -> NDArray[np.float64]:
    """[B, K] utility of each action's expected next embedding; -inf where no action is offered."""
    parts = world.resources
    k = world.settings.actions
    z = np.concatenate([state.action_set.expected for state in states])  # [B*K, n]
    users = parts.space.users[np.repeat([state.user for state in states], k)]
    totals = parts.utility(z, users, np.repeat([state.entity for state in states], k)).total.reshape(len(states), k)
    return np.where(np.stack([state.action_set.mask for state in states]) > 0, totals, -np.inf)


def observe(world: World, state: State) -> str | dict[str, NDArray[np.float32]]:
    """The observation of one environment."""
    if world.settings.observation == "text":
        return observe_text(world, state)
    return {name: rows[0] for name, rows in observe_latent(world, [state]).items()}


def observe_text(world: World, state: State) -> str:
    """The text observation: what an agent that reads needs in order to act."""
    steps = f"Step {state.step} of {world.settings.horizon}."
    offered = [f"{i}. {prompt}" for i, prompt in enumerate(state.action_set.prompts) if state.action_set.mask[i]]
    profile = world.resources.profile(state.user)
    return "\n".join([f"Reader: {profile}", f"Text: {state.text}", steps, "Edits:", *offered])


def observe_latent(world: World, states: Sequence[State]) -> dict[str, NDArray[np.float32]]:
    """The latent observation of a batch: float32 arrays [B, ...] inside the boxes, freshly made."""
    taste = world.space.users[[state.user for state in states], :-1]  # [B, n]
    strength = np.linalg.norm(taste, axis=1, keepdims=True)
    sets = [state.action_set for state in states]
    columns = {
        "state": np.stack([state.z for state in states]),
        "user": np.concatenate([taste / np.maximum(strength, 1e-12), strength], axis=1),
        "actions": np.stack([s.features.reshape(-1) for s in sets]),
        "action_weights": np.stack([s.weights for s in sets]),
        "action_mask": np.stack([s.mask for s in sets]),
        "time": np.array([[state.step / world.settings.horizon] for state in states]),
    }
    boxes = world.bounds
    return {name: _inside(boxes[name], rows) for name, rows in columns.items()}


def _inside(box: gym.Space[Any], rows: NDArray[Any]) -> NDArray[np.float32]:
    assert isinstance(box, gym.spaces.Box)
    return np.clip(rows.astype(np.float32), box.low, box.high)


def describe(world: World, state: State) -> dict[str, Any]:
    """A fresh ``info`` of a state: nothing in it differs between two runs with one seed."""
    entity = world.catalog.entities[state.entity].id if state.entity >= 0 else None
    chosen = state.action_set
    return {
        "text": state.text,
        "user": world.catalog.users[state.user],
        "entity": entity,
        "profile": world.resources.profile(state.user),
        "step": state.step,
        "valid": state.valid,
        "actions": chosen.prompts,
        "action_mask": chosen.mask.copy(),
        "design": {"weights": chosen.weights.copy(), "gap": chosen.gap, "C": chosen.C},
        "utility": dict(state.utility),
    }


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
            from eagle_gym.envs.opening import open_resources

            resources = open_resources(settings)
            for model in resources.models:
                weakref.finalize(resources, model.close)
            _OPEN[key] = resources
    return World(settings, resources)
