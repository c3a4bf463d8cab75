"""What goes into the README comes from runs, and no text of MovieLens does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from baselines.evaluate import EpisodeRow
from benchmarks.reporting.readme import (
    FINDINGS,
    commands,
    fill,
    keep_tasks,
    made,
    renew_episode,
    renew_latent,
    renew_results,
    renew_speed,
    results,
)
from benchmarks.running.files import REFERENCE, ROOT, read_json, write_json, write_rows
from benchmarks.running.runs import read_run
from eagle_gym.errors import ConfigurationError, PreparationError
from tests.benchmarks.made_runs import header, write_cell, write_plan

PAGE = "# A\n<!-- episode -->\nold\n<!-- /episode -->\nbetween\n<!-- results -->\n<!-- /results -->\nend\n"


def write_demo(folder: Path, env_id: str) -> None:
    values = (0.0, 1.25)
    row = EpisodeRow(
        *("ppo", 0, 1, "u7", "p1", 1, 1.25, 1, 0.25, 0, 0, 50, 80, True, values),
        *(("A film.", "A dark film."), ("Darker.",), ((0.0,), (1.0,))),
    )  # fmt: skip
    write_rows([row], folder / "cells" / "plots-ppo-0" / "episodes.parquet")
    found = header("ppo", 0, "plots", env_id, calls=2, trained=1)
    found["cost"]["steps"] = 7680
    write_json(found, folder / "cells" / "plots-ppo-0" / "run.json")


def write_tasks(folder: Path) -> Path:
    """A run of the experiment on tasks with two methods."""
    for method in ("uniform", "ppo"):
        write_cell(folder, method, 0, [1.0, 2.0])
    write_plan(folder, {"plots-uniform-0": ("uniform", 0, "plots"), "plots-ppo-0": ("ppo", 0, "plots")}, "tasks")
    for name, text in {"SUMMARY.md": "| PPO (SB3) | 0.5 |", "REPORT.md": "The page.", "tasks.json": "{}"}.items():
        (folder / name).write_text(text)
    return folder


def write_reference(folder: Path, *, without: str = "") -> Path:
    """Committed runs with all verdicts of the README but one."""
    keep_tasks(write_tasks(folder.with_name("tasks")), folder)
    for item in FINDINGS:
        path = folder / item.experiment / "verdicts.json"
        found = read_json(path) if path.exists() else {}
        row = [item.claim, f"0.1 {item.claim}", "0.2", "holds"]
        some = [*found.get(item.table, ()), *([] if item.claim == without else [row])]
        write_json(found | {item.table: some}, path)
    return folder


def test_parts_are_renewed_and_the_rest_stays(tmp_path: Path) -> None:
    readme, demo = tmp_path / "README.md", tmp_path / "demo"
    readme.write_text(PAGE)
    write_demo(demo, "EagleGym/Plots-v0")
    renew_episode(readme, demo)
    renew_results(readme, write_reference(tmp_path / "reference"))
    page = readme.read_text()
    assert "\nold\n" not in page
    assert "+1.25  A dark film." in page
    assert "after 7,680 steps" in page
    assert "| PPO (SB3) | 0.5 |" in page
    assert (tmp_path / "reference" / "tasks" / "REPORT.md").read_text() == "The page."
    renew_episode(readme, demo)
    renew_results(readme, tmp_path / "reference")
    assert readme.read_text() == page
    with pytest.raises(PreparationError, match="run the tasks experiment"):
        keep_tasks(tmp_path / "absent", tmp_path / "reference")


def test_findings_come_with_their_verdicts(tmp_path: Path) -> None:
    page = results(write_reference(tmp_path / "reference"))
    for item in FINDINGS:
        name, _, rest = item.words.partition(":")
        said = f"| [{name}](benchmarks/reference/{item.experiment}/REPORT.md):{rest} "
        (line,) = [line for line in page.splitlines() if line.startswith(said)]
        assert [word.strip() for word in line.split("|")[2:5]] == [f"0.1 {item.claim}", "0.2", "holds"]
    absent = FINDINGS[-1].claim
    with pytest.raises(PreparationError, match=f"verdict on '{absent}'"):
        results(write_reference(tmp_path / "lacking", without=absent))


def test_commands_name_one_folder(tmp_path: Path) -> None:
    write_cell(tmp_path, "uniform", 0, [1.0])
    path = tmp_path / "cells" / "plots-uniform-0" / "run.json"
    write_json(read_json(path) | {"command": "__main__.py run t1_methods --out elsewhere --jobs 2"}, path)
    lines = commands(read_run(tmp_path)).splitlines()
    assert lines[1:3] == [
        "python -m benchmarks run t1_methods --out runs/t1_methods",
        "python -m benchmarks readme --tasks runs/t1_methods",
    ]


def test_results_name_what_is_not_in_them(tmp_path: Path) -> None:
    folder = write_tasks(tmp_path) / "cells" / "plots-ppo-0"
    (folder / "run.json").unlink()
    write_json({"error": "it broke"}, folder / "error.json")
    assert "Not in the numbers of plots: PPO (SB3) failed (seed 0): it broke." in made(tmp_path)


def test_the_readme_says_what_the_reference_says() -> None:
    page = (ROOT / "README.md").read_text()
    found = results(REFERENCE)
    assert found in page, "run `python -m benchmarks readme`"
    rows = [line for line in found.splitlines() if line.startswith("|")]
    assert len(rows) - 2 * 2 <= 10, "both tables together have at most ten rows besides their heads"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().split()) < 1_000


def test_the_page_of_the_latent_space_is_renewed(tmp_path: Path) -> None:
    page, space = tmp_path / "page.md", tmp_path / "space"
    page.write_text("# Z\n<!-- space -->\nold\n<!-- /space -->\nend\n")
    with pytest.raises(PreparationError, match="run the space experiment"):
        renew_latent(page, space)
    write_json({"commit": "0123456789abcdef", "machine": {"processor": "a processor"}}, space / "run.json")
    (space / "REPORT.md").write_text("numbers\n")
    renew_latent(page, space)
    assert (
        "run space --data ml-latest-small\n```\n\nCommit 0123456789, a processor.\n\nnumbers\n<!-- /space"
        in page.read_text()
    )


@pytest.mark.parametrize(("device", "mark"), [("cpu", "throughput"), ("NVIDIA X", "throughput-cuda")])
def test_the_pages_on_speed_are_renewed_for_the_device_of_the_run(tmp_path: Path, device: str, mark: str) -> None:
    page, log, run = tmp_path / "page.md", tmp_path / "page_log.md", tmp_path / "run"
    marks = "".join(f"<!-- {name} -->\nold\n<!-- /{name} -->\n" for name in ("throughput", "throughput-cuda"))
    for path in (page, log):
        path.write_text(marks)
    write_json({"device": device, "finished": False}, run / "run.json")
    (run / "REPORT.md").write_text("# Throughput\n\nSize small.\n\n## Steps\n\nnumbers\n")
    (run / "throughput.png").write_bytes(b"a picture")
    with pytest.raises(PreparationError, match="ended early"):
        renew_speed(page, run)
    write_json({"device": device, "finished": True}, run / "run.json")
    renew_speed(page, run)
    assert f"<!-- {mark} -->\nSize small.\n<!-- /{mark} -->" in page.read_text()
    assert f"<!-- {mark} -->\n#### Steps\n\nnumbers\n\n![" in log.read_text()
    assert page.read_text().count("old") == log.read_text().count("old") == 1
    assert (tmp_path / f"{mark}.png").read_bytes() == b"a picture"


def test_measured_pages_have_their_marks() -> None:
    for page, marks in (
        ("README.md", ("results",)),
        ("docs/introduction.md", ("episode",)),
        ("eagle_gym/latent/README.md", ("space",)),
        ("docs/speed.md", ("throughput", "throughput-cuda")),
        ("docs/speed_log.md", ("throughput", "throughput-cuda")),
    ):
        for mark in marks:
            fill((ROOT / page).read_text(), mark, "")


def test_what_the_space_is_worth_stands_in_its_tables() -> None:
    page = (ROOT / "eagle_gym/latent/README.md").read_text()
    section = page.partition("## What the space is worth")[2].partition("\n## ")[0]
    tables = page.partition("<!-- space -->")[2]
    named = re.findall(r"[+-]\d+\.\d+ %(?: \[[^\]]+\])?|\b0\.\d{3}\b", section)
    assert len(named) > 20
    assert [number for number in named if number not in tables] == []


def test_texts_of_movielens_stay_out(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(PAGE)
    write_demo(tmp_path / "demo", "EagleGym/MovieLens-v0")
    with pytest.raises(ConfigurationError, match="only texts of EagleGym/Plots-v0"):
        renew_episode(tmp_path / "README.md", tmp_path / "demo")
    assert (tmp_path / "README.md").read_text() == PAGE


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="<!-- episode -->"):
        fill("nothing here", "episode", "x")
