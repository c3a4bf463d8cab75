"""Training curves: mean return of the episodes that EAGLE plays with train users, sampling, against steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.reporting import plots
from benchmarks.reporting.names import colour, style, title
from benchmarks.reporting.standings import Cells, Methods


def draw(methods: Methods, path: Path) -> bool:
    """Draw the curves, means over seeds; False if there is none."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    drawn = False
    for name, cells in methods.items():
        steps, returns = curve(cells)
        if len(steps):
            axes.plot(steps, returns, color=colour(name), linestyle=style(name), label=title(name))
            drawn = True
    axes.set_xlabel("environment steps")
    axes.set_ylabel("return, train users, sampled")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, fontsize=7, frameon=False)
    if drawn:
        plots.write(figure, path)
    return drawn


def curve(cells: Cells) -> tuple[list[float], list[float]]:
    """Steps, and mean returns over seeds; empty without a curve of returns."""
    found = [[(row["steps"], row["return"]) for row in cell.curve if "return" in row] for cell in cells]
    length = min(map(len, found))
    steps = [float(at) for at, _ in found[0][:length]]
    return steps, [float(np.mean([row[i][1] for row in found])) for i in range(length)]
