"""Times and gaps of every way to compute a design.

Each method is timed from the raw features to its weights. One function recomputes the gap for all methods.

A backend's tolerance bounds its own residuals, not the gap. SCS runs at 1e-7, which leaves a gap near 1e-6, the
tolerance of our own solver. Clarabel runs at its default of 1e-8, which leaves a gap near 1e-5: an easier task.
"""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.experiments.design.pools import Floats, recorded, synthetic
from eagle_gym import design
from eagle_gym.errors import DesignError, PreparationError

Shape = tuple[int, int]
Key = tuple[str, int, int, str]

SHAPES: list[Shape] = [(20, 8), (64, 16), (100, 16), (100, 64), (1000, 32), (1000, 64)]
KINDS = ("gaussian", "clustered", "deficient", "recorded")
STARTS = 8  # start states; the one with the most candidates is used
TOL = 1e-6
CVXPY = {"cvxpy": TOL, "cvxpy-clarabel": 1e-4, "cvxpy-logdet": 1e-4, "cvxpy-logdet-scs": TOL}  # tolerance of each
METHODS = {
    "auto": "auto",
    "cvxpy": "MVEE-SOC, SCS",
    "cvxpy-clarabel": "MVEE-SOC, Clarabel",
    "cvxpy-logdet": "log_det, Clarabel",
    "cvxpy-logdet-scs": "log_det, SCS",
    "accbpg": "accbpg",
}

# Seconds that a cell takes on one core, where it is a second or more; cells beyond the patience of a size are skipped.
SECONDS: dict[str, dict[Shape, float]] = {
    "cvxpy": {(100, 64): 1, (1000, 32): 3, (1000, 64): 30},
    "cvxpy-clarabel": {(100, 64): 17, (1000, 32): 51, (1000, 64): 600},
    "cvxpy-logdet": {(100, 64): 32, (1000, 32): 5, (1000, 64): 75},
    "cvxpy-logdet-scs": {(100, 64): 1, (1000, 32): 4, (1000, 64): 36},
}
GIGABYTES = {("cvxpy-clarabel", (1000, 64)): 17}  # of memory; runs only in "huge", last and on the Gaussian pool
# The speedup that is asked of "auto", by shape.
TARGETS: dict[str, dict[Shape, float]] = {
    "cvxpy-logdet": {(20, 8): 5, (100, 16): 25, (100, 64): 1000, (1000, 32): 100, (1000, 64): 200},
    "cvxpy": {(20, 8): 3, (100, 16): 8, (100, 64): 100, (1000, 32): 30, (1000, 64): 80},
    "accbpg": dict.fromkeys(SHAPES, 1.0),
}
STEADY = 0.2  # seconds; fast methods are repeated for at least as long


@dataclass(frozen=True)
class Timing:
    """The time and gap of a method on a pool.

    Attributes:
        kind: Kind of the pool.
        size: K.
        width: n.
        method: "auto", a cvxpy form, "accbpg", or a batched call.
        ms: Milliseconds of processor time; None where the method was not run.
        gap: Recomputed gap; None where there is none.
        speedup: Its time over that of "auto" on the same pool.
        target: Smallest speedup that is asked of "auto", if any.
        note: Why the method was not run.
    """

    kind: str
    size: int
    width: int
    method: str
    ms: float | None = None
    gap: float | None = None
    speedup: float | None = None
    target: float | None = None
    note: str = ""

    @property
    def key(self) -> Key:
        """What identifies the measurement."""
        return self.kind, self.size, self.width, self.method

    @property
    def verdict(self) -> str:
        """Whether the target is met."""
        if self.target is None or self.speedup is None:
            return ""
        return "met" if self.speedup >= self.target else "MISSED"


def measure(size: dict[str, Any], pools: Sequence[Floats], known: Mapping[Key, Timing]) -> Iterator[Timing]:
    """Measure every method on every pool, one by one.

    Args:
        size: Settings of the experiment's size.
        pools: Pools of the default environment, for the batched calls.
        known: Earlier measurements, which are not repeated.
    """
    importlib.import_module("cvxpy")  # so that no method's time includes the import
    shapes: list[Shape] = size["shapes"]
    for kind in KINDS:
        for shape in shapes:
            if all((kind, *shape, method) in known for method in METHODS):
                yield from (known[kind, *shape, method] for method in METHODS)
                continue
            try:
                pool = pool_of(kind, shape, size["prepare"])
            except PreparationError as error:
                yield Timing(kind, *shape, "auto", note=f"the environment is not prepared ({error})")
                continue
            yield from compare(kind, pool, size, known)
    if pools:
        yield from batches(pools, size["repeats"], known)
    if size.get("giants"):
        yield from (giant(method, shape, size, known) for method, shape in GIGABYTES)


def pool_of(kind: str, shape: Shape, prepare: str) -> Floats:
    """The pool of a kind and shape. Of recorded pools, the largest of several: some texts admit fewer than K edits."""
    if kind == "recorded":
        return max(recorded(*shape, STARTS, prepare=prepare), key=len)
    return synthetic(kind, *shape)


def compare(kind: str, pool: Floats, size: dict[str, Any], known: Mapping[Key, Timing]) -> Iterator[Timing]:
    """Measure every method on one pool; "auto" first, since the others are compared with it."""
    auto = known.get((kind, len(pool), pool.shape[1], "auto")) or by_auto(kind, pool, size)
    yield auto
    for method in [*METHODS][1:]:
        found = known.get((kind, len(pool), pool.shape[1], method))
        yield found or measure_method(kind, pool, method, auto.ms or 1.0, size)


