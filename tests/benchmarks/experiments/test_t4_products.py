"""T4 runs on products: given ones, or invented ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.experiments.t4_products.page import repeats
from benchmarks.products import BRANDS
from benchmarks.reporting.names import title
from benchmarks.running.files import read_rows
from eagle_gym.envs import opening
from eagle_gym.language.prompts import Prompt
from tests.benchmarks.made_runs import rows
from tests.fake_worlds import ScriptedModel


@dataclass
class Clerk(ScriptedModel):
    """Writes about anything: proposes to say more, and does."""

    language: str = "free"

    def _answer(self, prompt: Prompt, rng: np.random.Generator, temperature: float) -> str:
        if prompt.task == "propose":
            return f"say more of its {('price', 'fabric', 'colour', 'fit', 'seams', 'age', 'maker')[rng.integers(7)]}"
        return f"{prompt.text} {prompt.edit}."


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The specs of the language models that were opened."""
    specs: list[str] = []
    monkeypatch.setattr(opening, "load_language_model", lambda spec, **more: specs.append(spec) or Clerk())
    return specs


def test_given_products_and_a_given_model(
    tmp_path: Path, amazon: Path, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    spec, out = "openai:clerk@http://there/v1", tmp_path / "out"
    given = ["--data", str(amazon), "--language-model", spec]
    assert main(["run", "t4_products", "--size", "smoke", *given, "--out", str(out)]) == 0
    assert set(asked) == {spec}
    assert not (out / "products").exists()
    page = capsys.readouterr().out
    for name in ("optimistic", "eagle-optimistic", "supervised-g_optimal"):
        assert f"| {title(name)} " in page
    assert page.count("minus its reference policy, above 0") == 3
    for rival in ("user-blind greedy", "first offered edit"):
        assert page.count(f"minus {rival} ") == 4, "EAGLE with each reference policy, and the optimistic policy"
    (total,) = (line for line in page.splitlines() if line.startswith("| **all** "))
    assert total.split("|")[2].strip() == str(12 * 2), "twelve methods, two episodes of one step"
    assert "Of 0 rewrites whose edit the episode had before, 0 are copies; of the 24 others, 0." in page
    assert "What the pools cost, before the cells:" in page


def test_edits_that_an_episode_asks_for_again() -> None:
    (row,) = rows("ppo", 0, [1.0])
    row = replace(row, edits=("A", "B", "A", "B"), rewrites=("edited", "copied", "copied", "rewritten"))
    assert repeats([row, row]) == {"again": 4, "copied": 2, "new": 4, "plain": 2}


def test_where_nothing_is_given_products_are_invented(tmp_path: Path, asked: list[str]) -> None:
    arguments = ["run", "t4_products", "--size", "smoke", "--only", "amazon-uniform-0", "--out", str(tmp_path)]
    assert main(arguments) == 0
    assert set(asked) == {"smollm2"}
    (episodes,) = tmp_path.glob("cells/*/episodes.parquet")
    texts = [text for row in read_rows(episodes) for text in row.texts]
    assert any(brand in text for text in texts for brand in BRANDS)
