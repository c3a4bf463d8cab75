"""Cells: done once, done again when asked, never averaged in when they failed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import benchmarks.running.fingerprints
import benchmarks.running.jobs
from baselines import registry
from benchmarks.running.cells import Cell
from benchmarks.running.files import read_json, write_json
from benchmarks.running.fingerprints import CellsDiffer
from benchmarks.running.options import Options
from benchmarks.running.provenance import circumstances
from benchmarks.running.run import CellsFailed, run_cells
from benchmarks.running.runs import FinishedCell, read_run
from eagle_gym.errors import ConfigurationError, LanguageModelError
from tests.fakes import KnownVectorEnv

UNIFORM = Cell("known", "Known-v0", "uniform", seed=0, episodes=8, num_envs=4)


def done(cells: list[Cell], options: Options) -> list[FinishedCell]:
    """The finished cells, in the order of those that were asked for."""
    found = {cell.name: cell for cell in run_cells(cells, options).done}
    assert found.keys() == {cell.name for cell in cells}
    return [found[cell.name] for cell in cells]


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options("small", tmp_path)


def test_a_cell_leaves_episodes_and_a_header(known_world: list[KnownVectorEnv], options: Options) -> None:
    (result,) = done([UNIFORM], options)
    assert len(result.rows) == 8
    assert (result.evaluation.calls, result.training) == (40, None)
    header = read_json(options.out / "cells" / "known-uniform-0" / "run.json")
    assert header["cell"]["agent"] == "uniform"
    assert {"versions", "commit", "machine", "cost", "hashes"} <= header.keys()


def test_a_run_says_what_it_is_to_hold(
    known_world: list[KnownVectorEnv], options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [UNIFORM, replace(UNIFORM, agent="optimistic")]
    monkeypatch.setattr(benchmarks.running.jobs, "run_cell", lambda *arguments, **more: 1 / 0)
    with pytest.raises(CellsFailed):
        run_cells(cells, replace(options, experiment="trial"))
    found = read_json(options.out / "plan.json")
    assert (found["experiment"], found["size"]) == ("trial", "small")
    assert {name: cell["agent"] for name, cell in found["cells"].items()} == {cell.name: cell.agent for cell in cells}


def test_done_cells_are_not_done_again(known_world: list[KnownVectorEnv], options: Options) -> None:
    (first,) = done([UNIFORM], options)
    (again,) = done([UNIFORM], options)
    assert (again.rows, again.header) == (first.rows, first.header)
    assert evaluations(known_world) == 1
    run_cells([UNIFORM], replace(options, fresh=True))
    assert evaluations(known_world) == 2
    with pytest.raises(ConfigurationError, match="other settings"):
        run_cells([replace(UNIFORM, episodes=4)], options)


def test_only_cells_that_match_are_done_with_what_they_need(options: Options) -> None:
    (found,) = run_cells([OTHER, PLOTS], replace(options, only="plots-uniform-*")).done
    assert found.method == "uniform"
    assert not (options.out / "recorded").exists()
    assert len(read_json(options.out / "plan.json")["cells"]) == 2
    later = run_cells([OTHER, PLOTS, EAGLE], replace(options, only=EAGLE.name)).done
    assert {cell.method for cell in later} == {"uniform", "warm"}
    assert len(list((options.out / "recorded").iterdir())) == 1


def evaluations(made: list[KnownVectorEnv]) -> int:
    """Environments in which episodes were played, among those that were opened."""
    return sum(envs.usage.calls > 0 for envs in made)


MADE_OF = {"catalog": "c" * 64, "space": "s0", "model": "m0", "effects": "Surrogate e0"}


@pytest.fixture
def made_of(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What environments are made of; a test may change it."""
    parts = dict(MADE_OF)
    monkeypatch.setattr(benchmarks.running.fingerprints, "hashes", lambda envs: dict(parts))
    return parts


