"""Times and gaps of every way to compute a design, for the experiment ``design``.

Each method gets the features as they are and is timed from there to its weights; the gap is recomputed for all of them
by one function.

A backend's tolerance is on its own residuals, not on the gap. SCS is run at 1e-7, which leaves a gap near 1e-6, as
ours; Clarabel at its default of 1e-8, which leaves one near 1e-5: it is asked for less than we are.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.coverage import coverage_lines, save_figure
from benchmarks.pools import Floats, recorded, synthetic
from benchmarks.results import circumstances, package_version, read_json, write_json
from benchmarks.suite import Options
from eagle_gym import design
from eagle_gym.errors import DesignError, PreparationError

Shape = tuple[int, int]
Key = tuple[str, int, int, str]

SHAPES: list[Shape] = [(20, 8), (64, 16), (100, 16), (100, 64), (1000, 32), (1000, 64)]
STANDARD: Shape = (64, 8)  # of the environment as it is by default
KINDS = ("gaussian", "clustered", "deficient", "recorded")
STARTS = 8  # start states, of which the one with the most candidates is taken
TOL = 1e-6
CVXPY = {"cvxpy": TOL, "cvxpy-clarabel": 1e-4, "cvxpy-logdet": 1e-4, "cvxpy-logdet-scs": TOL}  # tol given to each
METHODS = {
    "auto": "auto",
    "cvxpy": "MVEE-SOC, SCS",
    "cvxpy-clarabel": "MVEE-SOC, Clarabel",
    "cvxpy-logdet": "log_det, Clarabel",
    "cvxpy-logdet-scs": "log_det, SCS",
    "accbpg": "accbpg",
}

# Seconds that a cell takes on one core, for those above a second: to skip what patience does not allow.
SECONDS: dict[str, dict[Shape, float]] = {
    "cvxpy": {(100, 64): 1, (1000, 32): 3, (1000, 64): 30},
    "cvxpy-clarabel": {(100, 64): 17, (1000, 32): 51, (1000, 64): 600},
    "cvxpy-logdet": {(100, 64): 32, (1000, 32): 5, (1000, 64): 75},
    "cvxpy-logdet-scs": {(100, 64): 1, (1000, 32): 4, (1000, 64): 36},
}
GIGABYTES = {("cvxpy-clarabel", (1000, 64)): 17}  # of memory: cells of "huge", run last and on the Gaussian pool alone
# How many times faster "auto" must be, by shape.
TARGETS: dict[str, dict[Shape, float]] = {
    "cvxpy-logdet": {(20, 8): 5, (100, 16): 25, (100, 64): 1000, (1000, 32): 100, (1000, 64): 200},
    "cvxpy": {(20, 8): 3, (100, 16): 8, (100, 64): 100, (1000, 32): 30, (1000, 64): 80},
    "accbpg": dict.fromkeys(SHAPES, 1.0),
}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")  # BLAS; Clarabel
SOLVERS = ("clarabel", "scs", "accbpg")
STEADY = 0.2  # seconds for which a quick method is repeated at least


@dataclass(frozen=True)
class Row:
    """One cell: a method on a pool.

    Attributes:
        kind: of pool.
        size: K.
        width: n.
        method: "auto", a cvxpy form, "accbpg", or a batched call.
        ms: milliseconds of processor time, None where it was not run.
        gap: recomputed, None where there is none.
        speedup: its time over that of "auto" on the same pool.
        target: smallest speedup wanted, if any.
        note: why it was not run.
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
        """What is measured on what."""
        return self.kind, self.size, self.width, self.method

    @property
    def verdict(self) -> str:
        """Whether the target is met."""
        if self.target is None or self.speedup is None:
            return ""
        return "met" if self.speedup >= self.target else "MISSED"


def on_one_thread() -> bool:
    """Whether this process computes on one thread."""
    return all(os.environ.get(name) == "1" for name in THREADS)


def again_on_one_thread(options: Options) -> None:
    """Start the command again, on one thread: libraries read that when they are loaded."""
    again = [sys.executable, "-m", "benchmarks", "run", "design", "--size", options.size, "--out", str(options.out)]
    again += ["--fresh"] if options.fresh else []
    subprocess.run(again, check=True, env=os.environ | dict.fromkeys(THREADS, "1"))


