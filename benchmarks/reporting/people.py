"""What people said of a run's texts, next to the other judges."""

from __future__ import annotations

import numpy as np

from benchmarks.judging.people import Agreement, agreements
from benchmarks.reporting.document import Block, Heading, Table, Text
from benchmarks.reporting.names import title
from benchmarks.running.people import People, read_people
from benchmarks.running.runs import Run
from benchmarks.stats import Interval

NAMES = {
    "reward": "reward",
    "affinity": "reward, affinity",
    "true_taste": "true taste",
    "second": "second opinion",
    "raters": "other users",
    "model": "language model",
}
SIMULATED = "**The raters are simulated**: these numbers say how the analysis works, and nothing about people."
METHODS = (
    "Mean point from 1 to 5. Strength: logarithm in the model of Bradley and Terry, 0 on average; the share of "
    "comparisons won counts ties half; *strongest* is the share of bootstrap replicates in which the method comes "
    "first. 95 % intervals: nested (raters; seeds, users, their texts) for means, over raters and tasks for the others."
)
AGREEMENT = (
    "Correlation with the judge's gain over texts, and share of the pairs on whose better text the judge agrees with "
    "the majority of raters (0.5 is chance). 95 % intervals over texts and pairs."
)


def people(run: Run, environment: str) -> list[Block]:
    """The section on people; empty if no study was read into the run."""
    found = read_people(run).get(environment)
    if found is None:
        return []
    return [Heading(f"{found.name.capitalize()} as judges", 3), *blocks(run, environment, found)]


def blocks(run: Run, environment: str, found: People) -> list[Block]:
    """Who rated, the methods, and the agreement of the other judges."""
    scales, pairs = (f"{item}" if item else "n/a" for item in found.alpha)
    words = (
        f'"{found.sentence}" {found.raters} raters, {found.excluded} more excluded by the rule of the study '
        f"(version {found.study}). Krippendorff's alpha: {scales} on scales, {pairs} on pairs."
    )
    agreed = agreements(run, environment, found, np.random.default_rng(0))
    return [
        *([Text(SIMULATED)] if found.simulated else []),
        Text(words),
        methods_table(found),
        agreement_table(agreed, found.name),
    ]


def methods_table(found: People) -> Table:
    """Methods by people: those in pairs first, the strongest first."""
    strengths = {item.method: item for item in found.strengths}
    rest = sorted(set(found.means) - set(strengths), key=lambda name: -found.means[name].estimate)
    body = []
    for name in (*strengths, *rest):
        item = strengths.get(name)
        pairs = [str(item.strength), str(item.wins), str(item.comparisons), f"{item.first:.0%}"] if item else [""] * 4
        body.append([title(name), shown(found.means.get(name)), *pairs])
    return Table(["method", "mean (1 to 5)", "strength", "won", "comparisons", "strongest"], body, METHODS)


def agreement_table(agreed: list[Agreement], name: str) -> Table:
    """Judges by their agreement with people."""
    body = [
        [NAMES[item.judge], shown(item.correlation), str(item.texts), shown(item.concordance), str(item.pairs)]
        for item in agreed
    ]
    head = ["judge", f"correlation with {name}", "texts", f"concordance with {name}", "pairs"]
    return Table(head, body, AGREEMENT)


def shown(item: Interval | None) -> str:
    """An interval, or "n/a"."""
    return str(item) if item else "n/a"
