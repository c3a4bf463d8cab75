"""Pictures of the report, each as the bytes of a PNG. Nothing is estimated here but pointwise intervals of profiles."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.evaluate import EpisodeRow
from benchmarks.latent_map import LatentMap
from benchmarks.reporting.names import colour, is_partial, style, title
from benchmarks.reporting.runs import Done
from benchmarks.reporting.scores import Standing, rows_of, win_rate
from benchmarks.stats import performance_profile

Floats = NDArray[np.float64]

INK, FAINT = "#222222", "#999999"
WIDTH = 5.4  # inches: small, so that letters are still read on a phone
DPI = 130
THRESHOLDS = 41
WRITTEN = 12  # methods among which probabilities of improvement are written as numbers


def png(figure: Any) -> bytes:  # noqa: ANN401 - matplotlib has no types
    """A figure as bytes; equal figures have equal ones."""
    memory = io.BytesIO()
    figure.savefig(memory, dpi=DPI, facecolor="white", metadata={"Software": None})
    return memory.getvalue()


def make(height: float, named: int = 0) -> tuple[Any, Any]:
    """A figure of one panel, with room for a legend of so many names below it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height + 0.16 * ((named + 1) // 2)), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def legend(figure: Any, axes: Any) -> None:  # noqa: ANN401
    """A legend below the panel."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8, frameon=False)


def bars(standings: Sequence[Standing]) -> bytes:
    """Mean gain of every method with its interval, the best on top."""
    figure, axes = make(0.9 + 0.26 * len(standings))
    for place, item in enumerate(reversed(standings)):
        found, shade = item.gain, colour(item.method)
        axes.plot([found.low, found.high], [place, place], color=shade, linewidth=3, solid_capstyle="round")
        axes.plot([found.estimate], [place], "o", color=shade, markersize=6)
    axes.set_yticks(range(len(standings)), [title(item.method) for item in reversed(standings)], fontsize=8)
    axes.set_ylim(-0.6, len(standings) - 0.4)
    axes.axvline(0, color=FAINT, linewidth=0.8)
    axes.grid(axis="x", color="#eeeeee")
    axes.set_axisbelow(True)
    axes.set_xlabel("gain in utility, 95 % interval")
    return png(figure)


def curves(methods: Mapping[str, Sequence[Done]], standings: Sequence[Standing], across: str) -> bytes:
    """Return of training episodes against environment steps or language-model calls, and what does not learn."""
    whole = {name: cells for name, cells in methods.items() if not is_partial(name)}
    learnt = {name: found for name, cells in whole.items() if (found := growth(cells)) is not None}
    still = [item for item in standings if item.method in ("uniform", "optimistic", "g_optimal", "beam")]
    figure, axes = make(3.6, len(learnt) + len(still))
    for name, found in learnt.items():
        steps, calls, returns = found
        x = steps if across == "steps" else calls
        axes.plot(x, returns.mean(axis=0), color=colour(name), linestyle=style(name), label=title(name), linewidth=1.6)
        axes.fill_between(x, returns.min(axis=0), returns.max(axis=0), color=colour(name), alpha=0.12, linewidth=0)
    for item in still:
        axes.axhline(item.gain.estimate, color=colour(item.method), linestyle=":", linewidth=1.1,
                     label=f"{title(item.method)}, test users")  # fmt: skip
    axes.set_xlim(left=0)
    axes.set_xlabel({"steps": "environment steps of training", "calls": "language-model calls of training"}[across])
    axes.set_ylabel("gain in utility")
    legend(figure, axes)
    return png(figure)


def growth(cells: Sequence[Done]) -> tuple[Floats, Floats, Floats] | None:
    """Steps [P], language-model calls [P] and returns [seeds, P] of a method's training; None where it has no curve.

    Calls are spread evenly over the steps of a run, as they are: each step is one generation, repeated ones aside.
    """
    runs = [(cell, {row["steps"]: row["return"] for row in cell.curve if "return" in row}) for cell in cells]
    runs = [(cell, rows) for cell, rows in runs if rows and cell.training]
    if not runs:
        return None
    steps = sorted(set.intersection(*({*rows} for _, rows in runs)))
    if not steps:
        return None
    rates = [cell.training.calls / max(rows) for cell, rows in runs if cell.training]
    taken = np.array(steps, dtype=np.float64)
    return taken, taken * float(np.mean(rates)), np.array([[rows[step] for step in steps] for _, rows in runs])


def profiles(methods: Mapping[str, Sequence[Done]], order: Sequence[str], seed: int = 0) -> bytes:
    """Share of the episodes that gain more than each threshold."""
    rng = np.random.default_rng(seed)
    gains = np.array([row.gain for name in order for row in rows_of(methods[name])])
    thresholds = np.linspace(np.quantile(gains, 0.005), np.quantile(gains, 0.995), THRESHOLDS)
    figure, axes = make(3.6, len(order))
    for name in order:
        rows = rows_of(methods[name])
        found = performance_profile(
            [row.gain for row in rows], thresholds, [row.seed for row in rows], [row.user for row in rows], rng,
            replicates=500,
        )  # fmt: skip
        axes.plot(thresholds, [item.estimate for item in found], color=colour(name), linestyle=style(name),
                  label=title(name), linewidth=1.6)  # fmt: skip
        axes.fill_between(thresholds, [item.low for item in found], [item.high for item in found],
                          color=colour(name), alpha=0.1, linewidth=0)  # fmt: skip
    axes.set_xlabel("gain in utility, τ")
    axes.set_ylabel("share of episodes that gain more than τ")
    axes.set_ylim(0, 1.02)
    axes.grid(color="#eeeeee")
    legend(figure, axes)
    return png(figure)


def improvement(methods: Mapping[str, Sequence[Done]], order: Sequence[str]) -> bytes:
    """Probability that the row's method gains more than the column's on an episode that both have met."""
    table = np.full((len(order), len(order)), np.nan)
    for i, one in enumerate(order):
        for j, other in enumerate(order):
            found = win_rate(methods[one], methods[other]) if i < j else None
            if found is not None:
                table[i, j], table[j, i] = found, 1 - found
    figure, axes = make(1.0 + 0.27 * max(len(order), 6))
    shades = axes.imshow(np.ma.masked_invalid(table), cmap="RdBu", vmin=0, vmax=1, aspect="auto")
    if len(order) <= WRITTEN:
        for (i, j), value in np.ndenumerate(table):
            if np.isfinite(value):
                ink = "white" if abs(value - 0.5) > 0.3 else INK
                axes.text(j, i, f"{100 * value:.0f}", ha="center", va="center", fontsize=8, color=ink)
    else:
        figure.colorbar(shades, ax=axes, fraction=0.04, pad=0.02).ax.tick_params(labelsize=7)
    places = range(len(order))
    axes.set_xticks(places, [str(place + 1) for place in places], fontsize=6)
    axes.set_yticks(places, [f"{title(name)}  {place + 1}" for place, name in enumerate(order)], fontsize=8)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return png(figure)


def judged(standings: Sequence[Standing], points: Mapping[str, tuple[Floats, Floats]]) -> bytes:
    """Reward against judge: the affinity that is rewarded across, what the judges confirm up."""
    figure, axes = make(4.2, len(points))
    for item in standings:
        x, y = points.get(item.method, (np.zeros(0), np.zeros(0)))
        if not len(x):
            continue
        shade = colour(item.method)
        axes.scatter(x, y, s=4, color=shade, alpha=0.18, linewidths=0)
        axes.plot(x.mean(), y.mean(), "o", color=shade, markersize=9, markeredgecolor="white", label=title(item.method),
                  zorder=3)  # fmt: skip
    axes.axline((0, 0), slope=1, color=FAINT, linewidth=0.9, linestyle=":")
    axes.axhline(0, color=FAINT, linewidth=0.6)
    axes.axvline(0, color=FAINT, linewidth=0.6)
    axes.set_xlabel("affinity gained, as rewarded")
    axes.set_ylabel("gained for the user, as judged")
    legend(figure, axes)
    return png(figure)


def latent(drawn: LatentMap, rows: Mapping[str, EpisodeRow]) -> bytes:
    """The map: utility in the background, the catalog as faint points, one path for each method."""
    figure, axes = make(4.6, len(rows) + 2)
    shades = axes.contourf(drawn.x, drawn.y, drawn.utility, levels=14, cmap="YlGnBu", alpha=0.55)
    bar = figure.colorbar(shades, ax=axes, fraction=0.04, pad=0.02)
    bar.set_label("utility for this user", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    axes.scatter(*np.asarray(drawn.catalog).T, s=5, color="#555555", alpha=0.35, linewidths=0, label="the catalog")
    for name, row in rows.items():
        path = drawn.project(row.z)
        axes.plot(*path.T, color=colour(name), linestyle=style(name), linewidth=1.8, marker=".", markersize=5,
                  label=title(name))  # fmt: skip
        axes.plot(*path[-1], marker="*", color=colour(name), markersize=11, markeredgecolor="white", zorder=4)
    start = drawn.project(next(iter(rows.values())).z[0])
    axes.plot(*start, "o", color="white", markeredgecolor=INK, markersize=9, zorder=5, label="start")
    axes.set_xlabel("along the user's taste (affinity, as rewarded)")
    axes.set_ylabel("the way in which the episodes move most, across it")
    legend(figure, axes)
    return png(figure)
