"""Engines: the same work, wherever it is done; what fails is told apart from what is done."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from tqdm import tqdm

from benchmarks.engines import make_engine
from eagle_gym.errors import ConfigurationError


def touch(path: Path) -> None:
    """Work: fails on a path called ``broken``, dies on one called ``killed``."""
    if path.name == "broken":
        raise ValueError("this one is broken")
    if path.name == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    path.write_text(str(os.getpid()))


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_piece_is_done_or_said_to_have_failed(tmp_path: Path, jobs: int) -> None:
    paths = [tmp_path / name for name in ("a", "broken", "b")]
    outcomes = dict(make_engine("local", jobs)(touch, paths))
    assert outcomes == {paths[0]: None, paths[1]: "ValueError: this one is broken", paths[2]: None}
    here = {path.read_text() == str(os.getpid()) for path in (paths[0], paths[2])}
    assert here == {jobs == 1}


def test_a_killed_process_is_a_failure_and_not_the_end(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "killed"]
    outcomes = dict(make_engine("local", 2)(touch, paths))
    assert set(outcomes) == set(paths)
    assert "BrokenProcessPool" in str(outcomes[paths[1]])


def test_on_ray_the_same_comes_out(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'eagle_gym[cluster]'")
    paths = [tmp_path / name for name in ("a", "broken", "b", "c")]
    outcomes = dict(make_engine("ray", 2)(touch, paths))
    assert [outcomes[path] is None for path in paths] == [True, False, True, True]
    assert "this one is broken" in str(outcomes[paths[1]])
    assert {path.exists() for path in (paths[0], *paths[2:])} == {True}


@pytest.mark.parametrize(("name", "jobs"), [("slurm", 1), ("local", 0)])
def test_what_cannot_be_is_an_error(name: str, jobs: int) -> None:
    with pytest.raises(ConfigurationError):
        make_engine(name, jobs)


def bar(path: Path) -> None:
    """Work: writes down whether its progress bar is shown."""
    with tqdm(total=1) as shown:
        path.write_text(str(bool(shown.disable)))


def test_bars_of_several_processes_are_not_shown(tmp_path: Path) -> None:
    outcomes = dict(make_engine("local", 2)(bar, [tmp_path / "a"]))
    assert outcomes == {tmp_path / "a": None}
    assert (tmp_path / "a").read_text() == "True"
