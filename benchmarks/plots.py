"""Pictures of results. Nothing is estimated here."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines.evaluate import EpisodeRow
from benchmarks.report import Curve, Summary
from benchmarks.reporting.names import colour as colour_of
from benchmarks.reporting.names import title as title_of

if TYPE_CHECKING:
    from benchmarks.judges import Judgement

INK, FAINT = "#222222", "#888888"
ACCENT = "#2166ac"
WIDTH = 105  # characters of a line of text in the picture of an episode


def save_gains(panels: Sequence[tuple[str, Sequence[Summary]]], path: Path) -> None:
    """Mean gain of every method with its interval, one panel for each environment."""
    from matplotlib.figure import Figure

    rows = max(len(summaries) for _, summaries in panels)
    figure = Figure(figsize=(6 * len(panels), 1.3 + 0.5 * rows), layout="constrained")
    for axes, (title, summaries) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        draw_gains(axes, title, summaries)
    write(figure, path)


def draw_gains(axes: Any, title: str, summaries: Sequence[Summary]) -> None:  # noqa: ANN401 - matplotlib has no types
    """One panel: a dot and a line for each method, the best on top."""
    for place, item in enumerate(reversed(summaries)):
        colour = colour_of(item.agent)
        axes.plot([item.gain.low, item.gain.high], [place, place], color=colour, linewidth=3, solid_capstyle="round")
        axes.plot([item.gain.estimate], [place], "o", color=colour, markersize=8)
        axes.annotate(f"{item.gain.estimate:.2f}", (item.gain.estimate, place), (0, 8), textcoords="offset points",
                      ha="center", fontsize=9, color=colour)  # fmt: skip
    axes.set_yticks(range(len(summaries)), [title_of(item.agent) for item in reversed(summaries)])
    axes.set_ylim(-0.6, len(summaries) - 0.3)
    axes.axvline(0, color=FAINT, linewidth=0.8)
    axes.set_xlabel("mean gain in utility (catalog standard deviations)\nand its 95 % interval")
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)


def save_curves(panels: Sequence[tuple[str, Sequence[Curve], Sequence[Summary]]], path: Path) -> None:
    """Return of training episodes against environment steps and against language-model calls; a row an environment."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.8 * len(panels)), layout="constrained")
    rows = figure.subplots(len(panels), 2, squeeze=False, sharey="row")
    for (title, curves, summaries), row in zip(panels, rows, strict=True):
        for axes, name, words in zip(
            row, ("steps", "calls"), ("environment steps", "language-model calls"), strict=True
        ):
            draw_curves(axes, curves, name)
            draw_levels(axes, [item for item in summaries if item.training_calls == 0])
            axes.set_xlabel(words)
            axes.set_title(title, fontsize=10)
        row[0].set_ylabel("gain in utility")
        row[0].legend(fontsize=8, frameon=False)
    write(figure, path)


def draw_curves(axes: Any, curves: Sequence[Curve], name: str) -> None:  # noqa: ANN401
    """Means over seeds, with a band from the worst to the best."""
    for curve in curves:
        colour = colour_of(curve.agent)
        across = getattr(curve, name)
        axes.plot(across, curve.mean, color=colour, label=f"{title_of(curve.agent)}, training episodes")
        axes.fill_between(across, curve.low, curve.high, color=colour, alpha=0.2, linewidth=0)
    axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)


def draw_levels(axes: Any, summaries: Sequence[Summary]) -> None:  # noqa: ANN401
    """Gains of policies that do not learn."""
    for item in summaries:
        name = title_of(item.agent)
        axes.axhline(item.gain.estimate, color=colour_of(item.agent), linestyle="--", linewidth=0.9,
                     label=f"{name}, test users")  # fmt: skip


def save_judges(panels: Sequence[tuple[str, Sequence[Judgement]]], opinions: Mapping[str, str], path: Path) -> None:
    """Reward against judge: the affinity that each episode gained, and what every judge says of it."""
    from matplotlib.figure import Figure

    known = [
        (f"{title}: {words}", rows, name)
        for title, rows in panels
        for name, words in opinions.items()
        if any(isfinite(getattr(row, name)) for row in rows)
    ]
    columns = max(len(known), 1)
    methods = {row.method for _, rows, _ in known for row in rows}
    figure = Figure(figsize=(5.2 * columns, 4.4 + 0.22 * (len(methods) / (2 * columns) + 1)), layout="constrained")
    named: dict[str, Any] = {}
    for axes, (title, rows, name) in zip(figure.subplots(1, columns, squeeze=False)[0], known, strict=False):
        draw_judge(axes, title, rows, name)
        handles, labels = axes.get_legend_handles_labels()
        named |= dict(zip(labels, handles, strict=True))
    lines = list(named.values())
    figure.legend(lines, list(named), loc="outside lower center", ncols=2 * columns, fontsize=8, frameon=False)
    write(figure, path)


def draw_judge(axes: Any, title: str, rows: Sequence[Judgement], name: str) -> None:  # noqa: ANN401
    """One panel: a faint dot for each episode, a large one for each method's mean, the line of full agreement."""
    methods = list(dict.fromkeys(row.method for row in rows))
    for method in methods:
        some = [row for row in rows if row.method == method and isfinite(getattr(row, name))]
        if not some:
            continue
        colour = colour_of(method)
        x, y = [row.affinity for row in some], [getattr(row, name) for row in some]
        axes.scatter(x, y, s=6, color=colour, alpha=0.25, linewidths=0)
        axes.plot(sum(x) / len(x), sum(y) / len(y), "o", color=colour, markersize=11, markeredgecolor="white",
                  label=title_of(method))  # fmt: skip
    axes.axline((0, 0), slope=1, color=FAINT, linewidth=0.8, linestyle=":")
    axes.axhline(0, color=FAINT, linewidth=0.6)
    axes.axvline(0, color=FAINT, linewidth=0.6)
    axes.set_xlabel("affinity gained, as rewarded")
    axes.set_ylabel("gained, as judged")
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)


def save_episode(row: EpisodeRow, path: Path, *, note: str = "") -> None:
    """One episode as a readable page: its texts from top to bottom, the edits between them, utility at the side."""
    from matplotlib.figure import Figure

    texts = [textwrap.wrap(text, WIDTH) for text in row.texts]
    edits = [textwrap.wrap(prompt, WIDTH - 4) for prompt in row.edits]
    tops, total = layout([len(lines) for lines in texts], [len(lines) for lines in edits])
    figure = Figure(figsize=(11.5, 0.21 * total + 1.1), layout="constrained")
    page, side = figure.subplots(1, 2, width_ratios=(3.4, 1))
    draw_page(page, texts, edits, tops)
    centres = [top + (len(lines) - 1) / 2 for top, lines in zip(tops, texts, strict=True)]
    draw_utility(side, row.utilities, centres)
    for axes in (page, side):
        axes.set_ylim(total, -1)
    figure.suptitle(
        f"{title_of(row.method)}: user {row.user}, from {row.item}, gain {row.gain:+.2f}{note}",
        fontsize=10,
    )
    write(figure, path)


def layout(text_lines: Sequence[int], edit_lines: Sequence[int]) -> tuple[list[float], float]:
    """The line at which each text begins, and the number of lines in all."""
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
            words = f"→ {line}" if i == 0 else f"   {line}"
            place = top + len(lines) + 0.2 + i
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


def write(figure: Any, path: Path) -> None:  # noqa: ANN401
    """Save a figure as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, facecolor="white")
