"""Coverage and bias of action sets: a table over many pools, and four action sets as a figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.pools import Floats
from eagle_gym import design

Ints = NDArray[np.intp]

GREY, BLUE, ORANGE, RED = "#9a9a9a", "#2166ac", "#b35806", "#b2182b"
SUBSETS = 200  # uniform subsets among which the poor and the typical set are found


@dataclass(frozen=True)
class Panel:
    """A set of rows of a pool.

    Attributes:
        title: what the panel shows.
        how: how the set was chosen.
        pool: ``[K, n]``.
        chosen: rows of the set.
        axes: two orthonormal directions to look along, ``[2, n]``.
        names: what they are.
    """

    title: str
    how: str
    pool: Floats
    chosen: Ints
    axes: Floats
    names: tuple[str, str]


def panels(pools: Sequence[Floats], k: int = 16, seed: int = 0) -> list[Panel]:
    """Four action sets: good and poor coverage of one pool, bias and reduced bias in another.

    The first pool is the least crowded along any axis (see ``design.Coverage``). "Good" is the selection by design,
    "poor" the worst covering of 200 uniform subsets that span; they are seen along the direction that the poor set
    covers worst. The second pool is the one that leans most, as directions: its rows are given unit length, since the
    long ones make the mean, and a design prefers long ones. "Biased" is the one of 200 uniform subsets whose alignment
    with the pool's mean is their median, what a uniform choice of candidates gives; "reduced bias" is the selection by
    design, ``normalise=True``; they are seen along the mean.
    """
    rng = np.random.default_rng(seed)
    k = min(k, *map(len, pools))
    even = min(pools, key=lambda pool: _whole(pool).crowding)
    poor = max(subsets(even, k, rng), key=lambda s: _finite(design.coverage(even, s).C))
    leaning = max((unit_rows(pool) for pool in pools), key=lambda pool: _whole(pool).alignment)
    typical = sorted(subsets(leaning, k, rng), key=lambda s: design.coverage(leaning, s).alignment)[SUBSETS // 2]
    weak = plane(weakest(even, poor), longest(even))
    mean = plane(leaning.mean(axis=0), longest(leaning - leaning.mean(axis=0)))
    names = ("longest direction of the pool, across", "direction that (b) covers worst")
    others = ("longest direction of the pool, across", "direction of the pool's mean")
    return [
        Panel("(a) good coverage", "by design", even, design.select(even, k).indices, weak, names),
        Panel("(b) poor coverage", f"worst of {SUBSETS} random sets", even, poor, weak, names),
        Panel("(c) biased", f"median of {SUBSETS} random sets, unit lengths", leaning, typical, mean, others),
        Panel("(d) reduced bias", "by design, unit lengths", leaning, design.select(leaning, k).indices, mean, others),
    ]


def _whole(pool: Floats) -> design.Coverage:
    """A pool's coverage of itself."""
    return design.coverage(pool, np.arange(len(pool)))


def _finite(value: float) -> float:
    """Sets that do not span cannot be drawn: they come last."""
    return value if np.isfinite(value) else -1.0


def subsets(pool: Floats, k: int, rng: np.random.Generator) -> list[Ints]:
    """Uniform subsets of k rows."""
    return [np.sort(rng.choice(len(pool), k, replace=False)) for _ in range(SUBSETS)]


def unit_rows(pool: Floats) -> Floats:
    """Rows of unit length; zero rows stay zero."""
    lengths = np.linalg.norm(pool, axis=1, keepdims=True)
    return np.asarray(pool / np.where(lengths > 0, lengths, 1.0))


def longest(pool: Floats, which: int = 1) -> Floats:
    """The direction ``[n]`` of the largest singular value of a pool, or of a later one."""
    direction: Floats = np.linalg.svd(pool, full_matrices=False)[2][which - 1]
    return direction


