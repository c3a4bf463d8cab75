"""The experiment on speed: on a tiny world and a tiny model every section reports, and what it reports is true."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from benchmarks.__main__ import main
from benchmarks.experiments.throughput import (
    action_sets,
    bench,
    ctranslate,
    engines,
    exactness,
    measure,
    parts,
    plain,
    serving,
    steps,
)
from benchmarks.experiments.throughput.page import Findings, as_table, check_row, shown
from benchmarks.reporting.targets import Check
from benchmarks.running.files import read_json
from benchmarks.stats import Interval
from eagle_gym import design
from eagle_gym.envs import transition
from eagle_gym.envs.world import RawState, World
from eagle_gym.errors import PreparationError
from eagle_gym.language.embedded import weights_path
from eagle_gym.language.loading import load_language_model
from eagle_gym.language.prompts import Prompt
from eagle_gym.language.transformers import TransformersModel
from tests.fake_worlds import ScriptedModel, make_tiny_world
from tests.language.tiny import WORDS, write_llama, write_tokenizer

EDITS = ("Set it in the 1980s.", "Add a robot.", "Make it darker.", "Replace the chef with a pilot.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model in the embedded model's format."""
    made = tmp_path_factory.mktemp("control")
    write_tokenizer(made)
    write_llama(made, ends=True, tie_word_embeddings=False)
    return made


@pytest.fixture
def world() -> World:
    return make_tiny_world(observation="latent")


def open_tiny(folder: Path, **kwargs: object) -> TransformersModel:
    model = load_language_model(f"transformers:{folder}", **kwargs)  # type: ignore[arg-type]
    assert isinstance(model, TransformersModel)
    model.language = "free"  # babble: worlds take it as it is
    return model


