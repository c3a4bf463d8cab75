"""T4 runs on products, or says what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.reporting.names import title
from eagle_gym.envs import opening
from eagle_gym.language.prompts import Prompt
from tests.fake_worlds import ScriptedModel


def test_t4_products_without_products(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, lacking in (
        ([], "--data AMAZON_FOLDER and --language-model SPEC"),
        (["--data", str(tmp_path)], "--language-model SPEC"),
        (["--language-model", "replay:somewhere"], "--data AMAZON_FOLDER"),
    ):
        assert main(["run", "t4_products", "--out", str(tmp_path / "out"), *arguments]) == 0
        said = f"not run: {lacking} not given\n"
        assert capsys.readouterr().out == said == (tmp_path / "out" / "REPORT.md").read_text()
        assert not (tmp_path / "out" / "cells").exists()


@dataclass
class Clerk(ScriptedModel):
    """Writes about anything: proposes to say more, and does."""

    language: str = "free"

    def _answer(self, prompt: Prompt, rng: np.random.Generator, temperature: float) -> str:
        if prompt.task == "propose":
            return f"say more of its {('price', 'fabric', 'colour', 'fit', 'seams', 'age', 'maker')[rng.integers(7)]}"
        return f"{prompt.text} {prompt.edit}."


def test_t4_products(
    tmp_path: Path, amazon: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(opening, "load_language_model", lambda spec, **more: asked.append(spec) or Clerk())
    arguments = [
        "--data",
        str(amazon),
        "--language-model",
        "openai:clerk@http://there/v1",
        "--out",
        str(tmp_path / "o"),
    ]
    assert main(["run", "t4_products", "--size", "smoke", *arguments]) == 0
    assert set(asked) == {"openai:clerk@http://there/v1"}
    page = capsys.readouterr().out
    for name in ("optimistic", "eagle-optimistic", "supervised-g_optimal"):
        assert f"| {title(name)} " in page
    assert page.count("minus its reference policy, above 0") == 3
