"""Verdicts twice: by the rewarded utility, and by a judge that took no part in training.

A claim that one method gains more than another holds where both say so. A comparison with an
imitator of the uniform policy says nothing, since that imitator cannot move, and is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.reporting.standings import Cells, Reader, difference
from benchmarks.running.files import write_json
from benchmarks.running.runs import Run
from benchmarks.stats import Interval, Keyed

VERDICTS = "verdicts.json"  # of a run whose verdicts stand in the README
IMITATORS = ("supervised", "reads")


@dataclass(frozen=True)
class Verdict:
    """A claim that one method gains more than another, by reward and by judge.

    Attributes:
        claim: The claim in words.
        reward, judge: Mean paired differences; None if they are not measured.
    """

    claim: str
    reward: Interval | None
    judge: Interval | None

    @property
    def words(self) -> str:
        """What both say together."""
        if self.reward is None:
            return "not measured"
        if self.judge is None:
            return f"{side(self.reward)} by reward, not judged"
        one, other = side(self.reward), side(self.judge)
        if one == other:
            return WORDS.get(one, "undecided")
        if "undecided" in (one, other):
            decided, by = (one, "reward") if other == "undecided" else (other, "judge")
            return f"{WORDS[decided]} by {by} only"
        return f"**reward and judge disagree**: {one} by reward, {other} by judge"


def side(found: Interval | None) -> str:
    """On which side of 0 an interval lies."""
    if found is None:
        return "not measured"
    return "above" if found.low > 0 else "below" if found.high < 0 else "undecided"


def verdict(run: Run, claim: str, one: Cells | None, other: Cells | None) -> Verdict:
    """The verdict on a claim that one method gains more than another."""
    if not one or not other:
        return Verdict(claim, None, None)
    by_reward = difference(one, other, np.random.default_rng(0))
    return Verdict(claim, by_reward, judged_difference(run, one, other))


def judged(run: Run, cells: Cells) -> Keyed:
    """`(seed, episode, user, gain)` by the judge, of every judged episode."""
    found = ((item.seed, item.episode, item.user, item.confirmed) for item in run.judged(cells))
    return [row for row in found if np.isfinite(row[-1])]


def judge_of(run: Run) -> Reader:
    """Reads gains by the judge."""
    return lambda cells: judged(run, cells)


def judged_difference(run: Run, one: Cells, other: Cells) -> Interval | None:
    """Mean paired difference by the judge; None without shared judged episodes."""
    return difference(one, other, np.random.default_rng(0), judge_of(run))


def is_trivial(above: str, below: str) -> bool:
    """Whether a comparison cannot fail, or cannot be failed, since one side imitates a policy that knows nothing."""
    return cannot_move(above) or cannot_move(below)


def cannot_move(method: str) -> bool:
    """Whether a method imitates the uniform policy."""
    return method in [f"{name}-uniform" for name in IMITATORS]


def rows(verdicts: Sequence[Verdict]) -> list[list[str]]:
    """Rows of a table with the columns `HEAD`."""
    return [[item.claim, str(item.reward or "n/a"), str(item.judge or "n/a"), item.words] for item in verdicts]


def write_verdicts(found: Mapping[str, Sequence[Verdict]], folder: Path) -> None:
    """Write the rows of some tables of verdicts, by their names, into the folder of a run."""
    write_json({name: rows(some) for name, some in found.items()}, folder / VERDICTS, compact=True)


WORDS = {"above": "holds", "below": "**contradicted**"}
HEAD = ("claim", "by reward", "by judge", "verdict")
