"""`python -m baselines` on the known world."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import baselines.__main__
from baselines.__main__ import main
from baselines.dataset import load
from baselines.registry import read_setting
from eagle_gym.envs.vector import EagleVectorEnv
from tests.fake_worlds import make_tiny_world
from tests.fakes import KnownVecEnv, KnownVectorEnv


@pytest.fixture(autouse=True)
def known_world(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Commands find the known world, whatever id they name; the list has the arguments it was made with."""
    asked: list[dict[str, Any]] = []

    def make(env_id: str, num_envs: int, **kwargs: Any) -> KnownVectorEnv:
        asked.append({"env_id": env_id, "num_envs": num_envs, **kwargs})
        return KnownVectorEnv(num_envs=num_envs)

    module = types.ModuleType("eagle_gym.envs.sb3")
    module.SB3VecEnv = lambda envs: KnownVecEnv(num_envs=envs.num_envs)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "eagle_gym.envs.sb3", module)
    monkeypatch.setattr(baselines.__main__, "make_envs", make)
    return asked


def test_train_then_evaluate(
    tmp_path: Path, known_world: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    out, rows = tmp_path / "ppo", tmp_path / "rows.json"
    small = ["--set", "total_timesteps=40", "--set", "hidden=8", "--num-envs", "4"]
    assert main(["train", "ppo", "--out", str(out), *small]) == 0
    assert "trained for 40 steps" in capsys.readouterr().out
    arguments = ["evaluate", "uniform", "optimistic", "g_optimal", str(out), "--episodes", "10", "--num-envs", "4"]
    assert main([*arguments, "--rows", str(rows), "--kwargs", '{"horizon": 3}']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:5]] == ["uniform", "optimistic", "g_optimal", str(out)]
    assert lines[1].split()[1] == "12"  # rounded up to whole batches
    assert len(json.loads(rows.read_text())) == 4 * 12
    assert [asked["split"] for asked in known_world] == ["train", "test"]
    assert known_world[1]["horizon"] == 3


def test_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    world = make_tiny_world(observation="latent", split="train")
    monkeypatch.setattr(
        baselines.__main__, "make_envs", lambda env_id, num_envs, **kwargs: EagleVectorEnv.from_world(world, num_envs)
    )
    assert main(["record", "--out", str(tmp_path), "--episodes", "3", "--num-envs", "2"]) == 0
    assert "4 episodes each" in capsys.readouterr().out  # rounded up to whole batches
    assert len(load(tmp_path, ["optimistic"])) == 4 * 3


def test_errors_are_shown_and_not_traced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(tmp_path / "nothing")]) == 1
    assert "PreparationError" in capsys.readouterr().err
    assert main(["train", "ppo", "--out", str(tmp_path), "--set", "gama=1"]) == 1
    assert "ppo has no hyperparameter 'gama'; did you mean 'gamma'?" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["evaluate", "uniform", "--kwargs", "[1]"])


@pytest.mark.parametrize(
    ("command", "name", "home"),
    [
        (["evaluate", "uniform"], "split", "--split"),
        (["evaluate", "uniform"], "num_envs", "--num-envs"),
        (["train", "ppo", "--out", "x"], "id", "--env"),
        (["train", "ppo", "--out", "x"], "num_envs", "--num-envs"),
    ],
)
def test_what_has_an_option_does_not_stand_in_kwargs(
    command: list[str], name: str, home: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--kwargs", json.dumps({name: 1})]) == 1
    assert f"--kwargs holds {name!r}: use the option {home} instead" in capsys.readouterr().err


def test_trained_agents_are_evaluated_as_in_the_benchmarks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []
    whole = baselines.__main__.evaluate

    def noted(*args: Any, method: str, deterministic: bool, **kwargs: Any) -> Any:
        asked.append((Path(method).name, deterministic))
        return whole(*args, method=method, deterministic=deterministic, **kwargs)

    monkeypatch.setattr(baselines.__main__, "evaluate", noted)
    out = str(tmp_path / "ppo")
    main(["train", "ppo", "--out", out, "--set", "total_timesteps=20", "--set", "hidden=8", "--num-envs", "4"])
    for flags in ([], ["--sample"]):
        assert main(["evaluate", "g_optimal", out, "--episodes", "4", "--num-envs", "4", *flags]) == 0
    assert asked == [("g_optimal", False), ("ppo", True), ("g_optimal", False), ("ppo", False)]


@pytest.mark.parametrize(
    ("command", "taught"),
    [
        ("record", ["python -m baselines record --env EagleGym/Plots-v0", "train users", "--episodes"]),
        ("train", ["python -m baselines train ppo --env", "--resume", "recurrent_ppo", "python -m baselines settings"]),
        ("evaluate", ["python -m baselines evaluate runs/ppo --env", "beam:budget=640,width=8", "--sample"]),
    ],
)
def test_help_teaches(command: str, taught: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert [words for words in taught if words not in shown] == []


def test_settings_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "eagle"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "gamma=1.0" in [line.split()[0] for line in lines]
    assert all(read_setting("eagle", line.split()[0]) for line in lines)  # what is shown can be given back
