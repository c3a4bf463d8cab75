"""What the single and the vector environment have in common: a shared world, snapshots, render modes."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import TimeLimit
from numpy.typing import NDArray

from eagle_gym.envs.opening import make_world
from eagle_gym.envs.picture import frame_image
from eagle_gym.envs.render import Frame, draw
from eagle_gym.envs.settings import Settings
from eagle_gym.envs.spaces import FreeText
from eagle_gym.envs.transition import score
from eagle_gym.envs.world import State, World
from eagle_gym.errors import ConfigurationError, EpisodeError, NotShownError
from eagle_gym.language.change import CHANGES, CUT_OFF
from eagle_gym.language.model import Usage, masked

METADATA: Final[Mapping[str, Any]] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 1}
SEEDS: Final = 2**63  # generation seeds are drawn below this

# Settings that a snapshot may differ in. The first line says how an episode is shown, the next two where things are and
# how they are computed; the fingerprints of the latent space and of the language model stand for the fourth.
_IMMATERIAL: Final = frozenset(
    {
        *("prepare", "placebo", "cache_dir", "infos", "task", "action_features"),
        *("device", "dtype", "batch_invariant"),
        *("record", "max_calls", "max_tokens", "max_cost", "prompt_price", "completion_price"),
        *("root", "texts", "ratings", "language_model"),
    }
)


@dataclass(frozen=True)
class Snapshot:
    """An episode at one moment: its state, its history and its randomness. Immutable and picklable.

    Attributes:
        made_with: Settings and fingerprints that an environment must share to continue from here.
        state: The present state; None before the first reset.
        frames: The history up to here.
        rng: State of the environment's generator.
        seed: What the generator was seeded with, -1 if unknown.
    """

    made_with: Mapping[str, Any]
    state: State | None
    frames: tuple[Frame, ...]
    rng: Mapping[str, Any]
    seed: int

    @classmethod
    def of(
        cls, world: World, state: State | None, frames: Iterable[Frame], rng: np.random.Generator, seed: int
    ) -> Snapshot:
        """The snapshot of an episode in `world` whose generator is `rng`."""
        return cls(material_settings(world), state, tuple(frames), copy.deepcopy(rng.bit_generator.state), seed)

    def generator(self) -> np.random.Generator:
        """A new generator in the state that was kept."""
        rng = np.random.Generator(np.random.PCG64())
        rng.bit_generator.state = copy.deepcopy(dict(self.rng))
        return rng


def material_settings(world: World) -> dict[str, Any]:
    """Everything that decides how an episode goes on: most settings, and the fingerprints of space and model."""
    values = {name: value for name, value in world.settings.as_kwargs().items() if name not in _IMMATERIAL}
    if values.get("effects_model") is not None:
        values["effects_model"] = masked(values["effects_model"])
    if world.settings.order == "match":
        values["action_features"] = world.settings.action_features  # by which the actions are ordered
    values["utility_kwargs"] = world.settings.utility_keywords  # which may be given in two places
    return {"space": world.space.fingerprint, "model": world.model.fingerprint, **values}


def check_snapshot(world: World, snapshot: object) -> Snapshot:
    """Return the snapshot if an environment in this world can continue from it.

    Raises:
        ConfigurationError: It is not a snapshot, it comes from an environment with other settings, or it is broken.
    """
    if not isinstance(snapshot, Snapshot):
        raise ConfigurationError(f"expected a snapshot from get_state(), got {type(snapshot).__name__}")
    try:
        theirs = dict(snapshot.made_with)
        different = _difference(material_settings(world), theirs)
        broken = "" if different else _broken_part(world, snapshot)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise ConfigurationError(f"the snapshot is broken ({error}): take another with get_state()") from error
    if different:
        raise ConfigurationError(f"the snapshot is from an environment with other settings: {different}")
    if broken:
        raise ConfigurationError(f"the snapshot is broken ({broken}): take another with get_state()")
    return snapshot


def _difference(expected: Mapping[str, Any], got: Mapping[str, Any]) -> str:
    names = [name for name in {**expected, **got} if expected.get(name) != got.get(name)]
    return "; ".join(f"expected {name}={expected.get(name)!r}, got {name}={got.get(name)!r}" for name in names)


def _broken_part(world: World, snapshot: Snapshot) -> str:
    """What is wrong inside a snapshot whose settings fit, or an empty string."""
    snapshot.generator()  # raises where there is no generator to be had
    if type(snapshot.seed) is not int:
        return "its seed is not an integer"
    if not all(isinstance(frame, Frame) for frame in snapshot.frames):
        return "its history holds other things than frames"
    if (snapshot.state is None) != (not snapshot.frames):
        return "its state and its history do not fit together"
    states = [frame.state for frame in snapshot.frames] + ([] if snapshot.state is None else [snapshot.state])
    if not all(_is_whole(world, state) for state in states):
        return "a state does not fit this environment"
    if snapshot.state is not None and not _is_same(snapshot.frames[-1].state, snapshot.state):
        return "its history does not end in its state"
    if not all(np.array_equal(state.start, states[0].z) for state in states):
        return "a state says that its episode began elsewhere"
    if states and not _fit_texts(world, states):
        return "an embedding is not that of its text, or a utility lacks a part"
    history_is_whole = all(isinstance(f.edit, str) and math.isfinite(f.reward) for f in snapshot.frames)
    return "" if history_is_whole else "an edit or reward of its history is no such thing"


def _is_whole(world: World, state: object) -> bool:
    if not isinstance(state, State):
        return False
    offered, n, k = state.action_set, world.space.dim, world.settings.actions
    arrays: list[tuple[NDArray[Any], tuple[int, ...]]] = [
        *((state.z, (n,)), (state.start, (n,)), (state.change, (n,)), (offered.weights, (k,)), (offered.mask, (k,))),
        *((offered.expected, (k, n)), (offered.features, (k, n))),
    ]
    return (
        state.text in FreeText()
        and isinstance(state.valid, bool)
        and state.rewrite in ("", CUT_OFF, *CHANGES)
        and 0 <= state.movement <= 2
        and 0 <= state.user < len(world.catalog.users)
        and -1 <= state.item < len(world.catalog.items)
        and 0 <= state.step <= world.settings.horizon
        and all(math.isfinite(value) for value in (state.reward, *state.utility.values()))
        and len(offered.edits) == k
        and all(array.shape == shape and np.isfinite(array).all() for array, shape in arrays)
        and bool(np.linalg.norm(state.z) <= world.space.radius * (1 + 1e-9))
        and bool(offered.mask.any())
    )


def _is_same(one: State, other: State) -> bool:
    """Whether two states hold the same; copies count."""
    if one is other:
        return True
    plain = ("text", "user", "item", "step", "valid", "utility", "reward", "rewrite", "movement")
    arrays = ("expected", "features", "weights", "mask")
    return (
        all(getattr(one, name) == getattr(other, name) for name in plain)
        and np.array_equal(one.z, other.z)
        and np.array_equal(one.start, other.start)
        and np.array_equal(one.change, other.change)
        and one.action_set.edits == other.action_set.edits
        and all(np.array_equal(getattr(one.action_set, a), getattr(other.action_set, a)) for a in arrays)
    )


def _fit_texts(world: World, states: Sequence[State]) -> bool:
    """Whether states have the embeddings of their texts, and all parts of a utility."""
    z = np.asarray(world.space.encoder.encode([state.text for state in states]), np.float64)
    scores = score(world, z, states, [state.start for state in states]).rows()
    whole = all(state.utility.keys() == score.keys() for state, score in zip(states, scores, strict=True))
    return whole and np.allclose(z, [state.z for state in states], rtol=1e-6, atol=1e-6)


def check_options(options: object) -> dict[str, Any]:
    """A copy of the options of `reset`, as a dict.

    Raises:
        ConfigurationError: They are neither None nor a dict with names as keys.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise ConfigurationError(f"expected reset options as a dict such as {{'user': 'u1'}}, got {options!r}")
    return dict(options)


