"""Adapters on disk, and models with an adapter merged into their weights.

An adapter is the file `adapter.safetensors`: bfloat16 matrices A and B of each projection. Merging them needs no peft.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from eagle_gym.errors import ConfigurationError, PreparationError

FILE: Final = "adapter.safetensors"
LAST_NORM: Final = "model.norm.weight"
PLAIN_NORMS: Final = frozenset({"llama", "mistral", "qwen2", "qwen3", "smollm3"})  # types whose last norm is a factor
_NAME: Final = re.compile(r"(.+)\.lora_([AB])\.default\.weight")


def save_adapter(folder: Path, weights: Mapping[str, torch.Tensor], scale: float) -> None:
    """Write an adapter.

    Args:
        folder: Where `FILE` is written.
        weights: Matrices A `[rank, in]` and B `[out, rank]`, by the names that peft gives them in a model.
        scale: Factor of the updates B A.
    """
    short: dict[str, torch.Tensor] = {}
    for name, value in weights.items():
        match = _NAME.fullmatch(name)
        if match is None:
            raise PreparationError(f"expected only LoRA matrices among the trained weights, got {name}")
        short[f"{match[1]}.{match[2]}"] = value.to("cpu", torch.bfloat16).contiguous()
    save_file(short, folder / FILE, metadata={"scale": str(scale)})


def merged(weights: Mapping[str, torch.Tensor], folder: Path) -> dict[str, torch.Tensor]:
    """A model's weights with an adapter merged into them.

    Args:
        weights: The base model's, by the names that `state_dict` gives.
        folder: Where `save_adapter` wrote.

    Raises:
        PreparationError: The adapter is missing or broken, or belongs to another model.
    """
    try:
        adapter = load_file(folder / FILE)
        with safe_open(folder / FILE, framework="pt") as file:
            scale = float(file.metadata()["scale"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise PreparationError(f"{folder / FILE}: expected an adapter, got {error!r}: train it again") from error
    result = dict(weights)
    for layer in sorted({name.rpartition(".")[0] for name in adapter}):
        down, up = adapter.get(f"{layer}.A"), adapter.get(f"{layer}.B")
        if down is None or up is None or down.ndim != 2 or up.ndim != 2 or down.shape[0] != up.shape[1]:
            raise PreparationError(f"{folder / FILE}: expected an adapter, got a torn one ({layer}): train it again")
        base = weights.get(f"{layer}.weight")
        if base is None or base.shape != (up.shape[0], down.shape[1]):
            raise PreparationError(f"{folder / FILE} belongs to another model: {layer} is missing or has another shape")
        result[f"{layer}.weight"] = base + scale * (up.float() @ down.float()).to(base.dtype)
    return result


def sharpened(weights: Mapping[str, torch.Tensor], model_type: str, factor: float) -> dict[str, torch.Tensor]:
    """The weights of a model whose temperature 1 is a lower temperature, 1 / factor, of the given one.

    The last norm is multiplied, and with it every logit. Sampled at its own temperature 1, a small model often makes a
    small mistake; most of these have small probabilities.

    Raises:
        ConfigurationError: The model's last norm is not known to be a mere factor.
    """
    if factor == 1.0:
        return dict(weights)
    if model_type not in PLAIN_NORMS:
        raise ConfigurationError(
            f"expected a model of a type among {', '.join(sorted(PLAIN_NORMS))} to be sharpened, got {model_type}: "
            "leave the sharpness at 1, and set the temperature where the model is used"
        )
    return {**weights, LAST_NORM: weights[LAST_NORM] * factor}


def merge(base: str, adapter: Path, out: Path, sharpness: float = 1.0) -> None:
    """Write a model folder: the base model with the adapter merged into it, and its tokenizer.

    Args:
        base: What the adapter was trained on.
        adapter: The folder of a training, or of its checkpoint.
        out: The folder to write, to be opened as `"transformers:OUT"`.
        sharpness: Factor on the logits.
    """
    from eagle_gym.language.transformers import TransformersModel

    opened = TransformersModel(base, base)
    model, tokenizer = opened.load()
    opened.close()
    state = merged(model.state_dict(), adapter)
    model.load_state_dict(sharpened(state, model.config.model_type, sharpness))
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