def draw(size: dict[str, Any], out: Path) -> str:
    """The figure alone; its table.

    Raises:
        PreparationError: Plots is not prepared.
    """
    pools = recorded(*STANDARD, size["pools"], prepare=size["prepare"])
    save_figure(pools, out)
    return "\n".join([*coverage_lines(pools), "", f"coverage.png, coverage.pdf in {out}"])


def time_all(options: Options, size: dict[str, Any]) -> Iterator[str]:
    """The table of times, then the figure; yields what there is to read.

    Cells that are done are not done again, unless ``fresh`` says so.
    """
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "run.json"
    header = {"experiment": "design", "solvers": {name: package_version(name) for name in SOLVERS}} | circumstances()
    known = {} if options.fresh else done(path, header)
    try:
        pools = recorded(*STANDARD, size["pools"], prepare=size["prepare"])
    except PreparationError:
        pools = []
    yield HEAD
    found: dict[Key, Row] = {}  # a giant cell, run last, takes the place of the row that said that it was not run
    for row in measure(size, pools, known):
        found[row.key] = row
        kept = found | {key: row for key, row in known.items() if key not in found}  # until it comes again
        write_json(header | {"size": options.size, "rows": [asdict(row) for row in kept.values()]}, path)
        yield line(row)
    rows = list(found.values())
    (options.out / "REPORT.md").write_text(report(rows, coverage_lines(pools)))
    if pools:
        save_figure(pools, options.out)
    yield f"\n{summary(rows)}\nREPORT.md, run.json{', coverage.png and .pdf' if pools else ''} in {options.out}"


def done(path: Path, header: Mapping[str, Any]) -> dict[Key, Row]:
    """Cells that a run on this machine, with these versions, has measured before."""
    if not path.exists():
        return {}
    before = read_json(path)
    if any(before.get(name) != header[name] for name in ("solvers", "versions", "machine")):
        return {}
    rows = [Row(**row) for row in before["rows"]]
    return {row.key: row for row in rows if row.ms is not None}


# Time


def measure(size: dict[str, Any], pools: Sequence[Floats], known: Mapping[Key, Row]) -> Iterator[Row]:
    """Every row, one by one; ``pools`` are those of the standard environment, for the batched calls."""
    importlib.import_module("cvxpy")  # importing it is nobody's time
    shapes: list[Shape] = size["shapes"]
    for kind in KINDS:
        for shape in shapes:
            if all((kind, *shape, method) in known for method in METHODS):
                yield from (known[kind, *shape, method] for method in METHODS)
                continue
            try:
                pool = pool_of(kind, shape, size["prepare"])
            except PreparationError as error:
                yield Row(kind, *shape, "auto", note=f"the environment is not prepared ({error})")
                continue
            yield from compare(kind, pool, size, known)
    if pools:
        yield from batches(pools, size["repeats"], known)
    if size.get("giants"):
        yield from (giant(method, shape, size, known) for method, shape in GIGABYTES)


def pool_of(kind: str, shape: Shape, prepare: str) -> Floats:
    """The pool of a kind and shape; of recorded ones the largest of several, for a text may bear fewer edits than K."""
    if kind == "recorded":
        return max(recorded(*shape, STARTS, prepare=prepare), key=len)
    return synthetic(kind, *shape)


def compare(kind: str, pool: Floats, size: dict[str, Any], known: Mapping[Key, Row]) -> Iterator[Row]:
    """Every method on one pool; "auto" comes first, and the others are measured against it."""
    auto = known.get((kind, len(pool), pool.shape[1], "auto")) or by_auto(kind, pool, size)
    yield auto
    for method in METHODS:
        if method != "auto":
            yield known.get((kind, len(pool), pool.shape[1], method)) or cell(kind, pool, method, auto.ms or 1.0, size)


def by_auto(kind: str, pool: Floats, size: dict[str, Any]) -> Row:
    """Our own solver on one pool."""
    ms, found = timed(lambda: design.solve(pool, tol=TOL), size["repeats"], warm=True)
    return Row(kind, len(pool), pool.shape[1], "auto", ms, found.gap)