class WorldMixin:
    """Gives an environment a world that it shares with its copies. Unpickling opens the world again."""

    _world: World | None

    @property
    def world(self) -> World:
        """The world that this environment shares with its copies.

        Raises:
            EpisodeError: The environment is closed.
        """
        if self._world is None:
            raise EpisodeError("this environment is closed: make a new one")
        return self._world

    @property
    def settings(self) -> Settings:
        """The arguments of this environment."""
        return self.world.settings

    def check_effects_shown(self) -> None:
        """Check that agents may be told expected effects.

        Raises:
            NotShownError: `action_features` is not `"effect"`, or the taste is hidden, which expected utilities tell.
        """
        if not self.settings.shows_taste:
            raise NotShownError(
                "expected taste='shown' for expected_utility(), got 'hidden': it would tell the taste; baselines "
                "that may know it call eagle_gym.envs.transition.expected_utility(env.unwrapped.world, states)"
            )
        shown = self.settings.action_features
        if shown != "effect":
            raise NotShownError(
                f"expected action_features='effect' for expected_utility(), got {shown!r}: make the environment with "
                "action_features='effect' or task='easy'; baselines that may know what edits do call "
                "eagle_gym.envs.transition.expected_utility(env.unwrapped.world, states)"
            )

    @property
    def usage(self) -> Usage:
        """Calls, tokens, seconds and cost of the language model, which copies of this environment share."""
        return self.world.model.usage

    @property
    def deterministic(self) -> bool:
        """Whether the language model promises equal texts for equal seeds, whatever else is in the batch."""
        return self.world.resources.deterministic

    def __getstate__(self) -> dict[str, Any]:
        values = dict(self.__dict__)
        values["_world"] = None if self._world is None else self._world.settings
        return values

    def __setstate__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)
        if isinstance(values["_world"], Settings):
            self._world = make_world(values["_world"])


