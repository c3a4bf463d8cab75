"""The page of the trials: what each changes, what it gains on train users, what is chosen; the ablation of EAGLE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments.tuning.trials import ABLATED, learners
from benchmarks.reporting.document import aligned
from benchmarks.reporting.names import title
from benchmarks.reporting.standings import Cells, average, difference
from benchmarks.running.files import write_json
from benchmarks.running.runs import Run, by_method, read_run, rows_of
from benchmarks.stats import Interval

NOTE = (
    "Every learner gets the same four trials: its defaults, its step sizes times three and divided by three, and one "
    "change of its own. They train on Plots, the default task, with the grammar as the language model, with the steps "
    "that T1 gives on this task, and are tested on {episodes} episodes of *train* users and items. Their "
    "{seeds} seeds, from 1,000 on, are in no other table. The largest mean gain is chosen, however small its lead. No "
    "step size beyond the three was tried, even where the largest won. What is chosen for PPO holds "
    "for PPO that clones first, MaskablePPO and RecurrentPPO too, and what is chosen for EAGLE, with the uniform "
    "policy as its reference, for all three references. ELM, DQN and value-augmented sampling keep their defaults, "
    "since they train for longer; CoLA and GRPO over tokens have trials of their own in `latent_actions`. Gains are in "
    "standard deviations of utility over the catalog; intervals are 95 %, over users and seeds."
)
ABLATION = (
    "EAGLE with half of T1's budget, {seeds} seeds, tested like the trials. As it is, it imitates the uniform policy "
    "first, at the cost of {steps:,} of its {budget:,} steps, and its step sizes fall to 0 over the rest; alpha, the "
    "weight of the KL, is constant. The last column is the mean paired difference to EAGLE as it is."
)
WORDS = {
    "ablated-whole": "EAGLE (latent, uniform), as it is",
    "ablated-no_imitation": "without imitation",
    "ablated-no_kl": "without imitation and KL",
    "ablated-shorter": "with shorter updates",
    "ablated-both": "without imitation, with shorter updates",
    "ablated-g_optimal": "EAGLE (latent, G-optimal), as it is",
    "ablated-g_optimal-shorter": "EAGLE (latent, G-optimal), with shorter updates",
    "ablated-ppo": "PPO with the same budget",
}


def write_page(folder: Path) -> str:
    """Write `REPORT.md` and `tuning.json` of the trials that are done; returns the page."""
    run = read_run(folder)
    methods = by_method(run.of("plots"))
    trials = [trial for name in learners(1, 1) for trial in trials_of(methods, name)]
    episodes = max((len(cells[0].rows) for cells in methods.values()), default=0)
    seeds = max((len(cells) for name, cells in methods.items() if not name.startswith("ablated")), default=0)
    lines = (f"{title(item['learner'])}: {said(item['changes'])}" for item in trials if item["chosen"])
    parts = [
        "# Settings of the learners in T1",
        f"Chosen: {'; '.join(lines)}.",
        NOTE.format(episodes=episodes, seeds=seeds),
        "## Trials",
        trials_table(trials),
        "## What half a budget costs EAGLE",
        *ablated(methods),
        f"Code: {', '.join(run.commits)}.",
    ]
    text = "\n\n".join(parts) + "\n"
    (folder / "REPORT.md").write_text(text)
    write_json(as_json(run, methods, trials), folder / "tuning.json", compact=True)
    return text


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
    means = {str(cell.seed): round(float(np.mean([row.gain for row in cell.rows])), 4) for cell in cells}
    return {"gain": {name: round(value, 4) for name, value in asdict(found).items()}, "seeds": means}


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


def ablated(methods: Mapping[str, Cells]) -> list[str]:
    """What EAGLE gains with half of the budget, without each of its parts."""
    whole = methods.get("ablated-whole")
    if not whole:
        return ["Not run."]
    recorded = next(
        iter(part["calls"] for name, part in whole[0].header["cost"]["parts"].items() if "episodes" in name)
    )
    note = ABLATION.format(seeds=len(whole), steps=recorded, budget=whole[0].steps)
    body = []
    for name in ("ablated-ppo", *ABLATED):
        if name in methods:
            less = difference(methods[name], whole, np.random.default_rng(0)) if name != "ablated-whole" else ""
            body.append([WORDS[name], str(Interval(**gains(methods[name])["gain"])), str(less)])
    return [note, aligned(["agent", "gain, train users", "minus EAGLE as it is"], body)]


def as_json(run: Run, methods: Mapping[str, Cells], trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All numbers of the page."""
    first = run.done[0].header if run.done else {}
    return {
        "commits": run.commits,
        "machine": first.get("machine", {}),
        "chosen": {item["learner"]: item["changes"] for item in trials if item["chosen"]},
        "trials": list(trials),
        "ablated": {name: gains(cells) for name, cells in methods.items() if name.startswith("ablated")},
    }
