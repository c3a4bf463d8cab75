"""Four action sets of EagleGym/Plots-v0 as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments.design.coverage import Ints, Panel, panels
from benchmarks.experiments.design.pools import Floats
from eagle_gym import design

GREY, BLUE, ORANGE, RED = "#9a9a9a", "#2166ac", "#b35806", "#b2182b"


def save_figure(pools: Sequence[Floats], folder: Path) -> None:
    """Draw the four action sets: `coverage.png`, and `coverage.pdf` for print."""
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(10, 11.2), layout="constrained")
    four = panels(pools)
    for axes, panel in zip(figure.subplots(2, 2).ravel(), four, strict=True):
        draw(axes, panel)
    figure.legend(*legend(figure.axes[0]), loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(
        f"Action sets of EagleGym/Plots-v0: {len(four[0].chosen)} of {len(four[0].pool)} edits", fontsize=13
    )
    figure.savefig(folder / "coverage.png", dpi=150)
    figure.savefig(folder / "coverage.pdf", metadata={"CreationDate": None})


def draw(axes: Any, panel: Panel) -> None:  # noqa: ANN401 - matplotlib has no types
    """Draw a panel: the pool as dots, the set as arrows, its ellipse (see `ellipse`)."""
    flat = panel.pool @ panel.axes.T
    axes.axhline(0, color="#dddddd", linewidth=0.8, zorder=0)
    axes.axvline(0, color="#dddddd", linewidth=0.8, zorder=0)
    axes.scatter(*flat.T, s=18, color=GREY, zorder=2, linewidths=0)
    arrows(axes, flat[panel.chosen], color=BLUE, width=0.006)
    arrows(axes, flat.mean(axis=0)[None], color=RED, width=0.01)
    outline = ellipse(panel.pool, panel.chosen, panel.axes)
    if outline is not None:
        axes.plot(*outline.T, color=ORANGE, linewidth=1.3)
    reach = 1.12 * np.abs(flat).max()
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.set_xlabel(panel.names[0])
    axes.set_ylabel(panel.names[1])
    axes.set_title(f"$\\bf{{{panel.title.replace(' ', '~')}}}$: {panel.how}\n{caption(panel)}", fontsize=10)


def caption(panel: Panel) -> str:
    """The numbers below the title of a panel."""
    found = design.coverage(panel.pool, panel.chosen)
    return (
        f"C = {found.C:.2f}    alignment {found.alignment:+.2f}    crowding {found.crowding:.2f}\n"
        f"mean length {found.mean_length:.2f}, of the pool {found.pool_mean_length:.2f}"
    )


def legend(axes: Any) -> tuple[list[Any], list[str]]:  # noqa: ANN401
    """Handles and labels; arrows are shown as lines, since matplotlib has no legend handle for them."""
    shown = {
        "expected displacement of a candidate edit": {"marker": "o", "linestyle": "", "color": GREY, "markersize": 5},
        "of an edit that is offered": {"color": BLUE, "linewidth": 2},
        "mean of the pool": {"color": RED, "linewidth": 4},
        "leverage r, the bound of an optimal design (projection of the ellipsoid)": {"color": ORANGE, "linewidth": 1.3},
    }
    return [axes.plot([], [], **style)[0] for style in shown.values()], list(shown)


def arrows(axes: Any, tips: Floats, **style: Any) -> None:  # noqa: ANN401 - matplotlib has no types
    """Draw arrows from the origin to tips `[N, 2]`, in the units of the axes."""
    zero = np.zeros(len(tips))
    axes.quiver(zero, zero, *tips.T, angles="xy", scale_units="xy", scale=1, zorder=3, minshaft=1, **style)


def ellipse(pool: Floats, chosen: Ints, axes: Floats) -> Floats | None:
    """The projection `[200, 2]` of the ellipsoid `z^T M^+ z = r` onto two directions.

    `M` is the information matrix of uniform weights on the set. The set covers rows outside the ellipsoid worse than an
    optimal design would.

    Returns:
        Points of the outline; None if the set does not span the pool.
    """
    picked = pool[chosen]
    rank = np.linalg.matrix_rank(pool, rtol=1e-8)
    if np.linalg.matrix_rank(picked, rtol=1e-8) < rank:
        return None
    shadow = axes @ (picked.T @ picked / len(chosen)) @ axes.T
    angle = np.linspace(0, 2 * np.pi, 200)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    return np.asarray(np.sqrt(rank) * circle @ np.linalg.cholesky(shadow).T)
