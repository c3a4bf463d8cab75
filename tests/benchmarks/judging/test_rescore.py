"""Rescoring: the same settings give the recorded rewards, others those that the environment itself would have paid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines import rolling
from baselines.evaluate import make_envs
from baselines.rollouts import Rollouts, read_rollouts, write_rollouts
from benchmarks.__main__ import main
from benchmarks.judging.rescore import largest_difference, rescore
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import ArgumentError, EagleError, PreparationError

SMALL = {"language_model": "grammar", "actions": 4, "pool": 16, "horizon": 3, "prepare": "never"}
CHANGES: list[dict[str, Any]] = [
    {"utility_kwargs": {"weight": 0.25}},
    {"affinity": "absolute"},
    {"interests": 3},
    {"drift_penalty": 0.5, "edit_cost": 0.1},
    {"reward": "terminal"},
    {"utility": "tests.benchmarks.judging.test_rescore:make_flat"},
]


def make_flat(space: Any, catalog: Any) -> Any:
    """A utility that knows only the first coordinate."""
    from eagle_gym.latent.utility import UtilityParts

    def utility(z: Any, users: Any, exclude: Any) -> UtilityParts:
        return UtilityParts(z[:, 0], z[:, 0], 0.0 * z[:, 0], 0.0 * z[:, 0])

    return utility


def record(path: Path, **kwargs: Any) -> Rollouts:
    envs = make_envs("EagleGym/Plots-v0", 4, **(SMALL | kwargs))
    try:
        return rolling.roll("uniform", envs, path, episodes=8, progress=False)
    finally:
        envs.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rollouts") / "rollouts.jsonl"
    record(path)
    return path


@pytest.mark.parametrize("kwargs", [{}, *CHANGES])
def test_recorded_rewards_come_out_again(kwargs: dict[str, Any], tmp_path: Path) -> None:
    record(tmp_path / "rollouts.jsonl", **kwargs)
    recorded, rescored = rescore(tmp_path / "rollouts.jsonl", {})
    assert largest_difference(recorded, rescored) < 1e-6
    assert any(turn["rewards"]["reward"] for episode in rescored.episodes for turn in episode["turns"])


@pytest.mark.parametrize("changes", CHANGES)
def test_other_rewards_are_those_that_the_environment_pays(changes: dict[str, Any], file: Path) -> None:
    _, rescored = rescore(file, changes)
    envs = make_envs("EagleGym/Plots-v0", 8, **(SMALL | changes | {"order": "match"}))
    base = envs.unwrapped
    assert isinstance(base, EagleVectorEnv)
    envs.reset(seed=0)
    for step in range(3):
        turns = [episode["turns"][step] for episode in rescored.episodes]
        assert [state.text for state in base.states] == [turn["text"] for turn in turns]
        actions = [state.action_set.edits.index(turn["edit"]) for state, turn in zip(base.states, turns, strict=True)]
        _, rewards, *_ = envs.step(np.array(actions))
        np.testing.assert_allclose([turn["rewards"]["reward"] for turn in turns], rewards, atol=1e-9)
        for turn, state in zip(turns, base.states, strict=True):
            assert turn["utility"] == pytest.approx(dict(state.utility), abs=1e-9)
    envs.close()


def test_improper_texts_are_paid_as_when_they_were_recorded(file: Path, tmp_path: Path) -> None:
    """A text that is no proper rewrite is paid at most as much as the text before it."""
    done = read_rollouts(file)
    episode = json.loads(json.dumps(done.episodes[0]))
    best = max(episode["turns"], key=lambda turn: turn["rewards"]["gain"])
    assert best["rewards"]["gain"] > 0
    best["rewards"]["valid"] = 0.0
    write_rollouts(tmp_path / "improper.jsonl", done.header, [episode])
    _, rescored = rescore(tmp_path / "improper.jsonl", {})
    turn = rescored.episodes[0]["turns"][best["step"]]
    assert turn["rewards"]["reward"] == turn["rewards"]["gain"] == 0.0


def test_another_latent_space(file: Path, tmp_path: Path) -> None:
    recorded, rescored = rescore(file, {"dim": 4, "prepare": "auto", "cache_dir": str(tmp_path)})
    assert rescored.header["fingerprints"]["space"] != recorded.header["fingerprints"]["space"]
    assert largest_difference(recorded, rescored) > 1e-3


def test_the_command_line_compares_and_writes(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "other.jsonl"
    assert main(["rescore", str(file), "--utility-kwargs", '{"weight": 0}', "--out", str(out)]) == 0
    assert "recorded" in capsys.readouterr().out
    written = read_rollouts(out)
    assert written.header["rescored_with"] == {"utility_kwargs": {"weight": 0}}
    for episode in written.episodes:
        for turn in episode["turns"]:
            assert turn["rewards"]["gain"] == pytest.approx(turn["rewards"]["affinity"])
    recorded, again = rescore(out, {})
    assert largest_difference(recorded, again) < 1e-6


def test_what_cannot_be_rescored_is_a_typed_error(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="weigth"):
        rescore(file, {"weigth": 1})
    done = read_rollouts(file)
    fingerprints = {**done.header["fingerprints"], "catalog": "another"}
    write_rollouts(tmp_path / "foreign.jsonl", {**done.header, "fingerprints": fingerprints}, done.episodes)
    with pytest.raises(PreparationError, match="another catalog"):
        rescore(tmp_path / "foreign.jsonl", {})
    stranger = {**done.episodes[0], "user": "nobody"}
    write_rollouts(tmp_path / "stranger.jsonl", done.header, [stranger])
    with pytest.raises(EagleError, match="nobody"):
        rescore(tmp_path / "stranger.jsonl", {})
    assert main(["rescore", str(tmp_path / "none.jsonl")]) == 1
