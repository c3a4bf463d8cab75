from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from eagle_gym.errors import PreparationError
from eagle_gym.language import Prompt, gguf, load_language_model
from eagle_gym.language.decode import LlamaDecoder
from eagle_gym.language.installed import installed_file
from eagle_gym.language.transformers import TransformersModel
from tests.language.tiny import CHAT_TEMPLATE, write_llama, write_tokenizer

# Names of a Llama's weights in transformers and in GGUF files.
NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
    "input_layernorm.weight": "attn_norm.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
}


def gguf_tensor(name: str, weight: np.ndarray, heads: int) -> tuple[str, np.ndarray]:
    """A weight as llama.cpp stores it: the rows of queries and keys stand in another order."""
    layer = name.split(".")[2] if name.startswith("model.layers.") else None
    short = name if layer is None else name.split(".", 3)[3]
    if short in ("self_attn.q_proj.weight", "self_attn.k_proj.weight"):
        rows, columns = weight.shape
        weight = weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)
    return (NAMES[short] if layer is None else f"blk.{layer}.{NAMES[short]}"), np.ascontiguousarray(weight)


def write_gguf(path: Path, work: Path, *, chat_template: str | None) -> LlamaForCausalLM:
    """A tiny Llama as a GGUF file; returns the model that it holds."""
    from gguf import GGUFWriter

    write_tokenizer(work, control=False)
    model = write_llama(work, ends=True, tie_word_embeddings=False, max_position_embeddings=1024)
    known = json.loads((work / "tokenizer.json").read_text())
    vocabulary = known["model"]["vocab"]
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    special = {token["content"] for token in known["added_tokens"]}
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(1024)
    writer.add_embedding_length(64)
    writer.add_block_count(2)
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special else 1 for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in known["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_pad_token_id(0)
    if chat_template is not None:
        writer.add_chat_template(chat_template)
    for name, weight in model.state_dict().items():
        rows = len(tokens) if name in ("model.embed_tokens.weight", "lm_head.weight") else None
        writer.add_tensor(*gguf_tensor(name, weight.numpy()[:rows], heads=4))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


@pytest.fixture(scope="module")
def chat_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LlamaForCausalLM]:
    folder = tmp_path_factory.mktemp("gguf")
    return folder / "chat.gguf", write_gguf(folder / "chat.gguf", folder / "work", chat_template=CHAT_TEMPLATE)


@pytest.fixture(scope="module")
def base_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gguf")
    write_gguf(folder / "base.gguf", folder / "work", chat_template=None)
    return folder / "base.gguf"


def open_file(path: Path, cache: Path, **kwargs: object) -> TransformersModel:
    model = load_language_model(f"transformers:{path}", cache_dir=str(cache), **kwargs)
    assert isinstance(model, TransformersModel)
    return model


def test_a_file_is_converted_once_and_holds_the_same_model(
    chat_file: tuple[Path, LlamaForCausalLM], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path, original = chat_file
    model = open_file(path, tmp_path)
    loaded, tokenizer = model.load()
    for name, weight in original.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight[: len(loaded.state_dict()[name])]), name
    assert tokenizer.chat_template == CHAT_TEMPLATE
    assert isinstance(model.decoder, LlamaDecoder), "Llama models use the lean loop"
    assert model.prompt_format.prompts.name == "chat"
    said = model.generate([Prompt("rewrite", "A film.", "add a robot")], [1])
    monkeypatch.setattr(gguf, "_load", lambda file: pytest.fail("converted again"))
    again = open_file(path, tmp_path)
    assert again.generate([Prompt("rewrite", "A film.", "add a robot")], [1]) == said
    assert again.fingerprint == model.fingerprint


def test_a_file_without_a_chat_template_names_the_cure(base_file: Path, tmp_path: Path):
    with pytest.raises(PreparationError, match=r"chat template in 'base.gguf', got none: name prompts='few_shot'"):
        open_file(base_file, tmp_path)
    model = open_file(base_file, tmp_path, prompts="few_shot")
    assert model.prompt_format.ending.breaks
    assert model.fingerprint != open_file(base_file, tmp_path, prompts="plain").fingerprint


def test_a_missing_package_names_the_cure(base_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gguf, "find_spec", lambda name: None)
    with pytest.raises(PreparationError, match=r"pip install 'eagle_gym\[gguf\]'"):
        open_file(base_file, tmp_path, prompts="few_shot")


def test_broken_files_name_the_cure(base_file: Path, tmp_path: Path):
    whole = base_file.read_bytes()
    for number, content in enumerate((whole[:2000], whole[: len(whole) // 2], b"GGUF" + bytes(200))):
        path = tmp_path / f"broken{number}.gguf"
        path.write_bytes(content)
        with pytest.raises(PreparationError, match=r"expected a whole GGUF file .* download it again, or serve it"):
            open_file(path, tmp_path)
    (tmp_path / "page.gguf").write_text("<html>not found</html>")
    with pytest.raises(PreparationError, match=r"expected a GGUF file at .*, got one that begins with b'<htm'"):
        open_file(tmp_path / "page.gguf", tmp_path)
    assert not list((tmp_path / "gguf").glob("*/config.json")), "nothing broken is kept"


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(PreparationError, match="or a GGUF file"):
        open_file(tmp_path / "absent.gguf", tmp_path)


def test_an_absent_package_brings_no_model(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("eagle_gym.language.installed.find_spec", lambda name: None)
    assert installed_file("smollm2") is None
