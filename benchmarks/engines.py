"""Where work is done: here in turn, in several processes, or on a Ray cluster. The files that it leaves are the same.

A piece of work is a function of one argument that can be sent to another process, such as a cell with its folder. An
engine calls it for every argument and yields what each call came to, in the order in which they end.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial, partialmethod
from typing import Any, Protocol, TypeVar

from tqdm import tqdm

from eagle_gym.errors import ConfigurationError

NAMES = ("local", "ray")

T = TypeVar("T")


class Engine(Protocol):
    """Does a list of pieces of work."""

    def __call__(self, work: Callable[[T], None], arguments: Sequence[T]) -> Iterator[tuple[T, str | None]]:
        """Call ``work`` for every argument; yield it with what went wrong, None where nothing did."""


def make_engine(name: str, jobs: int) -> Engine:
    """An engine by name.

    Args:
        name: ``"local"`` (this machine) or ``"ray"`` (the cluster that ``RAY_ADDRESS`` names, else one made here).
        jobs: how many pieces of work are done at a time.

    Raises:
        ConfigurationError: an unknown name, or fewer jobs than one.
    """
    if jobs < 1:
        raise ConfigurationError(f"--jobs should be at least 1, got {jobs}")
    if name not in NAMES:
        raise ConfigurationError(f"--engine should be one of {', '.join(NAMES)}, got {name!r}")
    if name == "ray":
        return partial(on_ray, jobs)
    return in_turn if jobs == 1 else partial(in_processes, jobs)


def in_turn(work: Callable[[T], None], arguments: Sequence[T]) -> Iterator[tuple[T, str | None]]:
    """One after another, in this process."""
    for argument in arguments:
        yield argument, attempt(work, argument)


def in_processes(jobs: int, work: Callable[[T], None], arguments: Sequence[T]) -> Iterator[tuple[T, str | None]]:
    """Several at a time, each in a process of its own kind: started afresh, with its share of the cores."""
    context = multiprocessing.get_context("spawn")
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=settle, initargs=(threads,)) as pool:
        futures = {pool.submit(attempt, work, argument): argument for argument in arguments}
        for future in as_completed(futures):
            # A process that is killed (memory, say) breaks the pool: what it had not done has failed.
            error = future.exception()
            yield futures[future], future.result() if error is None else f"{type(error).__name__}: {error}"


def on_ray(jobs: int, work: Callable[[T], None], arguments: Sequence[T]) -> Iterator[tuple[T, str | None]]:
    """Several at a time on a Ray cluster, whose machines share the folder that is written to."""
    try:
        import ray
    except ImportError as error:
        raise ConfigurationError("--engine ray needs Ray: pip install 'eagle_gym[cluster]'") from error
    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False, include_dashboard=False, num_cpus=None if "RAY_ADDRESS" in os.environ else jobs)
    remote: Any = ray.remote(num_cpus=1, max_retries=0)(settled_attempt)
    waiting = dict(enumerate(arguments))
    running: dict[Any, T] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                argument = waiting.pop(min(waiting))
                running[remote.remote(work, argument)] = argument
            (done,), _ = ray.wait(list(running), num_returns=1)
            argument = running.pop(done)
            try:
                yield argument, ray.get(done)
            except ray.exceptions.RayError as error:
                yield argument, f"{type(error).__name__}: {error}"
    finally:
        if started:
            ray.shutdown()


def attempt(work: Callable[[T], None], argument: T) -> str | None:
    """Call ``work``; return what went wrong, None if nothing did."""
    try:
        work(argument)
    except Exception as error:  # noqa: BLE001 - whatever it was, the caller lists it
        return f"{type(error).__name__}: {error}"
    return None


def settled_attempt(work: Callable[[T], None], argument: T) -> str | None:
    """As :func:`attempt`, in a worker with one core."""
    settle(1)
    return attempt(work, argument)


def settle(threads: int) -> None:
    """Make a worker quiet and modest: no bars, which would overwrite each other, and its share of the cores."""
    tqdm.__init__ = partialmethod(tqdm.__init__, disable=True)  # type: ignore[assignment]
    os.environ["OMP_NUM_THREADS"] = str(threads)
    import torch

    torch.set_num_threads(threads)
