"""What a run has measured: numbers with targets, and tables; the page and the files made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from tqdm import tqdm

from benchmarks.experiments.throughput.bench import TableRow
from benchmarks.experiments.throughput.figure import save_figure
from benchmarks.reporting.document import aligned
from benchmarks.reporting.targets import Check
from benchmarks.running.files import write_json
from benchmarks.running.provenance import commits
from benchmarks.stats import Interval


@dataclass
class Findings:
    """What a run has measured so far; each result is printed when it is added.

    Attributes:
        checks: Numbers with targets.
        tables: Rows of each table, by title.
        samples: A number for each repeat, by name.
    """

    checks: list[Check] = field(default_factory=list)
    tables: dict[str, list[TableRow]] = field(default_factory=dict)
    samples: dict[str, list[float]] = field(default_factory=dict)

    def check(
        self,
        name: str,
        repeats: Sequence[float],
        target: float,
        *,
        at_most: bool = False,
        span: tuple[float, float] | None = None,
    ) -> None:
        """Add the median of some repeats, with its target and, where it is not their range, its span."""
        found = Interval(median(repeats), *(span or (min(repeats), max(repeats))))
        self.checks.append(Check(name, found, target, at_most))
        tqdm.write("  ".join(check_row(self.checks[-1])))

    def table(self, title: str, rows: Sequence[TableRow]) -> None:
        """Add a table."""
        self.tables[title] = list(rows)
        tqdm.write(f"\n{title}\n\n{as_table(rows)}\n")

    def write(self, about: Mapping[str, Any], folder: Path) -> None:
        """Write `REPORT.md`, `run.json` and `throughput.png`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "REPORT.md").write_text(self.page(about))
        checks = [asdict(check) | {"met": check.met} for check in self.checks]
        write_json({**about, "checks": checks, "tables": self.tables, "samples": self.samples}, folder / "run.json")
        save_figure(self.tables, folder / "throughput.png")

    def page(self, about: Mapping[str, Any]) -> str:
        """The page, `REPORT.md`."""
        machine = about["machine"]
        lines = [
            "# Throughput",
            f"Size {about['size']}, device {about['device']}, {about['threads']} threads; {machine['processor']}, "
            f"{machine['cores']} cores; torch {about['versions']['torch']}, transformers "
            f"{about['versions']['transformers']}; commit {commits([about])[0]}.",
        ]
        if self.checks:
            head = ["ratio or share", "value", "range", "target", "verdict"]
            lines.append(aligned(head, [*map(check_row, self.checks)]))
        for title, rows in self.tables.items():
            lines += [f"## {title}", as_table(rows)]
        return "\n\n".join(lines) + "\n"


def check_row(check: Check) -> list[str]:
    """A row of the table of ratios and shares."""
    assert check.found is not None
    found = check.found
    span = "-" if found.low == found.high else f"{shown(found.low)} to {shown(found.high)}"
    target = f"{'≤' if check.at_most else '≥'} {shown(check.target)}"
    return [check.name, shown(found.estimate), span, target, check.verdict + ", within noise" * (not check.decided)]


def shown(value: object) -> str:
    """A value as it stands in a table."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1e}" if 0 < abs(value) < 1e-3 else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def as_table(rows: Sequence[TableRow]) -> str:
    """A table of rows that have the same keys."""
    return aligned(list(rows[0]), [[shown(value) for value in row.values()] for row in rows])