def by_auto(kind: str, pool: Floats, size: dict[str, Any]) -> Timing:
    """Measure our own solver on one pool."""
    ms, found = timed(lambda: design.solve(pool, tol=TOL), size["repeats"], warm=True)
    return Timing(kind, len(pool), pool.shape[1], "auto", ms, found.gap)


def measure_method(kind: str, pool: Floats, method: str, own: float, size: dict[str, Any]) -> Timing:
    """Measure another method on one pool, or say why it is not run."""
    shape = (pool.shape[0], pool.shape[1])
    seconds = SECONDS.get(method, {}).get(shape, 0.1)
    target = TARGETS.get(method, {}).get(shape) if kind == "gaussian" or method == "accbpg" else None
    note = ""
    if method == "accbpg" and importlib.util.find_spec("accbpg") is None:
        note = "accbpg is not installed: pip install 'eagle_gym[accbpg]'"
    elif (method, shape) in GIGABYTES:
        note = f"needs {GIGABYTES[method, shape]} GB of memory: --size huge runs it on the Gaussian pool"
    elif seconds > size["patience"]:
        note = f"about {seconds:.0f} s: --size large"
    if note:
        return Timing(kind, *shape, method, target=target, note=note)
    return time_method(kind, pool, method, own, target, size["repeats"] if seconds < 1 else 1)


def time_method(kind: str, pool: Floats, method: str, own: float, target: float | None, repeats: int) -> Timing:
    """Time a method; where it fails to give a design, the note says why."""
    shape = (pool.shape[0], pool.shape[1])
    try:
        ms, weights = timed(weigher(method, pool), repeats, warm=repeats > 1)
    except DesignError as error:
        return Timing(kind, *shape, method, target=target, note=str(error))
    return Timing(kind, *shape, method, ms, design.leverages(pool, weights)[1], ms / own, target)


def giant(method: str, shape: Shape, size: dict[str, Any], known: Mapping[Key, Timing]) -> Timing:
    """Measure a method that may need more memory than the machine has; it runs when all else is on disk."""
    if ("gaussian", *shape, method) in known:
        return known["gaussian", *shape, method]
    pool = synthetic("gaussian", *shape)
    auto = known.get(("gaussian", *shape, "auto")) or by_auto("gaussian", pool, size)
    needed, there = GIGABYTES[method, shape], available()
    tqdm.write(f"warning: {method} at {shape} needs about {needed} GB of memory; {there:.0f} GB are available")
    return time_method("gaussian", pool, method, auto.ms or 1.0, TARGETS.get(method, {}).get(shape), 1)


def available() -> float:
    """Gigabytes of memory that are available; NaN where the system does not report it."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return float("nan")
    return next((int(text.split()[1]) / 1e6 for text in lines if text.startswith("MemAvailable:")), float("nan"))


def weigher(method: str, pool: Floats) -> Callable[[], Floats]:
    """The call that computes a method's weights."""
    if method == "accbpg":
        return lambda: by_accbpg(pool)
    solver: Any = method
    return lambda: design.solve(pool, solver=solver, tol=CVXPY[method]).weights


def by_accbpg(pool: Floats) -> Floats:
    """Frank-Wolfe with away steps from accbpg's own start, on the whitened pool, since it needs full rank."""
    accbpg = importlib.import_module("accbpg")
    left, values, _ = np.linalg.svd(pool, full_matrices=False)
    whitened = np.sqrt(len(pool)) * left[:, values > 1e-8 * values[0]].T
    start = accbpg.D_opt_KYinit(whitened)
    weights = accbpg.D_opt_FW_away(whitened, start, TOL, 100_000, verbose=False)[0]
    return np.maximum(np.asarray(weights, dtype=np.float64), 0.0)  # it may leave -1e-19


def timed(call: Callable[[], Any], repeats: int, *, warm: bool = False) -> tuple[float, Any]:
    """Time a call in this process's own processor time.

    Args:
        call: The call.
        repeats: How often it is timed, at least.
        warm: Call it once before, and repeat it for at least `STEADY` seconds.

    Returns:
        Median milliseconds, and the last result.
    """
    if warm:
        call()
    took: list[float] = []
    while len(took) < repeats or (warm and sum(took) < STEADY):
        begin = time.process_time()
        result = call()
        took.append(time.process_time() - begin)
    return 1e3 * float(np.median(took)), result


def batches(pools: Sequence[Floats], repeats: int, known: Mapping[Key, Timing]) -> Iterator[Timing]:
    """Measure the batched calls of the vector environment: milliseconds per pool, and the largest gap."""
    size, width = max(map(len, pools)), pools[0].shape[1]
    k = min(16, size)
    calls: dict[str, Callable[[], Sequence[design.Design | design.Selection]]] = {
        "solve_batch, per pool": lambda: design.solve_batch(pools),
        f"select_batch k={k}, per pool": lambda: design.select_batch(pools, k),
    }
    for name, call in calls.items():
        key = (f"{len(pools)} recorded", size, width, name)
        if key in known:
            yield known[key]
            continue
        ms, found = timed(call, repeats, warm=True)
        yield Timing(*key, ms / len(pools), max(item.gap for item in found))