@contextmanager
def unmoved_by_failure(generators: Iterable[np.random.Generator]) -> Iterator[None]:
    """Restore the states of the generators if the block raises."""
    before = [(rng.bit_generator, rng.bit_generator.state) for rng in generators]
    try:
        yield
    except BaseException:
        for bits, state in before:
            bits.state = state
        raise


def render_frames(world: World, frames: Sequence[Frame], mode: str | None) -> str | NDArray[np.uint8] | None:
    """An episode as its render mode asks.

    Args:
        world: Where the episode takes place.
        frames: The episode so far, its start first.
        mode: `"ansi"` for the whole episode as text, `"rgb_array"` for a picture of its present moment, or None.

    Returns:
        The text, the picture [height, width, 3], or None.

    Raises:
        EpisodeError: There is no episode to draw a picture of.
        ConfigurationError: Matplotlib, which draws the picture, is not installed.
    """
    if mode == "rgb_array":
        return frame_image(world, frames)
    return None if mode is None else draw(world, frames)


def check_render_mode(render_mode: object) -> None:
    """Check a render mode.

    Raises:
        ConfigurationError: There is no such mode.
    """
    if render_mode is not None and render_mode not in METADATA["render_modes"]:
        raise ConfigurationError(
            f"expected render_mode=None or one of {METADATA['render_modes']}, got render_mode={render_mode!r}"
        )


def wrappers(env: gym.Env[Any, Any]) -> Iterator[gym.Wrapper[Any, Any, Any, Any]]:
    """The wrappers of an environment, from the outermost one."""
    while isinstance(env, gym.Wrapper):
        yield env
        env = env.env


def time_limit(env: gym.Env[Any, Any]) -> int | None:
    """Steps after which the wrappers of an environment truncate its episodes; None for no limit."""
    limits = [wrapper._max_episode_steps for wrapper in wrappers(env) if isinstance(wrapper, TimeLimit)]
    return min(limits, default=None)
