"""An environment package for verifiers (its v1 interface): a taskset of seeds, and a chat model that plays them.

    vf-eval eagle-gym-verifiers --env.taskset.preset plan -n 20 -r 4 --no-push ...

Each task is a seed, so all rollouts of a group share their start and the randomness of the rewrites. The reward is the
gain in utility over the episode. Its parts and the share of proper rewrites are metrics, and so is the rating of a
judge if there is one. A failed rewrite is an error of the episode, which then has no reward.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Literal, ParamSpec, TypeVar

try:
    import verifiers.v1 as vf
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"expected verifiers 0.4, got {error}: pip install 'eagle_gym[verifiers]' in an environment of its own"
    ) from error
from openai import AsyncOpenAI
from pydantic import Field
from verifiers.v1.dialects.chat import message_to_wire
from verifiers.v1.runtimes import ProgramResult

from eagle_gym.integrations.chat import CHOOSE, CHOOSE_OR_WRITE, Chat, Turn
from eagle_gym.language.loading import load_language_model
from eagle_gym.language.model import LanguageModel
from eagle_gym.language.prompts import Prompt

ID: Final = "eagle-gym-verifiers"  # what verifiers imports: plugins/eagle_gym_verifiers.py

P = ParamSpec("P")
T = TypeVar("T")


class EagleData(vf.TaskData):
    """One episode: the seed of its user, its text and its rewrites."""

    seed: int


class EagleTask(vf.Task[EagleData]):
    """Scores a finished conversation from what `EagleGymEnv` noted in its trace, so a trace can be scored again."""

    @vf.reward
    async def gain(self, trace: vf.Trace) -> float:
        """The gain in utility, weight 1."""
        return sum(turn["reward"] for turn in trace.info["turns"])

    @vf.metric
    async def affinity(self, trace: vf.Trace) -> float:
        """The gain in affinity: how much more the user would like the last text than the first."""
        return sum(turn["affinity"] for turn in trace.info["turns"])

    @vf.metric
    async def novelty(self, trace: vf.Trace) -> float:
        """The gain in novelty: how much farther the last text is from the catalog than the first."""
        return sum(turn["novelty"] for turn in trace.info["turns"])

    @vf.metric
    async def validity(self, trace: vf.Trace) -> float:
        """The share of turns with an edit and a proper rewrite."""
        return sum(turn["valid"] for turn in trace.info["turns"]) / max(len(trace.info["turns"]), 1)

    @vf.metric
    async def understood(self, trace: vf.Trace) -> float:
        """The share of answers that named an edit."""
        return sum(bool(turn["edit"]) for turn in trace.info["turns"]) / max(len(trace.info["turns"]), 1)


class EagleGymTasksetConfig(vf.TasksetConfig):
    """Which episodes to play, under `--env.taskset.*`."""

    preset: str = "default"
    """Name of the environment's task, such as `plan`; verifiers uses the name `task` itself."""
    catalog: str = "plots"
    """Where items and ratings come from."""
    split: Literal["train", "test"] = "train"
    """Whose users and items episodes start from."""
    free_edits: bool = False
    """Whether the chat model may name edits of its own."""
    first_seed: int = Field(0, ge=0)
    """Seed of the first task; the next tasks count on from there."""
    judge: str | None = None
    """A language model that rates the last text of each episode, such as `openai:MODEL@URL`."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of the environment, such as `{"language_model": "grammar"}`."""


class EagleGymTaskset(vf.Taskset[EagleTask, EagleGymTasksetConfig]):
    """Tasks without end, one for each seed."""

    INFINITE = True

    def load(self) -> Iterator[EagleTask]:
        """Yield a task for each seed."""
        config = self.config
        instructions = CHOOSE_OR_WRITE if config.free_edits else CHOOSE
        for seed in itertools.count(config.first_seed):
            name = f"{config.catalog}-{config.preset}-{config.split}#{seed}"
            yield EagleTask(EagleData(name=name, system_prompt=instructions, seed=seed), config.task)


