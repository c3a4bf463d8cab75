"""Training curves: mean return of the episodes that EAGLE plays, against environment steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.reporting import plots
from benchmarks.reporting.names import colour, style, title
from benchmarks.reporting.standings import Cells, Methods
from benchmarks.running.runs import rows_of

LEVELS = ("uniform", "user_blind", "optimistic")


def draw(methods: Methods, path: Path) -> bool:
    """Draw the curves, means over seeds, and the gains of policies that do not learn; False if there is no curve."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    drawn = False
    for name, cells in methods.items():
        steps, returns = curve(cells)
        if len(steps):
            axes.plot(steps, returns, color=colour(name), linestyle=style(name), label=title(name))
            drawn = True
    for name in LEVELS:
        if name in methods:
            level = float(np.mean([row.gain for row in rows_of(methods[name])]))
            axes.axhline(level, color=colour(name), linewidth=1, label=title(name))
    axes.set_xlabel("environment steps")
    axes.set_ylabel("return of training episodes")
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
