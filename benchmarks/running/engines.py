"""Engines: they do pieces of work in turn, in several processes, or on a Ray cluster, and leave the same files.

A piece of work is a function and an argument that can be sent to another process, such as a cell with its folder. An
engine calls the function for every argument in order, and yields each outcome when the call ends. A piece that needs
others starts after them; if one of them failed, it is not started and counts as failed.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial, partialmethod
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

from tqdm import tqdm

from eagle_gym.errors import ConfigurationError

NAMES = ("local", "ray")

T = TypeVar("T")
Handle = TypeVar("Handle")
Outcome = tuple[str, str | None]
"""Name of a piece of work, and its error, None if it succeeded."""
Needs = Mapping[str, Sequence[str]]
"""Names of the pieces that each piece needs; those that are not part of the work exist already."""
NOTHING: Needs = MappingProxyType({})


class Engine(Protocol):
    """Does named pieces of work."""

    def __call__(
        self, work: Callable[[T], None], arguments: Mapping[str, T], needs: Needs = NOTHING
    ) -> Iterator[Outcome]:
        """Call `work` for every argument; ConfigurationError if pieces need each other in a circle."""


def make_engine(name: str, jobs: int) -> Engine:
    """An engine by name.

    Args:
        name: `"local"` (this machine) or `"ray"` (the cluster at `RAY_ADDRESS`, or else one started here).
        jobs: Number of pieces done at a time.

    Raises:
        ConfigurationError: The name is unknown, or `jobs` is below 1.
    """
    if jobs < 1:
        raise ConfigurationError(f"--jobs should be at least 1, got {jobs}")
    if name not in NAMES:
        raise ConfigurationError(f"--engine should be one of {', '.join(NAMES)}, got {name!r}")
    if name == "ray":
        return partial(on_ray, jobs)
    return in_turn if jobs == 1 else partial(in_processes, jobs)


class Queue(Generic[T]):
    """Pieces of work that have not started, in order.

    Args:
        arguments: The pieces by name.
        needs: Names of the pieces that each of them needs.
    """

    def __init__(self, arguments: Mapping[str, T], needs: Needs) -> None:
        self._arguments = arguments
        self._waiting = {name: {need for need in needs.get(name, ()) if need in arguments} for name in arguments}
        self._failed: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self) -> tuple[str, T] | None:
        """Take the first piece that is ready; None if all wait for running ones."""
        for name, lacks in self._waiting.items():
            if not lacks:
                del self._waiting[name]
                return name, self._arguments[name]
        return None

    def end(self, name: str, error: str | None) -> Iterator[Outcome]:
        """Record how a piece ended; pieces that need a failed one fail with it."""
        yield name, error
        for other, lacks in list(self._waiting.items()):
            if name in lacks and error is None:
                lacks.remove(name)
            elif name in lacks and other in self._waiting:
                del self._waiting[other]
                yield from self.end(other, f"{name}, which it needs, failed: {root_of(error)}")

    def check(self, running: int) -> None:
        """Raise ConfigurationError if nothing runs and nothing can start."""
        if self._waiting and not running:
            raise ConfigurationError(f"pieces of work need each other in a circle: {', '.join(self._waiting)}")


def root_of(error: str | None) -> str:
    """The first error in a chain of pieces that failed because of each other."""
    return str(error).rpartition(", which it needs, failed: ")[2]


def scheduled(
    jobs: int,
    queue: Queue[T],
    start: Callable[[T], Handle],
    ended: Callable[[Sequence[Handle]], Iterable[tuple[Handle, str | None]]],
) -> Iterator[Outcome]:
    """Keep some pieces running until all have ended.

    Args:
        jobs: Largest number of running pieces.
        queue: The pieces.
        start: Starts a piece; its handle is hashable.
        ended: Waits for some handles; yields at least one that has ended, with its error.
    """
    running: dict[Handle, str] = {}
    while queue or running:
        while len(running) < jobs and (piece := queue.take()):
            running[start(piece[1])] = piece[0]
        queue.check(len(running))
        for handle, error in ended(list(running)):
            yield from queue.end(running.pop(handle), error)


def in_turn(work: Callable[[T], None], arguments: Mapping[str, T], needs: Needs = NOTHING) -> Iterator[Outcome]:
    """One after another, in this process."""
    start = partial(attempt, work)  # returns when the piece has ended: its error serves as the handle
    return scheduled(1, Queue(arguments, needs), start, lambda errors: [(error, error) for error in errors])


def in_processes(
    jobs: int, work: Callable[[T], None], arguments: Mapping[str, T], needs: Needs = NOTHING
) -> Iterator[Outcome]:
    """Several at a time, each in a fresh process with its share of the cores."""
    pools = [start_processes(jobs)]

    def start(argument: T) -> Future[str | None]:
        try:
            return pools[-1].submit(attempt, work, argument)
        except BrokenProcessPool:
            pools.append(start_processes(jobs))
            return pools[-1].submit(attempt, work, argument)

    def ended(futures: Sequence[Future[str | None]]) -> Iterator[tuple[Future[str | None], str | None]]:
        done, _ = wait(futures, return_when=FIRST_COMPLETED)
        if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
            done, _ = wait(futures)  # a process was killed (memory, say): all that ran have failed
        for future in done:
            error = future.exception()
            yield future, future.result() if error is None else f"{type(error).__name__}: {error}"

    try:
        yield from scheduled(jobs, Queue(arguments, needs), start, ended)
    finally:
        for pool in pools:
            pool.shutdown(cancel_futures=True)


def start_processes(jobs: int) -> ProcessPoolExecutor:
    """Fresh processes, each with its share of the cores."""
    threads = max(1, (os.cpu_count() or 1) // jobs)
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(jobs, mp_context=context, initializer=limit, initargs=(threads,))


def on_ray(
    jobs: int, work: Callable[[T], None], arguments: Mapping[str, T], needs: Needs = NOTHING
) -> Iterator[Outcome]:
    """Several at a time on a Ray cluster whose machines share the folder of the run."""
    try:
        import ray
    except ImportError as error:
        raise ConfigurationError("--engine ray needs Ray: pip install 'eagle_gym[cluster]'") from error
    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False, include_dashboard=False, num_cpus=None if "RAY_ADDRESS" in os.environ else jobs)
    remote: Any = ray.remote(num_cpus=1, max_retries=0)(limited_attempt)

    def ended(references: Sequence[Any]) -> Iterator[tuple[Any, str | None]]:
        (done,), _ = ray.wait(list(references), num_returns=1)
        try:
            yield done, ray.get(done)
        except ray.exceptions.RayError as error:
            yield done, f"{type(error).__name__}: {error}"

    try:
        yield from scheduled(jobs, Queue(arguments, needs), partial(remote.remote, work), ended)
    finally:
        if started:
            ray.shutdown()


def attempt(work: Callable[[T], None], argument: T) -> str | None:
    """Call `work`; return its error, None if it succeeded."""
    try:
        work(argument)
    except Exception as error:  # noqa: BLE001 - whatever it was, the caller lists it
        return f"{type(error).__name__}: {error}"
    return None


def limited_attempt(work: Callable[[T], None], argument: T) -> str | None:
    """`attempt` in a worker with one core."""
    limit(1)
    return attempt(work, argument)


def limit(threads: int) -> None:
    """Give a worker its share of the cores, and no progress bars, which would overwrite each other."""
    tqdm.__init__ = partialmethod(tqdm.__init__, disable=True)  # type: ignore[assignment]
    os.environ["OMP_NUM_THREADS"] = str(threads)
    import torch

    torch.set_num_threads(threads)
