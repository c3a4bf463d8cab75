"""The world of an environment: what exists and how it moves, without any episode.

A ``World`` is a frozen bundle (catalog, split, latent space, language model, action sets, utility) shared by every copy
of an environment in a process. Episodes are frozen ``State`` records, and the functions that move them are batched:

- ``arrive``   texts become states: one encoder pass, one utility, one batched build of action sets
- ``rewrite``  chosen edits become new texts: one batched call of the language model, and where texts are to be plot
  English and some are not, another for these alone
- ``start``, ``advance``, ``observe``, ``expected_utility`` are made of these

The single environment is the case of one row. Randomness comes in as seeds; nothing here draws any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from eagle_gym.actions.action_set import ActionSet, ActionSets
from eagle_gym.actions.effects import Rollout
from eagle_gym.envs.settings import Settings
from eagle_gym.envs.spaces import FreeText, latent_space
from eagle_gym.errors import ConfigurationError

if TYPE_CHECKING:
    from eagle_gym.catalog import Catalog, Split
    from eagle_gym.language.model import LanguageModel
    from eagle_gym.latent import LatentSpace, Utility


@dataclass(frozen=True, eq=False)
class Resources:
    """The heavy parts of a world, shared by all worlds of a process that differ in episode and observation alone.

    Attributes:
        catalog: items, users and ratings.
        split: train and test users and start items.
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
        return self.catalog.language == "plot_english" and self.model.language == "plot_english"

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
    def users(self) -> NDArray[np.int64]:
        """Rows of the users of this split."""
        return np.asarray(getattr(self.resources.split, f"{self.settings.split}_users"), np.int64)

    @cached_property
    def items(self) -> NDArray[np.int64]:
        """Rows of the start items of this split."""
        return np.asarray(getattr(self.resources.split, f"{self.settings.split}_items"), np.int64)

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


@dataclass(frozen=True, slots=True)
class RawState:
    """A text that an episode has come to, before anything is computed from it.

    Attributes:
        text: the text.
        user: row of the user it is written for.
        item: row of the item the episode started from, -1 for a text of the caller's own.
        step: steps taken.
        valid: as in :class:`State`.
    """

    text: str
    user: int
    item: int
    step: int = 0
    valid: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A state of an episode; frozen, and the same whatever batch it was computed in.

    Attributes:
        text: the text x.
        user: row of the user in the catalog.
        item: row of the start item, -1 for a text of the caller's own.
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
    item: int
    step: int
    z: NDArray[np.float64]
    utility: Mapping[str, float]
    action_set: ActionSet
    valid: bool

    @property
    def total(self) -> float:
        """The utility U(x)."""
        return self.utility["total"]
