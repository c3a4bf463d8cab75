"""How far two environments lie apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.experiments import t1_methods, t2_transfer
from benchmarks.experiments.t2_transfer import grammar
from benchmarks.experiments.t2_transfer.distance import describe, measure, total_variation
from benchmarks.experiments.t2_transfer.page import overall, section
from benchmarks.running.files import read_json, read_rows
from benchmarks.running.runs import Run, read_run
from eagle_gym.envs.opening import make_world
from tests.benchmarks.made_runs import judge, planned, write_cell, write_plan


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("aab", "abb", 1 / 3), ("ab", "ba", 0.0), ("aa", "bc", 1.0), ("aaab", "a", 1 / 4), ("abcd", "abee", 1 / 2)],
)
def test_known_variations(one: str, other: str, expected: float) -> None:
    assert total_variation(list(one), list(other)) == pytest.approx(expected)
    assert total_variation(list(other), list(one)) == pytest.approx(expected)


def test_an_environment_is_no_further_from_itself_than_sampling_says() -> None:
    world = make_world(split="test", pool=20, actions=4, dim=8)
    found = measure(world, world, cases=6, samples=6, seed=0)
    assert found.attributes.low <= found.sampling.estimate <= found.attributes.high
    assert found.shift.estimate < found.move.estimate
    assert describe(found, "one", "other").startswith("Total variation between one and other, over 6 start texts")
    again = measure(world, world, cases=6, samples=6, seed=0)
    assert again == found


def transferred(folder: Path, loss: float) -> Run:
    """PPO loses what it is told where it was trained with the other model."""
    plan = {}
    for here, there in (("plain", "pitch"), ("pitch", "plain")):
        gains = {"uniform": [0.0, 1.0, 0.5, 0.5], f"ppo-{here}": [2.0, 3.0, 2.5, 2.5]}
        gains[f"ppo-{there}"] = [gain - loss for gain in gains[f"ppo-{here}"]]
        for method, some in gains.items():
            write_cell(folder, method, 0, some, environment=f"plots-{here}")
        plan |= planned(f"plots-{here}", 1, gains)
    write_plan(folder, plan, "t2_transfer")
    judge(folder)
    return read_run(folder)


def test_losses_by_hand(tmp_path: Path) -> None:
    found = overall(transferred(tmp_path, 0.5), "plots", ["plain", "pitch"], ["ppo"])
    assert [item.claim.split(": ")[0] for item in found] == ["PPO (SB3)"] * 2 + ["All agents"] * 2
    assert [item.claim.split(": ")[1] for item in found[:2]] == [
        "trained elsewhere minus trained here",
        "trained elsewhere minus uniform",
    ]
    for item, gain, words in zip(found, (-0.5, 1.5) * 2, ("**contradicted**", "holds") * 2, strict=True):
        assert item.reward is not None
        assert item.judge is not None
        assert (item.reward.estimate, item.judge.estimate) == pytest.approx((gain, gain / 2))
        assert item.words == words


def test_a_section_says_what_is_kept(tmp_path: Path) -> None:
    run, arguments = transferred(tmp_path, 0.5), (["plain", "pitch"], ["ppo"], {"plots": "They lie far apart."})
    first, second = section(run, "plots-plain", *arguments), section(run, "plots-pitch", *arguments)
    assert "| PPO (SB3, pitch) minus PPO (SB3, plain) | -0.50 [-0.50, -0.50] |" in first
    assert "gains 0.75 [0.75, 0.75] times as much above uniform" in first
    assert first.endswith("They lie far apart.")
    assert "| PPO (SB3, plain) minus uniform " in second
    assert "They lie far apart." not in second


@pytest.mark.slow
def test_t2_transfer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "t2_transfer", "--size", "smoke", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    assert page.count("minus uniform ") == 3 * 2 * 2 + 3, "of two learners from two models in three environments"
    for pair in ("plain and pitch", "plain and grammar", "pitch and grammar"):
        assert page.count(f"Total variation between {pair}, over 2 start texts") == 1
    for method in ("PPO (SB3, grammar)", "EAGLE (latent, G-optimal, pitch)"):
        rows = [line for line in page.splitlines() if line.startswith(f"| {method} minus uniform ")]
        assert len(rows) == 2, "every agent is tested with the two other models"
    for policy in ("no-op", "user-blind greedy", "first offered edit"):
        assert page.count(f"| {policy} ") == 3, "one row in each environment"
    assert len(read_json(tmp_path / "verdicts.json")["plots"]) == 6
    taken = read_json(tmp_path / "cells/plots-pitch-ppo-plain-0/run.json")
    own = read_json(tmp_path / "cells/plots-plain-ppo-plain-0/run.json")
    assert taken["cost"]["training"] == own["cost"]["training"], "it was trained once"
    assert taken["hashes"]["model"] != own["hashes"]["model"]
    for part in ("catalog", "split", "space", "effects"):
        assert taken["hashes"][part] == own["hashes"][part], part
    first = [read_rows(path)[0].texts[0] for path in tmp_path.glob("cells/*/episodes.parquet")]
    assert len(set(first)) == 1, "all environments begin from the same texts"


def test_t2_gives_learners_half_of_the_steps_of_t1() -> None:
    here, there = t2_transfer.SIZES["reference"], t1_methods.SIZES["reference"]
    assert (here["seeds"], here["recorded"]) == (5, there["recorded"])
    assert 2 * here["steps"] == there["steps"]["default"]


def test_the_grammar_is_compared_with_the_embedded_model(capsys: pytest.CaptureFixture[str]) -> None:
    grammar.main(["--cases", "2", "--samples", "2", "--episodes", "2", "--calls", "5"])
    shown = capsys.readouterr().out
    assert "Total variation between embedded and grammar, over 2 start texts" in shown
    for policy in grammar.policies(5):
        assert f"| {policy} | " in shown
