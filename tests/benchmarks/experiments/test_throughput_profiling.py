from __future__ import annotations

import pstats
from pathlib import Path

import pytest

from benchmarks.experiments.throughput import profiling
from tests.fake_worlds import make_tiny_world


def test_a_profile_names_functions_and_operations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    def utility(z, users, exclude):
        torch.ones(300, 300) @ torch.ones(300, 300)
        return world.resources.utility(z, users, exclude)

    world = make_tiny_world(observation="latent")
    watched = profiling.parts.variant(world, utility=utility)
    monkeypatch.setattr(profiling, "make_world", lambda **settings: watched)
    profiling.main(["--out", str(tmp_path), "--num-envs", "2", "--steps", "1"])
    text = (tmp_path / "profile.txt").read_text()
    assert "transition.py" in text
    assert "aten::mm" in text
    assert "profile.txt" in capsys.readouterr().out
    assert pstats.Stats(str(tmp_path / "profile.pstats")).total_calls > 100
