"""Plots, each as the bytes of a PNG. Nothing is estimated here except the pointwise intervals of profiles."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.evaluate import EpisodeRow
from benchmarks.reporting.names import colour, is_partial, style, title
from benchmarks.reporting.standings import Cells, Methods, Standing, columns, win_rate
from benchmarks.running.records import LatentMap
from benchmarks.running.runs import rows_of
from benchmarks.stats import performance_profile

Floats = NDArray[np.float64]

INK, FAINT, ACCENT = "#222222", "#999999", "#2166ac"
WIDTH = 5.4  # inches; small, so that the labels stay legible on a phone
DPI = 130
COLOURS = 128
THRESHOLDS = 41
WRITTEN = 12  # largest number of methods for which probabilities of improvement are written as numbers
LINE = 105  # characters of a line of text in the plot of an episode


def png(figure: Any) -> bytes:  # noqa: ANN401 - matplotlib has no types
    """A figure as bytes, with few colours, which makes it small; equal figures give equal bytes."""
    from PIL import Image

    memory, small = io.BytesIO(), io.BytesIO()
    figure.savefig(memory, dpi=DPI, facecolor="white", metadata={"Software": None})
    Image.open(memory).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


def write(figure: Any, path: Path) -> None:  # noqa: ANN401
    """Write a figure as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(figure))


def make(height: float, named: int = 0) -> tuple[Any, Any]:
    """A figure with one panel, and room below it for a legend of that many names."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height + 0.16 * ((named + 1) // 2)), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def legend(figure: Any, axes: Any) -> None:  # noqa: ANN401
    """A legend below the panel."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8, frameon=False)


def bars(standings: Sequence[Standing]) -> bytes:
    """Mean gain of every method with its interval, the largest on top."""
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


def curves(methods: Methods, standings: Sequence[Standing], across: str) -> bytes:
    """Return of training episodes against environment steps or language-model calls; fixed policies as lines."""
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


def growth(cells: Cells) -> tuple[Floats, Floats, Floats] | None:
    """Steps [P], language-model calls [P] and returns [seeds, P] of a method's training; None without a curve.

    Calls are spread evenly over the steps of a run: apart from repeats, each step is one generation.
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


def profiles(methods: Methods, order: Sequence[str], seed: int = 0) -> bytes:
    """Share of the episodes with a gain above each threshold."""
    rng = np.random.default_rng(seed)
    gains = {name: columns(rows_of(methods[name]), lambda row: row.gain) for name in order}
    pooled = np.concatenate([found[0] for found in gains.values()])
    thresholds = np.linspace(np.quantile(pooled, 0.005), np.quantile(pooled, 0.995), THRESHOLDS)
    figure, axes = make(3.6, len(order))
    for name, (values, seeds, users) in gains.items():
        found = performance_profile(values, thresholds, seeds, users, rng, replicates=500)
        middle, low, high = np.array([(item.estimate, item.low, item.high) for item in found]).T
        axes.plot(thresholds, middle, color=colour(name), linestyle=style(name), label=title(name), linewidth=1.6)
        axes.fill_between(thresholds, low, high, color=colour(name), alpha=0.1, linewidth=0)
    axes.set_xlabel("gain in utility, τ")
    axes.set_ylabel("share of episodes with a gain above τ")
    axes.set_ylim(0, 1.02)
    axes.grid(color="#eeeeee")
    legend(figure, axes)
    return png(figure)


def improvement(methods: Methods, order: Sequence[str]) -> bytes:
    """Probability that the row's method gains more than the column's on an episode that both share."""
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


def judged(points: Mapping[str, tuple[Floats, Floats]], judge: str) -> bytes:
    """Rewarded against judged gain: a faint dot for each episode, a large one for each method's mean."""
    figure, axes = make(4.2, len(points))
    for name, (x, y) in points.items():
        shade = colour(name)
        axes.scatter(x, y, s=4, color=shade, alpha=0.18, linewidths=0)
        axes.plot(x.mean(), y.mean(), "o", color=shade, markersize=9, markeredgecolor="white", label=title(name),
                  zorder=3)  # fmt: skip
    axes.axline((0, 0), slope=1, color=FAINT, linewidth=0.9, linestyle=":")
    axes.axhline(0, color=FAINT, linewidth=0.6)
    axes.axvline(0, color=FAINT, linewidth=0.6)
    axes.set_xlabel("rewarded gain in affinity")
    axes.set_ylabel(f"gain by {judge}")
    legend(figure, axes)
    return png(figure)


def latent(drawn: LatentMap, rows: Mapping[str, EpisodeRow]) -> bytes:
    """The latent map: utility in the background, the catalog as faint points, one path for each method."""
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
    axes.set_xlabel("along the user's taste (predicted rating)")
    axes.set_ylabel("main orthogonal direction of movement")
    legend(figure, axes)
    return png(figure)


def episode(row: EpisodeRow, note: str = "") -> bytes:
    """One episode as a page: its texts from top to bottom, the edits between them, the utility to the right."""
    from matplotlib.figure import Figure

    texts = [textwrap.wrap(text, LINE) for text in row.texts]
    edits = [textwrap.wrap(edit, LINE - 4) for edit in row.edits]
    tops, lines = layout([len(lines) for lines in texts], [len(lines) for lines in edits])
    figure = Figure(figsize=(11.5, 0.21 * lines + 1.1), layout="constrained")
    page, side = figure.subplots(1, 2, width_ratios=(3.4, 1))
    draw_page(page, texts, edits, tops)
    draw_utility(side, row.utilities, [top + (len(text) - 1) / 2 for top, text in zip(tops, texts, strict=True)])
    for axes in (page, side):
        axes.set_ylim(lines, -1)
    figure.suptitle(f"{title(row.method)}: user {row.user}, from {row.item}, gain {row.gain:+.2f}{note}", fontsize=10)
    return png(figure)


def layout(text_lines: Sequence[int], edit_lines: Sequence[int]) -> tuple[list[float], float]:
    """The line at which each text begins, and the total number of lines."""
    tops, line = [], 0.0
    for count, edit in zip(text_lines, [*edit_lines, 0], strict=True):
        tops.append(line)
        line += count + edit + 1.4
    return tops, line


def draw_page(axes: Any, texts: Sequence[list[str]], edits: Sequence[list[str]], tops: Sequence[float]) -> None:  # noqa: ANN401
    """Texts in ink, edits in colour."""
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    for step, (lines, top) in enumerate(zip(texts, tops, strict=True)):
        axes.text(0, top, str(step), fontsize=10, fontweight="bold", color=FAINT, va="center", parse_math=False)
        for i, line in enumerate(lines):
            axes.text(0.035, top + i, line, fontsize=9.5, color=INK, va="center", parse_math=False)
        for i, line in enumerate(edits[step] if step < len(edits) else []):
            words, place = f"{'→' if i == 0 else ' '} {line}", top + len(lines) + 0.2 + i
            axes.text(0.06, place, words, fontsize=9.5, color=ACCENT, va="center", style="italic", parse_math=False)


def draw_utility(axes: Any, utilities: Sequence[float], heights: Sequence[float]) -> None:  # noqa: ANN401
    """Utility of each text, level with it."""
    axes.plot(utilities, heights, "o-", color=ACCENT)
    for value, height in zip(utilities, heights, strict=True):
        axes.annotate(f"{value:+.2f}", (value, height), (6, 3), textcoords="offset points", fontsize=8, color=INK)
    axes.set_yticks([])
    axes.set_xlabel("utility", fontsize=9)
    axes.margins(x=0.2)
    axes.spines[["top", "right", "left"]].set_visible(False)
