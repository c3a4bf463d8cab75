"""The page on agents that read text: gains by reward and judge, comparisons, cost, and training curves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments.reads_text.curves import draw
from benchmarks.experiments.reads_text.methods import FIXED, agent_of, named
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
    "Learners are tested twice: *chosen by* sampling, and by taking the most probable action. Intervals are 95 %, over "
    "{seeds} training seed{plural} and users. Agents *(reads text)* are the embedded language model on text "
    "observations; agents *(latent)* are small networks on latent observations. Edits that "
    "go with the taste are offered first, in an arbitrary order among themselves: the first offered edit is one of "
    "them, not the best match. Neither the agents that read text nor the latent networks are told the order: both "
    "score every edit regardless of its place."
)
COST = (
    "*Steps* are environment steps: EAGLE's include the recorded ones, and supervised agents use only these. *Calls* "
    "are generations of an episode and of the training. *Seconds* are those of one seed's training on one core, with "
    "recorded episodes and the supervised agent that EAGLE starts from; other work ran on the machine at the same time."
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
    parts = [TITLE, *lead(run, methods), NOTE.format(seeds=seeds, plural="s" * (seeds != 1))]
    parts += ["## Gains", gains(run, methods)]
    parts += ["## Comparisons", aligned(HEAD, rows(found)) if found else "No pair of methods is done."]
    parts += ["## Cost", COST, costs(methods)]
    if draw(methods, folder / "curves.png"):
        parts += ["## Training", "![Return of training episodes](curves.png)"]
    text = "\n\n".join(parts) + "\n"
    (folder / "REPORT.md").write_text(text)
    write_json(numbers(run, methods, found), folder / "reads_text.json", compact=True)
    return text


def lead(run: Run, methods: Methods) -> list[str]:
    """The first lines: each EAGLE that reads text against its start and against the first offered edit."""
    found = []
    for ref in REFERENCES:
        eagle = named(f"eagle-reads-{ref}", samples=False)
        others = [named(f"reads-{ref}", samples=False), "first", "user_blind"]
        for other in others:
            if eagle in methods and other in methods and not is_trivial(eagle, agent_of(other)):
                found.append(f"- {said(run, methods, eagle, other)}")
    return ["By the most probable action:", "\n".join(found)] if found else []


def said(run: Run, methods: Methods, one: str, other: str) -> str:
    """One comparison in words."""
    item = verdict(run, "", methods[one], methods[other])
    by_judge = f"{item.judge} by judge" if item.judge else "not judged"
    return f"{titled(one)} minus {titled(other)}: {item.reward} by reward, {by_judge}."


def titled(method: str) -> str:
    """An agent's name, without how it chooses."""
    return title(agent_of(method))


def chosen_by(method: str) -> str:
    """How a learner chooses; "" for others."""
    if method in FIXED:
        return ""
    return "sampling" if method == named(agent_of(method), samples=True) else "most probable"


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
        body.append([titled(name), chosen_by(name), *found, given(cells[0])])
    return aligned(["policy", "chosen by", "gain by reward", "gain by judge", "score", "reads"], body)


def costs(methods: Methods) -> str:
    """What training and an episode cost."""
    body = []
    for name, cells in ((name, cells) for name, cells in ordered(methods) if name == agent_of(name)):
        trained = [cell.training for cell in cells if cell.training]
        calls = f"{sum(cell.evaluation.calls for cell in cells) / len(rows_of(cells)):.0f}"
        calls += f" + {np.mean([cost.calls for cost in trained]):,.0f}" if trained else ""
        steps = f"{np.mean([cell.steps for cell in cells]):,.0f}" if trained else ""
        seconds = f"{np.mean([cost.seconds for cost in trained]):.0f}" if trained else ""
        body.append([title(name), steps, calls, seconds])
    return aligned(["policy", "steps", "calls", "seconds"], body)


def pairs() -> Iterator[tuple[str, str]]:
    """Methods that are compared; both learners of a pair choose in the same way.

    The uniform and the G-optimal policy sample; the others take one action. An imitator of the uniform policy is
    compared with nothing.
    """
    for samples in (False, True):
        still = ("uniform", "g_optimal") if samples else ("first", "user_blind")
        for ref in REFERENCES:
            kinds = ("reads", "eagle-reads", "supervised", "eagle")
            reader, eagle, small, small_eagle = (named(f"{kind}-{ref}", samples=samples) for kind in kinds)
            found = [(one, other) for one in (eagle, reader) for other in still]
            found += [(eagle, reader), (small_eagle, small), (eagle, small_eagle), (reader, small)]
            yield from (pair for pair in found if not is_trivial(*map(agent_of, pair)))


def verdicts(run: Run, methods: Methods) -> Iterator[Verdict]:
    """Comparisons by reward and by judge of the pairs that are done."""
    for one, other in pairs():
        if one in methods and other in methods:
            claim = f"{titled(one)} minus {titled(other)}, {chosen_by(one)}"
            yield verdict(run, claim, methods[one], methods[other])


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
            name: [round(cell.training.seconds) for cell in cells if cell.training]
            for name, cells in methods.items()
            if name == agent_of(name)
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
