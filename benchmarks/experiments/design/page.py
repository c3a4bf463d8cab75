"""The words of a run: a line of the terminal for each measurement, and the page."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.experiments.design.times import METHODS, Timing
from benchmarks.reporting.document import aligned

HEAD = (
    f"{'pool':<12}{'K':>5}{'n':>4}  {'method':<28}{'ms':>11}{'gap':>10}{'÷ auto':>12}{'target':>8}\n{'':-<12}"
    f"{'':->9}  {'':-<28}{'':->11}{'':->10}{'':->12}{'':->8}"
)
NOTE = (
    "Milliseconds of processor time on one thread; in brackets the certified gap; then the time as a multiple of "
    "`auto`'s."
)


def line(row: Timing) -> str:
    """A measurement as a line of the terminal."""
    where = f"{row.kind:<12}{row.size:>5}{row.width:>4}  {row.method:<28}"
    if row.ms is None:
        return f"{where}  not run: {row.note}"
    numbers = [f"{row.ms:>11.2f}", f"{row.gap:>10.0e}" if row.gap is not None else f"{'':>10}"]
    if row.speedup is not None:
        numbers.append(f"{row.speedup:>12.1f}")
    if row.target is not None:
        numbers.append(f"{row.target:>8.0f} {row.verdict}")
    return where + "".join(numbers)


def page_of(rows: Sequence[Timing], coverage: str) -> str:
    """The page: times, batched calls, targets, what was not run, and the coverage of action sets."""
    parts = ["# Designs: time and gap", NOTE, times_table(rows), batched(rows), summary(rows).splitlines()[0]]
    return "\n\n".join(part for part in [*parts, targets_table(rows), not_run(rows), coverage] if part) + "\n"


def times_table(rows: Sequence[Timing]) -> str:
    """A row for each pool, a column for each method."""
    found = {row.key: row for row in rows}
    pools = dict.fromkeys((row.kind, row.size, row.width) for row in rows if row.method in METHODS)
    body = [
        [kind, f"{size}, {width}", *(time_and_gap(found.get((kind, size, width, method))) for method in METHODS)]
        for kind, size, width in pools
    ]
    return aligned(["pool", "K, n", *METHODS.values()], body)


def time_and_gap(row: Timing | None) -> str:
    """An entry of the table of times; empty where nothing was measured."""
    if row is None or row.ms is None:
        return ""
    gap = "" if row.gap is None else f" ({row.gap:.0e})"
    return f"{brief(row.ms)}{gap}" + ("" if row.speedup is None else f", {brief(row.speedup)}x")


def brief(number: float) -> str:
    """A number to about three digits."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def batched(rows: Sequence[Timing]) -> str:
    """The batched calls, as a list."""
    return "\n".join(
        f"- {row.kind} pools of {row.size}, {row.width}: {row.method} {row.ms:.2f} ms"
        for row in rows
        if row.method not in METHODS and row.ms is not None
    )


def targets_table(rows: Sequence[Timing]) -> str:
    """The speedups that are asked of `auto`, and those that were measured."""
    body = [
        [row.kind, f"{row.size}, {row.width}", METHODS[row.method], f"{row.target:g}",
         "" if row.speedup is None else brief(row.speedup), row.verdict or "not measured"]
        for row in rows
        if row.target is not None
    ]  # fmt: skip
    return aligned(["pool", "K, n", "compared with", "target speedup", "measured speedup", "verdict"], body)


def not_run(rows: Sequence[Timing]) -> str:
    """What was not measured, and why, as a list."""
    return "\n".join(
        f"- not run: {row.kind} {row.size}, {row.width}, {row.method}: {row.note}" for row in rows if row.ms is None
    )


def summary(rows: Sequence[Timing]) -> str:
    """How many targets are met, and the lines of those that are missed."""
    judged = [row for row in rows if row.verdict]
    missed = [row for row in judged if row.verdict == "MISSED"]
    unknown = sum(row.target is not None and row.ms is None for row in rows)
    text = f"{len(judged) - len(missed)} of {len(judged)} targets met; {unknown} not measured."
    return "\n".join([text, *(f"missed: {line(row)}" for row in missed)])
