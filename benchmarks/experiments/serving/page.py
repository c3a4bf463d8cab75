"""The page of the experiment on serving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from baselines.run import write_file
from benchmarks.experiments.serving.measure import ITEMS, SLOTS, Row
from benchmarks.reporting.document import aligned
from benchmarks.running.files import write_json
from benchmarks.running.provenance import circumstances, commits

HEAD = (
    "environments", "steps/s, cache on", "steps/s, cache off", "on ÷ off", "prompt tokens",
    "computed, cache on", "computed, cache off",
)  # fmt: skip


def page(rows: Sequence[Row], about: str) -> str:
    """A table for each model."""
    lines = [
        "# One llama.cpp server, many environments",
        f"{about} One server with {SLOTS} slots and one thread on loopback. A step is one rewrite of an invented "
        f"overview (of {ITEMS}). Episodes are the same with the cache on and off; each has a server of its own. "
        "Medians over repeats, with their range. Computed tokens are those of a prompt that were not in the server's "
        "cache. The time of a step that failed, and was taken again, counts.",
    ]
    for name in dict.fromkeys(row.model for row in rows):
        own = {(row.envs, row.cache): row for row in rows if row.model == name}
        done = [envs for envs, cache in own if cache == "off" and (envs, "on") in own]
        body = [table_row(own[envs, "on"], own[envs, "off"]) for envs in done]
        failed = sum(row.failed for row in own.values())
        lines += [f"## {name}", aligned([*HEAD], body), f"Steps taken again, since an answer was none: {failed}."]
    return "\n\n".join(lines) + "\n"


def table_row(on: Row, off: Row) -> list[str]:
    """The row of a number of environments."""
    ratios = [one / other for one, other in zip(on.rates, off.rates, strict=False)]
    asked = median([*on.asked, *off.asked])
    return [
        str(on.envs), spread(on.rates), spread(off.rates), spread(ratios), f"{asked:.0f}", f"{median(on.read):.0f}",
        f"{median(off.read):.0f}",
    ]  # fmt: skip


def spread(values: Sequence[float]) -> str:
    """Median and range."""
    middle = f"{median(values):.2f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.2f} to {max(values):.2f})"


def write_page(rows: Sequence[Row], out: Path, size: str) -> str:
    """Write REPORT.md and run.json; returns what to print."""
    facts = circumstances()
    machine = facts["machine"]
    about = f"Size {size}; {machine['processor']}, {machine['cores']} cores; commit {commits([facts])[0]}."
    text = page(rows, about)
    write_file(out / "REPORT.md", text.encode())
    found = {"experiment": "serving", "size": size, **facts, "rows": [asdict(row) for row in rows]}
    write_json(found, out / "run.json", compact=True)
    return f"\n{text}\nREPORT.md and run.json in {out}"
