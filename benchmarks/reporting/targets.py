"""What is asked of our methods, and whether a run's numbers meet it, as they come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.reporting.names import REFERENCES, title
from benchmarks.reporting.runs import Done
from benchmarks.reporting.scores import UNIFORM, apart, oracle, score
from benchmarks.stats import Interval


@dataclass(frozen=True)
class Target:
    """Something that is asked of a method.

    Attributes:
        words: What, in words.
        method: Of whom.
        other: The method that it is compared with, by the mean paired difference; "" for its normalised score.
        least: The smallest estimate that meets it; None where the interval has to be above 0.
    """

    words: str
    method: str
    other: str = ""
    least: float | None = None

    def verdict(self, methods: Mapping[str, Sequence[Done]], rng: np.random.Generator) -> str:
        """The number with its interval, "met" or "MISSED"; or that it was not measured."""
        found = self._number(methods, rng)
        if found is None:
            return f"{self.words}: not measured."
        met = found.low > 0 if self.least is None else found.estimate >= self.least
        return f"{self.words}: {found}, {'met' if met else 'MISSED'}."

    def _number(self, methods: Mapping[str, Sequence[Done]], rng: np.random.Generator) -> Interval | None:
        if self.method not in methods:
            return None
        cells = methods[self.method]
        if self.other:
            return apart(cells, methods.get(self.other), rng)
        return score(cells, oracle(methods), methods.get(UNIFORM), rng)


def eagle_targets(reads: str = "") -> list[Target]:
    """What is asked of EAGLE with each reference policy; ``reads="reads-"`` for the policies that read text."""
    found = []
    for name in REFERENCES:
        own, below = f"eagle-{reads}{name}", f"{reads.strip('-') or 'supervised'}-{name}"
        found += [
            Target(f"{title(own)}, less its reference policy, above 0", own, name),
            Target(f"{title(own)}, less {title(below)}, above 0", own, below),
            Target(f"{title(own)}, normalised score of at least 0.9", own, least=0.9),
        ]
        if not reads:
            half = f"{own}-half"
            found.append(Target(f"{title(half)}, less PPO with all of it, at least 0", half, "ppo", 0.0))
    return found


def verdicts(methods: Mapping[str, Sequence[Done]], targets: Sequence[Target], seed: int = 0) -> list[str]:
    """A line for each target whose method is there."""
    rng = np.random.default_rng(seed)
    return [target.verdict(methods, rng) for target in targets if target.method in methods]
