"""`python -m eagle_gym`: what it prints, what it asks, and how it fails."""

from __future__ import annotations

import io
import json
import re
import sys
from functools import partial
from pathlib import Path

import pytest

from eagle_gym import __main__ as command
from eagle_gym import latent
from eagle_gym.envs import checks, opening
from eagle_gym.envs.settings import Settings
from eagle_gym.errors import ConfigurationError, EagleError
from eagle_gym.registration import IDS
from eagle_gym.tasks import BASE

QUICK = ["horizon=2", "actions=4", "pool=16", "prepare=never"]


def run(*arguments: str, typed: str = "", monkeypatch: pytest.MonkeyPatch | None = None) -> int:
    if monkeypatch is not None:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    return command.main(list(arguments))


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    shown = capsys.readouterr().out
    for word in ("list", "prepare", "play", "animate", "check", "info", "EagleGym/MovieLens-v0 root=", "examples:"):
        assert word in shown
    with pytest.raises(SystemExit):
        run("play", "--help")
    shown = capsys.readouterr().out
    assert "--seed" in shown
    assert "  horizon=5 (hidden: 10)\n" in shown
    words = " ".join(shown.split()).replace("`", "")
    for name, record in Settings.arguments().items():
        assert f"  {name}={BASE.get(name, record.default)}" in shown
        assert " ".join(record.help.split()).replace("`", "") in words


def test_values_are_json_or_strings() -> None:
    given = command.keywords(
        ["horizon=3", "reward=terminal", 'utility_kwargs={"weight": 0.5}', "utility=None", "a=b=c"]
    )
    assert given == {
        "horizon": 3,
        "reward": "terminal",
        "utility_kwargs": {"weight": 0.5},
        "utility": None,
        "a": "b=c",
    }
    with pytest.raises(ConfigurationError, match="name=value"):
        command.keywords(["horizon"])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["info", "EagleGym/Plot-v0"], "did you mean 'EagleGym/Plots-v0'"),
        (["info", "EagleGym/Plots-v0", "horizn=3"], "did you mean 'horizon'"),
        (["prepare", "EagleGym/MovieLens-v0"], "needs root="),
        (["play", "EagleGym/Plots-v0", "horizon"], "name=value"),
    ],
)
def test_wrong_arguments_end_with_2_and_a_hint(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "open_resources", lambda settings: pytest.fail("something was loaded"))
    assert run(*arguments) == 2
    assert complaint in capsys.readouterr().err


def test_other_errors_end_with_1(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(settings: object) -> None:
        raise EagleError("the disk is full")

    monkeypatch.setattr(opening, "open_resources", broken)
    assert run("info", "temperature=0.123") == 1  # no open world has these parts
    assert "the disk is full" in capsys.readouterr().err


def test_list_names_every_id_once_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(IDS)
    assert all(re.search(r"\S {2,}\S.*\(needs .+\); \S", line) for line in lines)


def test_list_is_json_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert {env_id: entry["kwargs"] for env_id, entry in found.items()} == dict(IDS)
    assert all(entry["description"] and entry["needs"] and entry["task"] for entry in found.values())


def test_an_animation_is_small_and_repeatable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.gif", "b.gif"):
        assert run("animate", "EagleGym/Plots-v0", *QUICK, "--seed", "3", "--out", str(tmp_path / name)) == 0
    first, second = ((tmp_path / name).read_bytes() for name in ("a.gif", "b.gif"))
    assert first == second
    assert first.startswith(b"GIF89a")
    assert len(first) < 2**20
    assert "KiB" in capsys.readouterr().out


def test_info_prints_what_the_world_is_made_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", "EagleGym/Plots-v0", "observation=latent", "prepare=never") == 0
    shown = capsys.readouterr().out
    for word in ("observation space", "Discrete(16)", "plots:", "embedded", "latent space", "radius", "plot_english"):
        assert word in shown
    for pattern in (
        r"\n  train split +800 users, .*this environment's",
        r"\n  test split +200 users",
        r"\n  r2 +0\.\d+ \(95 % interval 0\.\d+ to 0\.\d+, 0\.\d+ at best\), \d+ edits of \d+ texts\n",
        r"\n  r2 vague +0\.\d+ ",
    ):
        assert re.search(pattern, shown)
    assert '{"observation": "latent", "prepare": "never"}' in shown
    assert "RMSE" not in shown


def test_info_measures_on_request(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latent, "cold_start_report", partial(latent.cold_start_report, splits=1))
    assert run("info", "prepare=never", "--measure") == 0
    table = capsys.readouterr().out.split("RMSE of ratings")[1].splitlines()
    assert [line.split()[0] for line in table[2:]] == ["all", "train", "test"]
    for line in table[2:]:
        user_mean, *others = [float(number) for number in re.findall(r" (\d\.\d{4})", line)]
        assert len(others) == 3
        assert 0 < others[2] < user_mean, "texts tell something"


def test_prepare_says_that_it_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("prepare", "prepare=never") == 0
    assert "EagleGym/Plots-v0 is prepared." in capsys.readouterr().out


def test_a_person_plays_an_episode(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    typed = "99\nx\n1\n\n5\nr\nq\n"
    code = run("play", "EagleGym/Plots-v0", *QUICK, "--seed", "3", typed=typed, monkeypatch=monkeypatch)
    shown = capsys.readouterr().out
    assert code == 0
    assert shown.startswith("You are the agent.")
    assert "'99' is not one of the choices" in shown
    assert "'x' is not one of the choices" in shown
    assert shown.count("\nStart: ") == 2, "r starts another episode, and a step shows only what is new"
    assert [shown.count(f"Step {step} of 2.") for step in range(3)] == [2, 1, 0]
    assert shown.count("The end: utility") == 1
    assert "'5' is not one of the choices" in shown, "the episode was over"


def test_play_starts_where_it_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    text = "A dark western film set on a train."
    assert run("play", *QUICK, "--text", text, typed="", monkeypatch=monkeypatch) == 0
    assert text in capsys.readouterr().out
    assert run("play", *QUICK, "--text", "quack", typed="", monkeypatch=monkeypatch) == 1
    assert "plot English" in capsys.readouterr().err


@pytest.mark.slow
def test_check_runs_every_checker(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "EagleGym/Plots-v0", *QUICK, "language_model=grammar") == 0
    shown = capsys.readouterr().out
    assert shown.count("ok  ") == 5
    assert "FAIL" not in shown


def test_check_skips_the_checker_that_is_not_installed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "stable_baselines3.common.env_checker", None)
    two = dict(list(checks.CHECKS.items())[2:4])
    monkeypatch.setattr(checks, "CHECKS", two)
    assert run("check", "EagleGym/Plots-v0", *QUICK, "batch_invariant=true") == 0
    shown = capsys.readouterr().out
    assert shown.count("ok  ") == 1
    assert "-     stable-baselines3's check_env, latent observation: not checked, it needs pip install" in shown
