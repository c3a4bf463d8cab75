"""Experiments are found by their folders, and each keeps its shape."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import experiments
from benchmarks.experiments import find_experiments
from benchmarks.running.files import ROOT
from eagle_gym.errors import ConfigurationError


def test_experiments_are_found_and_whole() -> None:
    found = find_experiments()
    assert {"demo", "learning"} <= found.keys()
    assert all("smoke" in module.SIZES for module in found.values())


@pytest.mark.parametrize("name", find_experiments())
def test_an_experiment_is_data_and_a_score(name: str) -> None:
    lines = (ROOT / "benchmarks" / "experiments" / name / "__init__.py").read_text().splitlines()
    assert len(lines) < 60, "what does not fit belongs in another module of the package"


@pytest.mark.parametrize(
    ("place", "source", "message"),
    [
        ("lonely.py", '"""Words."""\nSIZES = {"smoke": {}}\ndef run(options): ...\n', "lonely: .*got a module"),
        ("lacking/__init__.py", '"""Words."""\nSIZES = {"smoke": {}}\n', "lacking: .*got no run"),
    ],
)
def test_what_is_no_experiment_is_named(
    place: str, source: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text(source)
    monkeypatch.setattr(experiments, "__path__", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, f"benchmarks.experiments.{place.split('/')[0].removesuffix('.py')}", raising=False)
    with pytest.raises(ConfigurationError, match=message):
        find_experiments()
