"""The data of an environment: the world, which no episode changes, and the states of episodes.

All copies of an environment in a process share the heavy parts of their world. Everything here is frozen; the functions
that move episodes are in `transition`, those that show them in `observation`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from eagle_gym.actions.action_set import ActionSet, ActionSets
from eagle_gym.actions.edit_features import EditFeatures
from eagle_gym.actions.effects import Rollout
from eagle_gym.envs.settings import Settings
from eagle_gym.envs.spaces import FreeText, LatentLayout, latent_space
from eagle_gym.errors import ConfigurationError
from eagle_gym.latent import Priced

if TYPE_CHECKING:
    from eagle_gym.catalog import Catalog, Split
    from eagle_gym.language.model import LanguageModel
    from eagle_gym.latent import Interests, LatentSpace, Utility


@dataclass(frozen=True, eq=False)
class Resources:
    """The heavy parts of a world, shared by all worlds of a process whose settings have equal keys.

    Attributes:
        catalog: Items, users and ratings.
        split: Train and test users and start items.
        space: The latent space.
        model: The language model, closed when the last world that uses it is gone.
        action_sets: Builds and remembers the action sets.
        utility: Scores embeddings.
        surrogate_quality: The measured quality of the surrogate, empty if effects are rollouts.
        effects_model: The language model whose rewrites the effects predict, closed like the other; None if it is the
            same one.
        interests: The users' interests, None where the utility is of another kind or they have one each.
        lock: Held by a thread while it uses what is not made for several threads: caches, models in this process.
    """

    catalog: Catalog
    split: Split
    space: LatentSpace
    model: LanguageModel
    action_sets: ActionSets
    utility: Utility
    surrogate_quality: Mapping[str, float] = field(default_factory=dict)
    effects_model: LanguageModel | None = None
    interests: Interests | None = None
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def asking(self) -> AbstractContextManager[object]:
        """Held while the language model is asked: the lock, unless several threads may ask at once."""
        return nullcontext() if getattr(self.model, "concurrent", False) else self.lock

    @property
    def models(self) -> tuple[LanguageModel, ...]:
        """The language models, the environment's own first."""
        other = self.effects_model
        return (self.model,) if other is None or other is self.model else (self.model, other)

    @property
    def deterministic(self) -> bool:
        """Whether the models promise equal answers for equal seeds, whatever else is in the batch.

        A text encoder that the latent space reads with counts too.

        A model that a fitted surrogate replaces is not called again, so it does not count.
        """
        asked = self.models if isinstance(self.action_sets.effects, Rollout) else (self.model,)
        return all(model.deterministic for model in asked) and self.space.encoder.deterministic

    @cached_property
    def speaks_plot_english(self) -> bool:
        """Whether all texts are plot English, those of the catalog and those of the model."""
        return self.catalog.language == "plot_english" and self.model.language == "plot_english"

    @cached_property
    def edit_features(self) -> EditFeatures:
        """Features of edits' own words: of plot English where texts are and edits can be parsed."""
        lexical = self.action_sets.candidates.settings["candidates"] == "lexicon"
        parsed = self.catalog.language == "plot_english" and (lexical or self.model.language == "plot_english")
        return EditFeatures(self.space.encoder, self.space.dim, "plot_english" if parsed else "free")

    @cached_property
    def strength(self) -> float:
        """Bound of the strength of a taste in observations, in rating units: twice that of the strongest train user.

        Test users do not affect it; their tastes are clipped to it.
        """
        tastes = self.space.users[self.split.train_users, :-1]
        return 2.0 * float(np.linalg.norm(tastes, axis=1).max())

    @cached_property
    def tastes(self) -> NDArray[np.float64]:
        """[U, n + 1] Unit direction of each user's taste (0 where there is none), then its strength."""
        tastes = self.space.users[:, :-1]
        strengths = np.linalg.norm(tastes, axis=1, keepdims=True)
        return np.concatenate([tastes / np.maximum(strengths, 1e-12), strengths], axis=1)

    @cached_property
    def longest(self) -> int:
        """Length of the catalog's longest text, in characters."""
        return max(map(len, self.catalog.texts))

    @cached_property
    def profile(self) -> Callable[[int], str]:
        """A cached function from a user's row in the catalog to the user's profile in words."""
        from eagle_gym.catalog import Profiles

        return cache(Profiles(self.catalog, self.split).text)


class Pays(Protocol):
    """All that is needed of a world to score texts and to pay for steps: `World`, or `Scorer` without models."""

    @property
    def settings(self) -> Settings:
        """The arguments."""
        ...

    @property
    def space(self) -> LatentSpace:
        """The latent space."""
        ...

    @property
    def priced(self) -> Priced:
        """What is rewarded: the utility less the environment's prices."""
        ...


@dataclass(frozen=True, eq=False)
class Scorer:
    """What scores texts that exist already: catalog, latent space and utility, and no language model.

    Attributes:
        settings: The arguments.
        catalog: Items, users and ratings.
        space: The latent space.
        utility: Scores embeddings.
    """

    settings: Settings
    catalog: Catalog
    space: LatentSpace
    utility: Utility

    @cached_property
    def priced(self) -> Priced:
        """What is rewarded: the utility less the environment's prices."""
        return Priced(self.utility, self.settings.drift_penalty, self.settings.edit_cost)


