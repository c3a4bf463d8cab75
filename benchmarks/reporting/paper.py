"""What the paper claims, in our words, and whether a run's numbers agree.

The paper: G. Tennenholtz, Y. Chow, C.-W. Hsu, L. Shani, E. Liang, C. Boutilier, Embedding-Aligned Language Models,
NeurIPS 2024, arXiv 2406.00024. Its numbers come from other data, models and judges (people), so that only orders are
compared. Where our source does not say what the paper found, no claim is made for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.reporting.names import REFERENCES, title
from benchmarks.reporting.runs import Done
from benchmarks.reporting.scores import apart
from benchmarks.stats import Interval

CITATION = "[arXiv 2406.00024](https://arxiv.org/abs/2406.00024)"

T1 = (
    f"The paper ({CITATION}) finds EAGLE above agents that imitate a reference policy, these above ELM, which decodes "
    "the best point of the latent space, and the G-optimal reference policy the best of the three to stay close to."
)
T2 = (
    f"The paper ({CITATION}) trains agents in the environment of one language model and tests them in that of another; "
    "the question is whether what was learnt survives the change."
)
T3 = (
    f"The paper ({CITATION}) says that choosing the state's action set by an optimal design makes EAGLE more "
    "efficient, and compares action sets without personalised prompts, of macro actions, and combined."
)
T4 = (
    f"The paper ({CITATION}) repeats the comparison on product reviews, where EAGLE is to be above the reference "
    "policy that it starts from."
)


@dataclass(frozen=True)
class Claim:
    """One method is said to gain more than another."""

    above: str
    below: str


CLAIMS = (
    *(Claim(f"eagle-{name}", f"supervised-{name}") for name in REFERENCES),
    *(Claim(f"supervised-{name}", "elm") for name in REFERENCES),
    *(Claim("eagle-g_optimal", f"eagle-{name}") for name in REFERENCES if name != "g_optimal"),
)


@dataclass(frozen=True)
class Finding:
    """A claim beside our numbers.

    Attributes:
        claim: What is said.
        difference: Mean paired difference of gains, None where one of the methods has no numbers.
    """

    claim: Claim
    difference: Interval | None

    @property
    def verdict(self) -> str:
        """Whether our numbers agree."""
        return verdict(self.difference)


def verdict(difference: Interval | None) -> str:
    """What the interval of a difference that is claimed to be above 0 says of the claim."""
    if difference is None:
        return "not measured"
    if difference.low > 0:
        return "agrees"
    return "**contradicts**" if difference.high < 0 else "undecided"


def findings(methods: Mapping[str, Sequence[Done]], seed: int = 0) -> list[Finding]:
    """Every claim of the main table beside the numbers of one environment."""
    rng = np.random.default_rng(seed)
    return [
        Finding(
            claim,
            apart(methods[claim.above], methods.get(claim.below), rng) if claim.above in methods else None,
        )
        for claim in CLAIMS
    ]


def cells(finding: Finding) -> list[str]:
    """A row of the table of claims."""
    claim = finding.claim
    difference = str(finding.difference) if finding.difference else "n/a"
    return [f"{title(claim.above)} above {title(claim.below)}", difference, finding.verdict]
