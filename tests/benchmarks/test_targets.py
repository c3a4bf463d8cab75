"""Targets: met or missed as the numbers of a run say, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.reporting.runs import Done
from benchmarks.reporting.targets import Target, eagle_targets, verdicts
from tests.benchmarks.test_report import result


def done(method: str, gains: list[float]) -> list[Done]:
    made = result(method, 0, gains)
    header = {"cell": {"agent": method, "seed": 0}, "cost": {"evaluation": {"calls": 1}, "training": None}}
    return [Done(method, header, made.rows)]


METHODS = {
    "uniform": done("uniform", [0.0, 0.0, 0.0]),
    "beam": done("beam", [2.0, 2.0]),  # dear: it met the first episodes alone
    "good": done("good", [1.9, 1.9, 1.9]),
    "level": done("level", [-1.0, 0.0, 1.0]),
}


@pytest.mark.parametrize(
    ("target", "line"),
    [
        (Target("above", "good", "level"), "above: 1.90 [0.90, 2.90], met."),
        (Target("above", "level", "uniform"), "above: 0.00 [-1.00, 1.00], MISSED."),
        (Target("reaches", "level", "uniform", 0.0), "reaches: 0.00 [-1.00, 1.00], met."),
        (Target("score", "good", least=0.9), "score: 0.95 [0.95, 0.95], met."),
        (Target("score", "good", least=0.96), "score: 0.95 [0.95, 0.95], MISSED."),
        (Target("above", "good", "absent"), "above: not measured."),
    ],
)
def test_a_target_is_met_or_missed(target: Target, line: str, rng: np.random.Generator) -> None:
    assert target.verdict(METHODS, rng) == line


def test_targets_of_methods_that_are_not_there_are_left_out() -> None:
    assert verdicts(METHODS, eagle_targets()) == []
    assert len(verdicts(METHODS | {"eagle-g_optimal": METHODS["good"]}, eagle_targets())) == 3
