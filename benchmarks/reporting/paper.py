"""The paper's claims in our words, and whether the numbers of a run agree.

The paper: G. Tennenholtz, Y. Chow, C.-W. Hsu, L. Shani, E. Liang, C. Boutilier, Embedding-Aligned Language Models,
NeurIPS 2024, arXiv 2406.00024. The paper uses other data, models and judges (people), so we only compare which of two
methods gains more. We list no claim that our source does not state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.reporting.names import REFERENCES, title
from benchmarks.reporting.standings import Methods, difference
from benchmarks.reporting.verdicts import is_trivial, judged_difference
from benchmarks.running.runs import Run
from benchmarks.stats import Interval

CITATION = "[arXiv 2406.00024](https://arxiv.org/abs/2406.00024)"

T1 = (
    f"The paper ({CITATION}) ranks EAGLE above agents that imitate a reference policy, and these above ELM, which "
    "decodes the best point of the latent space. Of the three reference policies, it finds the G-optimal one best. Its "
    "agents are language models that read text; the rows marked *latent* are small networks in their place, which read "
    "latent observations."
)
T2 = (
    f"The paper ({CITATION}) trains agents in the environment of one language model and tests them in that of another, "
    "to see whether they still perform."
)
T3 = (
    f"The paper ({CITATION}) states that an optimal design of each state's action set makes EAGLE more efficient. It "
    "also compares action sets without personalised edits, with macro actions, and with both."
)
T4 = (
    f"The paper ({CITATION}) repeats the comparison on product reviews, where EAGLE gains more than the reference "
    "policy that it starts from."
)


@dataclass(frozen=True)
class Claim:
    """The claim that one method gains more than another."""

    above: str
    below: str


CLAIMS = (
    *(Claim(f"eagle-{name}", f"supervised-{name}") for name in REFERENCES),
    *(Claim(f"supervised-{name}", "elm") for name in REFERENCES),
    *(Claim("eagle-g_optimal", f"eagle-{name}") for name in REFERENCES if name != "g_optimal"),
)


@dataclass(frozen=True)
class Finding:
    """A claim and our numbers.

    Attributes:
        claim: The claim.
        difference: Mean paired difference of gains by reward; None if one of the methods has no numbers.
        judge: The same by judge; None if it is not judged.
    """

    claim: Claim
    difference: Interval | None
    judge: Interval | None = None

    @property
    def verdict(self) -> str:
        """Whether our numbers agree: by reward, and by judge if it is judged."""
        if is_trivial(self.claim.above, self.claim.below):
            return "not counted"
        by_reward = verdict(self.difference)
        if self.judge is None or verdict(self.judge) == by_reward:
            return by_reward
        return f"**divided**: {by_reward.strip('*')} by reward, {verdict(self.judge).strip('*')} by judge"


def verdict(found: Interval | None) -> str:
    """The verdict on a claim that a difference is above 0."""
    if found is None:
        return "not measured"
    if found.low > 0:
        return "agrees"
    return "**contradicts**" if found.high < 0 else "undecided"


def findings(methods: Methods, run: Run | None = None) -> list[Finding]:
    """Every claim of the main table with the numbers of one environment; by judge too, if a judged run is given."""
    found = []
    for claim in CLAIMS:
        one, other = methods.get(claim.above), methods.get(claim.below)
        judge = judged_difference(run, one, other) if run is not None and one and other else None
        found.append(Finding(claim, difference(one, other, np.random.default_rng(0)) if one else None, judge))
    return found


def cells(finding: Finding) -> list[str]:
    """A row of the table of claims."""
    claim = finding.claim
    numbers = [str(found) if found else "n/a" for found in (finding.difference, finding.judge)]
    return [f"{title(claim.above)} above {title(claim.below)}", *numbers, finding.verdict]


def counts(found: Sequence[Finding]) -> str:
    """The claims that can fail, by verdict."""
    verdicts = [finding.verdict.strip("*").partition("*")[0] for finding in found]
    words = ("agrees", "contradicts", "divided", "undecided", "not measured")
    numbers = ", ".join(f"{word} {verdicts.count(word)}" for word in words if word in verdicts)
    return f"{len(verdicts) - verdicts.count('not counted')} claims of the paper: {numbers}."
