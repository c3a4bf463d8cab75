"""Run an agent on a fixed list of episodes and return one row for each.

An episode is identified by its seed, which draws its user, its start item and every generation of the language model.
Two agents that are given the same seeds meet the same users and texts, so their gains can be compared in pairs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from tqdm import tqdm

import eagle_gym
from baselines.agent import Agent, AgentState, Writer
from baselines.worlds import states_of
from eagle_gym.envs.observation import observe_text
from eagle_gym.errors import ConfigurationError

if TYPE_CHECKING:
    from eagle_gym.catalog import Catalog
    from eagle_gym.envs.world import State

FIRST_SEED = 1_000_000  # far from the small seeds of training runs


@dataclass(frozen=True, slots=True)
class EpisodeRow:
    """One episode, as a row of a table.

    Utilities are in standard deviations over the catalog; T is the number of steps.

    Attributes:
        method: Name of the agent.
        seed: Seed of its training run (0 where nothing was trained).
        episode: Seed of the episode.
        user: Id of the user.
        item: Id of the start item.
        steps: T.
        gain: Utility of the last text minus that of the first.
        affinity_gain: The same for the affinity part.
        novelty_gain: The same for the novelty part.
        drift: What the distance of the last text from the first takes off the gain.
        cost: What the steps take off the gain.
        start_percentile: Percentile of the first text's predicted rating among the catalog's, 0 to 100.
        percentile: The same for the last text.
        valid: Whether every text was well-formed.
        utilities: `T + 1` utilities.
        texts: `T + 1` texts.
        edits: The `T` chosen edits.
        z: `T + 1` embeddings of the texts, n numbers each.
        rewrites: What became of a free text in each of the `T` steps, as in `State.rewrite`; empty in plot English
            and in packed runs.
    """

    method: str
    seed: int
    episode: int
    user: str
    item: str
    steps: int
    gain: float
    affinity_gain: float
    novelty_gain: float
    drift: float
    cost: float
    start_percentile: float
    percentile: float
    valid: bool
    utilities: tuple[float, ...]
    texts: tuple[str, ...]
    edits: tuple[str, ...]
    z: tuple[tuple[float, ...], ...]
    rewrites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a piece of work.

    Attributes:
        calls: Generations requested of the language model.
        prompt_tokens: Tokens that the model read.
        completion_tokens: Tokens that the model wrote.
        seconds: Wall-clock time.
        dollars: Price of the tokens; 0 if none is known.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    dollars: float = 0.0


@dataclass(frozen=True)
class Evaluation:
    """An agent's episodes, in the order of their seeds, and their cost."""

    rows: tuple[EpisodeRow, ...]
    cost: Cost


def make_envs(env_id: str, num_envs: int, **kwargs: Any) -> gym.vector.VectorEnv[Any, Any, Any]:  # noqa: ANN401
    """Make a vector environment of eagle_gym with the latent observation by its id."""
    gym.register_envs(eagle_gym)
    return gym.make_vec(env_id, num_envs=num_envs, **({"observation": "latent"} | kwargs))


class CostMeter:
    """Measures the cost of everything between its construction and `cost`.

    Args:
        usage: The environment's counters, which only grow.
    """

    def __init__(self, usage: Any) -> None:  # noqa: ANN401 - anything with the four counters
        self._usage, self._begin, self._clock = usage, self._counts(usage), time.perf_counter()

    @staticmethod
    def _counts(usage: Any) -> tuple[int, int, int, float]:  # noqa: ANN401
        return usage.calls, usage.prompt_tokens, usage.completion_tokens, usage.cost

    def cost(self) -> Cost:
        """The cost since the meter was made."""
        calls, read, written, dollars = (
            now - before for now, before in zip(self._counts(self._usage), self._begin, strict=True)
        )
        return Cost(int(calls), int(read), int(written), time.perf_counter() - self._clock, dollars)


def evaluate(
    agent: Agent | Writer,
    envs: gym.vector.VectorEnv[Any, Any, Any],
    *,
    method: str,
    episodes: int,
    first_seed: int = FIRST_SEED,
    seed: int = 0,
    deterministic: bool = False,
    bar: tqdm[Any] | None = None,
) -> Evaluation:
    """Evaluate an agent.

    Args:
        agent: Anything with `predict`, or a writer; a writer starts with the same texts for the same users.
        envs: The vector environment.
        method: Name of the agent, for the rows.
        episodes: How many, a multiple of `num_envs`; their seeds are `first_seed, first_seed + 1, ...`.
        first_seed: Seed of the first episode.
        seed: Seed of the agent's training run, for the rows.
        deterministic: Passed to `predict`.
        bar: A progress bar, which advances by one for each step of each episode.

    Returns:
        One row for each episode, and the cost of all of them.

    Raises:
        ConfigurationError: `episodes` is not a multiple of `num_envs`, or the environments reset within a step.
    """
    if episodes < 1 or episodes % envs.num_envs:
        raise ConfigurationError(f"episodes: expected a multiple of num_envs = {envs.num_envs}, got {episodes}")
    if envs.metadata.get("autoreset_mode") == AutoresetMode.SAME_STEP:
        raise ConfigurationError(
            "expected NEXT_STEP autoreset, got SAME_STEP, which replaces an episode's last text: "
            "make the environments without SAME_STEP"
        )
    meter = CostMeter(envs.unwrapped.usage)  # type: ignore[attr-defined]
    rows: list[EpisodeRow] = []
    for first in range(first_seed, first_seed + episodes, envs.num_envs):
        if isinstance(agent, Writer):
            rows += write_out(agent, envs, first, method, seed)
        else:
            steps = roll_out(agent, envs, first, deterministic, bar)
            rows += [played_row(catalog_of(envs), steps, i, method, seed, first + i) for i in range(envs.num_envs)]
    return Evaluation(tuple(rows), meter.cost())


