"""The single environment: a text, a user, K edits, and a language model that applies the chosen edit."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, SupportsInt

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils import seeding
from numpy.typing import NDArray

from eagle_gym.envs import transition
from eagle_gym.envs.episode import (
    METADATA,
    SEEDS,
    Snapshot,
    WorldMixin,
    check_options,
    check_render_mode,
    check_snapshot,
    render_frames,
    unmoved_by_failure,
)
from eagle_gym.envs.observation import make_info, make_observation, observe_text
from eagle_gym.envs.opening import make_world
from eagle_gym.envs.render import Frame
from eagle_gym.envs.settings import Settings
from eagle_gym.envs.world import State, World
from eagle_gym.errors import EpisodeError


class EagleEnv(WorldMixin, gym.Env[Any, np.int64]):
    """A frozen language model as an environment: states are texts, actions are edits, rewards come from ratings.

    ## Description

    A user and a text are given: a short description of a film or a product. At each step the agent chooses one of K
    edits, such as "Set it in the 1980s.", and the language model rewrites the text accordingly. The agent looks for
    a text that this user would like and that resembles nothing in the catalog. What a user likes was learnt from
    ratings, so rewards are computed in a latent space in which users, items and texts are points.

    The ids differ in their catalog: `EagleGym/Plots-v0` (ships with the package), `EagleGym/MovieLens-v0` (needs
    `root`), `EagleGym/Amazon-v0` (needs `root`) and `EagleGym/Table-v0` (needs `texts` and `ratings`). By default,
    a small language model that ships with the package rewrites.

    The argument `task` chooses what is asked of an agent: `"default"`, `"easy"`, `"plan"` or `"hidden"`. A task is a
    preset of other arguments, and an argument that is given wins over it. Plots and MovieLens have an id for each task,
    such as `EagleGym/PlotsEasy-v0`.

    ## Start

    `reset` draws a user and an item of the environment's split. The item's text is the first state. The options
    `reset(options={"user": id, "item": id, "text": "..."})` set any of the three. A user or item of the other split is
    an error, so that test users do not slip into train episodes; the option `"any_split": True` allows it.

    ## Action Space

    `Discrete(K)`, with K = `actions`: the index of an edit that the state offers. G-optimal design chooses the K edits
    from a pool of candidates so that they cover the directions of the latent space. If a state has fewer than K
    edits, `info["action_mask"]` and `action_masks()` mark those that it has. Any other index is an error.

    ## Transition

    The language model rewrites the text as the chosen edit asks. It samples with a seed drawn from `np_random`, so the
    seed of `reset` and the actions determine the episode. If texts are plot English and the answer does not parse, it
    is sampled again a few times; the last answer then stands, with `info["valid"]` False. Where every answer reaches
    the limit of tokens, the text stays, with `info["valid"]` False. A generation that fails raises
    `LanguageModelError` and leaves the episode where it was.

    ## Observation Space

    `observation="text"` (the default) is one string: the user's profile, the text, the step and the numbered edits. Its
    space is `FreeText()`, which holds every Unicode string.

    `observation="latent"` is a flat `Dict` of bounded float32 boxes, with n = `dim`. Always there are `state` [n], the
    embedding of the text; `weights` [K], the design's weights of the edits; `mask` [K], 1 where an edit is offered; and
    `time` [1], the share of the episode that is over. With `action_features="effect"`, `effects` [K·n] are what each
    edit is expected to do (`features`: displacements or next embeddings). With `"edit"`, `actions` [K·m] are embeddings
    of the edits' own words. With `"none"`, neither is there.

    With `taste="shown"`, `user` [n+1] is the unit direction of the user's taste, then its strength in rating units,
    shown up to twice that of the strongest train user; `match` [K] (with `"edit"` and `order="pool"`) is how far what
    each edit asks for points in that direction; and `interests` [c·n] are the centres of the user's interests, if there
    are several. With `taste="hidden"`, `reward` [1] is the last reward, between -10 and 10, `change` [n] is the change
    of the embedding that it was paid for, and the text observation has a line with the reward instead of the profile.

    ## Reward

    U(x) = affinity + λ·novelty, both standardised over the catalog: how much the user would like the text, and how far
    it is from the nearest items. `affinity` and `interests` choose the kind of affinity. `drift_penalty` and
    `edit_cost` set prices that are subtracted: of the distance to the episode's first text, and of each step.
    `reward="improvement"` (the default) pays the gain in utility at each step; `reward="terminal"` pays the utility of
    the last text at the end and 0 before. A text that is not a proper rewrite (see Info) counts at most as much as
    the text before it, less `edit_cost`, so an improvement pays 0 at most. The reward is a Python float, and a float64
    array in the vector environment.

    ## Episode End

    `terminated` is True after `horizon` steps, and `truncated` is always False. `spec.max_episode_steps` is the
    horizon, though `gym.make(id)` adds no `TimeLimit`. `gym.make(env.spec)` does add one, and then the last step is
    truncated as well as terminated; pass `max_episode_steps=-1` to avoid that.

    ## Info

    `text` (str); `user_id` (str) and `item_id` (str) in the catalog, `item_id` being None if the start text was given
    without an item; `profile` (str), what the user likes and dislikes in words; `step`
    (int), the steps taken; `valid` (bool), whether the text is a proper rewrite; `rewrite` (str, only in free
    text), what the step made of the text: "copied", "edited", "rewritten", "summarised", "rambled", or "" at the
    start; `edits` (tuple of K str, empty where the mask is 0); `action_mask` (int8 [K]);
    `design` (dict), with `weights` (float64 [K]), `gap` and `C` (float), which measure the design; `utility` (dict of
    float), with `total` = `affinity` + λ·`novelty` - `drift` - `cost`, these four parts, and `percentile`, the share of
    the catalog with a lower predicted rating for this user. A hidden taste leaves out `user_id`, `profile` and
    `percentile`.

    Plot English is a proper rewrite if it parses. Free text is one unless the language model returned it unchanged, or
    it is over twice as long as the catalog's longest text. Two runs with one seed have equal infos; counts of calls and
    tokens are in `usage` instead.

    ## Rendering

    `render_mode="ansi"` returns the episode so far as text. `render_mode="rgb_array"` returns a picture
    [540, 960, 3] of the present moment: the text, the edit, the utility, and the path on a map of the latent space. It
    needs matplotlib, which the extra `render` installs.

    ## Arguments

    Those of `eagle_gym.Settings`, all JSON values, and `render_mode` (None, `"ansi"` or `"rgb_array"`).

    ## Use with other libraries

    Libraries that handle only arrays, such as Stable-Baselines3, TorchRL and skrl, need `observation="latent"`. To step
    many environments with one batched model call, use `gym.make_vec` (see `EagleVectorEnv`), and
    `eagle_gym.envs.sb3.SB3VecEnv` for Stable-Baselines3.

    ## Version History

    - v0: The first version.

    Raises:
        ConfigurationError: An invalid argument or combination. It is raised before anything is loaded, unless the check
            itself needs a file or a model.
        CatalogError: Bad data.
        PreparationError: Something is absent or does not match, and `prepare="never"`.
    """

    # Gymnasium's types ask for a mutable dict here.
    metadata: dict[str, Any] = dict(METADATA)  # noqa: RUF012
    _spec: EnvSpec | None = None

    def __init__(self, *, render_mode: str | None = None, **arguments: Any) -> None:  # noqa: ANN401
        check_render_mode(render_mode)
        self._join(make_world(Settings.of(arguments)), render_mode)

    @classmethod
    def from_world(cls, world: World, render_mode: str | None = None) -> EagleEnv:
        """Make an environment in a world that is open already."""
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

    @property  # a plain attribute in Gymnasium, which sets it after construction
    def spec(self) -> EnvSpec | None:
        """The spec that `gym.make` used, with the horizon as `max_episode_steps`."""
        return self._spec

    @spec.setter
    def spec(self, value: EnvSpec | None) -> None:
        self._spec = copy.copy(value)
        if self._spec is not None:
            self._spec.max_episode_steps = self.settings.horizon

    @property
    def state(self) -> State:
        """The episode's state.

        Raises:
            EpisodeError: There was no `reset` yet.
        """
        if self._state is None:
            raise EpisodeError("there is no episode yet: call reset() first")
        return self._state

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Seeds `np_random`. None continues with the present generator.
            options: `user` and `item` (ids) and `text` set the start; the others are drawn. `any_split=True` allows
                users and items of the other split too.

        Returns:
            Observation and info.

        Raises:
            ConfigurationError: An unknown option, user or item, or a user or item of the other split.
            TextError: A text outside the environment's language.
            EagleError: The start could not be computed. After any error the environment is as it was before.
        """
        world, given = self.world, check_options(options)
        rng, own_seed = (self.np_random, self.np_random_seed) if seed is None else seeding.np_random(seed)
        with unmoved_by_failure([rng]):
            (state,) = transition.make_states(world, [transition.sample_start(world, rng, given)])
        self.restore(state, [Frame(state)], rng, own_seed)
        return make_observation(world, state), make_info(world, state)

    def step(self, action: SupportsInt) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Let the language model rewrite the text as the edit with index `action` asks.

        Returns:
            Observation, reward, terminated, truncated (always False) and info.

        Raises:
            EpisodeError: There is no episode, it is over, or the state does not offer the action.
            LanguageModelError: The generation failed; the episode is where it was before.
        """
        self._check_not_over()
        return self._advance(self.state.action_set.edits[transition.check_action(self.state, as_index(action))])

    def step_with(self, edit: str) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Do what `step` does, with an edit of the caller's own, which the state need not offer.

        Wrappers do not see such a step: call it on `env.unwrapped`.

        Raises:
            EpisodeError: There is no episode, or it is over.
            TextError: It is no edit, is longer than 200 characters, or is outside the environment's language.
            LanguageModelError: The generation failed; the episode is where it was before.
        """
        self._check_not_over()
        return self._advance(transition.check_edit(self.world, edit))

    def _check_not_over(self) -> None:
        if transition.is_over(self.world, self.state):
            raise EpisodeError(f"the episode is over after {self.settings.horizon} steps: call reset()")

    def _advance(self, edit: str) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        world = self.world
        with unmoved_by_failure([self.np_random]):
            seed = int(self.np_random.integers(SEEDS))
            (after,), (reward,) = transition.step_with(world, [self.state], [edit], [seed])
        self.append(Frame(after, edit, reward))
        return make_observation(world, after), reward, transition.is_over(world, after), False, make_info(world, after)

    def restore(self, state: State | None, frames: Iterable[Frame], rng: np.random.Generator, seed: int) -> None:
        """Replace the episode and its randomness without checks; `set_state` checks.

        Args:
            state: The present state; None for no episode.
            frames: The history, the present state last.
            rng: The generator to draw from.
            seed: What the generator was seeded with, -1 if unknown.
        """
        self._np_random, self._np_random_seed = rng, seed
        self._state, self._frames = state, list(frames)

    def append(self, frame: Frame) -> None:
        """Add a frame and move to its state, without checks; `step` computes the frame."""
        self._state = frame.state
        self._frames.append(frame)

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The history of the episode, for drawing it."""
        return tuple(self._frames)

    def read(self) -> str:
        """The text observation, whichever observation the environment returns."""
        return observe_text(self.world, self.state)

    def action_masks(self) -> NDArray[np.bool_]:
        """Which actions the state offers, [K]."""
        return self.state.action_set.mask.astype(np.bool_)

    @property
    def expected_utility(self) -> Callable[[], NDArray[np.float64]]:
        """A method: the utility of each action's expected next embedding, [K]; -inf where no action is offered.

        Raises:
            NotShownError: `action_features` is not `"effect"`.
        """
        self.check_effects_shown()
        return lambda: transition.expected_utility(self.world, [self.state])[0]

    def get_state(self) -> Snapshot:
        """A snapshot of the episode, to which `set_state` returns, in this environment or in one with its settings."""
        return Snapshot.of(self.world, self._state, self._frames, self.np_random, self.np_random_seed)

    def set_state(self, snapshot: Snapshot, seed: int | None = None) -> None:
        """Return to a snapshot.

        Args:
            snapshot: From `get_state` of an environment with the same settings. Where things are stored and computed
                (`device`, `record`, `cache_dir`, ...) may differ.
            seed: A new seed for what follows. None continues with the snapshot's own randomness.

        Raises:
            ConfigurationError: It is not a snapshot, comes from other settings, or is broken. Nothing has changed then.
        """
        checked = check_snapshot(self.world, snapshot)
        rng, own_seed = (checked.generator(), checked.seed) if seed is None else seeding.np_random(seed)
        self.restore(checked.state, checked.frames, rng, own_seed)

    def render(self) -> Any:  # noqa: ANN401 - a text, a picture or None
        """The episode so far as text, a picture of its present moment, or None, as the render mode says."""
        return render_frames(self.world, self._frames, self.render_mode)

    def close(self) -> None:
        """Release the world. The language model is closed with the last environment that uses it."""
        self._world = None


def as_index(action: SupportsInt) -> int:
    """An action as a Python int.

    Raises:
        EpisodeError: It is not one integer.
    """
    array = np.asarray(action)
    if array.size != 1 or array.dtype.kind not in "iu":
        raise EpisodeError(f"expected an action that is one integer, got {action!r}")
    return int(array.reshape(()))
