"""The curves of a run: what a table's first column does to one of its others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.experiments.throughput.bench import TableRow
from benchmarks.reporting import plots

ENVS, ACTIONS, POOL, CATALOG = "environments", "actions K", "pool", "items"
STEPS = "steps per second"
OUTSIDE = "ms per step outside generation"
UTILITY_TIME = "ms per step in the utility"
MEMORY = "peak memory of a process, MiB"
PANELS = {  # by the first column of a table, the columns that are plotted against it
    ENVS: (STEPS, MEMORY),
    ACTIONS: (OUTSIDE, MEMORY),
    POOL: (OUTSIDE, MEMORY),
    CATALOG: (UTILITY_TIME, MEMORY),
}


def save_figure(tables: Mapping[str, Sequence[TableRow]], path: Path) -> None:
    """Plot one panel for each curve whose table is there."""
    from matplotlib.figure import Figure

    panels = [
        (rows, key)
        for rows in tables.values()
        for key in PANELS.get(next(iter(rows[0])), ())
        if any(row[key] for row in rows)  # memory may be unknown
    ]
    columns, rows_of_panels = min(3, max(1, len(panels))), max(1, -(-len(panels) // 3))
    figure = Figure(figsize=(4.2 * columns, 3.1 * rows_of_panels), layout="constrained")
    places = figure.subplots(rows_of_panels, columns, squeeze=False).flat
    for (rows, key), axes in zip(panels, places, strict=False):  # panels come first, so that no place is skipped
        draw(axes, rows, key)
    for axes in places:  # the places left over
        axes.set_axis_off()
    plots.write(figure, path)


def draw(axes: Any, rows: Sequence[TableRow], key: str) -> None:  # noqa: ANN401 - matplotlib has no types
    """One curve on logarithmic axes; memory, most of which is constant, on a linear axis from 0."""
    from matplotlib.ticker import LogLocator

    name = next(iter(rows[0]))
    points = [(row[name], row[key]) for row in rows if (row[key] or 0) > 0]
    axes.plot(*zip(*points, strict=True), "o-", color=plots.ACCENT)
    axes.set_xscale("log")
    axes.set_yscale("linear" if key == MEMORY else "log")
    axes.xaxis.minorticks_off()
    axes.set_xticks([x for x, _ in points], [f"{x:,}" for x, _ in points], fontsize=8)
    axes.yaxis.set_major_formatter("{x:,g}")
    heights = [y for _, y in points]
    if key == MEMORY:
        axes.set_ylim(0, 1.1 * max(heights))
    elif max(heights) < 10 * min(heights):
        axes.yaxis.set_minor_formatter("{x:,g}")
    else:  # over decades the labels of all minor ticks would overlap
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.minorticks_off()
    axes.set_xlabel(name, fontsize=9)
    axes.set_title(key, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
