"""Plays episodes and records all of them as data: see `baselines.rollouts` for the file.

Policies that look only at observations play a batch of episodes at a time. Methods that call the language model
themselves, such as search, play one episode at a time, so that each call belongs to an episode.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from baselines import registry
from baselines.agent import AgentState, Seeded, Writer
from baselines.evaluate import shown
from baselines.rollouts import Episode, Rollouts, RolloutWriter, turn_rewards
from eagle_gym.envs.episode import SEEDS
from eagle_gym.envs.observation import observe_text
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.envs.world import State, World
from eagle_gym.errors import ConfigurationError
from eagle_gym.language.calls import record_calls
from eagle_gym.language.model import Call
from eagle_gym.language.rewriting import seeds_of, visible

TASK: Final = (
    "Improve the text for its user, one edit at a time. Answer with the number of the edit that is to be carried out."
)
ELSEWHERE: Final = ("cache_dir", "prepare", "device")  # settings that change nothing that is recorded


def roll(
    spec: str,
    envs: gym.vector.VectorEnv[Any, Any, Any],
    path: Path,
    *,
    episodes: int,
    first_seed: int = 0,
    deterministic: bool = False,
    progress: bool = True,
) -> Rollouts:
    """Play episodes and write them to a file; continue a file that was not finished.

    Args:
        spec: A policy, a method or the folder of a trained agent, as `registry.make` takes it.
        envs: A vector environment of eagle_gym with the latent observation and full infos.
        path: The file.
        episodes: How many, a multiple of `num_envs`; their seeds are `first_seed, first_seed + 1, ...`.
        first_seed: Seed of the first episode.
        deterministic: Let a trained agent take its most probable action.
        progress: Show a progress bar.

    Returns:
        What the file holds.

    Raises:
        ConfigurationError: The environment is of another kind, or the file holds other rollouts.
        PreparationError: The file cannot be read or written, or there is no such agent.
    """
    base = _check_environment(envs, episodes)
    header = make_header(spec, base, episodes, first_seed, deterministic)
    writer = RolloutWriter(path, header, base.num_envs)
    done = len(writer.episodes)
    agent: Any = registry.make(spec, envs, np.random.default_rng()) if registry.is_learnt(spec) else None
    with tqdm(total=episodes, initial=done, unit="episode", disable=None if progress else True) as bar:
        for first in range(first_seed + done, first_seed + episodes, base.num_envs):
            rng = np.random.default_rng([first_seed, first, 1])
            if isinstance(agent, Seeded):
                agent.reseed(rng)
            batch = _Batch(base, first)
            writer.add(batch.play(agent or registry.make(spec, envs, rng), deterministic))
            bar.update(base.num_envs)
    return writer.finish()


def _check_environment(envs: gym.vector.VectorEnv[Any, Any, Any], episodes: int) -> EagleVectorEnv:
    base = envs.unwrapped
    if not isinstance(base, EagleVectorEnv) or base.settings.observation != "latent":
        raise ConfigurationError(
            "expected a vector environment of eagle_gym with observation='latent', "
            f"got {type(base).__name__}: make it with gym.make_vec"
        )
    if base.autoreset_mode is gym.vector.AutoresetMode.SAME_STEP:
        raise ConfigurationError("expected NEXT_STEP autoreset, got SAME_STEP: make the environments without it")
    if episodes < 1 or episodes % base.num_envs:
        raise ConfigurationError(f"episodes: expected a multiple of num_envs = {base.num_envs}, got {episodes}")
    return base


def plays_alone(spec: str) -> bool:
    """Whether an agent may call the language model itself, and so plays one episode at a time.

    These are methods, and trained agents that need more than their observation.
    """
    if not registry.is_learnt(spec):
        return spec.partition(":")[0] in registry.METHODS
    return isinstance(registry.load(Path(spec)), registry.Bound)


def make_header(
    spec: str, envs: EagleVectorEnv, episodes: int, first_seed: int, deterministic: bool
) -> dict[str, Any]:
    """The header of a file, without format and version."""
    world, own = envs.world, Path(spec) / "agent.json"
    settings = {name: value for name, value in world.settings.as_kwargs().items() if name not in ELSEWHERE}
    saved = hashlib.sha256(own.read_bytes()).hexdigest() if registry.is_learnt(spec) and own.is_file() else None
    return {
        "environment": envs.spec.id if envs.spec else None,
        "settings": settings,
        "fingerprints": {
            "catalog": world.catalog.hash,
            "space": world.space.fingerprint,
            "language_model": world.model.fingerprint,
        },
        "policy": {"name": spec, "sha256": saved, "deterministic": deterministic},
        "first_seed": first_seed,
        "episodes": episodes,
        "num_envs": envs.num_envs,
    }


class _Batch:
    """A batch of episodes while it is played.

    Args:
        envs: The environments.
        first: Seed of the first episode.
    """

    def __init__(self, envs: EagleVectorEnv, first: int) -> None:
        self.envs, self.world, self.first = envs, envs.world, first
        self.rows = range(envs.num_envs)

    def play(self, agent: Any, deterministic: bool) -> list[Episode]:  # noqa: ANN401 - an agent or a writer
        """Play the episodes from their first text to their last."""
        self.world.resources.action_sets.forget()  # proposals then belong to this batch, whatever was played before
        with record_calls(self.envs.usage) as calls:
            observation, _ = self.envs.reset(seed=self.first)
            self.starts = self.envs.states
            self.turns: list[list[dict[str, Any]]] = [[] for _ in self.rows]
            self.messages = [[{"role": "system", "content": TASK}] for _ in self.rows]
            self.last = ["" for _ in self.rows]
            if isinstance(agent, Writer):
                self._write(agent)
            else:
                self._act(agent, observation, deterministic)
        return self._episodes(self._owners(calls))

    def _write(self, writer: Writer) -> None:
        """The turns of texts that are written; their edits need not be among those on offer."""
        for row, path in enumerate(writer.write(self.starts)):
            for before, edit, after in zip(path.states[:-1], path.edits, path.states[1:], strict=True):
                self._add(row, before, after, {"action": None, "edit": edit, "log_probability": None, "seed": None})

    def _act(self, agent: Any, observation: Any, deterministic: bool) -> None:  # noqa: ANN401
        memory: AgentState = None
        alive = np.ones(self.envs.num_envs, np.bool_)
        begin = alive.copy()
        while alive.any():
            states = self.envs.states
            seen = shown(agent, self.envs, observation)
            chances = None if deterministic else _probabilities(agent, seen)
            actions, memory = agent.predict(seen, state=memory, episode_start=begin, deterministic=deterministic)
            begin[:] = False
            seeds = [_next_seed(env.np_random) for env in self.envs.envs]
            observation, _, terminated, truncated, _ = self.envs.step(actions)
            for row in np.flatnonzero(alive).tolist():
                action = int(actions[row])
                facts = {
                    "action": action,
                    "edit": states[row].action_set.edits[action],
                    "log_probability": None if chances is None else float(np.log(chances[row, action])),
                    "seed": seeds[row],
                    "terminated": bool(terminated[row]),
                    "truncated": bool(truncated[row]),
                }
                self._add(row, states[row], self.envs.states[row], facts)
            alive &= ~(terminated | truncated)

    def _add(self, row: int, before: State, after: State, facts: Mapping[str, Any]) -> None:
        self.messages[row] += [
            {"role": "user", "content": observe_text(self.world, before)},
            {"role": "assistant", "content": str(facts["edit"] if facts["action"] is None else facts["action"])},
        ]
        self.turns[row].append(
            {
                "step": before.step,
                "text": before.text,
                "edits": list(before.action_set.edits),
                **facts,
                "next_text": after.text,
                "rewards": turn_rewards(before.utility, after.utility, after.reward, after.valid),
                "utility": dict(after.utility),
            }
        )
        self.last[row] = observe_text(self.world, after)

    def _episodes(self, owners: Sequence[list[dict[str, Any]]]) -> list[Episode]:
        catalog, world = self.world.catalog, self.world
        return [
            {
                "episode": self.first + row,
                "user": catalog.users[start.user],
                "item": catalog.items[start.item].id if start.item >= 0 else None,
                "profile": world.resources.profile(start.user) if world.settings.shows_taste else None,
                "start": {"text": start.text, "utility": dict(start.utility)},
                "return": sum(turn["rewards"]["reward"] for turn in self.turns[row]),
                "messages": self.messages[row],
                "last_observation": self.last[row],
                "turns": self.turns[row],
                "calls": owners[row],
                "usage": count_usage(world, owners[row]),
            }
            for row, start in enumerate(self.starts)
        ]

    def _owners(self, calls: Sequence[Call]) -> list[list[dict[str, Any]]]:
        """The calls of each episode. A rewrite is found by its seed, any other call by its text and its user.

        Raises:
            ConfigurationError: The agent asked the language model about a text that no episode holds.
        """
        if len(self.rows) == 1:
            by_seed, by_text = self._by_seed(), {}
            return [[written(call, by_seed.get((call.prompt.text, call.seed), (0, None))[1]) for call in calls]]
        by_seed, by_text = self._by_seed(), self._by_text()
        found: list[list[dict[str, Any]]] = [[] for _ in self.rows]
        for call in calls:
            owner = by_seed.get((call.prompt.text, call.seed)) or by_text.get((call.prompt.text, call.prompt.profile))
            if owner is None:
                raise ConfigurationError(
                    f"expected calls about texts of the episodes, got one about {call.prompt.text[:80]!r}: this agent "
                    "asks the language model itself, so play one episode at a time (num_envs=1)"
                )
            found[owner[0]].append(written(call, owner[1]))
        return found

    def _by_seed(self) -> dict[tuple[str, int], tuple[int, int | None]]:
        language = self.world.model.language
        return {
            (visible(turn["text"], language), seed): (row, turn["step"])
            for row in reversed(self.rows)
            for turn in self.turns[row]
            if turn["seed"] is not None
            for seed in seeds_of(turn["seed"])
        }

    def _by_text(self) -> dict[tuple[str, str], tuple[int, int | None]]:
        """The first episode that holds a text, with and without its user's profile."""
        found: dict[tuple[str, str], tuple[int, int | None]] = {}
        language = self.world.model.language
        for row, start in enumerate(self.starts):
            texts = [start.text, *(turn["next_text"] for turn in self.turns[row])]
            for step, text in enumerate(texts):
                for profile in ("", self.world.resources.profile(start.user)):
                    found.setdefault((visible(text, language), profile), (row, step))
        return found


