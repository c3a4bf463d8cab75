"""The interface of an agent, as in Stable-Baselines3, and the latent observation as arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from eagle_gym.envs.spaces import LATENT_KEYS, latent_shapes
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


class StochasticAgent(ABC):
    """An agent defined by its action probabilities.

    Args:
        rng: Generator that actions are sampled with.
    """

    def __init__(self, rng: np.random.Generator) -> None:
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


def uniform_latent_space(dim: int, actions: int, bound: float = np.inf) -> spaces.Dict:
    """A space with the shapes of the latent observation and the same bound everywhere."""
    shapes = latent_shapes(n=dim, actions=actions)
    return spaces.Dict({key: spaces.Box(-bound, bound, shape, np.float32) for key, shape in shapes.items()})


@dataclass(frozen=True, slots=True)
class Latent:
    """A batch of latent observations, reshaped.

    Attributes:
        state: `[B, n]` embedding of the text.
        user: `[B, n + 1]` direction and strength of the user's taste.
        actions: `[B, K, n]` features of the offered actions.
        weights: `[B, K]` design weights.
        mask: `[B, K]` True where an action is offered.
        time: `[B, 1]` fraction of the episode that has passed.
        batched: False if the observation had no batch axis.
    """

    state: NDArray[np.float32]
    user: NDArray[np.float32]
    actions: NDArray[np.float32]
    weights: NDArray[np.float32]
    mask: NDArray[np.bool_]
    time: NDArray[np.float32]
    batched: bool

    @property
    def size(self) -> tuple[int, int, int]:
        """Rows, actions and dimensions: B, K, n."""
        rows, count, dim = self.actions.shape
        return rows, count, dim


def read_latent(observation: object) -> Latent:
    """Check a latent observation and reshape its parts.

    Args:
        observation: A mapping with the keys of the latent observation, with or without a batch axis.

    Returns:
        The parts, always with a batch axis.

    Raises:
        ConfigurationError: It is another kind of observation, or its shapes do not fit together.
    """
    if not isinstance(observation, Mapping) or any(key not in observation for key in LATENT_KEYS):
        got = sorted(observation) if isinstance(observation, Mapping) else type(observation).__name__
        raise ConfigurationError(
            f"expected the latent observation, a mapping with the keys {list(LATENT_KEYS)}, got {got}: "
            'make the environment with observation="latent"'
        )
    parts = {key: np.asarray(observation[key], dtype=np.float32) for key in LATENT_KEYS}
    batched = parts["state"].ndim == 2
    if not batched:
        parts = {key: value[None] for key, value in parts.items()}
    rows, dim = parts["state"].shape
    count = parts["mask"].shape[-1]
    for key, shape in latent_shapes(n=dim, actions=count).items():
        if parts[key].shape != (rows, *shape):
            raise ConfigurationError(
                f"latent observation: expected {key!r} of shape {(rows, *shape)}, got {parts[key].shape}, "
                f"with a state of shape {(rows, dim)} and {count} actions"
            )
    return Latent(
        state=parts["state"],
        user=parts["user"],
        actions=parts["actions"].reshape(rows, count, dim),
        weights=parts["weights"],
        mask=parts["mask"] > 0.5,
        time=parts["time"],
        batched=batched,
    )
