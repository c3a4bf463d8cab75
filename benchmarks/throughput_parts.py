"""What the experiment on speed measures with: clocks, worlds with one part exchanged, and what a user would write."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import wraps
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from eagle_gym.actions.action_set import ActionSets
from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.opening import make_world
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.envs.world import World
from eagle_gym.language.loading import load_language_model
from eagle_gym.language.model import Completion, Usage
from eagle_gym.language.prompts import Prompt
from eagle_gym.language.transformers import DTYPES, TransformersModel
from eagle_gym.latent import ContentGap, LatentSpace

P = ParamSpec("P")
T = TypeVar("T")
Rng = np.random.Generator


# Clocks


class Clock:
    """Seconds spent under each name."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def watch(self, name: str, function: Callable[P, T]) -> Callable[P, T]:
        """The function, its time added to a name."""

        @wraps(function)
        def watched(*args: P.args, **kwargs: P.kwargs) -> T:
            begin = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[name] += time.perf_counter() - begin

        return watched


class Watched:
    """Another object, some of whose methods are exchanged.

    Args:
        inner: the object.
        **methods: what stands in place of its methods.
    """

    def __init__(self, inner: object, **methods: Callable[..., Any]) -> None:
        self._inner = inner
        self.__dict__.update(methods)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the inner object has
        return getattr(self._inner, name)


def seconds(work: Callable[[], object]) -> float:
    """How long a piece of work takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def peak(pid: str = "self") -> float | None:
    """Memory of a process at its peak, MiB; None where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
    except (OSError, StopIteration):
        return None


def peak_alone(device: str, *, num_envs: int, actions: int, pool: int, items: int = 0) -> float | None:
    """Peak memory, MiB, of a process of its own that opens Plots and lives through a reset and a step.

    Args:
        device: where the model computes.
        num_envs: environments of its batch.
        actions: K.
        pool: candidates.
        items: Gaussian items in place of the catalog's own, for the utility; 0 keeps these.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_peak, device, num_envs, actions, pool, items).result()


def _peak(device: str, num_envs: int, actions: int, pool: int, items: int) -> float | None:
    opened = make_world(catalog="plots", observation="latent", device=device)  # its model closes when it is let go
    world = with_sets(opened, actions, pool)
    if items:
        world, _ = over_items(world, items, np.random.default_rng(1))
    batched_cycle(vector_envs(world, num_envs), 0, 1)
    return peak()


# Worlds


def variant(world: World, settings: dict[str, Any] | None = None, **parts: Any) -> World:  # noqa: ANN401
    """A world that differs in some settings and parts; what is remembered of its users is kept."""
    resources = replace(world.resources, **parts)
    resources.__dict__["profile"] = world.resources.profile
    return World(replace(world.settings, **(settings or {})), resources)


def fresh_sets(world: World, **changed: Any) -> ActionSets:  # noqa: ANN401
    """The world's action sets, nothing remembered, some arguments changed."""
    old = world.resources.action_sets
    kept = {
        name: getattr(old, name) for name in ("pool", "k", "features", "selection", "seed", "candidates", "effects")
    }
    return ActionSets(**(kept | changed))


def watched(world: World, clock: Clock) -> World:
    """The world with a clock on its parts: generation, encoder, utility, candidates, effects, action sets."""
    parts = world.resources
    sets = parts.action_sets
    sets = fresh_sets(
        world,
        candidates=Watched(sets.candidates, propose=clock.watch("candidates", sets.candidates.propose)),
        effects=Watched(sets.effects, expected=clock.watch("effects", sets.effects.expected)),
    )
    encoder: Any = parts.space.encoder
    encoder = Watched(encoder, encode=clock.watch("encoder", encoder.encode))
    return variant(
        world,
        model=Watched(parts.model, generate=clock.watch("generation", parts.model.generate)),
        space=replace(parts.space, encoder=encoder),
        utility=clock.watch("utility", parts.utility),
        action_sets=Watched(sets, build=clock.watch("action sets", sets.build)),
    )


def with_sets(world: World, k: int, pool: int) -> World:
    """The world with so many actions out of so many candidates."""
    return variant(world, {"actions": k, "pool": pool}, action_sets=fresh_sets(world, k=k, pool=pool))


def over_items(world: World, count: int, rng: Rng) -> tuple[World, float]:
    """The world with ``count`` Gaussian items in its utility, and the seconds that it took to make that."""
    space = world.resources.space
    synthetic: LatentSpace = replace(space, items=rng.normal(size=(count, space.dim)))
    made: list[ContentGap] = []
    took = seconds(lambda: made.append(ContentGap(synthetic)))
    return variant(world, utility=made[0]), took


