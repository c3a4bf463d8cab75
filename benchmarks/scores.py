"""The page that an experiment of cells writes itself: how its methods score, what they cost, targets met or missed.

It is made of the run's files alone, finished or not (see :mod:`benchmarks.reporting.runs`); ``python -m benchmarks
report`` makes the report, with the judges' columns and curves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.report import aligned
from benchmarks.reporting.names import title
from benchmarks.reporting.runs import Done, Run, read_run
from benchmarks.reporting.scores import Standing, by_method, standings
from benchmarks.reporting.targets import Target, verdicts
from benchmarks.results import shortened

NOTE = (
    "Gains are in catalog standard deviations of utility, test users. The normalised score is 0 for the uniform policy "
    "and 1 for beam search (an oracle), over the episodes that all three have met. Steps and calls to train count "
    "recorded episodes and warm starts. Intervals are 95 %, over seeds and users."
)


def score_table(run: Run, environment: str) -> str:
    """Every method of an environment: gain, normalised score, and what it cost in steps and calls."""
    head = ["method", "gain", "95 % interval", "normalised", "95 % interval", "episodes", "steps to train"]
    head += ["calls to train", "calls an episode", "valid"]
    steps = {name: mean_steps(cells) for name, cells in by_method(run.of(environment)).items()}
    return aligned(head, [line(item, steps[item.method]) for item in standings(run, environment)])


def mean_steps(cells: Sequence[Done]) -> float:
    """Environment steps of training, mean over seeds."""
    return float(np.mean([cell.header["cost"]["steps"] for cell in cells]))


def line(item: Standing, steps: float) -> list[str]:
    """One method."""
    score = item.normalised
    return [
        title(item.method),
        f"{item.gain.estimate:.2f}",
        f"[{item.gain.low:.2f}, {item.gain.high:.2f}]",
        "n/a" if score is None else f"{score.estimate:.2f}",
        "" if score is None else f"[{score.low:.2f}, {score.high:.2f}]",
        str(item.episodes),
        f"{steps:,.0f}",
        f"{item.training.calls:,.0f}",
        f"{item.evaluation.calls:.1f}",
        f"{item.valid:.1%}",
    ]


def page(run: Run, environment: str, targets: Sequence[Target]) -> str:
    """The part of one environment."""
    cells = run.of(environment)
    parts = [f"## {environment}"]
    holes = [f"- {title(name)}: {why}" for name, why in run.holes(environment).items()]
    if holes:
        parts.append("Not in the numbers:\n\n" + "\n".join(holes))
    if not cells:
        return "\n\n".join(parts)
    commits = dict.fromkeys(shortened(cell.header.get("commit")) for cell in cells)
    parts += [f"{len({cell.seed for cell in cells})} seeds. Code: {', '.join(commits)}.", score_table(run, environment)]
    lines = verdicts(by_method(cells), targets)
    return "\n\n".join([*parts, *(["\n".join(f"- {one}" for one in lines)] if lines else [])])


def write_page(
    folder: Path, targets: Sequence[Target] = (), more: Callable[[Run, str], str] | None = None, note: str = NOTE
) -> str:
    """Write ``REPORT.md`` of what a run has so far.

    Args:
        folder: Of the run.
        targets: What is asked of its methods.
        more: What else is to be said of an environment.
        note: What the columns mean.

    Returns:
        The page.
    """
    run = read_run(folder)
    parts = [note]
    if run.left_out:
        parts.append(f"Left out, since they are not finished: seeds {', '.join(map(str, run.left_out))}.")
    for environment in run.environments:
        parts.append(page(run, environment, targets))
        parts += [more(run, environment)] if more and run.of(environment) else []
    text = "\n\n".join(parts) + "\n"
    (folder / "REPORT.md").write_text(text)
    return text
