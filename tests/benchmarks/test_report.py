"""Summaries and tables of results that are made up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from baselines.evaluate import Cost, EpisodeRow
from benchmarks.report import aligned, difference, learning_curves, summarise, table, transcript, typical
from benchmarks.suite import Cell, CellResult


def result(agent: str, seed: int, gains: list[float], *, training: Cost | None = None) -> CellResult:
    rows = tuple(
        EpisodeRow(
            *(agent, seed, 10 * seed + i, f"u{i}", "e", 1),
            *(gain, gain, 0.0, 50.0, 80.0, i > 0, (0.0, gain), ("a", "b"), ("x",), ((0.0,), (gain,))),
        )
        for i, gain in enumerate(gains)
    )  # fmt: skip
    return CellResult(Cell("w", "W-v0", agent, seed, len(gains), 1), rows, Cost(calls=2 * len(gains)), training, {})


def test_summary_by_hand(rng: np.random.Generator) -> None:
    results = [
        result("uniform", 0, [0.0, 0.0]),
        result("uniform", 1, [0.0, 0.0]),
        result("ppo", 0, [1.0, 1.0], training=Cost(calls=100)),
        result("ppo", 1, [3.0, 3.0], training=Cost(calls=300)),
    ]
    ppo, uniform = summarise(results, rng)
    assert (ppo.agent, uniform.agent) == ("ppo", "uniform")
    assert (ppo.gain.estimate, ppo.gain.low, ppo.gain.high) == (2, 1, 3)  # users do not vary, two seeds do
    assert (ppo.training_calls, ppo.calls, ppo.episodes, ppo.seeds, ppo.valid) == (200, 2, 4, 2, 0.5)
    assert (uniform.gain.estimate, uniform.training_calls) == (0, 0)
    paired = difference(results, "ppo", "uniform", rng)
    assert (paired.estimate, paired.low, paired.high) == (2, 1, 3)
    lines = table([ppo, uniform]).splitlines()
    assert lines[2].startswith("| PPO (SB3) | 2.00 |  [1.00, 3.00] |")
    assert len({len(line) for line in lines}) == 1


def test_tables_line_up() -> None:
    assert aligned(["a", "bb"], [["long", "1"], ["x", "222"]]).splitlines() == [
        "| a    |  bb |",
        "|------|----:|",
        "| long |   1 |",
        "| x    | 222 |",
    ]


def test_one_sided_pairs_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="one method alone"):
        difference([result("ppo", 0, [1.0]), result("uniform", 1, [1.0])], "ppo", "uniform", rng)


def test_typical_is_the_median_of_the_well_formed() -> None:
    rows = result("ppo", 0, [9.0, 5.0, 1.0, 2.0]).rows  # the first is not well-formed
    assert typical(rows).gain == 2.0
    assert typical(rows[:1]).gain == 9.0


def test_transcript_alternates_texts_and_edits() -> None:
    (row,) = result("ppo", 0, [1.5]).rows
    assert transcript(row).splitlines() == ["+0.00  a", "       > x", "+1.50  b"]


def test_learning_curves_by_hand(tmp_path: Path) -> None:
    results = [result("ppo", seed, [1.0], training=Cost(calls=calls)) for seed, calls in ((0, 24), (1, 20))]
    for run, returns in zip(results, ([1.0, 3.0], [2.0, 7.0]), strict=True):
        rows = [{"steps": steps, "return": value} for steps, value in zip((10, 20), returns, strict=True)]
        write_json_rows(tmp_path / "cells" / run.cell.name / "agent" / "curve.json", rows)
    (curve,) = learning_curves([*results, result("uniform", 0, [0.0])], tmp_path)
    assert (curve.agent, curve.steps.tolist()) == ("ppo", [10, 20])
    assert curve.calls.tolist() == pytest.approx([11, 22])  # 1.2 and 1 calls a step
    assert (curve.mean.tolist(), curve.low.tolist(), curve.high.tolist()) == ([1.5, 5.0], [1.0, 3.0], [2.0, 7.0])


def write_json_rows(path: Path, rows: list[dict[str, float]]) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(rows))
