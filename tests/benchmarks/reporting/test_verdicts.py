"""A claim holds where reward and judge both say so."""

from __future__ import annotations

import pytest

from benchmarks.reporting.targets import eagle_targets
from benchmarks.reporting.verdicts import Verdict, is_trivial
from benchmarks.stats import Interval

ABOVE, LEVEL, BELOW = Interval(1.0, 0.5, 1.5), Interval(0.0, -0.5, 0.5), Interval(-1.0, -1.5, -0.5)


@pytest.mark.parametrize(
    ("reward", "judge", "words"),
    [
        (ABOVE, ABOVE, "holds"),
        (BELOW, BELOW, "**contradicted**"),
        (LEVEL, LEVEL, "undecided"),
        (ABOVE, LEVEL, "holds by reward only"),
        (LEVEL, BELOW, "**contradicted** by judge only"),
        (ABOVE, BELOW, "**reward and judge disagree**: above by reward, below by judge"),
        (ABOVE, None, "above by reward, not judged"),
        (None, None, "not measured"),
    ],
)
def test_words(reward: Interval | None, judge: Interval | None, words: str) -> None:
    assert Verdict("one above another", reward, judge).words == words


def test_an_imitator_of_the_uniform_policy_is_no_opponent() -> None:
    assert is_trivial("eagle-uniform", "supervised-uniform")
    assert not is_trivial("eagle-optimistic", "supervised-optimistic")
    names = [target.name for target in eagle_targets()]
    assert "EAGLE (latent, optimistic) minus supervised (latent, optimistic), above 0" in names
    assert not any("minus supervised (latent, uniform)" in name for name in names)
