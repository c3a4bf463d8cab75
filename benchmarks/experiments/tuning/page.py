"""The page of the trials: the protocol, what each trial changes and gains, what is chosen; the ablation of EAGLE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.experiments.tuning import ablation, protocol
from benchmarks.experiments.tuning.ablation import by_seed, rounded
from benchmarks.experiments.tuning.trials import COMMITTED, HALF, learners
from benchmarks.reporting.document import aligned
from benchmarks.reporting.names import title
from benchmarks.reporting.standings import Cells, Methods, average
from benchmarks.running.files import read_json, write_json
from benchmarks.running.provenance import commits
from benchmarks.running.runs import by_method, read_run, rows_of
from benchmarks.stats import Interval

PROTOCOL: Final = (
    "Learners of `tuning` get the same four trials: the defaults, the step sizes times three and divided by three, and "
    "one change of their own. They train on Plots, the default task, with the grammar as the language model and the "
    "steps that T1 gives on this task, and are tested on {episodes} episodes of *train* users and items. The largest "
    "mean gain is chosen, however small its lead. No step size beyond the three was tried, even where the largest won. "
    "Trials of other experiments are on train users too, and choose by the mean gain. No table of T1 has the seed of a "
    "trial."
)
GAINS: Final = "Gains are in standard deviations of utility over the catalog; intervals are 95 %, over users and seeds."
TRIED: Final = ("commits", "machine", "episodes", "chosen", "trials")


def write_page(folder: Path) -> str:
    """Write `REPORT.md` and `tuning.json` of what is done; returns the page.

    A run without trials, as of the size `ablated`, has those that are committed.
    """
    run = read_run(folder)
    halves = by_method(run.of(HALF))
    found = tried(by_method(run.of("plots"))) or {key: read_json(COMMITTED)[key] for key in TRIED}
    lines = (f"{title(name)}: {said(changes)}" for name, changes in found["chosen"].items())
    parts = [
        "# Settings of the learners in T1",
        f"Chosen: {'; '.join(lines)}.",
        GAINS,
        "## Protocol",
        PROTOCOL.format(episodes=found["episodes"]),
        protocol.table(found["trials"]),
        "## Trials",
        trials_table(found["trials"]),
        "## What half a budget costs EAGLE",
        ablation.section(run, halves),
        f"Code of the trials: {', '.join(found['commits'])}; of this run: {', '.join(run.commits)}.",
    ]
    text = "\n\n".join(parts) + "\n"
    (folder / "REPORT.md").write_text(text)
    write_json(found | {"ablation": ablation.as_json(run, halves)}, folder / COMMITTED.name, compact=True)
    return text


def tried(methods: Methods) -> dict[str, Any]:
    """The trials of a run that are done, with what they choose; empty without any."""
    trials = [trial for name in learners(1, 1) for trial in trials_of(methods, name)]
    if not trials:
        return {}
    cells = [cell for own in methods.values() for cell in own]
    return {
        "commits": commits(cell.header for cell in cells),
        "machine": cells[0].header.get("machine", {}),
        "episodes": len(cells[0].rows),
        "chosen": {trial["learner"]: trial["changes"] for trial in trials if trial["chosen"]},
        "trials": trials,
    }


def trials_of(methods: Mapping[str, Cells], name: str) -> list[dict[str, Any]]:
    """The trials of a learner that are done, the one with the largest mean gain marked as chosen if all are."""
    tuned = learners(1, 1)[name]
    found = [
        {"learner": name, "trial": trial, "changes": changes, **gains(methods[f"{name}-{trial}"])}
        for trial, changes in tuned.changes().items()
        if f"{name}-{trial}" in methods
    ]
    best = max(found, key=lambda item: item["gain"]["estimate"]) if len(found) == len(tuned.changes()) else None
    return [item | {"chosen": item is best} for item in found]


def gains(cells: Cells) -> dict[str, Any]:
    """The mean gain with its interval, and the means by seed."""
    found = average(rows_of(cells), lambda row: row.gain, np.random.default_rng(0))
    return {"gain": rounded(found), "seeds": by_seed(cells)}


def trials_table(trials: Sequence[Mapping[str, Any]]) -> str:
    """All trials of all learners."""
    body = [
        [
            title(item["learner"]),
            said(item["changes"]),
            str(Interval(**item["gain"])),
            ", ".join(f"{value:.2f}" for value in item["seeds"].values()),
            "chosen" if item["chosen"] else "",
        ]
        for item in trials
    ]
    return aligned(["learner", "change", "gain, train users", "by seed", ""], body) if body else "No trial is done."


def said(changes: Mapping[str, Any]) -> str:
    """The changes of a trial in words."""
    return ", ".join(f"`{name}={value}`" for name, value in changes.items()) or "defaults"
