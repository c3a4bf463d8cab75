"""The page of a run on exploration: a table, verdicts, curves and the numbers behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from baselines import registry
from benchmarks.experiments.exploration.traces import Floats, Trace, traces_of
from benchmarks.reporting.document import aligned
from benchmarks.reporting.names import colour, title
from benchmarks.reporting.plots import write
from benchmarks.reporting.verdicts import Verdict, write_verdicts
from benchmarks.running.files import write_json
from benchmarks.running.runs import read_run
from benchmarks.stats import Interval, Keyed, paired_difference

MEASURES = {
    "coverage": "share of the catalog's cells",
    "volume": "log-volume",
    "best": "best utility less the first",
    "judged": "the same text by judge",
}
HEADS = ("coverage", "log-volume", "best, by reward", "best, by judge")
FORMS = (".1%", ".2f", ".2f", ".2f")  # of the measures
PAIRS = (
    *(("g_optimal", "uniform"), ("optimistic", "uniform"), ("user_blind", "uniform"), ("first", "uniform")),
    *(("no_op", "uniform"), ("optimistic", "user_blind"), ("optimistic", "first")),
)
"""Policies that are compared."""
NOTE = (
    "Coverage: share of the catalog's items that are nearest to some visited point. Log-volume: half the log "
    "determinant of the covariance of all visited points. Best by reward: highest utility among a user's texts so far, "
    "less that of the first, mean over users, in catalog standard deviations. Best by judge: how much more the user "
    "likes this same text than the first, by true taste on Plots and by a second factorisation elsewhere. Coverage and "
    "log-volume count places and have no judge. *Reads* marks what is privileged: what edits are expected to do "
    "(`effects`) or to be worth (`expected`). Each entry is the mean over seeds, each of which draws its own episodes, "
    "with Student's 95 % interval of this mean. Seeds draw on the same test users, so the intervals hold for these "
    "users and say nothing of others. The texts of a seed are counted together, so coverage grows with the number of "
    "users."
)
COMPARED = (
    "Paired differences after all steps, with 95 % intervals: of coverage and log-volume by seed (Student's), of the "
    "best text by episode, over seeds and users. The verdict is on the best text, by reward and by judge."
)


def write_page(folder: Path) -> str:
    """Write the page of the cells that are done, with its picture and numbers; returns the page."""
    run = read_run(folder)
    traces = {name: traces_of(run, name) for name in run.environments if run.of(name)}
    parts = [NOTE]
    for name, some in traces.items():
        holes = [f"- {title(method)}: {why}" for method, why in run.holes(name).items()]
        parts += [f"## {name}", *(["\n".join(holes)] if holes else []), table(some), COMPARED, comparisons(some)]
    parts.append("![Curves](exploration.png)")
    text = "\n\n".join(parts) + "\n"
    (folder / "REPORT.md").write_text(text)
    numbers = {name: {item.method: as_json(item) for item in some} for name, some in traces.items()}
    write_json(
        {"experiment": run.experiment, "size": run.size, "traces": numbers}, folder / "exploration.json", compact=True
    )
    write_verdicts({name: verdicts(some) for name, some in traces.items()}, folder)
    draw(traces, folder / "exploration.png")
    return text


def as_json(item: Trace) -> dict[str, Any]:
    """A trace as lists, with four decimals, and None for what is not finite."""
    found: dict[str, Floats] = {name: getattr(item, name).round(4) for name in ("calls", *MEASURES)}
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
            registry.reads(item.method),
            str(step),
            f"{item.calls[step]:,.0f}",
            *(spread(getattr(item, name)[:, step], form) for name, form in zip(MEASURES, FORMS, strict=True)),
        ]
        for step in dict.fromkeys((max(1, last // 4), max(1, last // 2), last))
        for item in traces
    ]
    return aligned(["policy", "reads", "steps", "calls", *HEADS], body)


def comparisons(traces: Sequence[Trace]) -> str:
    """The paired differences of all measures after the last step, and the verdicts on the best text."""
    known = {item.method: item for item in traces}
    body = []
    for (one, other), claim in zip(present(known), verdicts(traces), strict=True):
        covered = 100 * (known[one].coverage[:, -1] - known[other].coverage[:, -1])
        with np.errstate(invalid="ignore"):  # infinity less infinity
            volume = known[one].volume[:, -1] - known[other].volume[:, -1]
        places = [spread(covered, ".2f"), spread(volume, ".2f")]
        body.append([claim.claim, *places, str(claim.reward), str(claim.judge or "n/a"), claim.words])
    return aligned(["claim", "coverage, points", *HEADS[1:], "verdict on the best text"], body)


def present(known: Mapping[str, Trace]) -> list[tuple[str, str]]:
    """The pairs of policies that are there."""
    return [pair for pair in PAIRS if set(pair) <= set(known)]


def verdicts(traces: Sequence[Trace]) -> list[Verdict]:
    """Whether one policy's best text is better than another's, by reward and by judge."""
    known = {item.method: item for item in traces}

    def apart(one: Keyed, other: Keyed) -> Interval | None:
        return paired_difference(one, other, np.random.default_rng(0)) if one and other else None

    return [
        Verdict(
            f"{title(one)} minus {title(other)}",
            apart(known[one].finds, known[other].finds),
            apart(known[one].opinions, known[other].opinions),
        )
        for one, other in present(known)
    ]


def spread(values: Floats, form: str) -> str:
    """The mean over seeds, with its interval if there are several."""
    if np.isnan(values).any():
        return "n/a"
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

    figure = Figure(figsize=(4.3 * len(MEASURES), 3.8 * len(traces)), layout="constrained")
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
