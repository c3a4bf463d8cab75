"""The code on docs/rollouts.md runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from baselines.__main__ import main

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = re.findall(r"```python\n(.*?)```", (DOCS / "rollouts.md").read_text(encoding="utf-8"), re.DOTALL)


def test_the_page_has_code() -> None:
    assert len(BLOCKS) == 4


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page's command makes of a small file of rollouts."""
    folder = tmp_path_factory.mktemp("minari")
    path = str(folder / "rollouts.jsonl")
    kwargs = json.dumps({"language_model": "grammar", "actions": 4, "pool": 16, "horizon": 2})
    assert main(["rollouts", "uniform", "--episodes", "2", "--kwargs", kwargs, "--out", path]) == 0
    assert main(["minari", path, "--out", str(folder / "data")]) == 0
    return folder / "data"


@pytest.mark.parametrize("code", BLOCKS, ids=range(len(BLOCKS)))
def test_the_code_of_the_page_runs(
    code: str, datasets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(datasets))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/rollouts.md", "exec"), {"path": tmp_path / "rollouts.jsonl"})
