"""Sentence encoders made on the spot: the real classes and file layout, random weights; and one without a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertModel

from tests.language.tiny import write_tokenizer

HIDDEN = 16


class HashEncoder:
    """Draws a vector from the hash of each text."""

    deterministic = True

    def __init__(self, dim: int = 6, name: str = "fake:hash") -> None:
        self.dim, self.name, self.fingerprint = dim, name, hashlib.sha256(name.encode()).hexdigest()[:32]
        self.asked: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.asked.append(list(texts))
        seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) for text in texts]
        rows = [np.random.default_rng(seed).normal(size=self.dim) for seed in seeds]
        return np.array(rows, np.float32).reshape(len(rows), self.dim)


class CountEncoder(HashEncoder):
    """Counts how often each of a few words is in a text, so that a space can be fitted on its vectors."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(len(words), "fake:count")
        self.words = words

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.asked.append(list(texts))
        rows = [[text.lower().count(word) for word in self.words] for text in texts]
        return np.array(rows, np.float32).reshape(len(rows), self.dim)


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def write_encoder(
    folder: Path,
    *,
    pooling: object = ("mean_tokens",),
    normalise: bool = True,
    dense: str | None = None,
    seed: int = 0,
    **files: object,
) -> BertModel:
    """A random BERT with the files of `sentence-transformers`; `files` are further JSON files by name."""
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder, control=False)
    sizes = {"vocab_size": 384, "hidden_size": HIDDEN, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = BertModel(BertConfig(**sizes, intermediate_size=32, max_position_embeddings=64), add_pooling_layer=False)
    model.eval().save_pretrained(folder)
    steps = [("", "Transformer"), ("1_Pooling", "Pooling")]
    modes = {f"pooling_mode_{mode}": mode in pooling for mode in ("cls_token", "mean_tokens", "max_tokens")}
    modes |= {f"pooling_mode_{mode}": True for mode in pooling}
    write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": HIDDEN, **modes})
    if dense:
        steps.append(("2_Dense", "Dense"))
        write_json(folder / "2_Dense" / "config.json", {"activation_function": f"torch.nn.modules.activation.{dense}"})
        width = HIDDEN * len(tuple(pooling))
        save_file(
            {"linear.weight": torch.randn(5, width), "linear.bias": torch.randn(5)},
            folder / "2_Dense" / "model.safetensors",
        )
    if normalise:
        steps.append(("3_Normalize", "Normalize"))
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for place, (path, kind) in enumerate(steps)
    ]
    write_json(folder / "modules.json", modules)
    for name, value in files.items():
        write_json(folder / f"{name}.json", value)
    return model
