"""The interface of an agent, as in Stable-Baselines3, and the latent observation as arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from eagle_gym.envs.spaces import LATENT_KEYS, LatentLayout
from eagle_gym.errors import ConfigurationError

if TYPE_CHECKING:
    from eagle_gym.envs.world import State

Observation = Mapping[str, NDArray[Any]]
AgentState = tuple[NDArray[Any], ...] | None
Probabilities = NDArray[np.float64]


class Agent(Protocol):
    """Anything that chooses actions: an agent of this package, an SB3 model, or your own."""

    def predict(
        self,
        observation: Any,  # noqa: ANN401 - text or latent, batched or not: each agent says what it takes
        state: AgentState = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], AgentState]:
        """Choose an action for each row.

        Args:
            observation: A batched observation of the environment.
            state: The agent's memory as the last call returned it; None at first.
            episode_start: `[B]`, True where a new episode begins and memory must be reset.
            deterministic: Take the most probable action instead of sampling.

        Returns:
            Actions `[B]` and the agent's new memory.
        """
        ...


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The states on the way to a text that was written for a user.

    Attributes:
        states: The states, from the first text to the last.
        edits: The edits between them; one fewer than the states.
    """

    states: tuple[State, ...]
    edits: tuple[str, ...]


@runtime_checkable
class Writer(Protocol):
    """A method that returns a finished text instead of choosing among offered edits."""

    def write(self, states: Sequence[State]) -> list[Trajectory]:
        """Write a text for the user of each state.

        Args:
            states: `[B]` first states of episodes.

        Returns:
            `[B]` trajectories, each starting with its state.
        """
        ...


@runtime_checkable
class Seeded(Protocol):
    """An agent that samples with a generator of its own."""

    def reseed(self, rng: np.random.Generator) -> None:
        """Sample with another generator from now on."""
        ...


class StochasticAgent(ABC):
    """An agent defined by its action probabilities.

    Args:
        rng: Generator that actions are sampled with.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def reseed(self, rng: np.random.Generator) -> None:
        """Sample with another generator from now on."""
        self._rng = rng

    @abstractmethod
    def probabilities(self, observation: object) -> Probabilities:
        """Probability of each action, `[B, K]`, 0 where the mask is 0."""

    def predict(
        self,
        observation: object,
        state: AgentState = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], AgentState]:
        """Sample an action for each row, or take the most probable one (the first of equals)."""
        probabilities = self.probabilities(observation)
        actions = probabilities.argmax(axis=1) if deterministic else sample(probabilities, self._rng)
        return actions if is_batched(observation) else actions[0], state


def sample(probabilities: Probabilities, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw one action from each row of `probabilities` `[B, K]`."""
    cumulative = probabilities.cumsum(axis=1)
    points = rng.random((len(probabilities), 1)) * cumulative[:, -1:]
    # Strictly greater, so that an action of probability 0 is never taken, even when the point is 0.
    actions: NDArray[np.int64] = (cumulative > points).argmax(axis=1)
    return actions


def is_batched(observation: object) -> bool:
    """Whether an observation, latent or text, has a batch axis."""
    if isinstance(observation, Mapping) and "state" in observation:
        return np.ndim(observation["state"]) == 2
    return not isinstance(observation["text"] if isinstance(observation, Mapping) else observation, str)


def uniform_latent_space(layout: LatentLayout, bound: float = np.inf) -> spaces.Dict:
    """A space with the parts of a latent observation and the same bound everywhere."""
    return spaces.Dict({key: spaces.Box(-bound, bound, shape, np.float32) for key, shape in layout.shapes.items()})


@dataclass(frozen=True, slots=True)
class Latent:
    """A batch of latent observations.

    Attributes:
        layout: Which parts it has.
        parts: The parts by key, each `[B, ...]`.
        batched: False if the observation had no batch axis.
    """

    layout: LatentLayout
    parts: Mapping[str, NDArray[np.float32]]
    batched: bool

    @property
    def state(self) -> NDArray[np.float32]:
        """`[B, n]` embedding of the text."""
        return self.parts["state"]

    @property
    def weights(self) -> NDArray[np.float32]:
        """`[B, K]` design weights."""
        return self.parts["weights"]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """`[B, K]` True where an action is offered."""
        return self.parts["mask"] > 0.5

    @property
    def actions(self) -> NDArray[np.float32] | None:
        """`[B, K, m]` features of the actions; None if none are shown."""
        if not self.layout.width:
            return None
        part = self.parts["effects" if self.layout.effects else "actions"]
        return part.reshape(-1, self.layout.actions, self.layout.width)


def read_latent(observation: object) -> Latent:
    """Check a latent observation.

    Args:
        observation: A mapping with the keys of a latent observation, with or without a batch axis; other keys are
            ignored.

    Returns:
        The parts, always with a batch axis.

    Raises:
        ConfigurationError: It is another kind of observation, or its shapes do not fit together.
    """
    if not isinstance(observation, Mapping):
        raise ConfigurationError(
            f"expected the latent observation, a mapping of arrays, got {type(observation).__name__}: "
            'make the environment with observation="latent"'
        )
    arrays = {key: np.asarray(observation[key], np.float32) for key in LATENT_KEYS if key in observation}
    layout = LatentLayout.of(arrays)
    batched = arrays["state"].ndim == 2
    parts = {key: array if batched else array[None] for key, array in arrays.items()}
    rows = len(parts["state"])
    for key, shape in layout.shapes.items():
        if parts[key].shape != (rows, *shape):
            raise ConfigurationError(
                f"latent observation: expected {key!r} of shape {(rows, *shape)}, got {parts[key].shape}, as there are "
                f"{rows} states"
            )
    return Latent(layout, parts, batched)
