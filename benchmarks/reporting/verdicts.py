"""Verdicts twice: by the rewarded utility, and by a judge that took no part in training.

A claim that one method gains more than another holds where both say so. A comparison that cannot fail, such as that of
an imitator of the uniform policy with the uniform policy, has no verdict and is not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.reporting.names import title
from benchmarks.reporting.standings import Cells, Methods, difference
from benchmarks.running.runs import Run
from benchmarks.stats import Interval, Keyed, paired_difference, shared
from eagle_gym.errors import ConfigurationError

IMITATORS = ("supervised", "reads")
TRIVIAL = "cannot fail"


@dataclass(frozen=True)
class Verdict:
    """A claim that one method gains more than another, by reward and by judge.

    Attributes:
        claim: The claim in words.
        reward, judge: Mean paired differences; None if they are not measured.
        trivial: Whether the comparison cannot fail.
    """

    claim: str
    reward: Interval | None
    judge: Interval | None
    trivial: bool = False

    @property
    def words(self) -> str:
        """What both say together."""
        if self.trivial:
            return TRIVIAL
        if self.reward is None:
            return "not measured"
        if self.judge is None:
            return f"{side(self.reward)} by reward, not judged"
        one, other = side(self.reward), side(self.judge)
        if one == other:
            return {"above": "holds", "below": "**contradicted**"}.get(one, "undecided")
        return f"**reward and judge disagree**: {one} by reward, {other} by judge"

    @property
    def disagrees(self) -> bool:
        """Whether reward and judge do not say the same."""
        both = self.reward is not None and self.judge is not None
        return both and not self.trivial and side(self.reward) != side(self.judge)


def side(found: Interval | None) -> str:
    """On which side of 0 an interval lies."""
    if found is None:
        return "not measured"
    return "above" if found.low > 0 else "below" if found.high < 0 else "undecided"


def verdict(run: Run, claim: str, one: Cells | None, other: Cells | None, *, trivial: bool = False) -> Verdict:
    """The verdict on a claim that one method gains more than another."""
    if not one or not other:
        return Verdict(claim, None, None, trivial)
    by_reward = difference(one, other, np.random.default_rng(0))
    return Verdict(claim, by_reward, judged_difference(run, one, other), trivial)


def judged(run: Run, cells: Cells) -> Keyed:
    """`(seed, episode, user, gain)` by the judge, of every judged episode."""
    found = ((item.seed, item.episode, item.user, item.confirmed) for item in run.judged(cells))
    return [row for row in found if np.isfinite(row[-1])]


def judged_difference(run: Run, one: Cells, other: Cells) -> Interval | None:
    """Mean paired difference by the judge; None without shared judged episodes."""
    try:
        return paired_difference(*shared(judged(run, one), judged(run, other)), np.random.default_rng(0))
    except ConfigurationError:
        return None


def is_trivial(above: str, below: str) -> bool:
    """Whether a comparison cannot fail: one of the two imitates the uniform policy and the other one is that policy."""
    imitators = {f"{name}-uniform" for name in IMITATORS}
    return {above, below} <= imitators | {"uniform"} and above != below


def of_methods(run: Run, methods: Methods, pairs: Iterable[tuple[str, str]]) -> list[Verdict]:
    """Verdicts on pairs of methods, the first of which is claimed to gain more."""
    return [
        verdict(
            run,
            f"{title(above)} above {title(below)}",
            methods.get(above),
            methods.get(below),
            trivial=is_trivial(above, below),
        )
        for above, below in pairs
    ]


def rows(verdicts: Sequence[Verdict]) -> list[list[str]]:
    """Rows of a table with the columns `HEAD`."""
    return [[item.claim, str(item.reward or "n/a"), str(item.judge or "n/a"), item.words] for item in verdicts]


HEAD = ("claim", "by reward", "by judge", "verdict")


def counts(verdicts: Sequence[Verdict]) -> str:
    """How many claims hold, are contradicted, are undecided, or divide reward and judge, in one sentence."""
    counted = [item for item in verdicts if not item.trivial and item.reward is not None]
    held = sum(item.words == "holds" for item in counted)
    against = sum("contradicted" in item.words for item in counted)
    divided = sum(item.disagrees for item in counted)
    return (
        f"Of {len(counted)} claims that can fail, {held} hold by reward and by judge, {against} are contradicted by both, "
        f"{divided} divide the two, and {len(counted) - held - against - divided} are open."
    )