# Cycles: what an agent lives through


def offered(masks: NDArray[np.bool_], rng: Rng) -> NDArray[np.int64]:
    """A random offered action for each row of masks."""
    drawn: NDArray[np.int64] = np.argmax(rng.random(masks.shape) * masks, axis=1)
    return drawn


def batched_cycle(envs: EagleVectorEnv, seed: int, steps: int) -> float:
    """Seconds of a reset and ``steps`` steps of a vector environment."""
    rng = np.random.default_rng(seed)
    begin = time.perf_counter()
    envs.reset(seed=seed)
    for _ in range(steps):
        envs.step(offered(envs.action_masks(), rng))
    return time.perf_counter() - begin


def looped_cycle(envs: Sequence[EagleEnv], seed: int, steps: int) -> float:
    """Seconds of the same in a loop over single environments."""
    rng = np.random.default_rng(seed)
    begin = time.perf_counter()
    for i, env in enumerate(envs):
        env.reset(seed=seed + i)
    for _ in range(steps):
        for env in envs:
            env.step(int(offered(env.action_masks()[None], rng)[0]))
    return time.perf_counter() - begin


@dataclass(frozen=True)
class Asked:
    """One batched call of a model: what was asked and what came."""

    prompts: tuple[Prompt, ...]
    seeds: tuple[int, ...]
    texts: tuple[str, ...]


def recording(world: World) -> tuple[World, list[Asked]]:
    """The world, and a list to which its model's calls will be added."""
    calls: list[Asked] = []
    model = world.resources.model

    def generate(prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0) -> list[Completion]:
        answers = model.generate(prompts, seeds, temperature=temperature)
        calls.append(Asked(tuple(prompts), tuple(seeds), tuple(answer.text for answer in answers)))
        return answers

    return variant(world, model=Watched(model, generate=generate)), calls


# What a user would write


class PlainGenerate:
    """A language model by ``model.generate`` of transformers and nothing else: the obvious way to write a backend.

    Left padding, sampling at temperature 1, one batch. Rows share one random generator.

    Args:
        model: whose weights, tokens and limits to take.
        device: where to compute.
        dtype: "float32", "bfloat16" or "float16".
    """

    deterministic = False

    def __init__(self, model: TransformersModel, device: str, dtype: str = "float32") -> None:
        self.name, self.fingerprint, self.language = model.name, model.fingerprint, model.language
        self.usage = Usage()
        self._format = model.prompt_format
        self._stop = sorted(self._format.ending.stop)
        self._model = model.load()[0].to(device=device, dtype=DTYPES[dtype])

    def tokens(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """The prompts as token ids."""
        return [self._format.encode(prompt)[0] for prompt in prompts]

    @torch.inference_mode()
    def raw(self, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
        """``model.generate``: prompts in, answers out, as token ids."""
        longest = max(map(len, prompts))
        padded = torch.tensor([[0] * (longest - len(row)) + list(row) for row in prompts], device=self._model.device)
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in prompts], device=self._model.device)
        out = self._model.generate(
            padded,
            attention_mask=mask,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            max_new_tokens=self._format.default_max_tokens,
            eos_token_id=self._stop,
            pad_token_id=0,
        )
        answers: list[list[int]] = out[:, longest:].tolist()
        return answers

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
    ) -> list[Completion]:
        """As the protocol, for temperature 1; a cut-off or empty text is taken as it is."""
        torch.manual_seed(int(seeds[0]))
        tokens = self.tokens(prompts)
        answers = [self._until_stop(row) for row in self.raw(tokens)]
        completions = [
            Completion(self._format.read(said)[0] or "A film.", len(asked), len(said), "stop")
            for asked, said in zip(tokens, answers, strict=True)
        ]
        self.usage.add(completions)
        return completions

    def close(self) -> None:
        """Nothing to give back."""

    def _until_stop(self, row: Sequence[int]) -> list[int]:
        end = next((place for place, token in enumerate(row) if token in self._stop), len(row))
        return list(row[:end])


def open_model(device: str, dtype: str = "float32", *, batch_invariant: bool = False) -> TransformersModel:
    """The embedded model."""
    model = load_language_model("embedded", device=device, dtype=dtype, batch_invariant=batch_invariant)
    assert isinstance(model, TransformersModel)
    return model


def single_envs(world: World, count: int) -> list[EagleEnv]:
    """Single environments in one world."""
    return [EagleEnv.from_world(world) for _ in range(count)]


def vector_envs(world: World, count: int) -> EagleVectorEnv:
    """A vector environment whose episodes are reset by the caller."""
    return EagleVectorEnv.from_world(world, count, autoreset_mode="Disabled")
