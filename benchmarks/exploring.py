"""Where policies get to in Z, and what they find there, against language-model calls; from a run's episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.evaluate import EpisodeRow
from benchmarks.plots import write
from benchmarks.report import aligned
from benchmarks.reporting.names import colour, title
from benchmarks.reporting.runs import Done, Run, read_run
from benchmarks.reporting.scores import by_method
from benchmarks.results import write_json
from benchmarks.suite import Cell, opened

Floats = NDArray[np.float64]
MEASURES = {"coverage": "share of the catalog's cells", "volume": "log-volume", "best": "best utility less the first"}
NOTE = (
    "Coverage: share of the catalog's items that are nearest to some point visited so far. Log-volume: half the log "
    "determinant of the covariance of all points visited so far. Best: the highest utility among a user's texts so "
    "far, less that of the first, mean over users, in catalog standard deviations. Mean over seeds, lowest and "
    "highest seed; each seed's texts are counted together, so that coverage depends on how many users there are."
)


@dataclass(frozen=True, eq=False)
class Trace:
    """How a policy got on, H steps; seeds S.

    Attributes:
        method: The policy.
        calls: Language-model calls of a seed's episodes after each step, mean over seeds, ``[H + 1]``.
        coverage: ``[S, H + 1]``.
        volume: ``[S, H + 1]``; -inf where the points visited lie in a subspace.
        best: ``[S, H + 1]``.
    """

    method: str
    calls: Floats
    coverage: Floats
    volume: Floats
    best: Floats


def trace(cells: Sequence[Done], items: Floats) -> Trace:
    """The trace of a policy's cells, one a seed; ``items`` ``[I, n]`` are the catalog's embeddings."""
    found = [follow(cell.rows, items) for cell in cells]
    horizon = found[0].shape[1] - 1
    calls = np.mean([cell.evaluation.calls for cell in cells]) * np.arange(horizon + 1) / horizon
    coverage, volume, best = np.stack(found, 1)
    return Trace(cells[0].method, calls, coverage, volume, best)


def follow(rows: Sequence[EpisodeRow], items: Floats) -> Floats:
    """Coverage, log-volume and best utility after each step of some episodes of one length, ``[3, H + 1]``."""
    z = np.array([row.z for row in rows])  # [E, H + 1, n]
    utilities = np.array([row.utilities for row in rows])
    cells = nearest(z.reshape(-1, z.shape[-1]), items).reshape(z.shape[:2])
    steps = range(1, z.shape[1] + 1)
    coverage = [len(np.unique(cells[:, :count])) / len(items) for count in steps]
    volume = [log_volume(z[:, :count].reshape(-1, z.shape[-1])) for count in steps]
    best = np.maximum.accumulate(utilities, axis=1).mean(axis=0) - utilities[:, 0].mean()
    return np.array([coverage, volume, best])


def nearest(z: Floats, items: Floats) -> NDArray[np.intp]:
    """Row of the nearest item of each point, ``[M]``."""
    squares = np.square(items).sum(axis=1) - 2 * z @ items.T  # the point's own square is the same for every item
    found: NDArray[np.intp] = squares.argmin(axis=1)
    return found


def log_volume(z: Floats) -> float:
    """Half the log determinant of the covariance of points ``[M, n]``."""
    sign, logarithm = np.linalg.slogdet(np.cov(z.T))
    return float(logarithm) / 2 if sign > 0 else float("-inf")


def write_page(folder: Path) -> str:
    """Write ``REPORT.md``, ``exploration.json`` and ``exploration.png`` of what a run has so far; returns the page."""
    run = read_run(folder)
    traces = {name: traces_of(run, name) for name in run.environments if run.of(name)}
    parts = [NOTE]
    for name, some in traces.items():
        holes = [f"- {title(method)}: {why}" for method, why in run.holes(name).items()]
        parts += [f"## {name}", *(["\n".join(holes)] if holes else []), table(some)]
    parts.append("![Curves](exploration.png)")
    text = "\n\n".join(parts) + "\n"
    (folder / "REPORT.md").write_text(text)
    numbers = {name: {item.method: as_json(item) for item in some} for name, some in traces.items()}
    write_json({"experiment": run.experiment, "size": run.size, "traces": numbers}, folder / "exploration.json")
    draw(traces, folder / "exploration.png")
    return text


def traces_of(run: Run, environment: str) -> list[Trace]:
    """The traces of an environment's policies."""
    cells = run.of(environment)
    (env_id, kwargs), *_ = Cell(**cells[0].header["cell"]).environments()
    with opened(env_id, 1, split="test", **kwargs) as envs:
        items = np.asarray(envs.unwrapped.world.space.items, np.float64)
    return [trace(some, items) for some in by_method(cells).values()]


def as_json(item: Trace) -> dict[str, Any]:
    """A trace as lists; -inf as None."""
    found: dict[str, Floats] = {name: getattr(item, name) for name in ("calls", *MEASURES)}
    return {
        name: np.where(np.isfinite(value), value.astype(object), None).tolist()  # type: ignore[call-overload]
        for name, value in found.items()
    }


def table(traces: Sequence[Trace]) -> str:
    """Every policy after a quarter of the steps, half of them and all."""
    last = len(traces[0].calls) - 1
    body = [
        [
            title(item.method),
            str(step),
            f"{item.calls[step]:,.0f}",
            *(spread(getattr(item, name)[:, step], form) for name, form in zip(MEASURES, FORMS, strict=True)),
        ]
        for step in dict.fromkeys((max(1, last // 4), max(1, last // 2), last))
        for item in traces
    ]
    return aligned(["policy", "steps", "calls", "coverage", "log-volume", "best"], body)


FORMS = (".1%", ".2f", ".2f")


def spread(values: Floats, form: str) -> str:
    """Mean over seeds, lowest and highest."""
    return f"{values.mean():{form}} [{values.min():{form}}, {values.max():{form}}]"


def draw(traces: dict[str, list[Trace]], path: Path) -> None:
    """Each measure against calls, a row for each environment."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 3.8 * len(traces)), layout="constrained")
    rows = figure.subplots(len(traces), len(MEASURES), squeeze=False)
    for (name, some), row in zip(traces.items(), rows, strict=True):
        for axes, (measure, words) in zip(row, MEASURES.items(), strict=True):
            for item in some:
                values = getattr(item, measure)
                axes.plot(item.calls, values.mean(axis=0), color=colour(item.method), label=title(item.method))
                if np.isfinite(values).all():
                    axes.fill_between(item.calls, values.min(axis=0), values.max(axis=0), color=colour(item.method),
                                      alpha=0.2, linewidth=0)  # fmt: skip
            axes.set_xlabel("language-model calls, all users of a seed")
            axes.set_title(f"{name}: {words}", fontsize=10)
            axes.spines[["top", "right"]].set_visible(False)
        row[0].legend(fontsize=8, frameon=False)
    write(figure, path)
