"""Where the time of a step goes, by function and by torch operation: `make profile`.

Writes `profile.txt` (functions by their own time and by cumulative time, then torch operations by their own time) and
`profile.pstats`, which tools such as snakeviz show as a flame graph.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import pstats
from collections.abc import Sequence
from pathlib import Path

from torch.profiler import ProfilerActivity, profile

from benchmarks.experiments.throughput import parts
from eagle_gym.envs.opening import make_world
from eagle_gym.envs.vector import EagleVectorEnv

LINES = 40


def main(arguments: Sequence[str] | None = None) -> None:
    """Profile a reset and some steps of a batch; print and write the tables."""
    options = parser().parse_args(arguments)
    world = make_world(catalog="plots", observation="latent", device=options.device)
    envs = parts.vector_envs(world, options.num_envs)
    parts.batched_cycle(envs, 0, 1)  # warms up
    functions = by_function(envs, options.steps)
    text = f"{tables(functions)}\n{by_operation(envs, options.steps)}\n"
    options.out.mkdir(parents=True, exist_ok=True)
    functions.dump_stats(options.out / "profile.pstats")
    (options.out / "profile.txt").write_text(text)
    print(f"{text}\nprofile.txt and profile.pstats in {options.out}")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="python -m benchmarks.experiments.throughput.profiling", description=__doc__)
    result.add_argument("--out", type=Path, default=Path("runs/profile"), help="folder to write")
    result.add_argument("--num-envs", type=int, default=64)
    result.add_argument("--steps", type=int, default=5, help="steps after the reset")
    result.add_argument("--device", default="cpu")
    return result


def by_function(envs: EagleVectorEnv, steps: int) -> cProfile.Profile:
    """Profile a cycle by function."""
    profiler = cProfile.Profile()
    profiler.runcall(parts.batched_cycle, envs, 1000, steps)
    return profiler


def tables(profiler: cProfile.Profile) -> str:
    """The functions that take longest, by their own time and by cumulative time."""
    text = io.StringIO()
    stats = pstats.Stats(profiler, stream=text).strip_dirs()
    for order in ("tottime", "cumulative"):
        stats.sort_stats(order).print_stats(LINES)
    return text.getvalue()


def by_operation(envs: EagleVectorEnv, steps: int) -> str:
    """Profile another cycle by torch operation; the operations that take longest."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if "cuda" in envs.settings.device else [])]
    with profile(activities=activities) as recorded:
        parts.batched_cycle(envs, 2000, steps)
    table: str = recorded.key_averages().table(sort_by="self_cpu_time_total", row_limit=LINES, max_name_column_width=40)
    return table


if __name__ == "__main__":
    main()
