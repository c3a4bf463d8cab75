"""Roll out an agent on a fixed list of episodes and write down what happened.

An episode is named by its seed: the seed draws its user, its start item and every generation of the language model.
So two agents given the same seeds meet the same users at the same texts, and their gains can be compared in pairs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from tqdm import tqdm

import eagle_gym
from baselines.agent import Agent, AgentState, Writer
from eagle_gym.envs.observation import observe_text
from eagle_gym.errors import ConfigurationError

FIRST_SEED = 1_000_000  # far from the small numbers that training runs are seeded with


@dataclass(frozen=True, slots=True)
class EpisodeRow:
    """One episode, as it goes into a table.

    Utilities are in standard deviations over the catalog; T is the number of steps.

    Attributes:
        method: Name of the agent.
        seed: Seed of its training run (0 where nothing was trained).
        episode: Seed of the episode.
        user: Id of the user.
        item: Id of the start item.
        steps: T.
        gain: Utility of the last text less that of the first.
        affinity_gain: The same of the affinity part.
        novelty_gain: The same of the novelty part.
        start_percentile: Percentile of the first text's predicted rating among the catalog's, 0 to 100.
        percentile: The same of the last text.
        valid: Whether every text was well-formed.
        utilities: ``T + 1`` utilities.
        texts: ``T + 1`` texts.
        edits: ``T`` edits that were chosen.
        z: ``T + 1`` embeddings of the texts, n numbers each.
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
    start_percentile: float
    percentile: float
    valid: bool
    utilities: tuple[float, ...]
    texts: tuple[str, ...]
    edits: tuple[str, ...]
    z: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """What something took.

    Attributes:
        calls: Generations asked of the language model.
        prompt_tokens: Tokens read.
        completion_tokens: Tokens written.
        seconds: Wall-clock time.
        dollars: Price of the tokens, 0 where no price is known.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    dollars: float = 0.0


@dataclass(frozen=True)
class Evaluation:
    """An agent's episodes, in the order of their seeds, and what they cost."""

    rows: tuple[EpisodeRow, ...]
    cost: Cost


def make_envs(env_id: str, num_envs: int, **kwargs: Any) -> gym.vector.VectorEnv[Any, Any, Any]:  # noqa: ANN401
    """A vector environment of eagle_gym with the latent observation, by id."""
    gym.register_envs(eagle_gym)
    return gym.make_vec(env_id, num_envs=num_envs, **({"observation": "latent"} | kwargs))


class Meter:
    """Counts what happens between its making and :meth:`cost`.

    Args:
        usage: The environment's counters; they only ever grow.
    """

    def __init__(self, usage: Any) -> None:  # noqa: ANN401 - anything with the four counters
        self._usage, self._begin, self._clock = usage, self._counts(usage), time.perf_counter()

    @staticmethod
    def _counts(usage: Any) -> tuple[int, int, int, float]:  # noqa: ANN401
        return usage.calls, usage.prompt_tokens, usage.completion_tokens, usage.cost

    def cost(self) -> Cost:
        """What was used since the meter was made."""
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
    """Roll out an agent.

    Args:
        agent: Anything with ``predict``, or a writer; a writer begins with the same texts for the same users.
        envs: The vector environment; ``episodes`` is a multiple of its ``num_envs``.
        method: Name of the agent, for the rows.
        episodes: How many; their seeds are ``first_seed, first_seed + 1, ...``.
        first_seed: Seed of the first episode.
        seed: Seed of the agent's training run, for the rows.
        deterministic: Passed to ``predict``.
        bar: A progress bar, moved on by one for each episode's step.

    Returns:
        One row an episode, and the cost of them all.

    Raises:
        ConfigurationError: ``episodes`` is no multiple of ``num_envs``, or the environments reset within a step.
    """
    if episodes < 1 or episodes % envs.num_envs:
        raise ConfigurationError(f"episodes should be a multiple of num_envs = {envs.num_envs}; {episodes} came")
    if envs.metadata.get("autoreset_mode") == AutoresetMode.SAME_STEP:
        raise ConfigurationError(
            "an episode's last text is read after its last step: make the environments without SAME_STEP"
        )
    meter = Meter(envs.unwrapped.usage)  # type: ignore[attr-defined]
    rows: list[EpisodeRow] = []
    for first in range(first_seed, first_seed + episodes, envs.num_envs):
        if isinstance(agent, Writer):
            rows += write_out(agent, envs, first, method, seed)
        else:
            steps = roll_out(agent, envs, first, deterministic, bar)
            rows += [make_row(steps, i, method, seed, first + i) for i in range(envs.num_envs)]
    return Evaluation(tuple(rows), meter.cost())


