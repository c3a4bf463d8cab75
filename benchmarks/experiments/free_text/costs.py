"""What a step costs by part, and whether a recording is replayed to the last bit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.running import opened
from benchmarks.running.files import read_json, write_json
from eagle_gym.actions.proposals import ModelCandidates

FILE = "costs.json"
STEPS = 5
ENVS = 4  # in a batch
PROPOSED = 8  # edits of a pool whose time is taken


class Watch:
    """Counts the seconds that functions take."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose time is counted."""

        def call(*arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 - whatever the function takes
            begin = time.perf_counter()
            try:
                return function(*arguments, **keywords)
            finally:
                self.seconds += time.perf_counter() - begin

        return call


@contextmanager
def watched(owner: Any, name: str) -> Iterator[Watch]:  # noqa: ANN401 - any object
    """Time a method of one object for a while."""
    watch = Watch()
    setattr(owner, name, watch.timed(getattr(owner, name)))
    try:
        yield watch
    finally:
        delattr(owner, name)


def measure(places: Sequence[tuple[str, str, dict[str, Any]]], size: Mapping[str, Any], out: Path) -> None:
    """Measure every environment that is not in `costs.json` yet, and add it there."""
    found = read_json(out / FILE) if (out / FILE).exists() else {}
    for name, env_id, kwargs in places:
        if name not in found:
            found[name] = costs(env_id, kwargs, min(ENVS, size["num_envs"]), out / "record")
            write_json(found, out / FILE)


def costs(env_id: str, kwargs: Mapping[str, Any], num_envs: int, folder: Path) -> dict[str, Any]:
    """Seconds of an environment's step by part, seconds of a pool, and whether a replay repeats the recording."""
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / f"{env_id.rpartition('/')[2]}.jsonl"
    record.unlink(missing_ok=True)
    with opened(env_id, num_envs, **kwargs, record=str(record)) as envs:
        found, texts = _play(envs)
        found["pool"] = _pool(envs.unwrapped.world)
    with opened(env_id, num_envs, **{**kwargs, "language_model": f"replay:{record}"}) as envs:
        _, again = _play(envs)
    return {**found, "replayed": texts == again}


def _play(envs: Any) -> tuple[dict[str, float], list[Any]]:  # noqa: ANN401 - any vector environment
    world = envs.unwrapped.world
    envs.reset(seed=1)  # makes the pools
    texts: list[Any] = []
    with watched(world.model, "generate") as generate, watched(world.space.encoder, "encode") as encode:
        begin = time.perf_counter()
        for _ in range(min(STEPS, world.settings.horizon)):
            texts += [envs.step(np.zeros(envs.num_envs, int))[1].tolist(), [s.text for s in envs.unwrapped.states]]
        total = time.perf_counter() - begin
    steps = min(STEPS, world.settings.horizon) * envs.num_envs
    parts = {"rewriting": generate.seconds, "encoding": encode.seconds}
    parts["other"] = total - sum(parts.values())
    return {name: seconds / steps for name, seconds in parts.items()}, texts


def _pool(world: Any) -> float:  # noqa: ANN401
    """Seconds that the language model takes to propose a pool of edits, asked for one item."""
    language = world.model.language
    candidates = ModelCandidates(world.model, language=language, personalised=0.0)
    begin = time.perf_counter()
    candidates.propose([world.catalog.texts[0]], [""], PROPOSED, [0])
    return time.perf_counter() - begin
