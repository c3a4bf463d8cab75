"""Targets: met or missed as the numbers of a run say, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.reporting.paper import verdict
from benchmarks.reporting.targets import (
    Check,
    Target,
    checks,
    clear_of,
    eagle_targets,
    learner_targets,
    less,
    normalised_score,
    share_of,
)
from benchmarks.running.runs import FinishedCell
from benchmarks.stats import Interval
from tests.benchmarks.made_runs import finished


def done(method: str, gains: list[float]) -> list[FinishedCell]:
    return [finished(method, 0, gains)]


METHODS = {
    "uniform": done("uniform", [0.0, 0.0, 0.0]),
    "beam": done("beam", [2.0, 2.0]),  # expensive, so it ran on the first episodes only
    "good": done("good", [1.9, 1.9, 1.9]),
    "level": done("level", [-1.0, 0.0, 1.0]),
}


@pytest.mark.parametrize(
    ("target", "line"),
    [
        (Target("above", "good", less("level")), "above: 1.90 [0.90, 2.90], met."),
        (Target("above", "level", less("uniform")), "above: 0.00 [-1.00, 1.00], MISSED."),
        (Target("reaches", "level", less("uniform"), 0.0), "reaches: 0.00 [-1.00, 1.00], met."),
        (Target("score", "good", normalised_score, 0.9), "score: 0.95 [0.95, 0.95], met."),
        (Target("score", "good", normalised_score, 0.96), "score: 0.95 [0.95, 0.95], MISSED."),
        (Target("above", "good", less("absent")), "above: not measured."),
        (Target("share", "good", share_of("beam"), 0.9), "share: 0.95 [0.95, 0.95], met."),
        (Target("apart", "good", clear_of("level")), "apart: 1.90 [0.90, 2.90], met."),
        (Target("apart", "level", clear_of("uniform")), "apart: 0.00 [-1.00, 1.00], MISSED."),
        (Target("apart", "good", clear_of("absent")), "apart: not measured."),
    ],
)
def test_a_target_is_met_or_missed(target: Target, line: str, rng: np.random.Generator) -> None:
    assert str(target.check(METHODS, rng)) == line


def test_targets_of_methods_that_are_not_there_are_left_out() -> None:
    assert checks(METHODS, eagle_targets()) == []
    assert len(checks(METHODS | {"eagle-g_optimal": METHODS["good"]}, eagle_targets())) == 3


def test_a_learner_is_compared_with_uniform_and_the_optimistic_policy() -> None:
    methods = METHODS | {"ppo": METHODS["good"], "optimistic": done("optimistic", [2.0, 2.0, 2.0])}
    assert [(check.met, round(check.found.estimate, 2)) for check in checks(methods, learner_targets("ppo"))] == [
        (True, 1.9),
        (True, 1.9),
        (True, 0.95),
    ]  # fmt: skip


def test_intervals_that_touch_are_not_above_each_other() -> None:
    """The lower end of a difference must be above 0: at exactly 0 the two intervals touch."""
    touching = Interval(2.0, 1.0, 3.0) - Interval(0.5, 0.0, 1.0)
    assert touching.low == 0.0
    assert not Check("touches", touching).met
    assert Check("apart", Interval(1.5, 1e-9, 3.0)).met
    assert [verdict(found) for found in (touching, -touching)] == ["undecided", "undecided"]