@dataclass(frozen=True)
class Moment:
    """One moment of a batch of episodes: what the environment told, which rows were alive, what was chosen before."""

    infos: Mapping[str, Any]
    z: NDArray[np.floating]  # [B, n]
    alive: NDArray[np.bool_]
    edits: tuple[str, ...]


def roll_out(
    agent: Agent,
    envs: gym.vector.VectorEnv[Any, Any, Any],
    first: int,
    deterministic: bool,
    bar: tqdm[Any] | None,
) -> list[Moment]:
    """One batch of episodes from their first text to their last."""
    observation, infos = envs.reset(seed=first)
    alive = np.ones(envs.num_envs, dtype=bool)
    moments = [Moment(infos, embeddings(envs, observation), alive.copy(), ())]
    memory: AgentState = None
    while alive.any():
        begin = np.full(envs.num_envs, len(moments) == 1)
        seen = shown(agent, envs, observation)
        actions, memory = agent.predict(seen, state=memory, episode_start=begin, deterministic=deterministic)
        edits = tuple(offered[action] for offered, action in zip(infos["edits"], actions, strict=True))
        observation, _, terminated, truncated, infos = envs.step(actions)
        moments.append(Moment(infos, embeddings(envs, observation), alive.copy(), edits))
        if bar is not None:
            bar.update(int(alive.sum()))
        alive &= ~(np.asarray(terminated) | np.asarray(truncated))
    return moments


def shown(agent: object, envs: gym.vector.VectorEnv[Any, Any, Any], observation: Any) -> Any:  # noqa: ANN401
    """What an agent is shown: the observation, with the text one beside it where the agent reads and it is latent."""
    if getattr(agent, "reads", "latent") != "text" or not isinstance(observation, Mapping):
        return observation
    base: Any = envs.unwrapped
    return {**observation, "text": [observe_text(base.world, state) for state in base.states]}


def embeddings(envs: gym.vector.VectorEnv[Any, Any, Any], observation: Any) -> NDArray[np.floating]:  # noqa: ANN401
    """Of a batch of texts, [B, n]: from the latent observation, or the environment's own where it shows text."""
    if isinstance(observation, Mapping):
        return np.array(observation["state"])
    base: Any = envs.unwrapped
    return np.array([state.z for state in base.states])


def numbers(z: NDArray[np.floating]) -> tuple[float, ...]:
    """An embedding for a row."""
    return tuple(float(value) for value in z)


def write_out(
    writer: Writer, envs: gym.vector.VectorEnv[Any, Any, Any], first: int, method: str, seed: int
) -> list[EpisodeRow]:
    """One batch of texts, written for the users and from the texts that these seeds draw."""
    envs.reset(seed=first)
    base: Any = envs.unwrapped
    catalog = base.world.catalog
    return [
        EpisodeRow(
            method=method,
            seed=seed,
            episode=first + i,
            user=str(catalog.users[begin.user]),
            item=str(catalog.items[begin.item].id),
            steps=len(draft.edits),
            gain=end.total - begin.total,
            affinity_gain=end.utility["affinity"] - begin.utility["affinity"],
            novelty_gain=end.utility["novelty"] - begin.utility["novelty"],
            start_percentile=begin.utility["percentile"],
            percentile=end.utility["percentile"],
            valid=all(state.valid for state in draft.states),
            utilities=tuple(state.total for state in draft.states),
            texts=tuple(state.text for state in draft.states),
            edits=draft.edits,
            z=tuple(numbers(state.z) for state in draft.states),
        )
        for i, draft in enumerate(writer.write(base.states))
        for begin, end in [(draft.states[0], draft.states[-1])]
    ]


def make_row(moments: Sequence[Moment], i: int, method: str, seed: int, episode: int) -> EpisodeRow:
    """The row of one of a batch's episodes."""
    lived = [moment for moment in moments if moment.alive[i]]
    first, last = lived[0].infos, lived[-1].infos

    def part(infos: Mapping[str, Any], name: str) -> float:
        return float(infos["utility"][name][i])

    return EpisodeRow(
        method=method,
        seed=seed,
        episode=episode,
        user=str(first["user_id"][i]),
        item=str(first["item_id"][i]),
        steps=len(lived) - 1,
        gain=part(last, "total") - part(first, "total"),
        affinity_gain=part(last, "affinity") - part(first, "affinity"),
        novelty_gain=part(last, "novelty") - part(first, "novelty"),
        start_percentile=part(first, "percentile"),
        percentile=part(last, "percentile"),
        valid=all(bool(moment.infos["valid"][i]) for moment in lived),
        utilities=tuple(part(moment.infos, "total") for moment in lived),
        texts=tuple(str(moment.infos["text"][i]) for moment in lived),
        edits=tuple(moment.edits[i] for moment in lived[1:]),
        z=tuple(numbers(moment.z[i]) for moment in lived),
    )