def cell(kind: str, pool: Floats, method: str, own: float, size: dict[str, Any]) -> Row:
    """One other method on one pool, or why it is not run."""
    shape = (pool.shape[0], pool.shape[1])
    seconds = SECONDS.get(method, {}).get(shape, 0.1)
    target = TARGETS.get(method, {}).get(shape) if kind == "gaussian" or method == "accbpg" else None
    if method == "accbpg" and importlib.util.find_spec("accbpg") is None:
        return Row(kind, *shape, method, target=target, note="accbpg is not installed: pip install 'eagle_gym[accbpg]'")
    if (method, shape) in GIGABYTES:
        note = f"needs {GIGABYTES[method, shape]} GB of memory: --size huge runs it on the Gaussian pool"
        return Row(kind, *shape, method, target=target, note=note)
    if seconds > size["patience"]:
        return Row(kind, *shape, method, target=target, note=f"about {seconds:.0f} s: --size large")
    return run_cell(kind, pool, method, own, target, size["repeats"] if seconds < 1 else 1)


def run_cell(kind: str, pool: Floats, method: str, own: float, target: float | None, repeats: int) -> Row:
    """Time a method; one that gives no design leaves a note."""
    shape = (pool.shape[0], pool.shape[1])
    try:
        ms, weights = timed(weigher(method, pool), repeats, warm=repeats > 1)
    except DesignError as error:
        return Row(kind, *shape, method, target=target, note=str(error))
    return Row(kind, *shape, method, ms, design.leverages(pool, weights)[1], ms / own, target)


def giant(method: str, shape: Shape, size: dict[str, Any], known: Mapping[Key, Row]) -> Row:
    """A cell that may be too large for the machine; what went before is on disk."""
    if ("gaussian", *shape, method) in known:
        return known["gaussian", *shape, method]
    pool = synthetic("gaussian", *shape)
    auto = known.get(("gaussian", *shape, "auto")) or by_auto("gaussian", pool, size)
    needed, there = GIGABYTES[method, shape], available()
    tqdm.write(f"warning: {method} at {shape} needs about {needed} GB of memory; {there:.0f} GB are available")
    return run_cell("gaussian", pool, method, auto.ms or 1.0, TARGETS.get(method, {}).get(shape), 1)


def available() -> float:
    """Gigabytes of memory that programs may still take; NaN where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return float("nan")
    return next((int(text.split()[1]) / 1e6 for text in lines if text.startswith("MemAvailable:")), float("nan"))


def weigher(method: str, pool: Floats) -> Callable[[], Floats]:
    """The call that gives a method's weights."""
    if method == "accbpg":
        return lambda: by_accbpg(pool)
    solver: Any = method
    return lambda: design.solve(pool, solver=solver, tol=CVXPY[method]).weights


def by_accbpg(pool: Floats) -> Floats:
    """Frank-Wolfe with away steps, from accbpg's own start, on the whitened pool (it needs full rank)."""
    accbpg = importlib.import_module("accbpg")
    left, values, _ = np.linalg.svd(pool, full_matrices=False)
    whitened = np.sqrt(len(pool)) * left[:, values > 1e-8 * values[0]].T
    start = accbpg.D_opt_KYinit(whitened)
    weights = accbpg.D_opt_FW_away(whitened, start, TOL, 100_000, verbose=False)[0]
    return np.maximum(np.asarray(weights, dtype=np.float64), 0.0)  # it may leave -1e-19


def timed(call: Callable[[], Any], repeats: int, *, warm: bool = False) -> tuple[float, Any]:
    """Median milliseconds of processor time of a call, and its last result; other programs do not count.

    With ``warm`` it is called once before, and repeated for a fifth of a second at least.
    """
    if warm:
        call()
    took: list[float] = []
    while len(took) < repeats or (warm and sum(took) < STEADY):
        begin = time.process_time()
        result = call()
        took.append(time.process_time() - begin)
    return 1e3 * float(np.median(took)), result


def batches(pools: Sequence[Floats], repeats: int, known: Mapping[Key, Row]) -> Iterator[Row]:
    """Milliseconds a pool of the batched calls that the vector environment makes, and the largest gap."""
    size, width = max(map(len, pools)), pools[0].shape[1]
    k = min(16, size)
    calls: dict[str, Callable[[], Sequence[design.Design | design.Selection]]] = {
        "solve_batch, a pool": lambda: design.solve_batch(pools),
        f"select_batch k={k}, a pool": lambda: design.select_batch(pools, k),
    }
    for name, call in calls.items():
        key = (f"{len(pools)} recorded", size, width, name)
        if key in known:
            yield known[key]
            continue
        ms, found = timed(call, repeats, warm=True)
        yield Row(*key, ms / len(pools), max(item.gap for item in found))


