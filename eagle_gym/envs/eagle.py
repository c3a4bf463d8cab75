"""One environment: a text, a user, K edits, and a language model that applies the chosen one."""

from __future__ import annotations

from typing import Any, SupportsInt

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray

from eagle_gym.envs import transition
from eagle_gym.envs.episode import (
    METADATA,
    SEEDS,
    SharedWorld,
    Snapshot,
    check_render_mode,
    check_snapshot,
    unmoved_by_failure,
)
from eagle_gym.envs.observation import make_info, make_observation, observe_text
from eagle_gym.envs.opening import make_world
from eagle_gym.envs.render import Frame, draw
from eagle_gym.envs.settings import Settings
from eagle_gym.envs.world import State, World
from eagle_gym.errors import EpisodeError


class EagleEnv(SharedWorld, gym.Env[Any, np.int64]):
    """A language model as an environment: states are texts, actions are edits, rewards come from ratings.

    **Ids.** ``EagleGym/Plots-v0`` (embedded catalog), ``EagleGym/MovieLens-v0`` and ``EagleGym/Amazon-v0`` (``root=``),
    ``EagleGym/Table-v0`` (``texts=``, ``ratings=``). With the defaults a small language model that ships with the
    package does the writing.

    **Start.** ``reset`` draws a user (a user of the catalog) and an item (its text is the first state).
    ``reset(options={"user": id, "item": id, "text": "..."})`` names any of them. A user or item of the other split
    is an error, lest test users stand among train episodes unnoticed; ``"any_split": True`` allows it.

    **Actions.** ``Discrete(K)``: index of one of the K edits that the state offers. They are chosen by G-optimal
    design from a pool of candidates, so that they cover the directions of the latent space. Where a state has fewer,
    the mask (``info["action_mask"]``, ``action_masks()``) says which indices are real; another index is an error.

    **Transition.** The language model rewrites the text as the chosen edit asks, sampled with a seed drawn from
    ``np_random``. Where texts are plot English, one that does not parse is drawn again, a few times; then it stands. A
    generation that fails raises ``LanguageModelError`` and leaves the episode where it was.

    **Observation.** ``observation="text"``: one string with the user's profile, the text, the step and the numbered
    edits, in ``FreeText()``. ``observation="latent"``: a Dict of bounded float32 boxes: ``state`` [n] (embedding),
    ``user`` [n+1] (unit direction of taste, and its strength in rating units, shown up to twice that of the train
    users), ``actions`` [K·n] (what each edit is expected to do: displacements, or next embeddings),
    ``weights`` [K] (the design's), ``action_mask`` [K], ``time`` [1] (share of the episode that is over).

    **Reward.** U(x) = affinity + λ·novelty, both standardised over the catalog: would this user like it, and is there
    nothing like it yet? ``reward="improvement"`` pays U(x') - U(x) at each step, ``"terminal"`` U of the last text.

    **End.** ``terminated`` after ``horizon`` steps; never truncated by itself.

    **Info.** ``text``, ``user``, ``item`` (None where the text was given), ``profile``, ``step``, ``valid`` (False
    where plot English does not parse, which is rare and read leniently, and where the language model gave free text
    back unchanged, or at over twice the length of the catalog's longest), ``actions`` (K edits), ``action_mask``
    (int8), ``design`` (``weights``, ``gap``, ``C``), ``utility`` (``total``, ``affinity``, ``novelty``,
    ``percentile``). Two runs with one seed have equal infos; counts of calls and tokens are on ``usage``.

    **Arguments.** Those of :class:`eagle_gym.Settings`, all JSON values, and ``render_mode`` (None or ``"ansi"``).

    **Versions.** v0: the first.

    Raises:
        ConfigurationError: an argument that cannot be; raised before anything is loaded where no file or model is
            needed to tell.
        CatalogError: bad data.
        PreparationError: something is absent or does not match, and ``prepare="never"``.
    """

    # Gymnasium's types ask for a mutable dict here.
    metadata: dict[str, Any] = dict(METADATA)  # noqa: RUF012

    def __init__(self, *, render_mode: str | None = None, **arguments: Any) -> None:  # noqa: ANN401
        check_render_mode(render_mode)
        self._join(make_world(Settings.of(arguments)), render_mode)

    @classmethod
    def from_world(cls, world: World, render_mode: str | None = None) -> EagleEnv:
        """An environment in a world that is there already."""
        check_render_mode(render_mode)
        env = cls.__new__(cls)
        env._join(world, render_mode)
        return env

    def _join(self, world: World, render_mode: str | None) -> None:
        self.render_mode = render_mode
        self._world = world
        self.observation_space = world.observation_space()
        self.action_space = gym.spaces.Discrete(world.settings.actions)
        self._state: State | None = None
        self._frames: list[Frame] = []

    @property
    def state(self) -> State:
        """The episode's state.

        Raises:
            EpisodeError: before the first ``reset``.
        """
        if self._state is None:
            raise EpisodeError("there is no episode yet: call reset() first")
        return self._state

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: seeds ``np_random``; None goes on with the randomness there is.
            options: ``user``, ``item`` (ids) and ``text`` name the start; what is not named is drawn.
                ``any_split=True`` allows users and items of the other split too.

        Returns:
            Observation and info.

        Raises:
            ConfigurationError: an unknown option, user or item, or one of the other split.
            TextError: a text that the environment's language does not know.
            EagleError: what the start needs could not be made. Whatever is raised, the environment is as it was.
        """
        world = self.world
        rng, own_seed = (self.np_random, self.np_random_seed) if seed is None else seeding.np_random(seed)
        with unmoved_by_failure([rng]):
            (state,) = transition.make_states(world, [transition.sample_start(world, rng, options)])
        self._np_random, self._np_random_seed = rng, own_seed
        self._state, self._frames = state, [Frame(state)]
        return make_observation(world, state), make_info(world, state)

    def step(self, action: SupportsInt) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Let the language model rewrite the text as edit ``action`` asks.

        Returns:
            Observation, reward, terminated, truncated (always False) and info.

        Raises:
            EpisodeError: there is no episode, it is over, or the state does not offer the action.
            LanguageModelError: the generation failed; the episode stands where it stood.
        """
        world, state = self.world, self.state
        if transition.is_over(world, state):
            raise EpisodeError(f"the episode is over after {world.settings.horizon} steps: call reset()")
        index = transition.check_action(state, as_index(action))
        with unmoved_by_failure([self.np_random]):
            seed = int(self.np_random.integers(SEEDS))
            (after,), (reward,) = transition.step(world, [state], [index], [seed])
        self._state = after
        self._frames.append(Frame(after, state.action_set.edits[index], reward))
        return make_observation(world, after), reward, transition.is_over(world, after), False, make_info(world, after)

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The episode so far, moment by moment, for :mod:`eagle_gym.envs.render`."""
        return tuple(self._frames)

    def read(self) -> str:
        """The text observation, whatever the environment's own observation is."""
        return observe_text(self.world, self.state)

    def action_masks(self) -> NDArray[np.bool_]:
        """[K] which actions the state offers."""
        return self.state.action_set.mask.astype(np.bool_)

    def expected_utility(self) -> NDArray[np.float64]:
        """[K] utility of each action's expected next embedding; -inf where no action is offered."""
        row: NDArray[np.float64] = transition.expected_utility(self.world, [self.state])[0]
        return row

    def get_state(self) -> Snapshot:
        """The episode as it stands, to come back to with ``set_state``, here or in a copy of this environment."""
        return Snapshot.of(self.world, self._state, self._frames, self.np_random, self.np_random_seed)

    def set_state(self, snapshot: Snapshot, seed: int | None = None) -> None:
        """Go back to a snapshot.

        Args:
            snapshot: from ``get_state`` of an environment with the same settings.
            seed: a fresh seed for what follows; None goes on with the snapshot's own randomness.

        Raises:
            ConfigurationError: no snapshot, or one of other settings.
        """
        check_snapshot(self.world, snapshot)
        fresh = (snapshot.generator(), snapshot.seed) if seed is None else seeding.np_random(seed)
        self._np_random, self._np_random_seed = fresh
        self._state, self._frames = snapshot.state, list(snapshot.frames)

    def render(self) -> str | None:
        """The episode so far as text; None without a render mode."""
        if self.render_mode is None:
            return None
        return draw(self.world, self._frames)

    def close(self) -> None:
        """Let go of the world; the language model is closed with the last environment that uses it."""
        self._world = None


def as_index(action: SupportsInt) -> int:
    """An action as a Python int.

    Raises:
        EpisodeError: it is no integer.
    """
    array = np.asarray(action)
    if array.size != 1 or array.dtype.kind not in "iu":
        raise EpisodeError(f"an action is one integer, got {action!r}")
    return int(array.reshape(()))