def weakest(pool: Floats, chosen: Ints) -> Floats:
    """The direction ``[n]`` that uniform weights on a set cover worst: M^+ z of the row z with the largest leverage."""
    g, _ = design.leverages(pool, np.bincount(chosen, minlength=len(pool)))
    information = pool[chosen].T @ pool[chosen]
    direction: Floats = np.linalg.pinv(information, hermitian=True) @ pool[int(np.argmax(g))]
    return direction


def plane(up: Floats, across: Floats) -> Floats:
    """Orthonormal axes ``[2, n]``: what is left of ``across`` without ``up``, and ``up``."""
    up = up / np.linalg.norm(up)
    across = across - (across @ up) * up
    return np.stack([across / np.linalg.norm(across), up])


def coverage_lines(pools: Sequence[Floats]) -> list[str]:
    """The table of the four action sets, and of ways to choose over all pools."""
    if not pools:
        return []
    lines = ["## Action sets of EagleGym/Plots-v0", "", "![Four action sets](coverage.png)", ""]
    lines += ["| set | C | energy | alignment | crowding | mean length | the pool's |", "|---|---|---|---|---|---|---|"]
    for panel in panels(pools):
        lines.append(numbers(f"{panel.title}, {panel.how}", [design.coverage(panel.pool, panel.chosen)]))
    return [*lines, *averages(pools)]


def averages(pools: Sequence[Floats], k: int = 16, seed: int = 0) -> list[str]:
    """Rows of the table over all pools, the four panels being extremes: designs, uniform and longest rows."""
    rng = np.random.default_rng(seed)
    k = min(k, *map(len, pools))
    ways: dict[str, Callable[[Floats], Ints]] = {
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


def save_figure(pools: Sequence[Floats], folder: Path) -> None:
    """Draw the four action sets: ``coverage.png``, and ``coverage.pdf`` for print."""
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
    """One panel: the pool as dots, the set as arrows, the ellipse that the set covers as well as an optimal design."""
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
    """The numbers of a set."""
    found = design.coverage(panel.pool, panel.chosen)
    return (
        f"C = {found.C:.2f}    alignment {found.alignment:+.2f}    crowding {found.crowding:.2f}\n"
        f"mean length {found.mean_length:.2f}, of the pool {found.pool_mean_length:.2f}"
    )


def legend(axes: Any) -> tuple[list[Any], list[str]]:  # noqa: ANN401
    """Handles and labels; an arrow has no handle of its own that looks like one."""
    shown = {
        "expected displacement of a candidate edit": {"marker": "o", "linestyle": "", "color": GREY, "markersize": 5},
        "of an edit that is offered": {"color": BLUE, "linewidth": 2},
        "mean of the pool": {"color": RED, "linewidth": 4},
        "leverage r: covered as by an optimal design (shadow of the ellipsoid)": {"color": ORANGE, "linewidth": 1.3},
    }
    return [axes.plot([], [], **style)[0] for style in shown.values()], list(shown)


def arrows(axes: Any, tips: Floats, **style: Any) -> None:  # noqa: ANN401 - matplotlib has no types
    """Arrows from the origin to tips ``[N, 2]``, in the units of the axes."""
    zero = np.zeros(len(tips))
    axes.quiver(zero, zero, *tips.T, angles="xy", scale_units="xy", scale=1, zorder=3, minshaft=1, **style)


def ellipse(pool: Floats, chosen: Ints, axes: Floats) -> Floats | None:
    """The shadow ``[200, 2]`` of the ellipsoid z^T M^+ z = r on two directions, M from uniform weights on the set.

    Rows outside the ellipsoid are those that the set covers worse than an optimal design would. None if the set does
    not span the pool.
    """
    picked = pool[chosen]
    rank = np.linalg.matrix_rank(pool, rtol=1e-8)
    if np.linalg.matrix_rank(picked, rtol=1e-8) < rank:
        return None
    shadow = axes @ (picked.T @ picked / len(chosen)) @ axes.T
    angle = np.linspace(0, 2 * np.pi, 200)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    return np.asarray(np.sqrt(rank) * circle @ np.linalg.cholesky(shadow).T)
