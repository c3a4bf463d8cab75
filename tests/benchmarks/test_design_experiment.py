"""The experiment on designs: its rows are true, its page says what was not run, its figure shows four action sets."""

from __future__ import annotations

import types

import numpy as np
import pytest
from matplotlib.image import imread

from benchmarks.__main__ import main
from benchmarks.experiments import design as experiment
from benchmarks.results import read_json
from eagle_gym.actions import design


def pools(count=3):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(40 + b, 8)) * np.linspace(1, 0.1, 8) + 0.3 * b for b in range(count)]


@pytest.fixture
def quick(monkeypatch):
    """One thread, one repeat, no cvxpy cell."""
    for name in experiment.THREADS:
        monkeypatch.setenv(name, "1")
    monkeypatch.setitem(experiment.SIZES["smoke"], "repeats", 1)
    monkeypatch.setitem(experiment.SIZES["smoke"], "patience", 0.0)


@pytest.mark.usefixtures("quick")
def test_run_on_recorded_pools(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(experiment, "recorded", lambda count: (pools(count), ""))
    assert main(["run", "design", "--size", "smoke", "--out", str(tmp_path)]) == 0
    rows = read_json(tmp_path / "run.json")["rows"]
    own = [row for row in rows if row["method"] == "auto"]
    assert [row["kind"] for row in own] == ["gaussian", "clustered", "deficient", "recorded"]
    assert all(row["gap"] <= 1e-6 for row in own)
    assert {row["method"] for row in rows if row["kind"] == "4 recorded"} == {
        "solve_batch, a pool",
        "select_batch k=16, a pool",
    }
    page = (tmp_path / "REPORT.md").read_text()
    assert "not run: about 0 s: --size large" in page
    assert "good coverage" in page
    assert "4 pools, random" in page
    assert "targets met" in capsys.readouterr().out
    assert imread(tmp_path / "coverage.png").std() > 0.01


@pytest.mark.usefixtures("quick")
def test_run_without_an_environment_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(experiment, "recorded", lambda count: ([], "nothing is prepared"))
    assert main(["run", "design", "--size", "smoke", "--out", str(tmp_path)]) == 0
    assert "not run: nothing is prepared" in capsys.readouterr().out
    assert not (tmp_path / "coverage.png").exists()


def test_more_threads_start_the_run_again_on_one(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    calls = []
    monkeypatch.setattr(experiment.subprocess, "run", lambda command, **kwargs: calls.append((command, kwargs["env"])))
    assert main(["run", "design", "--size", "smoke", "--out", str(tmp_path)]) == 0
    [(command, environment)] = calls
    assert command[1:] == ["-m", "benchmarks.experiments.design", "--size", "smoke", "--out", str(tmp_path)]
    assert {environment[name] for name in experiment.THREADS} == {"1"}


def test_synthetic_pools_are_what_they_say():
    assert design.solve(experiment.synthetic("deficient", 20, 8)).rank == 4
    assert design.solve(experiment.synthetic("gaussian", 20, 8)).rank == 8
    clustered = experiment.synthetic("clustered", 100, 16)
    near = np.sort(np.linalg.norm(clustered[:, None] - clustered[None], axis=-1), axis=1)[:, 1]
    assert np.median(near) < 0.1 * np.median(np.linalg.norm(clustered, axis=1))


def test_displacements_are_those_of_all_candidates():
    z = np.array([[1.0, 2.0], [3.0, 4.0]])
    sets = types.SimpleNamespace(
        pool=5,
        candidates=types.SimpleNamespace(propose=lambda texts, profiles, n, seeds: [[text] * n for text in texts]),
        effects=types.SimpleNamespace(
            expected=lambda texts, prompts, z, seeds: [
                row + np.arange(len(p))[:, None] for row, p in zip(z, prompts, strict=True)
            ]
        ),
    )
    resources = types.SimpleNamespace(action_sets=sets, profile=lambda user: f"likes {user}")
    states = [types.SimpleNamespace(text=str(i), user=i, z=row) for i, row in enumerate(z)]
    envs = types.SimpleNamespace(world=types.SimpleNamespace(resources=resources), states=states)
    for found in experiment.displacements(envs):
        assert found.tolist() == [[float(i), float(i)] for i in range(5)]


def test_verdicts():
    row = experiment.Row("gaussian", 20, 8, "cvxpy", 10.0, 1e-6, 4.0, 3.0)
    missed = experiment.Row("gaussian", 20, 8, "cvxpy-logdet", 10.0, 1e-6, 4.0, 5.0)
    skipped = experiment.Row("gaussian", 1000, 64, "cvxpy", target=80.0, note="about 19 s")
    assert (row.verdict, missed.verdict, skipped.verdict) == ("met", "MISSED", "")
    text = experiment.summary([row, missed, skipped])
    assert text.startswith("1 of 2 targets met; 1 not measured.")
    assert text.count("missed: ") == 1


def test_panels_tell_good_from_poor_and_biased():
    good, poor, biased, reduced = experiment.panels(pools(5))
    numbers = [design.coverage(panel.pool, panel.chosen) for panel in (good, poor, biased, reduced)]
    assert numbers[0].C < 2 < numbers[1].C
    assert numbers[3].C < numbers[2].C
    assert good.pool is poor.pool
    assert biased.pool is reduced.pool
    assert numbers[3].crowding < numbers[2].crowding
