"""The page on agents that read text: gains by reward and judge, comparisons, cost, and training curves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments.reads_text.curves import draw
from benchmarks.reporting.document import aligned
from benchmarks.reporting.names import REFERENCES, title
from benchmarks.reporting.standings import Cells, Methods, average, given, judged_mean, score
from benchmarks.reporting.verdicts import HEAD, Verdict, is_trivial, rows, verdict
from benchmarks.running.files import write_json
from benchmarks.running.runs import Run, by_method, read_run, rows_of
from benchmarks.stats import Interval

PLACE = "plots"
TITLE = "# Agents that read text"
NOTE = (
    "Gains are in standard deviations of utility over the catalog, on test users. *Score*: 0 is the uniform policy, 1 "
    "is the privileged optimistic policy. The judge is the true taste behind the ratings; it knows no novelty. "
    "*Reads* says what an agent was given, in use or in training: `expected` is the expected utility of the edits. "
    "Intervals are 95 %, over {seeds} training seed{plural} and users. Agents *(reads text)* are the embedded language "
    "model on text observations; agents *(latent)* are small networks on latent observations."
)
COST = (
    "*Steps* are environment steps, recorded ones included. *Calls* are generations of an episode and of the training. "
    "*Seconds* are those of one seed's training on one core, recorded episodes and the supervised agent that EAGLE "
    "starts from included; other work ran on the machine at the same time."
)


def fresh() -> np.random.Generator:
    """The generator of one bootstrap: each has its own, so that a number has one interval wherever it stands."""
    return np.random.default_rng(0)


def write_page(folder: Path) -> str:
    """Write `REPORT.md`, `curves.png` and `reads_text.json` of the cells that are done.

    Returns:
        The page.
    """
    run = read_run(folder)
    methods = by_method(run.of(PLACE))
    seeds = len({cell.seed for cell in run.done})
    found = list(verdicts(run, methods))
    parts = [TITLE, NOTE.format(seeds=seeds, plural="s" * (seeds != 1)), "## Gains", gains(run, methods)]
    parts += ["## Comparisons", aligned(HEAD, rows(found)) if found else "No pair of methods is done."]
    parts += ["## Cost", COST, costs(methods)]
    if draw(methods, folder / "curves.png"):
        parts += ["## Training", "![Return of training episodes](curves.png)"]
    text = "\n\n".join(parts) + "\n"
    (folder / "REPORT.md").write_text(text)
    write_json(numbers(run, methods, found), folder / "reads_text.json", compact=True)
    return text


def ordered(methods: Methods) -> list[tuple[str, Cells]]:
    """The methods, the largest gain first."""
    return sorted(methods.items(), key=lambda item: -np.mean([row.gain for row in rows_of(item[1])]))


def measured(run: Run, methods: Methods, name: str) -> dict[str, Interval | None]:
    """Gains by reward and by judge, and the score, of a method."""
    cells = methods[name]
    return {
        "reward": average(rows_of(cells), lambda row: row.gain, fresh()),
        "judge": judged_mean(run.judged(cells), lambda item: item.confirmed, fresh()),
        "score": score(cells, methods.get("optimistic"), methods.get("uniform"), fresh()),
    }


def gains(run: Run, methods: Methods) -> str:
    """The table of gains."""
    body = []
    for name, cells in ordered(methods):
        found = [str(interval or "n/a") for interval in measured(run, methods, name).values()]
        body.append([title(name), *found, given(cells[0])])
    return aligned(["policy", "gain by reward", "gain by judge", "score", "reads"], body)


def costs(methods: Methods) -> str:
    """What training and an episode cost."""
    body = []
    for name, cells in ordered(methods):
        trained = [cell.training for cell in cells if cell.training]
        calls = f"{sum(cell.evaluation.calls for cell in cells) / len(rows_of(cells)):.0f}"
        calls += f" + {np.mean([cost.calls for cost in trained]):,.0f}" if trained else ""
        steps = f"{np.mean([cell.steps for cell in cells]):,.0f}" if trained else ""
        seconds = f"{np.mean([cost.seconds for cost in trained]):.0f}" if trained else ""
        body.append([title(name), steps, calls, seconds])
    return aligned(["policy", "steps", "calls", "seconds"], body)


def pairs() -> Iterator[tuple[str, str]]:
    """Methods that are compared: each text reader with what it learnt from and with its latent twin."""
    for ref in REFERENCES:
        reader, eagle = f"reads-{ref}", f"eagle-reads-{ref}"
        yield from ((reader, other) for other in ("uniform", ref, f"supervised-{ref}") if not is_trivial(reader, other))
        yield from ((eagle, other) for other in dict.fromkeys(("uniform", ref, "user_blind", f"eagle-{ref}")))
        if not is_trivial(eagle, reader):
            yield eagle, reader


def verdicts(run: Run, methods: Methods) -> Iterator[Verdict]:
    """Comparisons by reward and by judge of the pairs that are done."""
    for one, other in dict.fromkeys(pairs()):
        if one in methods and other in methods:
            yield verdict(run, f"{title(one)} minus {title(other)}", methods[one], methods[other])


def numbers(run: Run, methods: Methods, found: list[Verdict]) -> dict[str, Any]:
    """Everything on the page, and where it comes from."""
    first = run.done[0].header
    return {
        "commits": run.commits,
        "command": first.get("command"),
        "machine": first.get("machine"),
        "gains": {
            name: {key: value and str(value) for key, value in measured(run, methods, name).items()} for name in methods
        },
        "verdicts": {item.claim: [str(item.reward), str(item.judge), item.words] for item in found},
        "seconds": {
            name: [round(cell.training.seconds) for cell in cells if cell.training] for name, cells in methods.items()
        },
        "curves": {
            f"{name}-{cell.seed}": [
                [row["steps"], round(row["return"], 3), round(row["kl"], 3)] for row in cell.curve if "return" in row
            ]
            for name, cells in methods.items()
            for cell in cells
            if any("return" in row for row in cell.curve)
        },
    }
