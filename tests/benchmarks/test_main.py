"""The command line: it lists, names wrong arguments and explains itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.experiments import find_experiments
from benchmarks.running.files import ROOT


@pytest.mark.parametrize(("data", "folder"), [(None, "runs/demo"), ("films/ml-1m/", "runs/demo-ml-1m")])
def test_runs_on_other_data_have_a_folder_of_their_own(
    data: str | None, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("films/ml-1m").mkdir(parents=True)
    asked: list[Path] = []
    monkeypatch.setattr("benchmarks.experiments.demo.run", lambda options: asked.append(options.out))
    assert main(["run", "demo", *(["--data", data] if data else [])]) == 0
    assert asked == [Path(folder)]


def test_wrong_arguments_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["run", "dmeo"], "no experiment 'dmeo'"),
        (["run", "demo", "--size", "huge"], "it has smoke, small"),
        (["run", "demo", "--data", str(tmp_path / "none")], "there is no folder"),
    ):
        assert main(arguments) == 1
        assert message in capsys.readouterr().err
    assert main(["list", "dmeo"]) == 1
    assert "no experiment 'dmeo'" in capsys.readouterr().err


def test_the_list_names_what_there_is_and_says_more_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    for name, module in find_experiments().items():
        assert f"{name} " in shown
        assert f"sizes: {', '.join(module.SIZES)}\n" in shown
        assert main(["list", name]) == 0
        said = capsys.readouterr().out
        assert all(f"\n{size}: " in said for size in module.SIZES)
    assert max(map(len, shown.splitlines())) <= 140


@pytest.mark.parametrize(
    "command", ["list", "run", "judge", "report", "rate", "invite", "serve", "ratings", "reference", "readme"]
)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    shown = capsys.readouterr().out
    assert "Example" in shown or "sizes:" in shown
    assert max(map(len, shown.splitlines())) <= 120


def test_the_backend_of_a_notebook_breaks_no_picture(tmp_path: Path) -> None:
    """A whole command in a process of its own, since matplotlib reads the variable when it is imported."""
    program = "from benchmarks.__main__ import main; main(['list']); import matplotlib; print(matplotlib.get_backend())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "MPLBACKEND": "a notebook's own"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().endswith("agg")
