"""Simulated raters: the smallest size runs, and what it finds is what was put in."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.experiments import raters
from benchmarks.experiments.raters.measure import CARELESS, measure
from benchmarks.running import Options
from eagle_gym.errors import ConfigurationError

pytest.importorskip("evalica", reason="evalica is not installed: pip install 'eagle_gym[rating]'")


@pytest.mark.slow
def test_smoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = Options("smoke", tmp_path, experiment="raters")
    raters.run(options)
    page = capsys.readouterr().out
    assert "**The raters are simulated**" in page
    assert (tmp_path / "raters.png").stat().st_size > 10_000
    clear, blurred = (measure(tmp_path, noise, raters.SIZES["smoke"]) for noise in (0.05, 8.0))
    for good, bad in zip(clear.alphas, blurred.alphas, strict=True):
        assert good is not None
        assert bad is not None
        assert good.estimate > 0.6 > bad.estimate
    assert (clear.caught, clear.wronged) == (CARELESS, 0)
    assert clear.rank >= 0.5
    with pytest.raises(ConfigurationError, match="no --data"):
        raters.run(Options("smoke", tmp_path, data=tmp_path))
