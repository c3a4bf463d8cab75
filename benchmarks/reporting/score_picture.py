"""The picture at the top of a report: normalised scores of methods by reward and by judge, a panel an environment."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.reporting.names import colour, title
from benchmarks.reporting.plots import FAINT, INK, png
from benchmarks.stats import Interval

Scores = Mapping[str, Mapping[str, Interval]]
"""Intervals by environment, then by method."""
COLUMNS = 3  # panels side by side
WIDEST = (-1.0, 2.0)  # what is drawn of intervals that are wider
FILLS = (None, "white")  # fill of the markers of each series; None is the method's colour
MARKERS = "oD"
WIDTHS = (2.2, 1.0)
APART = 0.3  # distance of two series, in rows


def draw(series: Mapping[str, Scores], marked: Collection[str] = ()) -> bytes:
    """Draw scores, the method with the highest ones on top.

    Args:
        series: Scores by how they are judged, such as `"by reward"`; at most two series with the same environments.
        marked: Methods whose names get a dagger.

    Returns:
        The content of a PNG.
    """
    from matplotlib.figure import Figure

    order = ranked(next(iter(series.values())))
    places = list(next(iter(series.values())))
    columns = min(COLUMNS, len(places))
    rows = -(-len(places) // columns)
    height = 0.8 + rows * (0.6 + 0.25 * len(order))
    figure = Figure(figsize=(2.9 + 2.4 * max(columns, 1.6), height), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, place in zip(panels, places, strict=False):
        lay_out(axes, place, order, marked)
        for i, found in enumerate(series.values()):
            draw_series(axes, found[place], order, i, APART * (0.5 * (len(series) - 1) - i))
    for axes in panels[len(places) :]:
        axes.set_visible(False)
    panels[0].set_xlim(limits(series))
    marks = [
        panels[0].plot([], [], MARKERS[i], color=INK, markerfacecolor=FILLS[i] or INK, linestyle="", label=words)[0]
        for i, words in enumerate(series)
    ]
    figure.supxlabel("normalised score: uniform 0, beam search 1", fontsize=9)
    figure.legend(handles=marks, loc="outside upper right", ncols=2, fontsize=9, frameon=False)
    return png(figure)


def ranked(scores: Scores) -> list[str]:
    """The methods, that with the highest mean over environments last."""
    names = {name for found in scores.values() for name in found}
    means = {name: np.mean([found[name].estimate for found in scores.values() if name in found]) for name in names}
    return sorted(names, key=lambda name: (means[name], name))


def limits(series: Mapping[str, Scores]) -> tuple[float, float]:
    """The ends of the horizontal axis: those of all intervals, but no more than `WIDEST`."""
    found = [item for scores in series.values() for some in scores.values() for item in some.values()]
    low, high = min(item.low for item in found), max(item.high for item in found)
    return max(low, WIDEST[0]) - 0.08, min(high, WIDEST[1]) + 0.08


def lay_out(axes: Any, place: str, order: Sequence[str], marked: Collection[str]) -> None:  # noqa: ANN401
    """The title, the names of the methods and the grid of a panel."""
    names = [f"{title(name)} †" if name in marked else title(name) for name in order]
    axes.set_yticks(range(len(order)), names, fontsize=9)
    axes.set_ylim(-0.6, len(order) - 0.4)
    for end in (0, 1):
        axes.axvline(end, color=FAINT, linewidth=0.8, linestyle=":")
    axes.set_title(place.replace("-", ", "), fontsize=10)
    axes.tick_params(axis="x", labelsize=8, labelbottom=True)
    axes.grid(color="#eeeeee")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def draw_series(axes: Any, scores: Mapping[str, Interval], order: Sequence[str], number: int, shift: float) -> None:  # noqa: ANN401
    """The scores of one series in a panel; those outside it are drawn as arrows at its edge."""
    for place, name in enumerate(order):
        if name in scores:
            item, height, shade = scores[name], place + shift, colour(name)
            low, at, high = np.clip([item.low, item.estimate, item.high], WIDEST[0] - 1, WIDEST[1] + 1)
            axes.plot([low, high], [height, height], color=shade, linewidth=WIDTHS[number])
            inside = np.clip(at, *WIDEST)
            marker = MARKERS[number] if inside == at else "<" if at < inside else ">"
            axes.plot([inside], [height], marker, color=shade, markerfacecolor=FILLS[number] or shade, markersize=5)
