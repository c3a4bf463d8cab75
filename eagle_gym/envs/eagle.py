"""One environment: a text, a reader, K edit prompts, and a language model that applies the chosen one."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, SupportsInt

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray

from eagle_gym.envs import world as worlds
from eagle_gym.envs.render import Frame, draw
from eagle_gym.envs.settings import Settings
from eagle_gym.envs.world import State, World
from eagle_gym.errors import ConfigurationError, EpisodeError
from eagle_gym.language.model import Usage

METADATA: Mapping[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}
SEEDS = 2**63  # generation seeds are drawn below this


@dataclass(frozen=True)
class Snapshot:
    """An episode at one moment: its state, its history and its randomness. Immutable and picklable.

    Attributes:
        state: where the episode is; None before the first reset.
        frames: what was rendered up to here.
        rng: state of the environment's generator.
    """

    state: State | None
    frames: tuple[Frame, ...]
    rng: Mapping[str, Any]


class EagleEnv(gym.Env[Any, np.int64]):
    """A language model as an environment: states are texts, actions are edit prompts, rewards come from ratings.

    **Ids.** ``EagleGym/Plots-v0`` (embedded catalog), ``EagleGym/MovieLens-v0`` (``root=``), ``EagleGym/Table-v0``
    (``texts=``, ``ratings=``). With the defaults a small language model that ships with the package does the writing.

    **Start.** ``reset`` draws a reader (a user of the catalog) and an entity (its text is the first state).
    ``reset(options={"user": id, "entity": id, "text": "..."})`` names any of them.

    **Actions.** ``Discrete(K)``: index of one of the K edit prompts that the state offers. They are chosen by G-optimal
    design from a pool of candidates, so that they cover the directions of the latent space. Where a state has fewer,
    the mask (``info["action_mask"]``, ``action_masks()``) says which indices are real; another index is an error.

    **Transition.** The language model rewrites the text as the chosen prompt asks, sampled with a seed drawn from
    ``np_random``. A failed generation raises ``LanguageModelError``; it leaves the episode where it was.

    **Observation.** ``observation="text"``: one string with the reader's profile, the text, the step and the numbered
    prompts, in ``FreeText()``. ``observation="latent"``: a Dict of bounded float32 boxes: ``state`` [n] (embedding),
    ``user`` [n+1] (unit direction of taste, and its strength in rating units), ``actions`` [K·n] (what each prompt is
    expected to do: displacements, or next embeddings), ``action_weights`` [K] (the design's), ``action_mask`` [K],
    ``time`` [1] (share of the episode that is over).

    **Reward.** U(x) = affinity + λ·novelty, both standardised over the catalog: would this reader like it, and is there
    nothing like it yet? ``reward="improvement"`` pays U(x') - U(x) at each step, ``"terminal"`` U of the last text.

    **End.** ``terminated`` after ``horizon`` steps; never truncated by itself.

    **Info.** ``text``, ``user``, ``entity`` (None where the text was given), ``profile``, ``step``, ``valid`` (False
    where the model's text left plot English; it stays a state, read leniently), ``actions`` (K prompts),
    ``action_mask`` (int8), ``design`` (``weights``, ``gap``, ``C``), ``utility`` (``total``, ``affinity``, ``novelty``,
    ``percentile``). Two runs with one seed have equal infos; counts of calls and tokens are on ``usage``.

    **Arguments.** Those of :class:`eagle_gym.Settings`, all JSON values, and ``render_mode`` (None or ``"ansi"``).

    **Versions.** v0: the first.

    Raises:
        ConfigurationError: an argument that cannot be; raised before anything is loaded.
        CatalogError: bad data.
        PreparationError: something is absent or does not match, and ``prepare="never"``.
    """

    # Gymnasium's types ask for a mutable dict here.
    metadata: dict[str, Any] = dict(METADATA)  # noqa: RUF012

    def __init__(self, *, render_mode: str | None = None, **arguments: Any) -> None:  # noqa: ANN401
        check_render_mode(render_mode)
        self._join(worlds.make_world(Settings.of(arguments)), render_mode)

    @classmethod
    def from_world(cls, world: World, render_mode: str | None = None) -> EagleEnv:
        """An environment in a world that is there already."""
        check_render_mode(render_mode)
        env = cls.__new__(cls)
        env._join(world, render_mode)
        return env

    def _join(self, world: World, render_mode: str | None) -> None:
        self.render_mode = render_mode
        self._world: World | None = world
        self.observation_space = world.observation_space()
        self.action_space = gym.spaces.Discrete(world.settings.actions)
        self._state: State | None = None
        self._frames: list[Frame] = []

    @property
    def world(self) -> World:
        """The world that this environment shares with its copies.

        Raises:
            EpisodeError: the environment is closed.
        """
        if self._world is None:
            raise EpisodeError("this environment is closed; make a new one")
        return self._world

    @property
    def settings(self) -> Settings:
        """The arguments of this environment."""
        return self.world.settings

    @property
    def state(self) -> State:
        """The episode's state.

        Raises:
            EpisodeError: before the first ``reset``.
        """
        if self._state is None:
            raise EpisodeError("there is no episode yet: call reset() first")
        return self._state

    @property
    def usage(self) -> Usage:
        """Calls, tokens and seconds of the language model, which copies of this environment share."""
        return self.world.model.usage

    @property
    def deterministic(self) -> bool:
        """Whether the backend promises equal texts for equal seeds, whatever shares a batch."""
        return self.world.model.deterministic

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: seeds ``np_random``; None goes on with the randomness there is.
            options: ``user``, ``entity`` (ids) and ``text`` name the start; what is not named is drawn.

        Returns:
            Observation and info.

        Raises:
            ConfigurationError: an unknown option, user or entity.
            TextError: a text that the environment's language does not know.
        """
        world = self.world
        super().reset(seed=seed)
        self._state = worlds.start(world, [worlds.place(world, self.np_random, options)])[0]
        self._frames = [Frame(self._state)]
        return self._observation(), worlds.describe(world, self._state)

    def step(self, action: SupportsInt) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Let the language model rewrite the text as prompt ``action`` asks.

        Returns:
            Observation, reward, terminated, truncated (always False) and info.

        Raises:
            EpisodeError: there is no episode, it is over, or the state does not offer the action.
            LanguageModelError: the generation failed; the episode stands where it stood.
        """
        world, state = self.world, self.state
        if worlds.is_over(world, state):
            raise EpisodeError(f"the episode is over after {world.settings.horizon} steps: call reset()")
        index = worlds.check_action(state, as_index(action))
        before = self.np_random.bit_generator.state
        seed = int(self.np_random.integers(SEEDS))
        try:
            (after,), (reward,) = worlds.advance(world, [state], [index], [seed])
        except BaseException:
            self.np_random.bit_generator.state = before
            raise
        self._state = after
        self._frames.append(Frame(after, state.action_set.prompts[index], reward))
        return self._observation(), reward, worlds.is_over(world, after), False, worlds.describe(world, after)

    def _observation(self) -> str | dict[str, NDArray[np.float32]]:
        if self.settings.observation == "text":
            return worlds.observe_text(self.world, self.state)
        return {name: rows[0] for name, rows in worlds.observe_latent(self.world, [self.state]).items()}

    def read(self) -> str:
        """The text observation, whatever the environment's own observation is."""
        return worlds.observe_text(self.world, self.state)

    def action_masks(self) -> NDArray[np.bool_]:
        """[K] which actions the state offers."""
        return self.state.action_set.mask.astype(np.bool_)

    def expected_utility(self) -> NDArray[np.float64]:
        """[K] utility of each action's expected next embedding; -inf where no action is offered."""
        row: NDArray[np.float64] = worlds.expected_utility(self.world, [self.state])[0]
        return row

    def get_state(self) -> Snapshot:
        """The episode as it stands, to come back to with ``set_state``, here or in a copy of this environment."""
        return Snapshot(self._state, tuple(self._frames), copy.deepcopy(self.np_random.bit_generator.state))

    def set_state(self, snapshot: Snapshot, seed: int | None = None) -> None:
        """Go back to a snapshot.

        Args:
            snapshot: from ``get_state`` of an environment with the same settings.
            seed: a fresh seed for what follows; None goes on with the snapshot's own randomness.
        """
        self._state = snapshot.state
        self._frames = list(snapshot.frames)
        if seed is None:
            self.np_random = restored(snapshot.rng)
        else:
            self.np_random, self._np_random_seed = seeding.np_random(seed)

    def render(self) -> str | None:
        """The episode so far as text; None without a render mode."""
        if self.render_mode is None:
            return None
        return draw(self.world, self._frames)

    def close(self) -> None:
        """Let go of the world; the language model is closed with the last environment that uses it."""
        self._world = None

    def __getstate__(self) -> dict[str, Any]:
        """The settings and the episode; the world is opened again by its settings."""
        values = dict(self.__dict__)
        values["_world"] = None if self._world is None else self._world.settings
        return values

    def __setstate__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)
        if isinstance(values["_world"], Settings):
            self._world = worlds.make_world(values["_world"])


def check_render_mode(render_mode: str | None) -> None:
    """Raise ConfigurationError on a render mode that there is not."""
    if render_mode is not None and render_mode not in METADATA["render_modes"]:
        raise ConfigurationError(f"render_mode must be None or one of {METADATA['render_modes']}, got {render_mode!r}")


def as_index(action: SupportsInt) -> int:
    """An action as a Python int.

    Raises:
        EpisodeError: it is no integer.
    """
    array = np.asarray(action)
    if array.size != 1 or array.dtype.kind not in "iu":
        raise EpisodeError(f"an action is one integer, got {action!r}")
    return int(array.reshape(()))


def restored(state: Mapping[str, Any]) -> np.random.Generator:
    """A generator in the state of another."""
    rng = np.random.Generator(np.random.PCG64())
    rng.bit_generator.state = copy.deepcopy(dict(state))
    return rng