@dataclass(frozen=True, eq=False)
class World:
    """Everything an environment needs that no episode changes.

    Attributes:
        settings: The arguments.
        resources: The heavy, shared parts.
    """

    settings: Settings
    resources: Resources

    @property
    def catalog(self) -> Catalog:
        """Items, users and ratings."""
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
    def priced(self) -> Priced:
        """What is rewarded: the utility less the environment's prices."""
        return Priced(self.resources.utility, self.settings.drift_penalty, self.settings.edit_cost)

    @cached_property
    def users(self) -> NDArray[np.int64]:
        """Rows of the users of the environment's split."""
        return np.asarray(getattr(self.resources.split, f"{self.settings.split}_users"), np.int64)

    @cached_property
    def items(self) -> NDArray[np.int64]:
        """Rows of the start items of the environment's split."""
        return np.asarray(getattr(self.resources.split, f"{self.settings.split}_items"), np.int64)

    def observation_space(self) -> gym.Space[Any]:
        """A new observation space for one environment."""
        if self.settings.observation == "text":
            return FreeText()
        return self.latent_space(self.layout, self._action_bounds)

    def latent_space(
        self, layout: LatentLayout, action_bounds: tuple[NDArray[np.float64], NDArray[np.float64]]
    ) -> gym.spaces.Dict:
        """The space of latent observations of a layout, whose actions have features [m] within bounds."""
        radius, strength = self.space.radius, self.resources.strength
        return latent_space(layout, radius=radius, strength=strength, action_bounds=action_bounds)

    @cached_property
    def layout(self) -> LatentLayout:
        """The parts of the latent observation."""
        settings, parts = self.settings, self.resources
        features, shown = settings.action_features, settings.shows_taste
        widths = {"effect": self.space.dim, "edit": parts.edit_features.width, "none": 0}
        return LatentLayout(
            n=self.space.dim,
            actions=settings.actions,
            width=widths[features],
            effects=features != "edit",
            user=shown,
            match=shown and features == "edit" and settings.order == "pool",  # else the order says it
            interests=parts.interests.centres.shape[1] if shown and parts.interests is not None else 0,
            reward=not shown,
        )

    @property
    def _action_bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The lowest and highest features of an action, each [m]."""
        if self.settings.action_features == "edit":
            return self.resources.edit_features.bounds
        reach = self.space.radius * (2.0 if self.settings.features == "displacement" else 1.0)
        high = np.full(self.layout.width, reach)
        return -high, high

    @cached_property
    def bounds(self) -> gym.spaces.Dict:
        """The boxes of the latent observation, to which rows are clipped after rounding to float32.

        Raises:
            ConfigurationError: The observation is text.
        """
        space = self.observation_space()
        if not isinstance(space, gym.spaces.Dict):
            raise ConfigurationError("expected observation='latent', got 'text': a text has no bounds")
        return space


@dataclass(frozen=True, slots=True)
class RawState:
    """The text of a state, from which `transition.make_states` computes the rest.

    Attributes:
        text: The text.
        user: Row of the user in the catalog.
        item: Row of the item that the episode started from, -1 for a text of the caller's own.
        step: Steps taken.
        valid: As in `State`.
        start: [n] Embedding of the episode's first text; None if this is the first.
        rewrite: As in `State`.
    """

    text: str
    user: int
    item: int
    step: int = 0
    valid: bool = True
    start: NDArray[np.float64] | None = field(default=None, compare=False)
    rewrite: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A state of an episode, the same whatever batch it was computed in.

    Attributes:
        text: The text x.
        user: Row of the user in the catalog.
        item: Row of the start item, -1 for a text of the caller's own.
        step: Steps taken, 0 to the horizon.
        z: [n] Embedding of the text.
        utility: What is rewarded (`total`) and its parts, by name.
        action_set: The K actions offered.
        valid: Whether the text is a proper rewrite (`transition.is_proper`). One that is not is paid at most as much
            as the text before it (`transition.capped`).
        start: [n] Embedding of the episode's first text.
        reward: Reward of the step that led here, 0 at the start.
        change: [n] Displacement of the embedding in that step, 0 at the start.
        rewrite: What that step made of a free text (`eagle_gym.language.change`), "cut off" if no answer was finished;
            "" at the start, and in plot English.
        movement: Cosine distance between what the encoder reads in the text and in the one before it; 0 at the start,
            and in plot English.
    """

    text: str
    user: int
    item: int
    step: int
    z: NDArray[np.float64]
    utility: Mapping[str, float]
    action_set: ActionSet
    valid: bool
    start: NDArray[np.float64]
    change: NDArray[np.float64]
    reward: float = 0.0
    rewrite: str = ""
    movement: float = 0.0

    @property
    def total(self) -> float:
        """What is rewarded: the utility U(x), less the prices of drift and of the steps."""
        return self.utility["total"]