@pytest.fixture
def ran(world: World, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a whole run on the tiny world."""

    def open_model(device: str, dtype: str = "float32", *, batch_invariant: bool = False) -> TransformersModel:
        return open_tiny(folder, device=device, dtype=dtype, batch_invariant=batch_invariant)

    monkeypatch.setattr(measure, "make_world", lambda **settings: world)
    monkeypatch.setattr(plain, "open_model", open_model)
    monkeypatch.setattr(engines, "weights_path", lambda: folder)
    assert main(["run", "throughput", "--size", "smoke", "--out", str(tmp_path)]) == 0
    return tmp_path


@pytest.mark.slow
def test_a_run_leaves_page_numbers_and_picture(ran: Path) -> None:
    found = read_json(ran / "run.json")
    assert (found["device"], found["size"], found["finished"]) == ("cpu", "smoke", True)
    assert found["threads"] >= 1
    assert found["usage"]["calls"] > 10
    assert len(found["checks"]) == 9
    assert all(np.isfinite(check["found"]["estimate"]) for check in found["checks"])
    assert all(len(values) == 1 and values[0] > 0 for values in found["samples"].values())
    page = (ran / "REPORT.md").read_text()
    for title in found["tables"]:
        assert f"## {title}" in page
    assert imread(ran / "throughput.png").std() > 0.01


@pytest.mark.slow
def test_a_run_reports_every_curve_and_mode(ran: Path) -> None:
    tables = read_json(ran / "run.json")["tables"]
    first = {next(iter(rows[0])): rows for rows in tables.values()}
    assert [row["environments"] for row in first["environments"]] == [1, 2]
    assert [row["actions K"] for row in first["actions K"]] == [4, 8]
    assert [row["pool"] for row in first["pool"]] == [16, 24]
    assert [row["items"] for row in first["items"]] == [200, 1000]
    assert [row["part"] for row in first["part"]][0::7] == ["generation", "total"]
    assert sum(row["share"] for row in first["part"][:-1]) == pytest.approx(1.0)
    assert {row["mode"]: row["different texts"] for row in first["mode"]}["float32, batch_invariant"] == 0
    assert first["index"][0]["recall of 10"] == 1.0
    chosen = {row["chosen by"]: row["C"] for row in first["chosen by"]}
    assert chosen[action_sets.TRUTH] <= min(chosen.values()) * 1.2


def test_gates_say_whether_they_are_met() -> None:
    assert Check("speed", Interval(1.2, 1.2, 1.3), 1.2).met
    assert not Check("speed", Interval(1.1, 1.0, 1.1), 1.2).met
    assert Check("share", Interval(0.1, 0.1, 0.1), 0.15, at_most=True).met
    missed = Check("share", Interval(0.2, 0.16, 0.2), 0.15, at_most=True)
    assert check_row(missed) == ["share", "0.2", "0.16 to 0.2", "≤ 0.15", "MISSED"]
    unsure = Check("speed", Interval(15.6, 14.0, 16.0), 15.0)
    assert check_row(unsure) == ["speed", "15.6", "14 to 16", "≥ 15", "met, within noise"]


def test_no_difference_in_few_steps_is_no_proof() -> None:
    low, high = exactness.proportion(0, 640)
    assert (low, high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 640)))
    assert not Check("differ", Interval(0.0, low, high), 1e-4, at_most=True).decided
    assert Check("differ", Interval(0.0, *exactness.proportion(0, 40_000)), 1e-4, at_most=True).decided


def test_numbers_are_shown_shortly() -> None:
    values = (None, 0.0, 2.5e-5, 0.1234, 12.34, 12345.6, 1_000_000, "cpu")
    assert [shown(value) for value in values] == ["-", "0", "2.5e-05", "0.123", "12.3", "12,346", "1,000,000", "cpu"]
    assert as_table([{"a": 1, "b": None}]).splitlines()[-1].split() == ["|", "1", "|", "-", "|"]


def test_findings_are_kept_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    found = Findings()
    found.check("one", [2.0, 1.5, 3.0], 1.0)
    found.table("Two", [{"a": 1}])
    assert found.checks == [Check("one", Interval(2.0, 1.5, 3.0), 1.0)]
    assert "one" in capsys.readouterr().out


def test_a_ratio_is_taken_repeat_by_repeat() -> None:
    assert bench.ratio({"a": [2.0, 9.0, 6.0], "b": [1.0, 1.0, 2.0]}, "a", "b") == [2.0, 9.0, 3.0]


def test_the_factor_of_a_set_is_one_for_the_whole_pool_and_infinite_for_a_flat_set() -> None:
    pool = np.random.default_rng(0).normal(size=(20, 3))
    assert action_sets.factor(pool, np.arange(20)) == pytest.approx(1.0, abs=1e-5)
    flat = np.concatenate([np.eye(3)[[0, 0, 1]] * [[1.0], [2.0], [1.0]], pool])
    assert action_sets.factor(flat, np.arange(3)) == np.inf
    picked = design.select(pool, 6)
    assert action_sets.factor(pool, picked.indices) == pytest.approx(picked.C, rel=0.05)


def test_a_watched_world_does_the_same_and_tells_the_time(world: World) -> None:
    clock = parts.Clock()
    watched = parts.watched(world, clock)
    trajectories = []
    for each in (world, watched):
        envs = parts.vector_envs(each, 3)
        envs.reset(seed=5)
        envs.step([0, 1, 2])
        trajectories.append([(state.text, state.total) for state in envs.states])
    assert trajectories[0] == trajectories[1]
    took = steps.by_part(clock, total=1e6)
    assert sum(took.values()) == pytest.approx(1e6)
    assert all(value > 0 for value in took.values())
    assert watched.resources.profile is world.resources.profile


def test_a_recorded_world_keeps_what_was_asked(world: World) -> None:
    recorded, calls = parts.recording(world)
    envs = parts.vector_envs(recorded, 2)
    parts.batched_cycle(envs, 0, 2)
    assert [len(call.prompts) for call in calls] == [2, 2]
    again = ScriptedModel().generate(calls[0].prompts, calls[0].seeds)
    assert tuple(answer.text for answer in again) == calls[0].texts


def test_other_items_change_the_novelty_alone(world: World) -> None:
    other, took = parts.over_items(world, 50, np.random.default_rng(0))
    assert took > 0
    state = parts.start_states(world, 1, 0)[0]
    arrival = RawState(state.text, state.user, state.item)
    before, after = (transition.make_states(each, [arrival])[0] for each in (world, other))
    assert before.total == state.total != after.total


def test_random_actions_are_offered_ones() -> None:
    masks = np.array([[False, True, False], [True, False, True]])
    drawn = np.array([parts.offered(masks, np.random.default_rng(seed)) for seed in range(50)])
    assert set(drawn[:, 0]) == {1}
    assert set(drawn[:, 1]) == {0, 2}


def test_plain_generate_is_the_model_of_transformers(folder: Path) -> None:
    """Drawn often enough, its first tokens are as likely as this package's are."""
    model = open_tiny(folder)
    generate = plain.PlainGenerate(model, "cpu")
    prompt = Prompt("rewrite", WORDS[0], "add a robot")
    (first, second) = generate.generate([prompt] * 2, [0, 1])
    assert first.text
    assert first.prompt_tokens == model.generate([prompt], [0])[0].prompt_tokens
    assert generate.usage.calls == 2
    stop = min(model.prompt_format.ending.stop)
    assert generate._until_stop([5, 6, stop, 7]) == [5, 6]
    assert generate._until_stop([5, 6]) == [5, 6]
    assert first.text != second.text


def test_memory_is_told_where_the_system_tells() -> None:
    told = parts.peak()
    assert told is None if sys.platform != "linux" else told > 10
    assert parts.peak("0") is None


@pytest.mark.skipif(sys.platform != "linux", reason="memory is told by /proc")
@pytest.mark.slow
def test_a_process_of_its_own_shows_what_items_take() -> None:
    few, many = (
        parts.peak_alone("cpu", num_envs=1, actions=8, pool=20, items=items) for items in (0, 400_000)
    )
    assert few is not None
    assert many is not None
    assert many - few > 24  # numbers of eight bytes in eight dimensions


def test_a_server_that_ends_at_once_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    start = subprocess.Popen
    monkeypatch.setattr(
        serving.subprocess, "Popen", lambda command, **kwargs: start([sys.executable, "-c", ""], **kwargs)
    )
    with pytest.raises(PreparationError, match=r"transformers\[serving\]"), serving.transformers_serve(tmp_path):
        pass


def test_variants_change_what_they_are_told(world: World) -> None:
    changed = parts.with_sets(world, 4, 12)
    assert (changed.settings.actions, changed.resources.action_sets.k) == (4, 4)
    assert (changed.settings.pool, changed.resources.action_sets.pool) == (12, 12)
    assert replace(changed.settings, actions=6, pool=16) == world.settings


def test_only_some_sections_run_and_the_run_is_not_finished(
    world: World, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "make_world", lambda **settings: world)
    assert main(["run", "throughput", "--size", "smoke", "--only", "recall", "--out", str(tmp_path)]) == 0
    found = read_json(tmp_path / "run.json")
    assert [*found["tables"]] == ["Nearest of 2,000 Gaussian items in 8 dimensions"]
    assert not found["finished"]
    assert "Nearest of 2,000" in (tmp_path / "REPORT.md").read_text()
    assert main(["run", "throughput", "--size", "smoke", "--only", "recal", "--out", str(tmp_path)]) != 0


def test_ctranslate2_writes_the_same_greedy_text() -> None:
    """Its conversion is the same model: else its speed would say nothing about ours."""
    pytest.importorskip("ctranslate2")
    model = plain.open_model("cpu")
    prompts = [Prompt("rewrite", "A comedy about a family. The hero is a chef.", edit) for edit in EDITS]
    anchor = ctranslate.CTranslate2Generate(model, weights_path())
    said = anchor.generate(prompts, range(len(prompts)), temperature=0.0)
    ours = model.generate(prompts, range(len(prompts)), temperature=0.0)
    assert [answer.text for answer in said] == [answer.text for answer in ours]
    assert [answer.completion_tokens for answer in said] == [answer.completion_tokens for answer in ours]
    drawn = [anchor.generate(prompts, [seed])[0].text for seed in range(4)]
    assert len(set(drawn)) > 1, "at temperature 1 it samples"


def test_without_ctranslate2_its_row_says_how_to_install_it(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctranslate, "find_spec", lambda name: None)
    monkeypatch.setattr(plain, "open_model", lambda device, dtype="float32", **kwargs: open_tiny(folder, dtype=dtype))
    found = Findings()
    size = bench.Size(num_envs=2, steps=1, again=1, batches=(1, 2))
    engines.engines(bench.Bench(world, size, "cpu"), found)
    (rows,) = found.tables.values()
    assert rows[-1]["engine"] == "CTranslate2: not installed (pip install ctranslate2)"
    assert rows[-1]["batch of 2"] is None
    assert all(row["batch of 2"] > 0 for row in rows[:-1])


def test_the_anchor_is_compared_turn_by_turn() -> None:
    rates = {engines.OURS: {1: [2.0, 9.0, 6.0]}, engines.ANCHOR: {1: [1.0, 1.0, 2.0]}}
    assert engines.anchored(rates) == [{"batch": 1, "median": 3.0, "least": 2.0, "most": 9.0}]


def test_small_batches_are_repeated_with_other_prompts() -> None:
    prompts = [Prompt("rewrite", f"Text {number}.", "Add a robot.") for number in range(40)]
    assert [len(engines.chosen(prompts, batch, 0)) for batch in (1, 5, 16, 32)] == [16, 15, 16, 32]
    first, second = (engines.chosen(prompts, 16, repeat) for repeat in (0, 1))
    assert not set(first) & set(second)