def _probabilities(agent: Any, seen: Any) -> NDArray[np.float64] | None:  # noqa: ANN401
    """`[B, K]`; None where the agent has none."""
    chances: NDArray[np.float64] | None = agent.probabilities(seen) if hasattr(agent, "probabilities") else None
    return chances


def _next_seed(rng: np.random.Generator) -> int:
    """The generation seed that the next step will draw."""
    return int(copy.deepcopy(rng).integers(SEEDS))


def written(call: Call, step: int | None) -> dict[str, Any]:
    """A call as a JSON object.

    Args:
        call: The call.
        step: The turn that it belongs to; None if it is the agent's own.
    """
    said = call.completion
    return {
        "step": step,
        **dataclasses.asdict(call.prompt),
        "seed": call.seed,
        "attempt": call.attempt,
        "temperature": call.temperature,
        "recorded": call.recorded,
        "answer": said.text,
        "finish_reason": said.finish_reason,
        "problem": said.problem,
        "prompt_tokens": said.prompt_tokens,
        "completion_tokens": said.completion_tokens,
        "tokens": None if said.tokens is None else dataclasses.asdict(said.tokens),
    }


def count_usage(world: World, calls: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """What some calls cost; answers from a recording cost nothing."""
    paid = [call for call in calls if not call["recorded"]]
    read, wrote = (sum(call[name] for call in paid) for name in ("prompt_tokens", "completion_tokens"))
    prices = world.settings.prompt_price, world.settings.completion_price
    return {
        "calls": len(paid),
        "recorded": len(calls) - len(paid),
        "prompt_tokens": read,
        "completion_tokens": wrote,
        "cost": (read * prices[0] + wrote * prices[1]) / 1e6,
    }
