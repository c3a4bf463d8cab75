"""The experiment on designs: its rows are true, its page says what was not run, its figure shows four action sets."""

from __future__ import annotations

import types

import numpy as np
import pytest
from matplotlib.image import imread

from benchmarks.__main__ import main
from benchmarks.experiments.design import SIZES, times
from benchmarks.experiments.design import measure as experiment
from benchmarks.experiments.design.coverage import panels
from benchmarks.experiments.design.figure import ellipse
from benchmarks.experiments.design.page import line, summary
from benchmarks.experiments.design.pools import displacements, recorded, synthetic
from benchmarks.experiments.design.times import Timing
from benchmarks.running.files import read_json
from eagle_gym import design
from eagle_gym.actions.action_set import ActionSets
from eagle_gym.errors import PreparationError


def pools(count=3):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(40 + b, 8)) * np.linspace(1, 0.1, 8) + 0.3 * b for b in range(count)]


@pytest.fixture
def quick(monkeypatch):
    """One thread, one repeat, no cvxpy cell."""
    for name in experiment.THREADS:
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(times, "STEADY", 0.0)
    for size in ("smoke", "huge"):
        settings = {"shapes": [(20, 8)], "repeats": 1, "patience": 0.0, "pools": 4, "prepare": "never"}
        settings["giants"] = size == "huge"
        monkeypatch.setitem(SIZES, size, settings)


@pytest.fixture
def prepared(monkeypatch):
    """An environment whose start states have the pools above."""
    for module in (experiment, times):
        monkeypatch.setattr(module, "recorded", lambda size, width, count, prepare: pools(count))


def absent(*_args, **_kwargs):
    raise PreparationError("nothing is there")


@pytest.mark.usefixtures("quick", "prepared")
def test_run_on_recorded_pools(tmp_path, capsys):
    assert main(["run", "design", "--size", "smoke", "--out", str(tmp_path)]) == 0
    rows = read_json(tmp_path / "run.json")["rows"]
    own = [row for row in rows if row["method"] == "auto"]
    assert [row["kind"] for row in own] == ["gaussian", "clustered", "deficient", "recorded"]
    assert all(row["gap"] <= 1e-6 for row in own)
    assert own[-1]["size"] == 47, "of eight start states, the one with the most candidates"
    assert {row["method"] for row in rows if row["kind"] == "4 recorded"} == {
        "solve_batch, per pool",
        "select_batch k=16, per pool",
    }
    page = (tmp_path / "REPORT.md").read_text()
    assert "not run: gaussian 20, 8, cvxpy: about 0 s: --size large" in page
    assert "(a) good coverage" in page
    assert "4 pools, random" in page
    printed = capsys.readouterr().out
    assert "targets met" in printed
    assert all(line(Timing(**row)) in printed for row in rows)
    assert imread(tmp_path / "coverage.png").std() > 0.01


@pytest.mark.usefixtures("quick", "prepared")
def test_rows_are_on_disk_as_they_come(tmp_path, monkeypatch):
    def killed(pools, repeats, known):
        raise KeyboardInterrupt

    monkeypatch.setattr(times, "batches", killed)
    with pytest.raises(KeyboardInterrupt):
        main(["run", "design", "--size", "smoke", "--out", str(tmp_path)])
    assert len(read_json(tmp_path / "run.json")["rows"]) == 4 * 6


@pytest.mark.usefixtures("quick", "prepared")
def test_what_is_done_is_not_done_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(SIZES["smoke"], "patience", 1.0)
    arguments = ["run", "design", "--size", "smoke", "--out", str(tmp_path)]
    assert main(arguments) == 0
    first = read_json(tmp_path / "run.json")["rows"]
    timed = times.timed
    monkeypatch.setattr(times, "timed", absent)
    assert main(arguments) == 0, "every cell is there"
    assert read_json(tmp_path / "run.json")["rows"] == first
    capsys.readouterr()
    assert main([*arguments, "--fresh"]) == 1, "all cells again"
    assert "nothing is there" in capsys.readouterr().err
    monkeypatch.setattr(times, "timed", timed)
    monkeypatch.setattr(experiment, "SOLVERS", ("numpy",))  # other versions are other measurements
    assert main(arguments) == 0
    assert read_json(tmp_path / "run.json")["rows"][0]["ms"] != first[0]["ms"]


