"""What an agent is: something with ``predict``, as in Stable-Baselines3; and the latent observation as arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from eagle_gym.errors import ConfigurationError

if TYPE_CHECKING:
    from eagle_gym.envs.world import State

Observation = Mapping[str, NDArray[Any]]
AgentState = tuple[NDArray[Any], ...] | None
Probabilities = NDArray[np.float64]
LATENT_KEYS = ("state", "user", "actions", "weights", "mask", "time")


class Agent(Protocol):
    """Anything that chooses actions: our agents, an SB3 model, your own."""

    def predict(
        self,
        observation: Any,  # noqa: ANN401 - text or latent, batched or not: the agent says what it reads
        state: AgentState = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], AgentState]:
        """Choose an action for each row.

        Args:
            observation: A batched observation of the environment.
            state: The agent's own memory, as the last call returned it; None at first.
            episode_start: ``[B]``, where a new episode begins and memory is to be forgotten.
            deterministic: Take the most probable action instead of sampling.

        Returns:
            Actions ``[B]`` and the agent's new memory.
        """
        ...


@dataclass(frozen=True, eq=False)
class Draft:
    """How a text came about that was written for a user.

    Attributes:
        states: The states it passed, from the first text to the last.
        edits: What was asked between them.
    """

    states: tuple[State, ...]
    edits: tuple[str, ...]


@runtime_checkable
class Writer(Protocol):
    """Something that does not choose among offered prompts, but hands in a text."""

    def write(self, states: Sequence[State]) -> list[Draft]:
        """Write for the users of these states, beginning with their texts or not.

        Args:
            states: ``[B]`` first states of episodes.

        Returns:
            ``[B]`` drafts, each beginning with its state.
        """
        ...


class StochasticAgent(ABC):
    """An agent that is given by its probabilities.

    Args:
        rng: What its actions are drawn from.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    @abstractmethod
    def probabilities(self, observation: object) -> Probabilities:
        """Probability of each action, ``[B, K]``, 0 where the mask is 0."""

    def predict(
        self,
        observation: object,
        state: AgentState = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], AgentState]:
        """Sample an action for each row, or take the most probable (the first of equals)."""
        probabilities = self.probabilities(observation)
        actions = probabilities.argmax(axis=1) if deterministic else sample(probabilities, self._rng)
        return actions if is_batched(observation) else actions[0], state


def sample(probabilities: Probabilities, rng: np.random.Generator) -> NDArray[np.int64]:
    """One action from each row of ``probabilities`` ``[B, K]``."""
    cumulative = probabilities.cumsum(axis=1)
    points = rng.random((len(probabilities), 1)) * cumulative[:, -1:]
    # Strictly above the point, so that an action of probability 0 is never taken, not even at a point of 0.
    actions: NDArray[np.int64] = (cumulative > points).argmax(axis=1)
    return actions


def is_batched(observation: object) -> bool:
    """Whether an observation of ours, latent or text, has a batch axis: not one string, not a mapping of vectors."""
    if isinstance(observation, Mapping) and "state" in observation:
        return np.ndim(observation["state"]) == 2
    return not isinstance(observation["text"] if isinstance(observation, Mapping) else observation, str)


@dataclass(frozen=True, slots=True)
class Latent:
    """A batch of latent observations with their axes apart.

    Attributes:
        state: ``[B, n]`` embedding of the text.
        user: ``[B, n + 1]`` direction and strength of the user's taste.
        actions: ``[B, K, n]`` features of the offered actions.
        weights: ``[B, K]`` design weights.
        mask: ``[B, K]`` True where an action is offered.
        time: ``[B, 1]`` fraction of the episode that has passed.
        batched: False where one observation without a batch axis came in.
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
    """Check a latent observation and give its parts their shapes.

    Args:
        observation: A mapping with the keys of the latent observation, with a batch axis or without.

    Returns:
        The parts, always with a batch axis.

    Raises:
        ConfigurationError: It is another kind of observation, or its shapes do not fit together.
    """
    if not isinstance(observation, Mapping) or any(key not in observation for key in LATENT_KEYS):
        came = sorted(observation) if isinstance(observation, Mapping) else type(observation).__name__
        raise ConfigurationError(
            f"this agent reads the latent observation, a mapping with the keys {list(LATENT_KEYS)}; {came} came. "
            'Make the environment with observation="latent".'
        )
    parts = {key: np.asarray(observation[key], dtype=np.float32) for key in LATENT_KEYS}
    batched = parts["state"].ndim == 2
    if not batched:
        parts = {key: value[None] for key, value in parts.items()}
    rows, dim = parts["state"].shape
    count = parts["mask"].shape[-1]
    expected = {"user": dim + 1, "actions": count * dim, "weights": count, "mask": count, "time": 1}
    for key, width in expected.items():
        if parts[key].shape != (rows, width):
            raise ConfigurationError(
                f"latent observation: {key!r} should have shape {(rows, width)} beside a state of shape {(rows, dim)} "
                f"and {count} actions; it has {parts[key].shape}"
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
