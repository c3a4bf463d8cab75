"""Summaries, tables and episodes of made-up results, by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from baselines.evaluate import Cost
from benchmarks.reporting.document import Table, aligned, markdown
from benchmarks.reporting.episodes import transcript, typical
from benchmarks.reporting.plots import growth
from benchmarks.reporting.standings import difference, is_privileged, scale, standings
from benchmarks.reporting.tables import decoder, gains_table
from benchmarks.running.runs import FinishedCell, Run, by_method
from benchmarks.stats import Interval
from tests.benchmarks.made_runs import finished


def run_of(cells: list[FinishedCell]) -> Run:
    plan = {cell.name: cell.header["cell"] for cell in cells}
    return Run(Path("run"), "", "", plan, tuple(cells), {}, (), {}, {}, {})


def test_standings_by_hand(rng: np.random.Generator) -> None:
    cells = [
        finished("uniform", 0, [0.0, 0.0]),
        finished("uniform", 1, [0.0, 0.0]),
        finished("ppo", 0, [1.0, 1.0], training=Cost(calls=100)),
        finished("ppo", 1, [3.0, 3.0], training=Cost(calls=300)),
    ]
    ppo, uniform = standings(run_of(cells), "w")
    assert (ppo.method, uniform.method) == ("ppo", "uniform")
    assert (ppo.gain.estimate, ppo.gain.low, ppo.gain.high) == (2, 1, 3)  # users do not vary, two seeds do
    assert (ppo.training.calls, ppo.evaluation.calls, ppo.episodes, ppo.seeds, ppo.valid) == (200, 2, 4, 2, 0.5)
    assert (ppo.affinity, ppo.novelty, ppo.percentile) == (2, 0, 80)
    assert (uniform.gain.estimate, uniform.training.calls) == (0, 0)
    found = by_method(cells)
    assert difference(found["ppo"], found["uniform"], rng) == Interval(2, 1, 3)
    lines = markdown(gains_table([ppo, uniform], caption="")).splitlines()
    assert lines[2].startswith("| PPO (SB3) |       | 2.00 [1.00, 3.00] | ")
    assert len({len(line) for line in lines}) == 1


def test_the_surrogate_is_charged_to_those_that_read_what_it_predicts() -> None:
    def built(method: str, agent: str, **training: str) -> FinishedCell:
        cell = finished(method, 0, [1.0, 1.0])
        header = {"cell": {**cell.header["cell"], "agent": agent, "label": method, "training": training},
                  "cost": {**cell.header["cost"], "surrogate": 5_440}}  # fmt: skip
        return replace(cell, header={**cell.header, **header})

    some = [built("uniform", "uniform"), built("optimistic", "optimistic"), built("no_op", "no_op")]
    some += [built(f"eagle-{name}", "eagle", reference=name) for name in ("optimistic", "uniform")]
    some += [built("beam", "beam:budget=640"), built("best_of_n", "best_of_n"), built("elm", "elm")]
    found = standings(run_of(some), "w")
    assert {item.method for item in found if item.fit == 5_440} == {"optimistic", "no_op", "eagle-optimistic", "beam"}
    assert {item.fit for item in found} == {0, 5_440}
    privileged = {name for name, cells in by_method(some).items() if is_privileged(cells)}
    assert privileged == {"optimistic", "no_op", "eagle-optimistic", "beam", "elm"}
    table = gains_table(found)
    shown = {row[0]: row[list(table.head).index("calls of the surrogate")] for row in table.body}
    assert (shown["optimistic"], shown["uniform"]) == ("5,440", "")


def test_what_a_decoder_measured_of_itself_is_reported() -> None:
    names = ("reconstruction", "nearest", "random", "optimum", "achieved", "gap")
    some = []
    for seed in (0, 1):
        cell, quality = finished("elm", seed, [1.0]), {name: place + seed for place, name in enumerate(names)}
        some.append(replace(cell, header={**cell.header, "quality": quality}))
    (table,) = decoder(by_method(some))
    assert isinstance(table, Table)
    assert table.body == [["ELM", "2", *(f"{k + 0.5:.2f} ({k:.2f} to {k + 1:.2f})" for k in range(6))]]
    assert decoder(by_method([finished("ppo", 0, [1.0])])) == []


def test_an_environment_is_named_with_its_task() -> None:
    cell = finished("ppo", 0, [1.0])
    plan = replace(cell, header={"cell": {**cell.header["cell"], "env_kwargs": {"task": "plan"}}})
    assert (cell.where, plan.where) == ("W-v0", "W-v0, task plan")


def test_a_price_has_a_column_where_somebody_paid_it() -> None:
    free, paying = finished("uniform", 0, [0.0, 0.0]), finished("ppo", 0, [1.0, 1.0])
    paying = replace(paying, rows=tuple(replace(row, drift=0.3, cost=0.0) for row in paying.rows))
    found = {item.method: item for item in standings(run_of([free, paying]), "w")}
    assert not {"drift", "cost"} & set(gains_table([found["uniform"]]).head)
    table = gains_table([found["ppo"], found["uniform"]])
    column = list(table.head).index("drift")
    assert [row[column] for row in table.body] == ["-0.30", "+0.00"]
    assert "cost" not in table.head


@pytest.mark.parametrize(
    ("kwargs", "common"),
    [({"selection": "longest", "actions": 4}, True), ({"horizon": 3}, False), ({"utility": "mine:make"}, False)],
)
def test_only_environments_that_differ_in_action_sets_share_a_scale(kwargs: dict[str, object], common: bool) -> None:
    cells = [finished("uniform", 0, [0.0, 0.0]), finished("beam", 0, [2.0, 2.0])]
    other = finished("uniform", 0, [1.0, 1.0])
    header = {**other.header, "cell": {**other.header["cell"], "environment": "v", "env_kwargs": kwargs}}
    ends = scale(run_of([*cells, replace(other, name="v-uniform-0", header=header)]), "v")
    assert (ends is not None) == common


def test_tables_line_up() -> None:
    assert aligned(["a", "bb"], [["long", "1"], ["x", "222"]]).splitlines() == [
        "| a    |  bb |",
        "|------|----:|",
        "| long |   1 |",
        "| x    | 222 |",
    ]


def test_methods_without_a_shared_episode_are_not_compared(rng: np.random.Generator) -> None:
    assert difference([finished("ppo", 0, [1.0])], [finished("uniform", 1, [1.0])], rng) is None
    assert difference([finished("ppo", 0, [1.0])], None, rng) is None


def test_typical_is_the_median_of_the_well_formed() -> None:
    rows = finished("ppo", 0, [9.0, 5.0, 1.0, 2.0]).rows  # the first is not well-formed
    assert typical(rows).gain == 2.0
    assert typical(rows[:1]).gain == 9.0


def test_transcript_alternates_texts_and_edits() -> None:
    (row,) = finished("ppo", 0, [1.5]).rows
    assert transcript(row).splitlines() == ["+0.00  a", "       > x", "+1.50  b"]


def test_learning_curves_by_hand() -> None:
    cells = [
        finished("ppo", seed, [1.0], training=Cost(calls=calls), curve=[
            {"steps": steps, "return": value} for steps, value in zip((10, 20), returns, strict=True)
        ])
        for seed, calls, returns in ((0, 24, [1.0, 3.0]), (1, 20, [2.0, 7.0]))
    ]  # fmt: skip
    found = growth(cells)
    assert found is not None
    steps, calls, returns = found
    assert steps.tolist() == [10, 20]
    assert calls.tolist() == pytest.approx([11, 22])  # 1.2 and 1 calls a step
    assert returns.tolist() == [[1.0, 3.0], [2.0, 7.0]]
    assert growth([finished("uniform", 0, [0.0])]) is None
