"""Checkpoints: replaced as a whole, checked when they are read, and intact after a kill or on a full disk."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines import run
from baselines.eagle import EagleAgent, EagleConfig, train
from eagle_gym.errors import PreparationError
from tests.fakes import KnownVectorEnv

CONFIG = EagleConfig(total_timesteps=72, hidden=8, n_epochs=1)
FILES = 3  # tensor files of EAGLE; the curve and the header come on top


def save(folder: Path, value: float) -> None:
    """A checkpoint in which everything is `value`."""
    tensors = {name: {"w": torch.full((3,), value)} for name in ("agent", "policy_optimizer", "value_optimizer")}
    curve = [{"steps": float(step)} for step in range(int(value))]
    run.save(folder, "eagle", CONFIG, tensors, curve, steps=int(value))


def read(folder: Path) -> set[float]:
    """The values of all parts of a checkpoint."""
    names = run.read_header(folder)["tensors"]
    found = {float(value) for name in names for value in run.read_tensors(folder, name)["w"]}
    return found | {float(len(run.read_checkpoint_curve(folder))), float(run.read_header(folder, steps=int)["steps"])}


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_new_checkpoint_replaces_the_last(tmp_path: Path) -> None:
    save(tmp_path, 1)
    before = files(tmp_path)
    save(tmp_path, 2)
    assert read(tmp_path) == {2}
    assert len(files(tmp_path)) == len(before) == FILES + 2
    assert files(tmp_path) & before == {"agent.json", "curve.json"}


def die_at(monkeypatch: pytest.MonkeyPatch, call: int, error: BaseException) -> None:
    """Fail while the file with this number is written."""
    calls = iter(range(100))
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        if next(calls) == call:
            raise error
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("call", range(FILES + 2))
def test_a_killed_save_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    save(tmp_path, 1)
    with monkeypatch.context() as patch:
        die_at(patch, call, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            save(tmp_path, 2)
    assert read(tmp_path) == {1}
    save(tmp_path, 3)
    assert read(tmp_path) == {3}
    assert len(files(tmp_path)) == FILES + 2, "what the kill left is cleaned up"


@pytest.mark.parametrize("call", range(FILES + 2))
def test_a_full_disk_is_named_and_leaves_no_scraps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    save(tmp_path, 1)
    before = files(tmp_path)
    with monkeypatch.context() as patch:
        die_at(patch, call, OSError(errno.ENOSPC, "No space left on device"))
        with pytest.raises(PreparationError, match=r"cannot be written \(No space left on device\): free some space"):
            save(tmp_path, 2)
    assert files(tmp_path) == before
    assert read(tmp_path) == {1}


def test_folders_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PreparationError, match="cannot be written"):
        save(tmp_path / "file", 1)
    with pytest.raises(PreparationError, match="cannot be written"):
        train(KnownVectorEnv(num_envs=4), CONFIG, folder=tmp_path / "file" / "run", progress=False)


def test_parts_of_two_checkpoints_do_not_mix(tmp_path: Path) -> None:
    save(tmp_path / "a", 1)
    save(tmp_path / "b", 2)
    (mine,), (other,) = ((tmp_path / name).glob("agent-*.safetensors") for name in "ab")
    mine.write_bytes(other.read_bytes())
    with pytest.raises(PreparationError, match="the checksum of agent does not match"):
        read(tmp_path / "a")


@pytest.mark.parametrize("name", ["agent-*.safetensors", "value_optimizer-*.safetensors", "curve.json"])
def test_files_that_changed_or_vanished_are_named(tmp_path: Path, name: str) -> None:
    agent = train(KnownVectorEnv(num_envs=4), CONFIG, folder=tmp_path, progress=False)
    assert len(agent.curve) == 6
    (path,) = tmp_path.glob(name)
    content = path.read_bytes()
    for broken in (content[:-1], content[:-20] + bytes([content[-20] ^ 1]) + content[-19:], b"", None):
        path.unlink() if broken is None else path.write_bytes(broken)
        with pytest.raises(PreparationError, match="cannot be read"):
            train(KnownVectorEnv(num_envs=4), CONFIG, folder=tmp_path, resume=True, progress=False)


@pytest.mark.parametrize("facts", [{"curve": None}, {"curve": {"rows": 6}}, {"tensors": None}, {"tensors": {}}])
def test_headers_without_checksums_are_named(tmp_path: Path, facts: dict[str, Any]) -> None:
    train(KnownVectorEnv(num_envs=4), CONFIG, folder=tmp_path, progress=False)
    header = json.loads((tmp_path / "agent.json").read_text())
    (tmp_path / "agent.json").write_text(json.dumps(header | facts))
    with pytest.raises(PreparationError, match="cannot be read"):
        EagleAgent.load(tmp_path)


def weights(agent: EagleAgent) -> torch.Tensor:
    return torch.cat([tensor.flatten() for tensor in agent.model.state_dict().values()])


@pytest.mark.parametrize("call", range(FILES + 2))
def test_a_torn_second_checkpoint_does_not_change_a_resumed_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    whole = train(KnownVectorEnv(num_envs=4), CONFIG, progress=False)
    with monkeypatch.context() as patch:
        die_at(patch, FILES + 2 + call, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            train(KnownVectorEnv(num_envs=4), CONFIG, folder=tmp_path, checkpoint_every=2, progress=False)
    assert EagleAgent.load(tmp_path).steps == 24
    again = train(KnownVectorEnv(num_envs=4), CONFIG, folder=tmp_path, resume=True, progress=False)
    assert torch.equal(weights(again), weights(whole))
    assert again.curve == whole.curve