@pytest.mark.parametrize("part", MADE_OF)
def test_a_done_cell_of_another_world_is_refused(
    known_world: list[KnownVectorEnv], options: Options, made_of: dict[str, str], part: str
) -> None:
    run_cells([UNIFORM], options)
    run_cells([UNIFORM], options)
    made_of[part] = "other"
    cells = [UNIFORM, replace(UNIFORM, seed=1)]
    with pytest.raises(
        CellsDiffer, match=rf"known-uniform-0 was made with another {part} \({MADE_OF[part][:9]}.*other"
    ):
        run_cells(cells, options)
    assert not (options.out / "cells" / "known-uniform-1").exists()  # refused before anything is done
    assert len(done(cells, replace(options, fresh=True))) == 2


def test_worlds_that_change_within_a_run_are_refused(
    known_world: list[KnownVectorEnv], options: Options, made_of: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = iter(range(9))
    changing = lambda envs: made_of | {"model": f"m{next(counter)}"}  # noqa: E731
    monkeypatch.setattr(benchmarks.running.fingerprints, "hashes", changing)
    with pytest.raises(CellsDiffer, match=r"known-uniform-1 and known-uniform-0 .* differ in model \(m0, m1\)"):
        run_cells([UNIFORM, replace(UNIFORM, seed=1)], options)


def test_cells_of_several_commits_are_told(
    known_world: list[KnownVectorEnv],
    options: Options,
    made_of: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    facts = circumstances()
    for seed, commit in enumerate(("a" * 40, "b" * 40 + "+")):
        monkeypatch.setattr(benchmarks.running.jobs, "circumstances", lambda commit=commit: facts | {"commit": commit})
        run = run_cells([replace(UNIFORM, seed=number) for number in range(seed + 1)], options)
    assert run.commits == ["aaaaaaaaaa", "bbbbbbbbbb+"]
    assert "come from 2 commits: aaaaaaaaaa, bbbbbbbbbb+" in capsys.readouterr().out


def test_learners_are_those_of_the_registry(monkeypatch: pytest.MonkeyPatch, options: Options) -> None:
    asked: list[Any] = []

    def train(name: str, envs: Any, settings: Any, **rest: Any) -> Any:
        asked.append((name, settings))
        return SimpleNamespace(steps=40)

    monkeypatch.setattr(registry, "train", train)
    monkeypatch.setattr(benchmarks.running.fingerprints, "make_envs", lambda *args, **kwargs: KnownVectorEnv())
    cell = replace(UNIFORM, agent="ppo-stock", training={"total_timesteps": 40}, seed=3)
    _, cost = benchmarks.running.jobs.train_cell(cell, options.out, "")
    assert asked == [("ppo-stock", {"seed": 3, "total_timesteps": 40})]
    assert cost["steps"] == 40


PLOTS = Cell("plots", "EagleGym/Plots-v0", "vas", 0, 2, 2, {"horizon": 2}, {"n_epochs": 1}, recorded=2)
EAGLE = replace(PLOTS, agent="eagle", training={"total_timesteps": 8, "n_epochs": 1}, label="warm")
OTHER = replace(PLOTS, agent="uniform", training={}, recorded=0)


def test_what_is_recorded_is_recorded_once_and_charged_to_all(options: Options) -> None:
    vas, eagle, uniform = done([PLOTS, EAGLE, OTHER], options)
    (recorded,) = (options.out / "recorded").iterdir()
    spent = read_json(recorded / "run.json")["cost"]["calls"]
    assert spent >= 2 * 2
    assert (vas.training.calls, vas.header["cost"]["steps"]) == (spent, 4)  # type: ignore[union-attr]
    parts = eagle.header["cost"]["parts"]
    assert parts.keys() == {recorded.name, "plots-warm-0"}
    assert eagle.training.calls == spent + parts["plots-warm-0"]["calls"]  # type: ignore[union-attr]
    assert (eagle.header["cost"]["steps"], parts["plots-warm-0"]["calls"] >= 4) == (8, True)
    assert (uniform.training, uniform.header["cost"]["parts"]) == (None, {})
    assert len({tuple((row.episode, row.user, row.item) for row in result.rows) for result in (vas, uniform)}) == 1
    shutil.rmtree(recorded)
    assert len(done([PLOTS, EAGLE, OTHER], options)) == 3
    assert not recorded.exists(), "nothing needs it any more"


@pytest.mark.parametrize("changed", ["run.json", "data"])
def test_recorded_episodes_that_were_changed_are_refused(options: Options, changed: str) -> None:
    done([PLOTS], options)
    (recorded,) = (options.out / "recorded").iterdir()
    if changed == "run.json":
        header = read_json(recorded / "run.json")
        header["cost"]["calls"] = 0
        write_json(header, recorded / "run.json")
    else:
        path = next(path for path in recorded.rglob("*.hdf5"))
        path.write_bytes(path.read_bytes() + b"0")
    with pytest.raises(CellsFailed, match="changed after the run"):
        run_cells([PLOTS, EAGLE], options)


def test_a_cell_goes_on_from_the_agent_of_another_or_tests_it_elsewhere(options: Options) -> None:
    reads = replace(PLOTS, agent="supervised", training={"training_steps": 1, "batch_size": 2})
    settings = {"policy": "language", "total_timesteps": 8, "n_epochs": 1}
    on = replace(EAGLE, recorded=0, training=settings, begins_as=reads.name)
    away = replace(on, training={}, begins_as="", agent_of=on.name, label="away", test_env_kwargs={"horizon": 1})
    supervised, eagle, elsewhere = done([reads, on, away], options)
    assert supervised.header["cost"]["steps"] == 4
    assert eagle.header["cost"]["steps"] == 8
    assert list(eagle.header["cost"]["parts"])[1:] == [reads.name, on.name]
    assert eagle.training.calls > supervised.training.calls  # type: ignore[union-attr, operator]
    assert elsewhere.training == eagle.training
    assert [row.episode for row in elsewhere.rows] == [row.episode for row in eagle.rows]
    assert not (options.out / away.place / "agent").exists()


def test_what_needs_a_failed_cell_fails_with_its_reason(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [PLOTS, replace(EAGLE, agent_of=PLOTS.name, recorded=0), OTHER]
    whole = benchmarks.running.jobs.run_recording

    def breaks(*args: Any) -> None:
        raise LanguageModelError("the model fell over")

    monkeypatch.setattr(benchmarks.running.jobs, "run_recording", breaks)
    for _ in range(2):  # the second time nothing is tried
        with pytest.raises(CellsFailed, match="3 of 4 cells failed") as caught:
            run_cells(cells, options)
        assert str(caught.value).count("-0, which it needs, failed: LanguageModelError: the model fell over") == 2
    assert [cell.name for cell in run_cells(cells, replace(options, report_only=True)).done] == [OTHER.name]
    reason = "{}, which it needs, failed: LanguageModelError: the model fell over"
    reasons = {PLOTS.name: reason.format("plots-2-g_optimal-episodes-0"), cells[1].name: reason.format(PLOTS.name)}
    assert read_run(options.out).failed == reasons
    monkeypatch.setattr(benchmarks.running.jobs, "run_recording", whole)
    assert len(done(cells, replace(options, resume=True))) == 3
    assert read_run(options.out).failed == {}


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([UNIFORM, UNIFORM], "two cells are called known-uniform-0"),
        ([replace(UNIFORM, agent_of="known-ppo-0")], "needs known-ppo-0, which should come before it"),
    ],
)
def test_cells_that_cannot_be_told_apart_or_need_what_is_not_there(
    cells: list[Cell], message: str, options: Options
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        run_cells(cells, options)


def test_prerequisites_with_two_jobs(options: Options) -> None:
    results = done([PLOTS, EAGLE, OTHER], replace(options, jobs=2))
    assert [cell.method for cell in results] == ["vas", "warm", "uniform"]


def test_agents_of_a_seed_meet_the_same_episodes_and_seeds_other_ones(
    known_world: list[KnownVectorEnv], options: Options
) -> None:
    cells = [replace(UNIFORM, agent=agent, seed=seed) for seed in (0, 1) for agent in ("uniform", "optimistic")]
    rows = [[(row.episode, row.user, row.item) for row in result.rows] for result in done(cells, options)]
    assert rows[0] == rows[1]
    assert rows[2] == rows[3]
    assert not set(rows[0]) & set(rows[2])


def test_failed_cells_are_listed_and_the_others_stay(
    known_world: list[KnownVectorEnv], options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [replace(UNIFORM, seed=1), UNIFORM, replace(UNIFORM, seed=2)]
    whole = benchmarks.running.jobs.evaluate

    def breaks(*args: Any, seed: int, **kwargs: Any) -> Any:
        if seed == 0:
            raise LanguageModelError("the model fell over")
        return whole(*args, seed=seed, **kwargs)

    monkeypatch.setattr(benchmarks.running.jobs, "evaluate", breaks)
    with pytest.raises(
        CellsFailed, match=r"1 of 3 cells failed.*\n.*known-uniform-0: LanguageModelError: the model fell"
    ):
        run_cells(cells, options)
    assert "fell over" in read_json(options.out / "cells/known-uniform-0/error.json")["error"]
    monkeypatch.setattr(benchmarks.running.jobs, "evaluate", whole)
    made = evaluations(known_world)
    with pytest.raises(CellsFailed, match="the model fell"):
        run_cells(cells, options)
    assert evaluations(known_world) == made, "what failed waits until it is asked for"
    assert len(done(cells, replace(options, resume=True))) == 3
    assert evaluations(known_world) == made + 1  # only the one that failed
    assert not (options.out / "cells/known-uniform-0/error.json").exists()


@pytest.mark.slow
def test_cells_on_ray_leave_the_same_files(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'eagle_gym[cluster]'")
    usual: dict[str, Any] = {"episodes": 2, "num_envs": 2, "env_kwargs": {"horizon": 1}}
    cells = [Cell("plots", "EagleGym/Plots-v0", "uniform", seed, **usual) for seed in range(2)]
    here, there = (
        [cell.rows for cell in done(cells, Options("small", tmp_path / engine, jobs=2, engine=engine))]
        for engine in ("local", "ray")
    )
    assert here == there
    local, ray = (
        sorted(str(path.relative_to(tmp_path / engine)) for path in (tmp_path / engine).rglob("*") if path.is_file())
        for engine in ("local", "ray")
    )
    assert local == ray


@pytest.mark.slow
def test_a_run_that_is_killed_loses_nothing_that_is_done(tmp_path: Path) -> None:
    """The real thing: a process that runs cells is killed after its first, and started again."""
    script = (
        "import sys; from pathlib import Path; from benchmarks.running.cells import Cell\n"
        "from benchmarks.running.options import Options; from benchmarks.running.run import run_cells\n"
        "rest = {'env_kwargs': {'horizon': 1}, 'training': {'n_epochs': 1}, 'recorded': 2}\n"
        "cells = [Cell('plots', 'EagleGym/Plots-v0', 'vas', seed, 2, 2, **rest) for seed in range(4)]\n"
        "run_cells(cells, Options('small', Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    first = tmp_path / "cells/plots-vas-0/run.json"
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
        while not first.exists() and running.poll() is None:
            time.sleep(0.01)
        running.kill()
    assert first.exists()
    done = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*/run.json")}
    assert len(done) < 8, "it was killed on the way"
    subprocess.run(command, check=True, capture_output=True)
    assert len(list(tmp_path.glob("*/*/run.json"))) == 8
    assert all(path.stat().st_mtime_ns == changed for path, changed in done.items()), "what was done is not done again"
