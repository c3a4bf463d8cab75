"""A run of the experiment on designs: on one thread, resumable, with its page and its figure."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.experiments.design.coverage import coverage_section
from benchmarks.experiments.design.figure import save_figure
from benchmarks.experiments.design.page import HEAD, line, page_of, summary
from benchmarks.experiments.design.pools import recorded
from benchmarks.experiments.design.times import Key, Shape, Timing, measure
from benchmarks.running import Options
from benchmarks.running.files import read_json, write_json
from benchmarks.running.provenance import circumstances, package_version
from eagle_gym.errors import PreparationError

STANDARD: Shape = (64, 8)  # of the default environment
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")  # BLAS; Clarabel
SOLVERS = ("clarabel", "scs", "accbpg")


def on_one_thread() -> bool:
    """Whether this process computes on one thread."""
    return all(os.environ.get(name) == "1" for name in THREADS)


def rerun_on_one_thread(options: Options) -> None:
    """Start the command again with one thread: libraries read the number of threads when they are loaded."""
    again = [sys.executable, "-m", "benchmarks", "run", "design", "--size", options.size, "--out", str(options.out)]
    again += ["--fresh"] if options.fresh else []
    subprocess.run(again, check=True, env=os.environ | dict.fromkeys(THREADS, "1"))


def figure_only(size: dict[str, Any], out: Path) -> str:
    """Draw the figure; returns its table.

    Raises:
        PreparationError: Plots is not prepared.
    """
    pools = recorded(*STANDARD, size["pools"], prepare=size["prepare"])
    save_figure(pools, out)
    return f"{coverage_section(pools)}\n\ncoverage.png, coverage.pdf in {out}"


def time_all(options: Options, size: dict[str, Any]) -> Iterator[str]:
    """Measure the times, then draw the figure; yields what is to be printed.

    Earlier measurements are kept, unless `options.fresh`.
    """
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "run.json"
    header = {"experiment": "design", "solvers": {name: package_version(name) for name in SOLVERS}} | circumstances()
    known = {} if options.fresh else earlier(path, header)
    try:
        pools = recorded(*STANDARD, size["pools"], prepare=size["prepare"])
    except PreparationError:
        pools = []
    yield HEAD
    found: dict[Key, Timing] = {}  # a giant, measured last, replaces the row that says that it was not run
    for row in measure(size, pools, known):
        found[row.key] = row
        kept = found | {key: row for key, row in known.items() if key not in found}
        write_json(header | {"size": options.size, "rows": [asdict(row) for row in kept.values()]}, path)
        yield line(row)
    rows = list(found.values())
    (options.out / "REPORT.md").write_text(page_of(rows, coverage_section(pools)))
    if pools:
        save_figure(pools, options.out)
    yield f"\n{summary(rows)}\nREPORT.md, run.json{', coverage.png and .pdf' if pools else ''} in {options.out}"


def earlier(path: Path, header: Mapping[str, Any]) -> dict[Key, Timing]:
    """Measurements of an earlier run on this machine with these versions."""
    if not path.exists():
        return {}
    before = read_json(path)
    if any(before.get(name) != header[name] for name in ("solvers", "versions", "machine")):
        return {}
    rows = [Timing(**row) for row in before["rows"]]
    return {row.key: row for row in rows if row.ms is not None}
