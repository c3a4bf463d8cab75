"""Engines: the same work, wherever it is done; what fails is told apart from what is done."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from tqdm import tqdm

from benchmarks.running.engines import Engine, make_engine
from eagle_gym.errors import ConfigurationError


def touch(path: Path) -> None:
    """Work: fails on a path called `broken`, dies on one called `killed`; late with one called `slow`."""
    if path.name == "broken":
        raise ValueError("this one is broken")
    if path.name == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if path.name == "slow":
        time.sleep(0.5)
    path.write_text(str(os.getpid()))


def paths(folder: Path, *names: str) -> dict[str, Path]:
    return {name: folder / name for name in names}


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_piece_is_done_or_said_to_have_failed(tmp_path: Path, jobs: int) -> None:
    outcomes = dict(make_engine("local", jobs)(touch, paths(tmp_path, "a", "broken", "b")))
    assert outcomes == {"a": None, "broken": "ValueError: this one is broken", "b": None}
    assert {(tmp_path / name).read_text() == str(os.getpid()) for name in ("a", "b")} == {jobs == 1}


def test_a_killed_process_is_a_failure_and_not_the_end(tmp_path: Path) -> None:
    outcomes = dict(make_engine("local", 2)(touch, paths(tmp_path, "a", "killed", "b", "c")))
    assert set(outcomes) == {"a", "killed", "b", "c"}
    assert "BrokenProcessPool" in str(outcomes["killed"])
    assert outcomes["c"] is None, "what had not begun is done by other processes"


def in_order_of_need(engine: Engine, folder: Path) -> None:
    """The last needs the first, and one more needs that; others need what fails, or what is there already."""
    work = paths(folder, "second", "third", "b", "of broken", "of that", "broken", "slow")
    needs = {"second": ["slow", "long there"], "third": ["second"], "of broken": ["broken"], "of that": ["of broken"]}
    outcomes = list(engine(touch, work, needs))
    ended = [name for name, _ in outcomes]
    assert ended.index("slow") < ended.index("second") < ended.index("third")
    assert dict(outcomes) == dict.fromkeys(("slow", "second", "third", "b")) | {
        "broken": "ValueError: this one is broken",
        "of broken": "broken, which it needs, failed: ValueError: this one is broken",
        "of that": "of broken, which it needs, failed: ValueError: this one is broken",
    }
    assert not (folder / "of broken").exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_needs_another_waits_for_it(tmp_path: Path, jobs: int) -> None:
    in_order_of_need(make_engine("local", jobs), tmp_path)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_circle_is_an_error(tmp_path: Path, jobs: int) -> None:
    with pytest.raises(ConfigurationError, match="in a circle: a, b"):
        list(make_engine("local", jobs)(touch, paths(tmp_path, "a", "b"), {"a": ["b"], "b": ["a"]}))


def test_on_ray_the_same_comes_out(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'eagle_gym[cluster]'")
    in_order_of_need(make_engine("ray", 2), tmp_path)


@pytest.mark.parametrize(("name", "jobs"), [("slurm", 1), ("local", 0)])
def test_what_cannot_be_is_an_error(name: str, jobs: int) -> None:
    with pytest.raises(ConfigurationError):
        make_engine(name, jobs)


def bar(path: Path) -> None:
    """Work: writes down whether its progress bar is shown."""
    with tqdm(total=1) as shown:
        path.write_text(str(bool(shown.disable)))


def test_bars_of_several_processes_are_not_shown(tmp_path: Path) -> None:
    assert dict(make_engine("local", 2)(bar, paths(tmp_path, "a"))) == {"a": None}
    assert (tmp_path / "a").read_text() == "True"
