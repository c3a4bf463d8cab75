"""What the experiment on speed has found: numbers with targets, tables, a page, a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from tqdm import tqdm

from benchmarks import plots
from benchmarks.report import aligned
from benchmarks.results import write_json

Row = dict[str, Any]


@dataclass(frozen=True)
class Gate:
    """A number and what it should be.

    Attributes:
        name: what it is.
        value: what was measured, the median over the repeats.
        target: what is wanted.
        span: the lowest and the highest of the repeats; of a share of counted cases, its 95 % interval.
        at_most: whether the target is an upper bound; else it is a lower one.
    """

    name: str
    value: float
    target: float
    span: tuple[float, float]
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether it is as wanted."""
        return self.reached(self.value)

    @property
    def decided(self) -> bool:
        """Whether all of the span says the same."""
        return self.reached(self.span[0]) == self.reached(self.span[1])

    def reached(self, value: float) -> bool:
        """Whether a value would be as wanted."""
        return value <= self.target if self.at_most else value >= self.target

    def cells(self) -> list[str]:
        """A row of the table."""
        bound = "≤" if self.at_most else "≥"
        verdict = ("met" if self.met else "MISSED") + ("" if self.decided else ", within noise")
        span = "-" if self.span[0] == self.span[1] else " to ".join(map(shown, self.span))
        return [self.name, shown(self.value), span, f"{bound} {shown(self.target)}", verdict]


@dataclass
class Findings:
    """What a run has found so far; printed as it comes.

    Attributes:
        gates: numbers with targets.
        tables: title -> rows.
        samples: name -> one number for each repeat.
    """

    gates: list[Gate] = field(default_factory=list)
    tables: dict[str, list[Row]] = field(default_factory=dict)
    samples: dict[str, list[float]] = field(default_factory=dict)

    def gate(
        self,
        name: str,
        repeats: Sequence[float],
        target: float,
        *,
        at_most: bool = False,
        span: tuple[float, float] | None = None,
    ) -> None:
        """Keep a number with its target, and how far it varies: over the repeats where nothing else is given."""
        spread = span or (min(repeats), max(repeats))
        self.gates.append(Gate(name, median(repeats), target, spread, at_most))
        tqdm.write("  ".join(self.gates[-1].cells()))

    def table(self, title: str, rows: Sequence[Row]) -> None:
        """Keep a table."""
        self.tables[title] = list(rows)
        tqdm.write(f"\n{title}\n\n{as_table(rows)}\n")

    def write(self, about: Mapping[str, Any], folder: Path) -> None:
        """Write ``REPORT.md``, ``run.json`` and ``throughput.png`` into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "REPORT.md").write_text(self.page(about))
        gates = [asdict(gate) | {"met": gate.met} for gate in self.gates]
        write_json({**about, "gates": gates, "tables": self.tables, "samples": self.samples}, folder / "run.json")
        save_figure(self.tables, folder / "throughput.png")

    def page(self, about: Mapping[str, Any]) -> str:
        """The report."""
        machine = about["machine"]
        lines = [
            "# Throughput",
            f"Size {about['size']}, device {about['device']}, {about['threads']} threads; {machine['processor']}, "
            f"{machine['cores']} cores; torch {about['versions']['torch']}, transformers "
            f"{about['versions']['transformers']}; commit {about['commit']}.",
            aligned(["ratio or share", "measured", "from, to", "wanted", ""], [gate.cells() for gate in self.gates]),
        ]
        for title, rows in self.tables.items():
            lines += [f"## {title}", as_table(rows)]
        return "\n\n".join(lines) + "\n"


def shown(value: object) -> str:
    """A value as a table shows it."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1e}" if 0 < abs(value) < 1e-3 else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def as_table(rows: Sequence[Row]) -> str:
    """Rows that have the same keys as a table."""
    return aligned(list(rows[0]), [[shown(value) for value in row.values()] for row in rows])


# The picture. A panel is drawn where its table is there.

ENVS, ACTIONS, POOL, CATALOG = "environments", "actions K", "pool", "items"
MEMORY = "peak MiB, a process of its own"
OUTSIDE = ("ms a step outside generation", "ms of a step of the batch outside generation")
TAKEN = (MEMORY, "peak memory, MiB")
AXES = {
    ENVS: [("env-steps a second", "environment steps a second"), TAKEN],
    ACTIONS: [OUTSIDE, TAKEN],
    POOL: [OUTSIDE, TAKEN],
    CATALOG: [("ms a step for utility", "ms of a step of the batch in the utility"), TAKEN],
}


def save_figure(tables: Mapping[str, Sequence[Row]], path: Path) -> None:
    """One panel for each curve: what a table's first column does to one of its others."""
    from matplotlib.figure import Figure

    panels = [
        (rows, key, label)
        for rows in tables.values()
        for key, label in AXES.get(next(iter(rows[0])), [])
        if any(row[key] for row in rows)  # memory may not be told, or not grow
    ]
    columns, rows_of_panels = min(3, max(1, len(panels))), max(1, -(-len(panels) // 3))
    figure = Figure(figsize=(4.2 * columns, 3.1 * rows_of_panels), layout="constrained")
    places = figure.subplots(rows_of_panels, columns, squeeze=False).flat
    for (rows, key, label), axes in zip(panels, places, strict=False):  # so that no place is lost
        draw(axes, rows, key, label)
    for axes in places:  # those that are left
        axes.set_axis_off()
    plots.write(figure, path)


def draw(axes: Any, rows: Sequence[Row], key: str, label: str) -> None:  # noqa: ANN401 - matplotlib has no types
    """One curve on logarithmic axes; memory, most of which is always there, on one that begins at 0."""
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
    else:  # over decades all of the small marks' numbers would overlap
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.minorticks_off()
    axes.set_xlabel(name, fontsize=9)
    axes.set_title(label, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