class InProcessHarness(vf.Harness[vf.HarnessConfig]):
    """A chat without tools in this process: one model call for each turn, and no program to install or start."""

    APPENDS_SYSTEM_PROMPT = True
    SUPPORTS_RESUME = True
    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    async def launch(
        self,
        ctx: vf.ModelContext,
        trace: vf.Trace,
        runtime: vf.Runtime,
        endpoint: str,
        secret: str,
        mcp_urls: dict[str, str],
        data: vf.TaskData,
    ) -> ProgramResult:
        """Ask the model once; verifiers listens at the endpoint and records the answer."""
        system, messages = self.resolve_prompt(data)
        wire: list[Any] = [{"role": "system", "content": system}] if system else []
        wire += [message_to_wire(message) for message in messages]
        async with AsyncOpenAI(base_url=endpoint, api_key=secret, timeout=None) as client:
            await client.chat.completions.create(model=ctx.model, messages=wire)
        return ProgramResult(0, "", "")


class EagleGymEnvConfig(vf.EnvConfig):
    """The environment's config: the chat model has the role `agent`."""

    agent: vf.AgentConfig = vf.AgentConfig(runtime=vf.SubprocessConfig())


class EagleGymEnv(vf.Env[EagleGymEnvConfig]):
    """Lets the environment speak as the user, and the chat model answer.

    All calls of the environment run in one thread, one after the other, because copies of an environment share a
    language model and caches. The conversations of the chat models run at the same time.
    """

    async def start(self) -> None:
        """Open the environment once and keep it, so that the episodes share its parts."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=ID)
        self._kept = await self._call(self._open)
        judge = self.taskset.config.judge
        self._judge = await self._call(load_language_model, judge) if judge else None

    async def stop(self) -> None:
        """Close what `start` opened."""
        if kept := getattr(self, "_kept", None):
            await self._call(kept.close)
        if judge := getattr(self, "_judge", None):
            await self._call(judge.close)
        if thread := getattr(self, "_thread", None):
            thread.shutdown()

    def _open(self) -> Chat:
        given = self.taskset.config
        return Chat(given.preset, given.catalog, given.split, free_edits=given.free_edits, arguments=given.arguments)

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.wrap_future(self._thread.submit(function, *args, **kwargs))

    async def run(self, task: EagleTask, agents: vf.Agents) -> None:
        """Play one episode."""
        chat = await self._call(self._open)
        try:
            observation = await self._call(chat.reset, task.data.seed)
            async with agents.agent.interaction(task) as conversation:
                turns = conversation.trace.info["turns"] = []
                while chat.turns_left:
                    reply = await conversation.turn(observation)
                    if reply.terminated:
                        break
                    turn = await self._call(chat.answer, reply.last_reply)
                    turns.append(as_record(turn))
                    observation = turn.observation
                conversation.trace.info["text"] = chat.state.text
                if self._judge is not None:
                    rating = await self._call(rate, self._judge, chat)
                    if rating is not None:
                        conversation.trace.record_metric("judge", rating)
        finally:
            await self._call(chat.close)


def as_record(turn: Turn) -> dict[str, Any]:
    """A turn as JSON: its reward, the gains of its parts by name, its edit, and whether the text is proper."""
    return {"reward": turn.reward, **turn.gains, "edit": turn.edit, "valid": turn.valid}


def rate(judge: LanguageModel, chat: Chat) -> float | None:
    """How much the user would like the present text according to a language model, 1 to 10; None if it does not say."""
    profile = chat.env.world.resources.profile(chat.state.user)
    (answer,) = judge.generate([Prompt("rate", text=chat.state.text, profile=profile)], [0], temperature=0.0)
    found = re.search(r"\d+", answer.text)
    return float(found[0]) if found and found[0] in map(str, range(1, 11)) else None


def load_environment(
    task: str = "default",
    catalog: str = "plots",
    split: Literal["train", "test"] = "train",
    *,
    free_edits: bool = False,
    first_seed: int = 0,
    judge: str | None = None,
    **arguments: Any,  # noqa: ANN401
) -> EagleGymEnv:
    """Make the environment for verifiers.

    Args:
        task: Name of the environment's task, such as `"plan"`.
        catalog: Where items and ratings come from.
        split: Whose users and items episodes start from.
        free_edits: Whether the chat model may name edits of its own.
        first_seed: Seed of the first task; the next tasks count on from there.
        judge: A language model that rates the last text of each episode, such as `"openai:MODEL@URL"`.
        **arguments: Further arguments of the environment.
    """
    taskset = EagleGymTasksetConfig(
        id=ID,
        preset=task,
        catalog=catalog,
        split=split,
        free_edits=free_edits,
        first_seed=first_seed,
        judge=judge,
        arguments=arguments,
    )
    return EagleGymEnv(EagleGymEnvConfig(taskset=taskset))
