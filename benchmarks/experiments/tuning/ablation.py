"""What changes of EAGLE gain at half of T1's budget, by reward and by judge, next to PPO and to EAGLE as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from baselines.evaluate import EpisodeRow
from benchmarks.experiments.tuning.trials import ABLATED
from benchmarks.reporting.document import aligned
from benchmarks.reporting.lead import readers
from benchmarks.reporting.standings import Cells, Methods, average, difference, judged_mean
from benchmarks.running.provenance import commits
from benchmarks.running.runs import Run, rows_of
from benchmarks.stats import Interval

PPO: Final = "ablated-ppo"
NOTE: Final = (
    "PPO and EAGLE with half of T1's budget, {budget:,} steps, and with T1's settings; {seeds} seeds from {first:,} "
    "on, tested like the trials. As it is, EAGLE imitates its reference policy first, at the cost of {steps:,} of the "
    "steps. *Shorter updates* have three times the trust weight (`trust_weight=3`), with which an update moves the "
    "policy about as far as one of PPO does. *KL at the end* is that to the reference policy, in nats, in the last "
    "episodes of training. Differences are means over shared episodes. The judge is the true taste, which knows "
    "nothing of novelty."
)
WORDS: Final[Mapping[str, str]] = {
    PPO: "PPO",
    "ablated-whole": "EAGLE (latent, uniform), as it is",
    "ablated-no_imitation": "without imitation",
    "ablated-shorter": "with shorter updates",
    "ablated-g_optimal": "EAGLE (latent, G-optimal), as it is",
    "ablated-g_optimal-shorter": "with shorter updates",
}
PARTS: Final[Mapping[str, Callable[[EpisodeRow], float]]] = {
    "gain, train users": lambda row: row.gain,
    "of it novelty": lambda row: row.novelty_gain,
    "of it affinity": lambda row: row.affinity_gain,
}
BASES: Final = ("ablated-g_optimal", "ablated-whole")


def section(run: Run, methods: Methods) -> str:
    """The section's text: two tables, or that nothing was run."""
    if PPO not in methods or BASES[-1] not in methods:
        return "Not run."
    whole = methods[BASES[-1]]
    parts = whole[0].header["cost"]["parts"]
    recorded = sum(part["calls"] for name, part in parts.items() if "episodes" in name)
    note = NOTE.format(seeds=len(whole), first=whole[0].seed, steps=recorded, budget=whole[0].steps)
    return "\n\n".join([note, gains_table(run, methods), differences_table(run, methods)])


def present(methods: Methods) -> Iterator[tuple[str, Cells]]:
    """The agents that were run, PPO first."""
    yield from ((name, methods[name]) for name in (PPO, *ABLATED) if name in methods)


def gains_table(run: Run, methods: Methods) -> str:
    """Gains by reward, with their parts, and by judge."""
    body = []
    for name, cells in present(methods):
        rows = rows_of(cells)
        found = [average(rows, measure, rng()) for measure in PARTS.values()]
        by_judge = judged_mean(run.judged(cells), lambda item: item.confirmed, rng())
        body.append([WORDS[name], *map(str, found), str(by_judge or "not judged"), distance(cells)])
    return aligned(["agent", *PARTS, "by judge", "KL at the end"], body)


def distance(cells: Cells) -> str:
    """Mean KL of EAGLE's policy to its reference policy in the last iteration; "" of agents without one."""
    last = [cell.curve[-1]["kl"] for cell in cells if cell.curve and "kl" in cell.curve[-1]]
    return f"{np.mean(last):.2f}" if last else ""


def differences_table(run: Run, methods: Methods) -> str:
    """Differences to PPO and to EAGLE as it is, by reward and by judge."""
    read = readers(run)
    head = [f"{words}, {by}" for words in ("minus PPO", "minus EAGLE as it is") for by in read]
    body = []
    for name, cells in present(methods):
        if name == PPO:
            continue
        base = next(base for base in BASES if name.startswith(base) or base == BASES[-1])
        others = [methods.get(PPO), None if name == base else methods.get(base)]
        found = [difference(cells, other, rng(), reader) for other in others for reader in read.values()]
        body.append([WORDS[name], *(str(one or "") for one in found)])
    return aligned(["agent", *head], body)


def as_json(run: Run, methods: Methods) -> dict[str, Any]:
    """The numbers of the section."""
    agents = {}
    for name, cells in present(methods):
        agents[name] = {"seeds": by_seed(cells), "gain": rounded(average(rows_of(cells), lambda row: row.gain, rng()))}
        for by, reader in readers(run).items():
            agents[name] |= {f"minus PPO, {by}": rounded(difference(cells, methods.get(PPO), rng(), reader))}
    first = [cells[0].header for _, cells in present(methods)]
    made = [cell.header for _, cells in present(methods) for cell in cells]
    return {"commits": commits(made), "machine": first[0].get("machine", {}) if first else {}, "agents": agents}


def by_seed(cells: Cells) -> dict[str, float]:
    """Mean gains by seed."""
    return {str(cell.seed): round(float(np.mean([row.gain for row in cell.rows])), 4) for cell in cells}


def rounded(found: Interval | None) -> dict[str, float] | None:
    """An interval as it stands in the JSON file."""
    return {name: round(value, 4) for name, value in asdict(found).items()} if found else None


def rng() -> np.random.Generator:
    """The generator of every interval."""
    return np.random.default_rng(0)
