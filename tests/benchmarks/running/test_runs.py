"""Runs are read from their files, and files that do not belong together are not believed."""

from __future__ import annotations

from pathlib import Path

from benchmarks.reporting.build import write_report
from benchmarks.running.runs import read_run
from tests.benchmarks.made_runs import judge, write_cell


def test_judgements_of_episodes_that_were_repeated_are_left_out(tmp_path: Path) -> None:
    for method in ("uniform", "ppo"):
        write_cell(tmp_path, method, 0, [1.0, 2.0, 3.0, 4.0])
    judge(tmp_path)
    assert len(read_run(tmp_path).judgements) == 8
    write_cell(tmp_path, "ppo", 0, [1.0, 2.5, 3.5, 4.0])
    run = read_run(tmp_path)
    assert {key[1:] for key in run.judgements} == {
        *(("uniform", 0, episode) for episode in range(4)),
        *(("ppo", 0, episode) for episode in (0, 3)),
    }
    assert run.latent_map("plots") is not None
    write_report([tmp_path], tmp_path, html=False)
    assert "Judged in part (6 of 8 episodes)" in (tmp_path / "REPORT.md").read_text()


def test_no_judgement_or_map_outlives_its_episodes(tmp_path: Path) -> None:
    write_cell(tmp_path, "uniform", 0, [1.0, 2.0])
    judge(tmp_path)
    write_cell(tmp_path, "uniform", 0, [1.5, 2.5])
    run = read_run(tmp_path)
    assert run.judgements == {}
    assert run.latent_map("plots") is None
