"""Where work is done: here in turn, in several processes, or on a Ray cluster. The files that it leaves are the same.

A piece of work is a function of one argument that can be sent to another process, such as a cell with its folder. An
engine calls it for every argument, in order, and yields what each call came to, in the order in which they end. A piece
may need others: it begins once they have ended, and where one of them failed it is not begun and has failed too.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial, partialmethod
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

from tqdm import tqdm

from eagle_gym.errors import ConfigurationError

NAMES = ("local", "ray")

T = TypeVar("T")
Outcome = tuple[str, str | None]
"""A piece of work by its name, and what went wrong with it: None where nothing did."""
Needs = Mapping[str, Sequence[str]]
"""Names of the pieces that a piece needs, by its own; those that are not among the work are there already."""
NOTHING: Needs = MappingProxyType({})


class Engine(Protocol):
    """Does pieces of work, each under a name."""

    def __call__(
        self, work: Callable[[T], None], arguments: Mapping[str, T], needs: Needs = NOTHING
    ) -> Iterator[Outcome]:
        """Call ``work`` for every argument; ConfigurationError where pieces need each other in a circle."""


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


class Queue(Generic[T]):
    """What is left to do, in order.

    Args:
        arguments: The pieces of work by name.
        needs: What each of them needs.
    """

    def __init__(self, arguments: Mapping[str, T], needs: Needs) -> None:
        self._arguments = arguments
        self._waiting = {name: {need for need in needs.get(name, ()) if need in arguments} for name in arguments}
        self._failed: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self) -> tuple[str, T] | None:
        """The first piece that lacks nothing any more; None where all that are left wait for some that run."""
        for name, lacks in self._waiting.items():
            if not lacks:
                del self._waiting[name]
                return name, self._arguments[name]
        return None

    def end(self, name: str, error: str | None) -> Iterator[Outcome]:
        """Note how a piece ended; what needs one that failed ends with it."""
        yield name, error
        for other, lacks in list(self._waiting.items()):
            if name in lacks and error is None:
                lacks.remove(name)
            elif name in lacks and other in self._waiting:
                del self._waiting[other]
                yield from self.end(other, f"{name}, which it needs, failed: {root_of(error)}")

    def check(self, running: int) -> None:
        """Raise ConfigurationError where nothing runs and nothing can begin."""
        if self._waiting and not running:
            raise ConfigurationError(f"pieces of work need each other in a circle: {', '.join(self._waiting)}")


def root_of(error: str | None) -> str:
    """The first error of a chain of pieces that failed because of each other."""
    return str(error).rpartition(", which it needs, failed: ")[2]


def in_turn(work: Callable[[T], None], arguments: Mapping[str, T], needs: Needs = NOTHING) -> Iterator[Outcome]:
    """One after another, in this process."""
    queue = Queue(arguments, needs)
    while queue:
        if (piece := queue.take()) is None:
            queue.check(0)
            continue
        yield from queue.end(piece[0], attempt(work, piece[1]))


def in_processes(
    jobs: int, work: Callable[[T], None], arguments: Mapping[str, T], needs: Needs = NOTHING
) -> Iterator[Outcome]:
    """Several at a time, each in a process of its own kind: started afresh, with its share of the cores."""
    queue, running = Queue(arguments, needs), dict[Future[str | None], str]()
    pool = start_processes(jobs)
    try:
        while queue or running:
            while len(running) < jobs and (piece := queue.take()):
                try:
                    future = pool.submit(attempt, work, piece[1])
                except BrokenProcessPool:  # since the last wait
                    pool = start_processes(jobs)
                    future = pool.submit(attempt, work, piece[1])
                running[future] = piece[0]
            queue.check(len(running))
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
                done, _ = wait(running)  # a process was killed (memory, say): what ran beside it has failed as well
                pool.shutdown()
                pool = start_processes(jobs)
            for future in done:
                error = future.exception()
                failed = future.result() if error is None else f"{type(error).__name__}: {error}"
                yield from queue.end(running.pop(future), failed)
    finally:
        pool.shutdown(cancel_futures=True)


def start_processes(jobs: int) -> ProcessPoolExecutor:
    """Fresh processes, each with its share of the cores."""
    threads = max(1, (os.cpu_count() or 1) // jobs)
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(jobs, mp_context=context, initializer=settle, initargs=(threads,))


def on_ray(
    jobs: int, work: Callable[[T], None], arguments: Mapping[str, T], needs: Needs = NOTHING
) -> Iterator[Outcome]:
    """Several at a time on a Ray cluster, whose machines share the folder that is written to."""
    try:
        import ray
    except ImportError as error:
        raise ConfigurationError("--engine ray needs Ray: pip install 'eagle_gym[cluster]'") from error
    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False, include_dashboard=False, num_cpus=None if "RAY_ADDRESS" in os.environ else jobs)
    remote: Any = ray.remote(num_cpus=1, max_retries=0)(settled_attempt)
    queue, running = Queue(arguments, needs), dict[Any, str]()
    try:
        while queue or running:
            while len(running) < jobs and (piece := queue.take()):
                running[remote.remote(work, piece[1])] = piece[0]
            queue.check(len(running))
            (done,), _ = ray.wait(list(running), num_returns=1)
            name = running.pop(done)
            try:
                outcome = ray.get(done)
            except ray.exceptions.RayError as error:
                outcome = f"{type(error).__name__}: {error}"
            yield from queue.end(name, outcome)
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