@dataclass(frozen=True)
class EpisodeStep:
    """One step of a batch of episodes: the states, which rows were alive, and the edits chosen before.

    Observations and infos are for agents and may hide who the user is, so rows are made of states.
    """

    states: Sequence[State]
    alive: NDArray[np.bool_]
    edits: tuple[str, ...]


def roll_out(
    agent: Agent,
    envs: gym.vector.VectorEnv[Any, Any, Any],
    first: int,
    deterministic: bool,
    bar: tqdm[Any] | None,
) -> list[EpisodeStep]:
    """Play one batch of episodes from their first text to their last."""
    observation, _ = envs.reset(seed=first)
    alive = np.ones(envs.num_envs, dtype=bool)
    steps = [EpisodeStep(states_of(envs), alive.copy(), ())]
    memory: AgentState = None
    while alive.any():
        begin = np.full(envs.num_envs, len(steps) == 1)
        seen = shown(agent, envs, observation)
        actions, memory = agent.predict(seen, state=memory, episode_start=begin, deterministic=deterministic)
        before = steps[-1].states
        edits = tuple(state.action_set.edits[action] for state, action in zip(before, actions, strict=True))
        observation, _, terminated, truncated, _ = envs.step(actions)
        steps.append(EpisodeStep(states_of(envs), alive.copy(), edits))
        if bar is not None:
            bar.update(int(alive.sum()))
        alive &= ~(np.asarray(terminated) | np.asarray(truncated))
    return steps


def shown(agent: object, envs: gym.vector.VectorEnv[Any, Any, Any], observation: Any) -> Any:  # noqa: ANN401
    """The observation for an agent: where it is latent and the agent reads text, the text observation is added."""
    if getattr(agent, "reads", "latent") != "text" or not isinstance(observation, Mapping):
        return observation
    base: Any = envs.unwrapped
    return {**observation, "text": [observe_text(base.world, state) for state in base.states]}


def write_out(
    writer: Writer, envs: gym.vector.VectorEnv[Any, Any, Any], first: int, method: str, seed: int
) -> list[EpisodeRow]:
    """Write one batch of texts, for the users and from the start texts that these seeds draw."""
    envs.reset(seed=first)
    catalog = catalog_of(envs)
    return [
        make_row(catalog, path.states, path.edits, method=method, seed=seed, episode=first + i)
        for i, path in enumerate(writer.write(states_of(envs)))
    ]


def played_row(
    catalog: Catalog, steps: Sequence[EpisodeStep], i: int, method: str, seed: int, episode: int
) -> EpisodeRow:
    """The row of one episode of a batch."""
    lived = [step for step in steps if step.alive[i]]
    states, edits = [step.states[i] for step in lived], tuple(step.edits[i] for step in lived[1:])
    return make_row(catalog, states, edits, method=method, seed=seed, episode=episode)


def catalog_of(envs: gym.vector.VectorEnv[Any, Any, Any]) -> Catalog:
    """The catalog of an environment of eagle_gym."""
    base: Any = envs.unwrapped
    catalog: Catalog = base.world.catalog
    return catalog


def make_row(catalog: Catalog, states: Sequence[State], edits: tuple[str, ...], **facts: Any) -> EpisodeRow:  # noqa: ANN401 - fields of the row
    """A row from the states of an episode, the edits between them, and its other fields."""
    (first, user, item), last = (states[0].utility, states[0].user, states[0].item), states[-1].utility
    return EpisodeRow(
        user=str(catalog.users[user]),
        item=str(catalog.items[item].id if item >= 0 else None),
        steps=len(states) - 1,
        gain=last["total"] - first["total"],
        affinity_gain=last["affinity"] - first["affinity"],
        novelty_gain=last["novelty"] - first["novelty"],
        drift=last["drift"] - first["drift"],
        cost=last["cost"] - first["cost"],
        start_percentile=first["percentile"],
        percentile=last["percentile"],
        valid=all(state.valid for state in states),
        utilities=tuple(state.utility["total"] for state in states),
        texts=tuple(state.text for state in states),
        edits=edits,
        z=tuple(tuple(np.asarray(state.z, np.float32).tolist()) for state in states),
        rewrites=tuple(state.rewrite for state in states[1:] if state.rewrite),
        **facts,
    )
