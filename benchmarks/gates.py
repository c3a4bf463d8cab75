"""The page of the experiment ``learning``: a table of each environment, and what is asked of the learners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.report import Summary, difference, share, table
from benchmarks.reporting.names import title
from benchmarks.suite import CellResult, commits

SHARE = 0.8  # of the optimistic policy's gain


def page(
    results: Sequence[CellResult],
    summaries: Sequence[Summary],
    size: Mapping[str, int],
    learners: Sequence[str],
    rng: np.random.Generator,
) -> str:
    """The page of one environment."""
    parts = [
        f"## {results[0].cell.env_id}",
        f"Budget: {size['steps']:,} environment steps of training for each of {size['seeds']} seeds; "
        f"{size['episodes']} episodes of test users for each seed and method, the same for all methods of a seed. "
        f"Code: {', '.join(commits(results))}.",
        table(summaries),
        *(gate(learner, results, summaries, rng) for learner in learners),
    ]
    return "\n\n".join(parts)


def gate(learner: str, results: Sequence[CellResult], summaries: Sequence[Summary], rng: np.random.Generator) -> str:
    """What a learner was asked for, and whether it did it."""
    gain = {item.agent: item.gain for item in summaries}
    part = share(results, learner, "optimistic", rng)
    apart = gain[learner].low > gain["uniform"].high
    return (
        f"{title(learner)}: less uniform, same episodes: {difference(results, learner, 'uniform', rng)}; "
        f"less optimistic: {difference(results, learner, 'optimistic', rng)}. It gains {part.estimate:.0%} "
        f"[{part.low:.0%}, {part.high:.0%}] of what the optimistic policy gains (wanted: {SHARE:.0%}): "
        f"{verdict(part.estimate >= SHARE)}. Above uniform with intervals apart: {verdict(apart)}."
    )


def verdict(passed: bool) -> str:
    """A word for a gate."""
    return "met" if passed else "MISSED"
