"""The page of a study's results, RATINGS.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from benchmarks.rating.results import Results
from benchmarks.rating.study import Role
from benchmarks.reporting import people as judged_by
from benchmarks.reporting.document import Block, Heading, Table, Text, write_markdown
from benchmarks.reporting.names import title
from benchmarks.running.people import People
from benchmarks.running.runs import Run
from benchmarks.stats import Interval

ALPHA = (
    "Krippendorff's alpha of ordinal answers: 1 is full agreement, 0 that of chance. 95 % intervals over tasks. n/a: "
    "fewer than two raters of each task, or all answers the same."
)
MEANS = (
    "Mean points from 1 to 5. 95 % nested bootstrap intervals: raters; training seeds, users, and tasks within users."
)
STRENGTHS = (
    "Logarithms of the strengths in the model of Bradley and Terry, 0 on average; ties are half a win of each. A "
    "difference of 1 means that one is preferred with odds of e : 1. 95 % bootstrap intervals over raters and tasks."
)
BIAS = (
    "*First preferred*: among the answers that prefer one text, the share of those that prefer the text shown first; "
    "0.5 without bias. *Kept*: share of the pairs shown again, with the sides exchanged, that got the same answer."
)


def write_page(results: Results, judged: Mapping[Run, Mapping[str, People]], out: Path) -> Path:
    """Write `RATINGS.md`.

    Args:
        results: What the raters said.
        judged: What they said of each run, by environment.
        out: Folder to write.
    """
    blocks: list[Block] = [Heading("Ratings", 1)]
    if results.study.simulated:
        blocks.append(Text(judged_by.SIMULATED))
    blocks += [Text(summary(results)), *conduct_blocks(results), agreement_table(results)]
    for name in results.environments:
        blocks += environment_blocks(results, name)
    blocks += bias_blocks(results)
    for run, found in judged.items():
        for name, people in found.items():
            blocks += [Heading(f"Other judges, {run.name}, {name}"), *judged_by.blocks(run, name, people)]
    write_markdown(blocks, out / "RATINGS.md")
    return out / "RATINGS.md"


def summary(results: Results) -> str:
    """The study and who took part."""
    study, raters = results.study, results.raters
    agreed = sum(rater.consent_at is not None for rater in raters)
    finished = sum(rater.finished_at is not None for rater in raters)
    wanted = study.settings.design.raters
    coverage = results.coverage()
    full = sum(count >= wanted for count in coverage)
    lacking = "" if full == len(coverage) else " Invite more raters: they are given the tasks that lack ratings."
    return (
        f"Study {study.version}, assignment seed {study.seed}. Of {len(raters)} invited raters {agreed} agreed to take "
        f"part, {finished} finished, and {len(results.counted)} count. {len(results.ratings)} ratings; {full} of "
        f"{len(coverage)} tasks have {wanted} raters who count.{lacking}"
    )


def conduct_blocks(results: Results) -> list[Block]:
    """Checks that were passed, and exclusions."""
    body = [
        [words, share(*results.passed(role)), share(*results.passed(role, everyone=False))]
        for role, words in (("attention", "attention checks"), ("gold", "gold items"))
        for role in [role_of(role)]
    ]
    rule = results.study.settings.exclusion
    words = (
        f"The rule, fixed before the first rating: at least {rule.attention:.0%} of the attention checks and "
        f"{rule.gold:.0%} of the gold items passed, a median time of {rule.seconds:g} s or more, and {rule.rated:.0%} "
        "of the tasks rated."
    )
    table = Table(["", "passed by all", "by those who count"], body)
    found: list[Block] = [Heading("Checks and exclusions"), table, Text(words)]
    if not results.excluded:
        return [*found, Text("No rater is excluded.")]
    excluded = [[name, "; ".join(why)] for name, why in results.excluded.items()]
    return [*found, Table(["excluded rater", "reasons"], excluded)]


def role_of(name: str) -> Role:
    """A role by its name."""
    return "attention" if name == "attention" else "gold"


def share(right: int, rated: int) -> str:
    """A share with Wilson's interval."""
    if not rated:
        return "n/a"
    found = binomtest(right, rated).proportion_ci(method="wilson")
    return f"{right} of {rated}, {Interval(right / rated, found.low, found.high)}"


def agreement_table(results: Results) -> Table:
    """Krippendorff's alpha by criterion."""
    body = [
        [item.sentence, *(judged_by.shown(found) for found in results.alphas(item.name))]
        for item in results.study.settings.criteria
    ]
    return Table(["criterion", "alpha, scales", "alpha, pairs"], body, ALPHA)


def environment_blocks(results: Results, environment: str) -> list[Block]:
    """Mean opinions and strengths in one environment."""
    criteria = results.study.settings.criteria
    means = {item.name: results.means(item.name, environment) for item in criteria}
    strengths = {
        item.name: {found.method: found.strength for found in results.strengths(item.name, environment)}
        for item in criteria
    }
    blocks: list[Block] = [Heading(environment)]
    for columns, caption in ((means, MEANS), (strengths, STRENGTHS)):
        main = columns[results.study.settings.main]
        others = {name for column in columns.values() for name in column} - set(main)
        methods = [*sorted(main, key=lambda name: -main[name].estimate), *sorted(others)]
        if methods:
            body = [
                [title(method), *(judged_by.shown(column.get(method)) for column in columns.values())]
                for method in methods
            ]
            blocks.append(Table(["method", *columns], body, caption))
    return blocks


def bias_blocks(results: Results) -> list[Block]:
    """Whether the place of a text decides."""
    body = []
    for item in results.study.settings.criteria:
        found = results.bias(item.name)
        if found is not None:
            kept = f"{found.kept:.0%} of {found.repeats}" if np.isfinite(found.kept) else "n/a"
            body.append([item.sentence, judged_by.shown(found.first), f"{found.ties:.0%}", kept])
    head = ["criterion", "first preferred", "neither", "kept when exchanged"]
    return [Heading("Position bias"), Table(head, body, BIAS)] if body else []
