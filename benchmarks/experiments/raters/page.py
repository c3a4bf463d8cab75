"""The page of the experiment: a table, the strengths, and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.experiments.raters.measure import Found
from benchmarks.reporting.document import Block, Heading, Picture, Table, Text, write_markdown
from benchmarks.reporting.names import colour, title
from benchmarks.reporting.people import SIMULATED, shown
from benchmarks.reporting.plots import png

FIGURE = (
    "Simulated raters. Left: Krippendorff's alpha falls as errors grow, with 95 % intervals. Right: strengths that the "
    "study finds, with 95 % intervals, against the mean true quality of a method's texts; a colour for each method."
)
TABLE = (
    "*Errors* are the standard deviation of a rater's error, in standard deviations of the true qualities. *Order* is "
    "Spearman's correlation between strengths and true qualities of the methods. *Caught* are careless raters that the "
    "rule excluded, *wronged* the others that it excluded. *First* is the share of "
    "decided answers for the text shown first."
)


def write_page(folder: Path, found: Sequence[Found]) -> str:
    """Write `REPORT.md` with the figure; returns the page."""
    body = [
        [
            f"{item.noise:g}",
            *(shown(alpha) for alpha in item.alphas),
            f"{item.rank:.2f}",
            f"{item.caught} of {item.caught + missed(item)}",
            f"{item.wronged} of {item.raters - item.caught - missed(item)}",
            shown(item.bias.first) if item.bias else "n/a",
        ]
        for item in found
    ]
    head = ["errors", "alpha, scales", "alpha, pairs", "order", "caught", "wronged", "first"]
    methods = sorted(found[0].truth, key=lambda name: -found[0].truth[name])
    rows = []
    for name in methods:
        own = [next(entry for entry in item.strengths if entry.method == name) for item in found]
        rows.append([title(name), f"{found[0].truth[name]:+.2f}", *(str(entry.strength) for entry in own)])
    blocks: list[Block] = [
        Heading("Simulated raters", 1),
        Text(SIMULATED),
        Table(head, body, TABLE),
        Table(["method", "true quality", *(f"errors {item.noise:g}" for item in found)], rows, "Strengths."),
        Picture("raters", draw(found), FIGURE),
    ]
    return write_markdown(blocks, folder / "REPORT.md")


def missed(item: Found) -> int:
    """Careless raters that were not excluded."""
    from benchmarks.experiments.raters.measure import CARELESS

    return CARELESS - item.caught


def draw(found: Sequence[Found]) -> bytes:
    """The figure as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for place, words, shade in ((0, "scales", "#0b6e69"), (1, "pairs", "#b35806")):
        some = [(item.noise, alpha) for item in found if (alpha := item.alphas[place]) is not None]
        x = [noise for noise, _ in some]
        left.plot(x, [alpha.estimate for _, alpha in some], "o-", color=shade, label=words)
        left.fill_between(x, [a.low for _, a in some], [a.high for _, a in some], color=shade, alpha=0.2, linewidth=0)
    left.set(xscale="log", xlabel="errors (standard deviations of true quality)", ylabel="Krippendorff's alpha")
    left.set_xticks([item.noise for item in found], [f"{item.noise:g}" for item in found])
    left.minorticks_off()
    left.axhline(0, color="#999999", linewidth=0.8)
    marks = "osD^v"
    for place, item in enumerate(found):
        for entry in item.strengths:
            low, high = entry.strength.estimate - entry.strength.low, entry.strength.high - entry.strength.estimate
            right.errorbar(
                item.truth[entry.method] + 0.02 * (place - len(found) / 2),
                entry.strength.estimate,
                yerr=np.array([[low], [high]]),
                fmt=marks[place % len(marks)],
                markersize=4,
                color=colour(entry.method),
                alpha=0.8,
                linewidth=0.8,
                label=f"errors {item.noise:g}" if entry is item.strengths[0] else None,
            )
    right.set(xlabel="mean true quality of the method's texts", ylabel="strength found")
    for axes, corner in ((left, "upper right"), (right, "upper center")):
        axes.legend(fontsize=8, frameon=False, loc=corner)
        axes.spines[["top", "right"]].set_visible(False)
    return png(figure)
