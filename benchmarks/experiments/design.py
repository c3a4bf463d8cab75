"""How fast and how good are designs? Our solver, every cvxpy form and accbpg (if installed), in one run on one thread.

Pools are Gaussian, clustered, rank-deficient, and recorded from EagleGym/Plots-v0. Each method gets the features as
they are and is timed from there to its weights; the gap is recomputed for all of them by one function. Cells of cvxpy
that take minutes belong to ``--size large``. Rows are printed as they come.

A backend's tolerance is on its own residuals, not on the gap. SCS is run at 1e-7, which leaves a gap near 1e-6, as
ours; Clarabel at its default of 1e-8, which leaves one near 1e-5: it is asked for less than we are.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.results import circumstances, write_json
from benchmarks.suite import Options
from eagle_gym.actions import design
from eagle_gym.errors import DesignError, PreparationError

Floats = NDArray[np.float64]
Shape = tuple[int, int]

SHAPES: list[Shape] = [(20, 8), (64, 16), (100, 16), (100, 64), (1000, 32), (1000, 64)]
SIZES: dict[str, dict[str, Any]] = {
    "smoke": {"shapes": [(20, 8)], "repeats": 2, "patience": 0.5, "pools": 4},
    "small": {"shapes": SHAPES, "repeats": 5, "patience": 4.0, "pools": 64},
    "large": {"shapes": SHAPES, "repeats": 5, "patience": np.inf, "pools": 64},
}
KINDS = ("gaussian", "clustered", "deficient")
TOL = 1e-6
CVXPY = {"cvxpy": TOL, "cvxpy-clarabel": 1e-4, "cvxpy-logdet": 1e-4, "cvxpy-logdet-scs": TOL}  # tol given to each

# Seconds that a cell takes on one core, for those above a second: to skip what patience does not allow.
SECONDS: dict[str, dict[Shape, float]] = {
    "cvxpy": {(100, 64): 1, (1000, 32): 3, (1000, 64): 30},
    "cvxpy-clarabel": {(100, 64): 17, (1000, 32): 51},
    "cvxpy-logdet": {(100, 64): 32, (1000, 32): 5, (1000, 64): 75},
    "cvxpy-logdet-scs": {(100, 64): 1, (1000, 32): 4, (1000, 64): 36},
}
TOO_LARGE = {("cvxpy-clarabel", (1000, 64))}  # needs 14 GB of memory
# How many times faster "auto" must be, by shape.
TARGETS: dict[str, dict[Shape, float]] = {
    "cvxpy-logdet": {(20, 8): 5, (100, 16): 25, (100, 64): 1000, (1000, 32): 100, (1000, 64): 200},
    "cvxpy": {(20, 8): 3, (100, 16): 8, (100, 64): 100, (1000, 32): 30, (1000, 64): 80},
    "accbpg": dict.fromkeys(SHAPES, 1.0),
}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")  # BLAS; Clarabel


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
    def verdict(self) -> str:
        """Whether the target is met."""
        if self.target is None or self.speedup is None:
            return ""
        return "met" if self.speedup >= self.target else "MISSED"


def run(options: Options) -> None:
    """Time every method on every pool, print and write the table, draw four action sets of Plots."""
    if any(os.environ.get(name) != "1" for name in THREADS):
        module = "benchmarks.experiments.design"
        again = [sys.executable, "-m", module, "--size", options.size, "--out", str(options.out)]
        subprocess.run(again, check=True, env=os.environ | dict.fromkeys(THREADS, "1"))
        return
    size = SIZES[options.size]
    options.out.mkdir(parents=True, exist_ok=True)
    pools, why_not = recorded(size["pools"])
    print(HEAD)
    rows = []
    for row in measure(size, pools, why_not):
        rows.append(row)
        print(line(row), flush=True)
    text = report(rows, coverage_lines(pools))
    (options.out / "REPORT.md").write_text(text)
    write_json(
        {"experiment": "design", "rows": [asdict(row) for row in rows]} | circumstances(), options.out / "run.json"
    )
    if pools:
        save_figure(pools, options.out / "coverage.png")
    print(f"\n{summary(rows)}\nREPORT.md, run.json{', coverage.png' if pools else ''} in {options.out}")


# Pools


def synthetic(kind: str, size: int, width: int, seed: int = 0) -> Floats:
    """A pool ``[K, n]``: "gaussian"; "clustered" around five centres; or "deficient", of half the rank."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(size, width))
    if kind == "clustered":
        return 3 * rng.normal(size=(5, width))[rng.integers(5, size=size)] + 0.1 * z
    if kind == "deficient":
        return np.asarray(z[:, : width // 2] @ rng.normal(size=(width // 2, width)))
    return z


def recorded(count: int) -> tuple[list[Floats], str]:
    """Displacements ``[K, n]`` of the candidates of ``count`` start states of Plots, or why there are none."""
    import gymnasium as gym

    import eagle_gym  # noqa: F401 - registers the environments

    try:
        envs: Any = gym.make_vec("EagleGym/Plots-v0", num_envs=count, prepare="never").unwrapped
    except PreparationError as error:
        return [], f"the environment is not prepared ({error})"
    try:
        envs.reset(seed=0)
        return displacements(envs), ""
    finally:
        envs.close()


def displacements(envs: Any) -> list[Floats]:  # noqa: ANN401 - the vector environment, whatever it is in a test
    """What the designs of the environments' present states saw: all candidates, not only those offered."""
    sets, states = envs.world.resources.action_sets, envs.states
    texts, z = [state.text for state in states], np.stack([state.z for state in states])
    profiles = [envs.world.resources.profile(state.user) for state in states]
    seeds = list(range(len(states)))
    prompts = sets.candidates.propose(texts, profiles, sets.pool, seeds)
    expected = sets.effects.expected(texts, prompts, z, seeds)
    return [np.round(after - before, 6) for after, before in zip(expected, z, strict=True)]


# Time


def measure(size: dict[str, Any], pools: Sequence[Floats], why_not: str) -> Iterator[Row]:
    """Every row, one by one."""
    importlib.import_module("cvxpy")  # importing it is nobody's time
    for kind in KINDS:
        for shape in size["shapes"]:
            yield from compare(kind, synthetic(kind, *shape), size)
    if not pools:
        yield Row("recorded", 0, 0, "auto", note=why_not)
        return
    yield from compare("recorded", pools[0], size)
    yield from batches(pools, size["repeats"])


def compare(kind: str, pool: Floats, size: dict[str, Any]) -> Iterator[Row]:
    """Every method on one pool; "auto" comes first, and the others are measured against it."""
    own, found = timed(lambda: design.solve(pool, tol=TOL), size["repeats"], warm=True)
    yield Row(kind, len(pool), pool.shape[1], "auto", own, found.gap)
    for method in (*CVXPY, "accbpg"):
        yield cell(kind, pool, method, own, size)


def cell(kind: str, pool: Floats, method: str, own: float, size: dict[str, Any]) -> Row:
    """One other method on one pool."""
    shape = (pool.shape[0], pool.shape[1])
    seconds = SECONDS.get(method, {}).get(shape, 0.1)
    target = TARGETS.get(method, {}).get(shape) if kind == "gaussian" or method == "accbpg" else None
    if method == "accbpg" and importlib.util.find_spec("accbpg") is None:
        return Row(kind, *shape, method, target=target, note="accbpg is not installed")
    if (method, shape) in TOO_LARGE:
        return Row(kind, *shape, method, target=target, note="needs 14 GB of memory")
    if seconds > size["patience"]:
        return Row(kind, *shape, method, target=target, note=f"about {seconds:.0f} s: --size large")
    try:
        ms, weights = timed(weigher(method, pool), size["repeats"] if seconds < 1 else 1, warm=seconds < 1)
    except DesignError as error:
        return Row(kind, *shape, method, target=target, note=str(error))
    return Row(kind, *shape, method, ms, design.leverages(pool, weights)[1], ms / own, target)


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
    """Median milliseconds of processor time of a call, and its last result; other programs do not count."""
    if warm:
        call()
    took = []
    for _ in range(repeats):
        begin = time.process_time()
        result = call()
        took.append(time.process_time() - begin)
    return 1e3 * float(np.median(took)), result


def batches(pools: Sequence[Floats], repeats: int) -> Iterator[Row]:
    """Milliseconds a pool of the batched calls that the vector environment makes."""
    size, width = max(map(len, pools)), pools[0].shape[1]
    k = min(16, size)
    ms, found = timed(lambda: design.solve_batch(pools), repeats, warm=True)
    yield Row(f"{len(pools)} recorded", size, width, "solve_batch, a pool", ms / len(pools), max(d.gap for d in found))
    ms, _ = timed(lambda: design.select_batch(pools, k), repeats, warm=True)
    yield Row(f"{len(pools)} recorded", size, width, f"select_batch k={k}, a pool", ms / len(pools))


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
    """The page: one table of times, one of action sets."""
    body = [
        f"| {row.kind} | {row.size}, {row.width} | {row.method} | "
        + (f"not run: {row.note} | | | |" if row.ms is None else cells(row))
        for row in rows
    ]
    head = ["| pool | K, n | method | ms | gap | times auto | wanted |", "|---|---|---|---|---|---|---|"]
    return "\n".join(["# Designs: time and gap", "", *head, *body, "", summary(rows), "", *coverage, ""])


def cells(row: Row) -> str:
    """The numbers of a row of the page."""
    gap = "" if row.gap is None else f"{row.gap:.0e}"
    speedup = "" if row.speedup is None else f"{row.speedup:.1f}"
    target = "" if row.target is None else f"≥ {row.target:g}: {row.verdict}"
    return f"{row.ms:.2f} | {gap} | {speedup} | {target} |"


def summary(rows: Sequence[Row]) -> str:
    """How many targets are met, and which are not."""
    judged = [row for row in rows if row.verdict]
    missed = [row for row in judged if row.verdict == "MISSED"]
    open_ = sum(row.target is not None and row.ms is None for row in rows)
    text = f"{len(judged) - len(missed)} of {len(judged)} targets met; {open_} not measured."
    return "\n".join([text, *(f"missed: {line(row)}" for row in missed)])


# Coverage and bias of action sets


@dataclass(frozen=True)
class Panel:
    """A set of rows of a pool, with a title."""

    title: str
    pool: Floats
    chosen: NDArray[np.intp]


def panels(pools: Sequence[Floats], k: int = 16, seed: int = 0) -> list[Panel]:
    """Four action sets: good and poor coverage of one pool, bias and reduced bias in another.

    The first pool is the least crowded along any axis (see ``design.Coverage``), the second the most. "Good" and
    "reduced bias" are selections by design; "poor" is the worst covering of 200 uniform subsets, and "biased" the one
    of 200 whose crowding is their median: what a uniform choice of candidates gives.
    """
    rng = np.random.default_rng(seed)
    k = min(k, *map(len, pools))
    crowding = [design.coverage(pool, np.arange(len(pool))).crowding for pool in pools]
    even, biased = pools[int(np.argmin(crowding))], pools[int(np.argmax(crowding))]
    poor = sorted(subsets(even, k, rng), key=lambda s: min(design.coverage(even, s).C, 1e300))[-1]
    typical = sorted(subsets(biased, k, rng), key=lambda s: design.coverage(biased, s).crowding)[100]
    return [
        Panel("good coverage (by design)", even, design.select(even, k).indices),
        Panel("poor coverage (worst of 200 random sets)", even, poor),
        Panel("biased (median of 200 random sets)", biased, typical),
        Panel("reduced bias (by design)", biased, design.select(biased, k).indices),
    ]


def subsets(pool: Floats, k: int, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """200 uniform subsets of k rows."""
    return [np.sort(rng.choice(len(pool), k, replace=False)) for _ in range(200)]


def coverage_lines(pools: Sequence[Floats]) -> list[str]:
    """The table of the four action sets, for the page."""
    if not pools:
        return []
    lines = ["## Action sets of EagleGym/Plots-v0", "", "![](coverage.png)", ""]
    lines += ["| set | C | energy | alignment | crowding | mean length | the pool's |", "|---|---|---|---|---|---|---|"]
    for panel in panels(pools):
        lines.append(numbers(panel.title, [design.coverage(panel.pool, panel.chosen)]))
    return [*lines, *averages(pools)]


def averages(pools: Sequence[Floats], k: int = 16, seed: int = 0) -> list[str]:
    """Rows of the table over all pools, the four panels being extremes: designs, uniform and longest rows."""
    rng = np.random.default_rng(seed)
    k = min(k, *map(len, pools))
    ways: dict[str, Callable[[Floats], NDArray[np.intp]]] = {
        "by design": lambda pool: design.select(pool, k).indices,
        "by design, normalise=True": lambda pool: design.select(pool, k, normalise=True).indices,
        "random": lambda pool: rng.choice(len(pool), k, replace=False),
        "longest": lambda pool: np.argsort(-np.linalg.norm(pool, axis=1))[:k],
    }
    return [
        numbers(f"{len(pools)} pools, {name}", [design.coverage(pool, way(pool)) for pool in pools])
        for name, way in ways.items()
    ]


def numbers(name: str, found: Sequence[design.Coverage]) -> str:
    """A row of the table: the median of C, the means of the others."""
    columns = ("energy", "alignment", "crowding", "mean_length", "pool_mean_length")
    means = [f"{np.mean([getattr(item, column) for item in found]):.2f}" for column in columns]
    return f"| {name} | {np.median([item.C for item in found]):.2f} | {' | '.join(means)} |"


def save_figure(pools: Sequence[Floats], path: Path) -> None:
    """Draw the four action sets on the two longest axes of their pools."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 10.5), layout="constrained")
    for axes, panel in zip(figure.subplots(2, 2).ravel(), panels(pools), strict=True):
        draw(axes, panel)
    figure.suptitle(
        "Action sets of EagleGym/Plots-v0: expected displacements of all candidates (grey), of those offered (blue)\n"
        "orange: shadow of the ellipsoid that the set covers as well as an optimal design would",
        fontsize=11,
    )
    figure.savefig(path, dpi=110)


def draw(axes: Any, panel: Panel) -> None:  # noqa: ANN401 - matplotlib has no types
    """One panel: the pool in grey, the set as arrows, the ellipse g = r of uniform weights on the set."""
    right = np.linalg.svd(panel.pool, full_matrices=False)[2][:2]
    flat = panel.pool @ right.T
    found = design.coverage(panel.pool, panel.chosen)
    axes.scatter(*flat.T, s=14, color="#bbbbbb", zorder=1)
    for x, y in flat[panel.chosen]:
        axes.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "-|>", "color": "#2166ac", "linewidth": 1.4})
    outline = ellipse(panel.pool, panel.chosen, right)
    if outline is not None:
        axes.plot(*outline.T, color="#b35806", linewidth=1)
    mean = flat.mean(axis=0)
    axes.annotate("", mean, (0, 0), arrowprops={"arrowstyle": "-|>", "color": "#b2182b", "linewidth": 2.5})
    reach = 1.15 * np.abs(flat).max()
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.set_title(
        f"{panel.title}\nC {found.C:.2f}, crowding {found.crowding:.2f}, "
        f"alignment with the pool's mean (red) {found.alignment:+.2f}\n"
        f"mean length {found.mean_length:.2f}, the pool's {found.pool_mean_length:.2f}",
        fontsize=9,
    )
    axes.set_xlabel("longest direction of the pool")
    axes.set_ylabel("second longest")


def ellipse(pool: Floats, chosen: NDArray[np.intp], basis: Floats) -> Floats | None:
    """The shadow ``[200, 2]`` of the ellipsoid z^T M^+ z = r on two directions, M from uniform weights on the set.

    Rows outside the ellipsoid are those that the set covers worse than an optimal design would.
    """
    picked = pool[chosen]
    rank = np.linalg.matrix_rank(pool, rtol=1e-8)
    if np.linalg.matrix_rank(picked, rtol=1e-8) < rank:
        return None
    shadow = basis @ (picked.T @ picked / len(chosen)) @ basis.T
    angle = np.linspace(0, 2 * np.pi, 200)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    return np.asarray(np.sqrt(rank) * circle @ np.linalg.cholesky(shadow).T)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run this experiment alone: ``python -m benchmarks.experiments.design --figure``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--large", action="store_true", help="the same as --size large")
    parser.add_argument("--figure", action="store_true", help="draw the action sets and time nothing")
    parser.add_argument("--out", type=Path, default=Path("runs/design"))
    given = parser.parse_args(arguments)
    if not given.figure:
        run(Options("large" if given.large else given.size, given.out))
        return
    pools, why_not = recorded(SIZES[given.size]["pools"])
    if not pools:
        raise SystemExit(f"no figure: {why_not}")
    given.out.mkdir(parents=True, exist_ok=True)
    save_figure(pools, given.out / "coverage.png")
    print("\n".join(coverage_lines(pools)), f"\n\ncoverage.png in {given.out}")


if __name__ == "__main__":
    main()
