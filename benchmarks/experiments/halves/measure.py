"""Times cycles in the foreground and in the background, and writes the page."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from tqdm import tqdm

from baselines.run import write_file
from benchmarks.running.provenance import circumstances
from eagle_gym.envs.opening import make_world
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import LanguageModelError

SETTINGS: Final[dict[str, Any]] = {"catalog": "plots", "effects_model": "grammar", "max_new_tokens": 120}
ATTEMPTS: Final = 5  # at a cycle: a small model's answer may be none, and then the cycle is timed again


@dataclass(frozen=True)
class Size:
    """What is measured.

    Attributes:
        num_envs: Environments in all, an even number.
        steps: Steps of each environment in a cycle.
        repeats: Cycles of each way.
        thinking: The agent's time per state, as multiples of the server's time per rewrite.
    """

    num_envs: int
    steps: int
    repeats: int
    thinking: tuple[float, ...]


@dataclass(frozen=True)
class Row:
    """Cycles with one thinking time.

    Attributes:
        thinking: The multiple.
        seconds: Seconds that the agent thinks about a state.
        foreground: Seconds of each cycle of one whole.
        background: Seconds of each cycle of two halves.
    """

    thinking: float
    seconds: float
    foreground: tuple[float, ...]
    background: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        """How many times as fast the background is, by repeat."""
        return [whole / halves for whole, halves in zip(self.foreground, self.background, strict=True)]


@dataclass(frozen=True)
class Found:
    """Everything that was measured; `rewrite` is the server's time per rewrite, in seconds."""

    spec: str
    size: Size
    rewrite: float
    rows: tuple[Row, ...]


def compare(spec: str, size: Size) -> Found:
    """Measure with a language model."""
    world = make_world(**SETTINGS, language_model=spec, prepare="never")
    whole = [EagleVectorEnv.from_world(world, size.num_envs)]
    halves = [EagleVectorEnv.from_world(world, size.num_envs // 2) for _ in range(2)]
    seeds = iter(range(0, 10**9, size.num_envs))
    total = 1 + 2 * size.repeats * len(size.thinking)
    with tqdm(total=total, desc="halves", unit="cycle", disable=None) as bar:
        rewrite = _timed(in_foreground, whole, seeds, size, 0.0) / (size.num_envs * size.steps)
        bar.update()
        rows = []
        for multiple in size.thinking:
            times: dict[str, list[float]] = {"foreground": [], "background": []}
            for _ in range(size.repeats):
                for name, way, envs in (("foreground", in_foreground, whole), ("background", in_background, halves)):
                    times[name].append(_timed(way, envs, seeds, size, multiple * rewrite))
                    bar.update()
            rows.append(Row(multiple, multiple * rewrite, tuple(times["foreground"]), tuple(times["background"])))
    return Found(_public(spec), size, rewrite, tuple(rows))


def _public(spec: str) -> str:
    """The spec without the server's address."""
    return spec.partition("@")[0]


Way = Callable[[Sequence[EagleVectorEnv], int, float], None]


def _timed(way: Way, envs: Sequence[EagleVectorEnv], seeds: Any, size: Size, think: float) -> float:  # noqa: ANN401
    """Seconds of one cycle, without its reset."""
    for attempt in range(ATTEMPTS):
        first = next(seeds)
        for number, env in enumerate(envs):
            env.reset(seed=first + number * env.num_envs)
        begin = time.perf_counter()
        try:
            way(envs, size.steps, think)
            return time.perf_counter() - begin
        except LanguageModelError:
            for env in envs:
                env._background.close()
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError


def choose(env: EagleVectorEnv, think: float) -> np.ndarray[Any, Any]:
    """Think about every state, and take the first edit."""
    time.sleep(think * env.num_envs)
    return np.asarray(env.action_masks().argmax(axis=1))


def in_foreground(envs: Sequence[EagleVectorEnv], steps: int, think: float) -> None:
    """Step one environment: the agent thinks, then the server rewrites."""
    (env,) = envs
    for _ in range(steps):
        env.step(choose(env, think))


def in_background(envs: Sequence[EagleVectorEnv], steps: int, think: float) -> None:
    """Step halves in turn: the server rewrites for one while the agent thinks about the other."""
    for env in envs:
        env.step_async(choose(env, think))
    for _ in range(steps - 1):
        for env in envs:
            env.step_wait()
            env.step_async(choose(env, think))
    for env in envs:
        env.step_wait()


def page(found: Found) -> str:
    """The table."""
    lines = [
        "# Two halves in the background, compared with one whole",
        "",
        f"`{found.spec}`, {found.size.num_envs} environments, {found.size.steps} steps a cycle, "
        f"{found.size.repeats} repeats; the server takes {found.rewrite:.2f} s per rewrite.",
        "",
        "| thinking per state, in rewrites | foreground, s a cycle | background, s a cycle | times as fast (range) |",
        "|---|---|---|---|",
    ]
    for row in found.rows:
        whole, halves = statistics.median(row.foreground), statistics.median(row.background)
        ratio = f"{statistics.median(row.ratios):.2f} ({min(row.ratios):.2f} to {max(row.ratios):.2f})"
        lines.append(f"| {row.thinking:g} | {whole:.1f} | {halves:.1f} | {ratio} |")
    return "\n".join(lines) + "\n"


def write_page(found: Found, out: Path, size: str) -> str:
    """Write REPORT.md and run.json; returns what to print."""
    write_file(out / "REPORT.md", page(found).encode())
    facts = {"experiment": "halves", "size": size, **circumstances(), "found": asdict(found)}
    write_file(out / "run.json", json.dumps(facts, indent=1).encode())
    return f"\n{page(found)}\nREPORT.md and run.json in {out}"
