"""The paper's claims in our words, and whether the numbers of a run agree.

The paper: G. Tennenholtz, Y. Chow, C.-W. Hsu, L. Shani, E. Liang, C. Boutilier, Embedding-Aligned Language Models,
NeurIPS 2024, arXiv 2406.00024. The paper uses other data, models and judges (people), so we only compare which of two
methods gains more. We list no claim that our source does not state.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.reporting.names import REFERENCES, title
from benchmarks.reporting.standings import Methods, difference
from benchmarks.stats import Interval

CITATION = "[arXiv 2406.00024](https://arxiv.org/abs/2406.00024)"

T1 = (
    f"The paper ({CITATION}) ranks EAGLE above agents that imitate a reference policy, and these above ELM, which "
    "decodes the best point of the latent space. Of the three reference policies, it finds the G-optimal one best."
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
        difference: Mean paired difference of gains; None if one of the methods has no numbers.
    """

    claim: Claim
    difference: Interval | None

    @property
    def verdict(self) -> str:
        """Whether our numbers agree."""
        return verdict(self.difference)


def verdict(found: Interval | None) -> str:
    """The verdict on a claim that a difference is above 0."""
    if found is None:
        return "not measured"
    if found.low > 0:
        return "agrees"
    return "**contradicts**" if found.high < 0 else "undecided"


def findings(methods: Methods, seed: int = 0) -> list[Finding]:
    """Every claim of the main table with the numbers of one environment."""
    rng = np.random.default_rng(seed)
    return [
        Finding(
            claim,
            difference(methods[claim.above], methods.get(claim.below), rng) if claim.above in methods else None,
        )
        for claim in CLAIMS
    ]


def cells(finding: Finding) -> list[str]:
    """A row of the table of claims."""
    claim = finding.claim
    found = str(finding.difference) if finding.difference else "n/a"
    return [f"{title(claim.above)} above {title(claim.below)}", found, finding.verdict]
