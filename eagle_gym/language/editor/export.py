"""Tuned Llama models as GGUF files, for llama.cpp.

Everything but the weights is copied from the base model's own GGUF file: tokenizer, chat template and settings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from eagle_gym.errors import PreparationError
from eagle_gym.language.editor.adapter import merged, sharpened
from eagle_gym.language.gguf import load_gguf

PARTS: Final = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OUTER: Final = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_BLOCK: Final = re.compile(r"blk\.(\d+)\.(\w+)\.weight")


def hf_name(name: str) -> str:
    """The name that transformers gives a tensor of a Llama model in GGUF.

    Raises:
        PreparationError: Llama models have no such tensor.
    """
    block = _BLOCK.fullmatch(name)
    part = PARTS.get(block[2]) if block else OUTER.get(name.removesuffix(".weight"))
    if part is None:
        raise PreparationError(f"expected the tensors of a Llama model, got {name!r}: export only such models")
    return f"model.layers.{block[1]}.{part}.weight" if block else f"{part}.weight"


def interleaved(weight: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """The rows of a query or key projection in GGUF's order, where the two halves of a rotation are neighbours."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write_gguf(base: Path, weights: Mapping[str, torch.Tensor], out: Path) -> None:
    """Write a GGUF file with the given weights, matrices in eight bits (Q8_0).

    Args:
        base: GGUF file of the Llama model that was tuned.
        weights: Weights of the tuned model, by the names that `state_dict` gives.
        out: The file to write.

    Raises:
        PreparationError: The package `gguf` is not installed, or the base is not a Llama model.
    """
    if find_spec("gguf") is None:
        raise PreparationError(
            "expected the package gguf, which writes GGUF files, got none: pip install 'eagle_gym[gguf]'"
        )
    from gguf import GGUFReader

    try:
        reader = GGUFReader(base)
    except (OSError, ValueError) as error:
        raise PreparationError(f"expected a GGUF file at {base}, got {error}: name that of the base model") from error
    architecture = str(reader.fields["general.architecture"].contents())
    if architecture != "llama":
        raise PreparationError(f"expected a Llama model in {base}, got the architecture {architecture!r}")
    part = out.with_name(f"{out.name}.part")
    _write(reader, weights, part)
    part.replace(out)


def export(base: Path, adapter: Path, out: Path, sharpness: float = 1.0) -> None:
    """Write a GGUF file: the base model with an adapter merged into it.

    Args:
        base: GGUF file of the Llama model that the adapter was trained on.
        adapter: The folder of a training, or of its checkpoint.
        out: The file to write.
        sharpness: Factor on the logits.
    """
    model, _ = load_gguf(base)
    weights = sharpened(merged(model.state_dict(), adapter), model.config.model_type, sharpness)
    write_gguf(base, weights, out)


def _write(reader: Any, weights: Mapping[str, torch.Tensor], path: Path) -> None:  # noqa: ANN401 - gguf has no types
    from gguf import GGMLQuantizationType, GGUFWriter, quants

    writer = GGUFWriter(path, "llama")
    _copy_fields(reader, writer)
    reorder = _reordering(reader)
    for tensor in reader.tensors:
        name = hf_name(tensor.name)
        value = reorder(tensor.name, weights[name].detach().float().numpy())
        if value.ndim == 1:
            writer.add_tensor(tensor.name, value)
        else:
            kind = GGMLQuantizationType.Q8_0
            writer.add_tensor(tensor.name, quants.quantize(value, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _copy_fields(reader: Any, writer: Any) -> None:  # noqa: ANN401
    own = ("GGUF.", "general.architecture", "general.file_type")  # what the writer says itself
    for name, field in reader.fields.items():
        if not name.startswith(own):
            kinds = [*field.types, None]
            writer.add_key_value(name, field.contents(), kinds[0], sub_type=kinds[1])
    writer.add_file_type(7)  # mostly Q8_0


def _reordering(reader: Any) -> Callable[[str, NDArray[np.float32]], NDArray[np.float32]]:  # noqa: ANN401
    heads = {
        "attn_q": int(reader.fields["llama.attention.head_count"].contents()),
        "attn_k": int(reader.fields["llama.attention.head_count_kv"].contents()),
    }

    def reorder(name: str, weight: NDArray[np.float32]) -> NDArray[np.float32]:
        part = name.split(".")[-2]
        return interleaved(weight, heads[part]) if part in heads else weight

    return reorder
