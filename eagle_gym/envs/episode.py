"""What a single environment and a batch of them have in common: a world that they share, and episodes in it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from eagle_gym.envs.opening import make_world
from eagle_gym.envs.render import Frame
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
        space: fingerprint of the latent space, of whose catalog the state's rows are.
        state: where the episode is; None before the first reset.
        frames: what was rendered up to here.
        rng: state of the environment's generator.
        seed: what the generator was seeded with, -1 where nobody knows.
    """

    space: str
    state: State | None
    frames: tuple[Frame, ...]
    rng: Mapping[str, Any]
    seed: int

    @classmethod
    def of(
        cls, world: World, state: State | None, frames: Iterable[Frame], rng: np.random.Generator, seed: int
    ) -> Snapshot:
        """The episode of an environment with this generator."""
        return cls(world.space.fingerprint, state, tuple(frames), copy.deepcopy(rng.bit_generator.state), seed)

    def generator(self) -> np.random.Generator:
        """A generator in the state that was kept."""
        rng = np.random.Generator(np.random.PCG64())
        rng.bit_generator.state = copy.deepcopy(dict(self.rng))
        return rng


def check_snapshot(world: World, snapshot: object) -> Snapshot:
    """The snapshot, where an environment of this world can go on from it.

    Raises:
        ConfigurationError: it is none, or comes from an environment with another latent space or other action sets.
    """
    if not isinstance(snapshot, Snapshot):
        raise ConfigurationError(f"a snapshot comes from get_state(), got {type(snapshot).__name__}")
    if snapshot.space != world.space.fingerprint:
        raise ConfigurationError(
            f"the snapshot is of an environment with another latent space: expected {world.space.fingerprint}, got "
            f"{snapshot.space}; make both with the same catalog and dim"
        )
    if snapshot.state is not None and len(snapshot.state.action_set.mask) != world.settings.actions:
        raise ConfigurationError(
            f"the snapshot is of an environment with other settings: expected {world.settings.actions} actions, got "
            f"{len(snapshot.state.action_set.mask)}"
        )
    return snapshot


class SharedWorld:
    """An environment in a world that it shares with its copies; the world is opened again where it is unpickled."""

    _world: World | None

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
    def usage(self) -> Usage:
        """Calls, tokens, seconds and cost of the language model, which copies of this environment share."""
        return self.world.model.usage

    @property
    def deterministic(self) -> bool:
        """Whether the backend promises equal texts for equal seeds, whatever shares a batch."""
        return self.world.resources.deterministic

    def __getstate__(self) -> dict[str, Any]:
        """The settings and the episodes, without the world."""
        values = dict(self.__dict__)
        values["_world"] = None if self._world is None else self._world.settings
        return values

    def __setstate__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)
        if isinstance(values["_world"], Settings):
            self._world = make_world(values["_world"])


@contextmanager
def unmoved_by_failure(generators: Iterable[np.random.Generator]) -> Iterator[None]:
    """What is drawn inside counts as not drawn where the block raises."""
    before = [(rng.bit_generator, rng.bit_generator.state) for rng in generators]
    try:
        yield
    except BaseException:
        for bits, state in before:
            bits.state = state
        raise


def check_render_mode(render_mode: str | None) -> None:
    """Raise ConfigurationError on a render mode that there is not."""
    if render_mode is not None and render_mode not in METADATA["render_modes"]:
        raise ConfigurationError(f"render_mode must be None or one of {METADATA['render_modes']}, got {render_mode!r}")
