"""The page of a run on exploration: a table, curves and the numbers behind them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments.exploration.traces import Floats, Trace, traces_of
from benchmarks.reporting.document import aligned
from benchmarks.reporting.names import colour, title
from benchmarks.reporting.plots import write
from benchmarks.running.files import write_json
from benchmarks.running.runs import read_run

MEASURES = {"coverage": "share of the catalog's cells", "volume": "log-volume", "best": "best utility less the first"}
FORMS = (".1%", ".2f", ".2f")  # of the measures
NOTE = (
    "Coverage: share of the catalog's items that are nearest to some visited point. Log-volume: half the log "
    "determinant of the covariance of all visited points. Best: highest utility among a user's texts so far, less that "
    "of the first, mean over users, in catalog standard deviations. Each entry is the mean over seeds, each of which "
    "draws its own episodes, with Student's 95 % interval of this mean. Seeds draw on the same test users, so the "
    "intervals hold for these users and say nothing of others. The texts of a seed are counted together, so coverage "
    "grows with the number of users."
)


def write_page(folder: Path) -> str:
    """Write `REPORT.md`, `exploration.json` and `exploration.png` of the cells that are done; returns the page."""
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
    write_json(
        {"experiment": run.experiment, "size": run.size, "traces": numbers}, folder / "exploration.json", compact=True
    )
    draw(traces, folder / "exploration.png")
    return text


def as_json(item: Trace) -> dict[str, Any]:
    """A trace as lists, with None for -inf."""
    found: dict[str, Floats] = {name: getattr(item, name) for name in ("calls", *MEASURES)}
    return {
        name: np.where(np.isfinite(value), value.astype(object), None).tolist()  # type: ignore[call-overload]
        for name, value in found.items()
    }


def table(traces: Sequence[Trace]) -> str:
    """Every policy after a quarter of the steps, after half of them and after all."""
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


def spread(values: Floats, form: str) -> str:
    """The mean over seeds, with its interval if there are several."""
    if len(values) == 1:
        return f"{values.mean():{form}}"
    low, high = interval(values)
    return f"{values.mean():{form}} [{low:{form}}, {high:{form}}]"


def interval(values: Floats) -> tuple[Floats, Floats]:
    """Student's 95 % interval of the mean over seeds, of `[S, ...]`; of a single seed, its value."""
    from scipy.stats import t

    seeds, mean = len(values), values.mean(axis=0)
    half = t.ppf(0.975, seeds - 1) * values.std(axis=0, ddof=1) / np.sqrt(seeds) if seeds > 1 else np.zeros_like(mean)
    return mean - half, mean + half


def draw(traces: dict[str, list[Trace]], path: Path) -> None:
    """Plot each measure against calls, in a row for each environment."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 3.8 * len(traces)), layout="constrained")
    rows = figure.subplots(len(traces), len(MEASURES), squeeze=False)
    for (name, some), row in zip(traces.items(), rows, strict=True):
        for axes, (measure, words) in zip(row, MEASURES.items(), strict=True):
            for item in some:
                values = getattr(item, measure)
                axes.plot(item.calls, values.mean(axis=0), color=colour(item.method), label=title(item.method))
                if np.isfinite(values).all():
                    shade = {"color": colour(item.method), "alpha": 0.2, "linewidth": 0}
                    axes.fill_between(item.calls, *interval(values), **shade)
            axes.set_xlabel("language-model calls, all users of a seed")
            axes.set_title(f"{name}: {words}", fontsize=10)
            axes.spines[["top", "right"]].set_visible(False)
        row[0].legend(fontsize=8, frameon=False)
    write(figure, path)
