"""What the sections measure with: clocks, worlds with one part replaced, and cycles of environments."""

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
from numpy.typing import NDArray

from eagle_gym.actions.action_set import ActionSets
from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.opening import make_world
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.envs.world import State, World
from eagle_gym.language.model import Completion
from eagle_gym.language.prompts import Prompt
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
        """The function, with the time of its calls added under a name."""

        @wraps(function)
        def watched(*args: P.args, **kwargs: P.kwargs) -> T:
            begin = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[name] += time.perf_counter() - begin

        return watched


class Patched:
    """Another object with some of its methods replaced.

    Args:
        inner: The object.
        **methods: The replacements.
    """

    def __init__(self, inner: object, **methods: Callable[..., Any]) -> None:
        self._inner = inner
        self.__dict__.update(methods)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the inner object has
        return getattr(self._inner, name)


def seconds(work: Callable[[], object]) -> float:
    """The seconds that a call takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def peak(pid: str = "self") -> float | None:
    """Peak memory of a process in MiB; None where the system does not report it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
    except (OSError, StopIteration):
        return None


def peak_alone(device: str, *, num_envs: int, actions: int, pool: int, items: int = 0) -> float | None:
    """Peak memory in MiB of a new process that opens Plots, resets a batch and takes one step.

    Args:
        device: Where the model runs.
        num_envs: Environments of the batch.
        actions: K.
        pool: Candidates.
        items: Gaussian items that replace the catalog's in the utility; 0 keeps the catalog's.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_peak, device, num_envs, actions, pool, items).result()


def _peak(device: str, num_envs: int, actions: int, pool: int, items: int) -> float | None:
    opened = make_world(catalog="plots", observation="latent", device=device)  # kept, since its model closes with it
    world = with_sets(opened, actions, pool)
    if items:
        world, _ = over_items(world, items, np.random.default_rng(1))
    batched_cycle(vector_envs(world, num_envs), 0, 1)
    return peak()


# Worlds


def variant(world: World, settings: dict[str, Any] | None = None, **parts: Any) -> World:  # noqa: ANN401
    """The world with some settings and parts replaced; the cache of user profiles is kept."""
    resources = replace(world.resources, **parts)
    resources.__dict__["profile"] = world.resources.profile
    return World(replace(world.settings, **(settings or {})), resources)


def fresh_sets(world: World, **changed: Any) -> ActionSets:  # noqa: ANN401
    """The world's action sets with an empty cache and some arguments changed."""
    old = world.resources.action_sets
    kept = {
        name: getattr(old, name) for name in ("pool", "k", "features", "selection", "seed", "candidates", "effects")
    }
    return ActionSets(**(kept | changed))


def watched(world: World, clock: Clock) -> World:
    """The world with a clock on generation, encoder, utility, candidates, effects and action sets."""
    parts = world.resources
    sets = parts.action_sets
    sets = fresh_sets(
        world,
        candidates=Patched(sets.candidates, propose=clock.watch("candidates", sets.candidates.propose)),
        effects=Patched(sets.effects, expected=clock.watch("effects", sets.effects.expected)),
    )
    encoder: Any = parts.space.encoder
    encoder = Patched(encoder, encode=clock.watch("encoder", encoder.encode))
    return variant(
        world,
        model=Patched(parts.model, generate=clock.watch("generation", parts.model.generate)),
        space=replace(parts.space, encoder=encoder),
        utility=clock.watch("utility", parts.utility),
        action_sets=Patched(sets, build=clock.watch("action sets", sets.build)),
    )


def with_sets(world: World, k: int, pool: int) -> World:
    """The world with `k` actions chosen from a pool of `pool` candidates."""
    return variant(world, {"actions": k, "pool": pool}, action_sets=fresh_sets(world, k=k, pool=pool))


def over_items(world: World, count: int, rng: Rng) -> tuple[World, float]:
    """The world with `count` Gaussian items in its utility, and the seconds that the utility took to make."""
    space = world.resources.space
    synthetic: LatentSpace = replace(space, items=rng.normal(size=(count, space.dim)))
    made: list[ContentGap] = []
    took = seconds(lambda: made.append(ContentGap(synthetic)))
    return variant(world, utility=made[0]), took


# Cycles


def offered(masks: NDArray[np.bool_], rng: Rng) -> NDArray[np.int64]:
    """A random offered action for each row of masks `[B, K]`."""
    drawn: NDArray[np.int64] = np.argmax(rng.random(masks.shape) * masks, axis=1)
    return drawn


def batched_cycle(envs: EagleVectorEnv, seed: int, steps: int) -> float:
    """Seconds that a reset and `steps` steps of a vector environment take."""
    rng = np.random.default_rng(seed)
    begin = time.perf_counter()
    envs.reset(seed=seed)
    for _ in range(steps):
        envs.step(offered(envs.action_masks(), rng))
    return time.perf_counter() - begin


def looped_cycle(envs: Sequence[EagleEnv], seed: int, steps: int) -> float:
    """Seconds that the same takes in a loop over single environments."""
    rng = np.random.default_rng(seed)
    begin = time.perf_counter()
    for i, env in enumerate(envs):
        env.reset(seed=seed + i)
    for _ in range(steps):
        for env in envs:
            env.step(int(offered(env.action_masks()[None], rng)[0]))
    return time.perf_counter() - begin


@dataclass(frozen=True)
class Call:
    """One batched call of a language model: prompts, seeds and the texts that it returned."""

    prompts: tuple[Prompt, ...]
    seeds: tuple[int, ...]
    texts: tuple[str, ...]


def recording(world: World) -> tuple[World, list[Call]]:
    """The world, and a list to which every call of its model is appended."""
    calls: list[Call] = []
    model = world.resources.model

    def generate(prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0) -> list[Completion]:
        answers = model.generate(prompts, seeds, temperature=temperature)
        calls.append(Call(tuple(prompts), tuple(seeds), tuple(answer.text for answer in answers)))
        return answers

    return variant(world, model=Patched(model, generate=generate)), calls


def single_envs(world: World, count: int) -> list[EagleEnv]:
    """Single environments in one world."""
    return [EagleEnv.from_world(world) for _ in range(count)]


def vector_envs(world: World, count: int) -> EagleVectorEnv:
    """A vector environment in one world, whose caller resets the episodes."""
    return EagleVectorEnv.from_world(world, count, autoreset_mode="Disabled")


def start_states(world: World, count: int, seed: int) -> list[State]:
    """The states at which `count` episodes start."""
    envs = vector_envs(world, count)
    envs.reset(seed=seed)
    return envs.states
