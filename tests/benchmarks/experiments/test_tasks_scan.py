"""The scan of knobs: shares by hand, and policies that know less or more than beam search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from baselines.search import Beam, BeamConfig
from benchmarks.experiments.tasks import scan
from eagle_gym.envs.vector import EagleVectorEnv
from tests.fake_worlds import make_tiny_world


def test_shares_and_differences_by_hand() -> None:
    printed = scan.share(np.zeros(2), np.array([1.0, 2.0]), np.array([2.0, 4.0]))
    assert printed.split() == ["0.00", "1.50", "3.00", "0.50"]
    assert scan.difference(np.array([1.0, 3.0]), np.zeros(2)) == f" 2.00 ± {1.96 / 2**0.5:.2f}"


def test_a_blind_beam_knows_the_present_edits_and_plans_with_others() -> None:
    envs = EagleVectorEnv.from_world(make_tiny_world(observation="latent", task="easy"), 3)
    observation, _ = envs.reset(seed=0)
    config = BeamConfig(budget=30, width=2, levels=3)
    blind, seeing = (kind(envs, config, np.random.default_rng(0)) for kind in (scan.BlindBeam, Beam))
    assert blind.world.resources.action_sets.seed != seeing.world.resources.action_sets.seed
    assert blind.world.resources.utility is seeing.world.resources.utility
    actions, _ = blind.predict(observation)
    assert actions.shape == (3,)


@pytest.mark.slow
def test_a_line_of_the_scan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "knobs").write_text('{"task": "plan", "horizon": 2}\n{"task": "nowhere"}\n')
    for extra in ([], ["--foresight"]):
        assert scan.main([str(tmp_path / "knobs"), "--episodes", "4", "--budget", "8", *extra]) == 0
        printed = capsys.readouterr()
        assert printed.out.splitlines()[1].endswith('{"task": "plan", "horizon": 2}')
        assert "nowhere" in printed.err