# Words

HEAD = (
    f"{'pool':<12}{'K':>5}{'n':>4}  {'method':<28}{'ms':>11}{'gap':>10}{'times auto':>12}{'wanted':>8}\n{'':-<12}"
    f"{'':->9}  {'':-<28}{'':->11}{'':->10}{'':->12}{'':->8}"
)


def line(row: Row) -> str:
    """A row for the terminal."""
    where = f"{row.kind:<12}{row.size:>5}{row.width:>4}  {row.method:<28}"
    if row.ms is None:
        return f"{where}  not run: {row.note}"
    numbers = [f"{row.ms:>11.2f}", f"{row.gap:>10.0e}" if row.gap is not None else f"{'':>10}"]
    if row.speedup is not None:
        numbers.append(f"{row.speedup:>12.1f}")
    if row.target is not None:
        numbers.append(f"{row.target:>8.0f} {row.verdict}")
    return where + "".join(numbers)


def report(rows: Sequence[Row], coverage: Sequence[str]) -> str:
    """The page: times, targets, action sets."""
    return "\n".join(
        ["# Designs: time and gap", "", *times(rows), "", *batched(rows), "", *targets(rows), "", *coverage, ""]
    )


def times(rows: Sequence[Row]) -> list[str]:
    """The table of times: a line for each pool, a column for each method."""
    pools = dict.fromkeys((row.kind, row.size, row.width) for row in rows if row.method in METHODS)
    found = {(row.kind, row.size, row.width, row.method): row for row in rows}
    lines = [
        "Milliseconds of processor time on one thread, the certified gap, and how many times as long as `auto`.",
        "",
        f"| pool | K, n | {' | '.join(METHODS.values())} |",
        f"|---|---|{'---|' * len(METHODS)}",
    ]
    for kind, size, width in pools:
        cells = [cell_text(found.get((kind, size, width, method))) for method in METHODS]
        lines.append(f"| {kind} | {size}, {width} | {' | '.join(cells)} |")
    return lines


def cell_text(row: Row | None) -> str:
    """A cell of the table of times; empty where nothing was run."""
    if row is None or row.ms is None:
        return ""
    gap = "" if row.gap is None else f" ({row.gap:.0e})"
    return f"{brief(row.ms)}{gap}" + ("" if row.speedup is None else f", {brief(row.speedup)}x")


def brief(number: float) -> str:
    """Three digits or so."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def batched(rows: Sequence[Row]) -> list[str]:
    """The batched calls, in words."""
    return [
        f"- {row.kind} pools of {row.size}, {row.width}: {row.method} {row.ms:.2f} ms"
        for row in rows
        if row.method not in METHODS and row.ms is not None
    ]


def targets(rows: Sequence[Row]) -> list[str]:
    """The table of targets, and what was not run."""
    lines = ["| pool | K, n | against | `auto` is to be faster by | is |", "|---|---|---|---|---|"]
    for row in rows:
        if row.target is not None:
            measured = "" if row.speedup is None else brief(row.speedup) + " **missed**" * (row.verdict == "MISSED")
            where = f"{row.kind} | {row.size}, {row.width} | {METHODS[row.method]}"
            lines.append(f"| {where} | {row.target:g} | {measured} |")
    skipped = [
        f"- not run: {row.kind} {row.size}, {row.width}, {row.method}: {row.note}" for row in rows if row.ms is None
    ]
    return [summary(rows).splitlines()[0], "", *lines, "", *skipped]


def summary(rows: Sequence[Row]) -> str:
    """How many targets are met, and which are not."""
    judged = [row for row in rows if row.verdict]
    missed = [row for row in judged if row.verdict == "MISSED"]
    open_ = sum(row.target is not None and row.ms is None for row in rows)
    text = f"{len(judged) - len(missed)} of {len(judged)} targets met; {open_} not measured."
    return "\n".join([text, *(f"missed: {line(row)}" for row in missed)])
