"""Numbers with a target, and whether they meet it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.reporting.names import REFERENCES, title
from benchmarks.reporting.standings import (
    UNIFORM,
    Cells,
    Methods,
    Reader,
    average,
    compare,
    difference,
    keyed,
    oracle,
    score,
)
from benchmarks.reporting.verdicts import is_trivial, judge_of
from benchmarks.running.runs import Run, rows_of
from benchmarks.stats import Interval, normalised


@dataclass(frozen=True)
class Check:
    """A number and its target.

    Attributes:
        name: What is measured.
        found: The number and its interval; None if it was not measured.
        target: The bound. None asks for an interval above 0.
        at_most: Whether the target is an upper bound; otherwise it is a lower one.
        judge: The number by a judge and its interval; None if it is not judged.
    """

    name: str
    found: Interval | None
    target: float | None = None
    at_most: bool = False
    judge: Interval | None = None

    @property
    def met(self) -> bool:
        """Whether the number meets its target."""
        if self.found is None:
            return False
        return self.found.low > 0 if self.target is None else self._reached(self.found.estimate)

    @property
    def decided(self) -> bool:
        """Whether both ends of the interval agree."""
        return self.found is not None and self._reached(self.found.low) == self._reached(self.found.high)

    @property
    def verdict(self) -> str:
        """`"met"` or `"MISSED"`; `"undecided"` if an end of the interval is infinite."""
        if self.found is not None and not np.isfinite([self.found.low, self.found.high]).all():
            return "undecided"
        return "met" if self.met else "MISSED"

    def _reached(self, value: float) -> bool:
        target = self.target or 0.0
        return value <= target if self.at_most else value >= target

    def __str__(self) -> str:
        if self.found is None:
            return f"{self.name}: not measured."
        by_reward = f"{self.name}: {self.found}, {self.verdict}"
        if self.judge is None:
            return f"{by_reward}."
        return f"{by_reward}; by judge {self.judge}, {replace(self, found=self.judge).verdict}."


Measure = Callable[[Cells, Methods, np.random.Generator, Reader], Interval | None]
"""From the cells of a method, those of all methods and a reader of gains to a number."""


@dataclass(frozen=True)
class Target:
    """A target for a method.

    Attributes:
        name: The target in words.
        method: The method.
        measure: The number that is asked for.
        least: Its least estimate. None asks for an interval above 0.
    """

    name: str
    method: str
    measure: Measure
    least: float | None = None

    def check(self, methods: Methods, rng: np.random.Generator, judge: Reader | None = None) -> Check:
        """The number of a run, and the same by judge if there is one; the method is one of its `methods`."""
        cells = methods[self.method]
        judged = self.measure(cells, methods, rng, judge) if judge else None
        return Check(self.name, self.measure(cells, methods, rng, keyed), self.least, judge=judged)


def checks(methods: Methods, targets: Sequence[Target], run: Run | None = None, seed: int = 0) -> list[Check]:
    """One check for each target whose method was run; by judge too, if a judged run is given."""
    rng = np.random.default_rng(seed)
    judge = judge_of(run) if run is not None and run.judgements else None
    return [target.check(methods, rng, judge) for target in targets if target.method in methods]


def less(other: str) -> Measure:
    """Mean paired difference of gains to another method."""
    return lambda cells, methods, rng, read: difference(cells, methods.get(other), rng, read)


def share_of(other: str) -> Measure:
    """Gain as a share of another method's."""
    return lambda cells, methods, rng, read: compare(normalised, cells, methods.get(other), read=read, rng=rng)


def normalised_score(cells: Cells, methods: Methods, rng: np.random.Generator, read: Reader) -> Interval | None:
    """Score between the uniform policy (0) and the beam oracle (1)."""
    return score(cells, oracle(methods), methods.get(UNIFORM), rng, read)


def clear_of(other: str) -> Measure:
    """Difference of mean gains, with an interval above 0 only if the two intervals do not overlap; by reward only."""

    def measure(cells: Cells, methods: Methods, rng: np.random.Generator, read: Reader) -> Interval | None:
        if other not in methods or read is not keyed:
            return None
        own, theirs = (average(rows_of(some), lambda row: row.gain, rng) for some in (cells, methods[other]))
        return own - theirs

    return measure


def eagle_targets(reads: str = "") -> list[Target]:
    """Targets of EAGLE with each reference policy; `reads="reads-"` for the policies that read text."""
    found = []
    for name in REFERENCES:
        own, below = f"eagle-{reads}{name}", f"{reads.strip('-') or 'supervised'}-{name}"
        found.append(Target(f"{title(own)} minus its reference policy, above 0", own, less(name)))
        if not is_trivial(own, below):
            found.append(Target(f"{title(own)} minus {title(below)}, above 0", own, less(below)))
        found.append(Target(f"{title(own)}, normalised score of at least 0.9", own, normalised_score, 0.9))
        if not reads:
            half = f"{own}-half"
            found.append(Target(f"{title(half)} minus PPO with the whole budget, at least 0", half, less("ppo"), 0.0))
    return found


def learner_targets(method: str) -> list[Target]:
    """Targets of a stock agent that should learn."""
    name = title(method)
    return [
        Target(f"{name} minus uniform on the same episodes, above 0", method, less("uniform")),
        Target(f"{name} above uniform with 95 % intervals apart", method, clear_of("uniform")),
        Target(f"{name}, at least 0.8 of the optimistic policy's gain", method, share_of("optimistic"), 0.8),
    ]