@pytest.mark.usefixtures("quick")
def test_run_without_an_environment_says_so(tmp_path, monkeypatch, capsys):
    for module in (experiment, times):
        monkeypatch.setattr(module, "recorded", absent)
    assert main(["run", "design", "--size", "smoke", "--out", str(tmp_path)]) == 0
    assert "not run: the environment is not prepared (nothing is there)" in capsys.readouterr().out
    assert not (tmp_path / "coverage.png").exists()


@pytest.mark.usefixtures("quick", "prepared")
def test_the_giant_cell_is_asked_for_by_name_run_last_and_warned_of(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(times, "GIGABYTES", {("cvxpy-clarabel", (20, 8)): 17})
    monkeypatch.setattr(experiment, "save_figure", lambda pools, folder: None)
    assert main(["run", "design", "--size", "smoke", "--out", str(tmp_path / "smoke")]) == 0
    assert capsys.readouterr().out.count("needs 17 GB of memory: --size huge") == 3
    assert main(["run", "design", "--size", "huge", "--out", str(tmp_path / "huge")]) == 0
    printed = capsys.readouterr().out
    assert printed.index("select_batch") < printed.index(
        "warning: cvxpy-clarabel at (20, 8) needs about 17 GB of memory"
    )
    rows = [Timing(**row) for row in read_json(tmp_path / "huge" / "run.json")["rows"]]
    (row,) = [row for row in rows if (row.kind, row.method) == ("gaussian", "cvxpy-clarabel")]
    assert row.gap < 1e-3
    assert row.speedup > 1


def test_one_cell_needs_that_much_and_the_demanded_ones_do_not():
    assert set(times.GIGABYTES) == {("cvxpy-clarabel", (1000, 64))}
    assert not any(shape in times.TARGETS.get(method, {}) for method, shape in times.GIGABYTES)
    assert SIZES["large"]["patience"] == np.inf


def test_available_memory_is_in_gigabytes():
    there = times.available()
    assert np.isnan(there) or 0.01 < there < 1e5


@pytest.mark.usefixtures("prepared")
def test_the_figure_alone(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(experiment, "measure", absent)
    assert main(["run", "design", "--figure", "--size", "smoke", "--out", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["coverage.pdf", "coverage.png"]
    assert "| (d) reduced bias, by design, unit lengths " in capsys.readouterr().out


def test_no_figure_without_an_environment(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(experiment, "recorded", absent)
    assert main(["run", "design", "--figure", "--out", str(tmp_path)]) == 1
    assert "nothing is there" in capsys.readouterr().err


def test_more_threads_start_the_run_again_on_one(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    calls = []
    monkeypatch.setattr(experiment.subprocess, "run", lambda command, **kwargs: calls.append((command, kwargs["env"])))
    assert main(["run", "design", "--size", "smoke", "--out", str(tmp_path)]) == 0
    [(command, environment)] = calls
    assert command[1:] == ["-m", "benchmarks", "run", "design", "--size", "smoke", "--out", str(tmp_path)]
    assert {environment[name] for name in experiment.THREADS} == {"1"}


def test_accbpg_where_it_is_installed():
    pytest.importorskip("accbpg", reason="accbpg is an extra")
    pool = synthetic("deficient", 40, 8)
    assert design.leverages(pool, times.by_accbpg(pool))[1] <= 1e-6


def test_accbpg_where_it_is_not(monkeypatch):
    monkeypatch.setattr(times.importlib.util, "find_spec", lambda name: None)
    row = times.measure_method("gaussian", synthetic("gaussian", 20, 8), "accbpg", 1.0, SIZES["smoke"])
    assert (row.ms, row.target) == (None, 1.0)
    assert "pip install" in row.note


def test_synthetic_pools_are_what_they_say():
    assert design.solve(synthetic("deficient", 20, 8)).rank == 4
    assert design.solve(synthetic("gaussian", 20, 8)).rank == 8
    clustered = synthetic("clustered", 100, 16)
    near = np.sort(np.linalg.norm(clustered[:, None] - clustered[None], axis=-1), axis=1)[:, 1]
    assert np.median(near) < 0.1 * np.median(np.linalg.norm(clustered, axis=1))


def test_displacements_are_what_the_designs_of_the_states_saw():
    class Steps:
        """An edit is a number, and moves a state by that much."""

        def propose(self, texts, profiles, n, seeds):
            return [[f"{j + seed % 7}" for j in range(n)] for seed in seeds]

        def expected(self, texts, edits, z, seeds):
            return [row + np.array([[float(p), 1.0] for p in pool]) for row, pool in zip(z, edits, strict=True)]

    z = np.array([[1.0, 2.0], [3.0, 4.0]])
    sets = ActionSets(Steps(), Steps(), pool=5, k=3)
    resources = types.SimpleNamespace(action_sets=sets, profile=lambda user: f"likes {user}")
    states = [types.SimpleNamespace(text=str(i), user=i, z=row) for i, row in enumerate(z)]
    envs = types.SimpleNamespace(world=types.SimpleNamespace(resources=resources), states=states)
    offered = sets.build(["0", "1"], ["likes 0", "likes 1"], z)
    for found, chosen in zip(displacements(envs), offered, strict=True):
        assert found.shape == (5, 2)
        assert (found[:, 1] == 1).all()
        assert {tuple(row) for row in chosen.features} <= {tuple(row) for row in found}


def test_pools_of_the_real_environment_are_recorded():
    try:
        found = recorded(24, 8, 3, prepare="never")
    except PreparationError as error:
        pytest.skip(f"the environment is not prepared: {error}")
    assert [pool.shape for pool in found] == [(24, 8)] * 3
    assert all(np.linalg.norm(pool, axis=1).mean() > 0.1 for pool in found)


def test_verdicts():
    row = Timing("gaussian", 20, 8, "cvxpy", 10.0, 1e-6, 4.0, 3.0)
    missed = Timing("gaussian", 20, 8, "cvxpy-logdet", 10.0, 1e-6, 4.0, 5.0)
    skipped = Timing("gaussian", 1000, 64, "cvxpy", target=80.0, note="about 19 s")
    assert (row.verdict, missed.verdict, skipped.verdict) == ("met", "MISSED", "")
    text = summary([row, missed, skipped])
    assert text.startswith("1 of 2 targets met; 1 not measured.")
    assert text.count("missed: ") == 1


def test_panels_tell_good_from_poor_and_biased():
    good, poor, biased, reduced = panels(pools(5))
    numbers = [design.coverage(panel.pool, panel.chosen) for panel in (good, poor, biased, reduced)]
    assert numbers[0].C < 2 < numbers[1].C
    assert numbers[3].C < numbers[2].C
    assert good.pool is poor.pool
    assert biased.pool is reduced.pool
    assert numbers[3].alignment < numbers[2].alignment
    assert np.linalg.norm(biased.pool, axis=1) == pytest.approx(np.ones(len(biased.pool)))
    for panel in (good, poor, biased, reduced):
        assert panel.axes @ panel.axes.T == pytest.approx(np.eye(2))


def test_the_poor_set_is_seen_along_the_direction_that_it_covers_worst():
    poor = panels(pools(5))[1]
    picked = poor.pool[poor.chosen]
    up = poor.axes[1]
    spread = np.square(picked @ up).mean()
    worst = np.square(poor.pool @ up).max() / spread / 8
    assert worst == pytest.approx(design.coverage(poor.pool, poor.chosen).C)


def test_what_lies_outside_the_ellipse_is_covered_worse_than_by_an_optimal_design():
    pool, directions = pools(1)[0], np.eye(8)[:2]
    chosen = design.select(pool, 16).indices
    outline = ellipse(pool, chosen, directions)
    g, _ = design.leverages(pool, np.bincount(chosen, minlength=len(pool)))
    shape = np.linalg.inv(outline.T @ outline / len(outline) * 2)  # of a curve (cos, sin), the mean of xx^T is half
    outside = np.einsum("ki,ij,kj->k", pool[:, :2], shape, pool[:, :2]) > 1 + 1e-6
    assert (g[outside] > 8).all()
    assert ellipse(pool, [0, 1], directions) is None
