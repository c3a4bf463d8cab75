"""How far two environments lie apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.experiments import t1_methods, t2_transfer
from benchmarks.experiments.t2_transfer import grammar
from benchmarks.experiments.t2_transfer.distance import describe, measure, total_variation
from benchmarks.running.files import read_json, read_rows
from eagle_gym.envs.opening import make_world


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


@pytest.mark.slow
def test_t2_transfer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "t2_transfer", "--size", "smoke", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    assert page.count("| trained elsewhere ") == 3
    for pair in ("plain and pitch", "plain and grammar", "pitch and grammar"):
        assert page.count(f"Total variation between {pair}, over 2 start texts") == 1
    for method in ("PPO (SB3, grammar)", "EAGLE (latent, G-optimal, pitch)"):
        rows = [line for line in page.splitlines() if line.startswith(f"| {method} ") and line.count("|") == 4]
        assert len(rows) == 2, "every agent is tested with the two other models"
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
    assert (here["seeds"], here["recorded"]) == (there["seeds"], there["recorded"])
    assert 2 * here["steps"] == there["steps"]["default"]


def test_the_grammar_is_compared_with_the_embedded_model(capsys: pytest.CaptureFixture[str]) -> None:
    grammar.main(["--cases", "2", "--samples", "2", "--episodes", "2", "--calls", "5"])
    shown = capsys.readouterr().out
    assert "Total variation between embedded and grammar, over 2 start texts" in shown
    for policy in grammar.policies(5):
        assert f"| {policy} | " in shown
