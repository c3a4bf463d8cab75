"""Sentence encoders in a folder: `transformers:PATH`, run in this process.

On a CPU each text is computed by itself, so its vector does not depend, to the last bit, on the texts that are encoded
with it; batches would save little there. On other devices texts of one length are computed together, without padding;
the last bits of a vector may then depend on the batch.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from eagle_gym.errors import ConfigurationError, PreparationError
from eagle_gym.latent.text_encoders.encoder import Vectors
from eagle_gym.latent.text_encoders.recipe import Layer, Recipe, read_recipe

FORMAT: Final = 1  # raise it whenever the same files would give other vectors
BATCH: Final = 64  # texts computed together on other devices than a CPU
ACTIVATIONS: Final = ("Identity", "Tanh", "ReLU", "GELU", "Sigmoid", "SiLU")
_READ: Final = frozenset({".json", ".safetensors", ".bin", ".model", ".txt"})  # files that decide the vectors


class SentenceEncoder:
    """A sentence encoder in a folder; see `TextEncoder`.

    Args:
        name: The spec, for messages.
        folder: The folder.
        device: Where it computes, such as `"cpu"` or `"cuda"`.

    Raises:
        ConfigurationError: There is no such device.
        PreparationError: The folder holds no text encoder, or a damaged one.
    """

    def __init__(self, name: str, folder: Path, device: str = "cpu") -> None:
        self.name = name
        self.recipe: Recipe = read_recipe(folder)
        self.fingerprint = _hash(folder, self.recipe)
        try:
            self._device = torch.device(device)
            torch.empty(0, device=self._device)
        except (RuntimeError, AssertionError) as error:
            raise ConfigurationError(f"expected a device such as 'cpu' or 'cuda', got {device!r}: {error}") from error
        self.deterministic = self._device.type == "cpu"
        self._loading = threading.Lock()

    @cached_property
    def dim(self) -> int:
        """Length of the vectors."""
        return int(self.encode(["a"]).shape[1])

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts; see the protocol."""
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        tokens = [self._tokens(text) for text in texts]
        rows: list[np.ndarray | None] = [None] * len(texts)
        for batch in self._batches(tokens):
            vectors = self._vectors(torch.tensor([tokens[row] for row in batch], device=self._device))
            for row, vector in zip(batch, vectors, strict=True):
                rows[row] = vector
        return np.stack([row for row in rows if row is not None])

    def _batches(self, tokens: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """Rows of one length that are computed together."""
        most = 1 if self.deterministic else BATCH
        by_length: dict[int, list[int]] = {}
        for row, found in enumerate(tokens):
            by_length.setdefault(len(found), []).append(row)
        for rows in by_length.values():
            yield from (rows[begin : begin + most] for begin in range(0, len(rows), most))

    def _tokens(self, text: str) -> list[int]:
        prompted = self.recipe.prompt + text
        found = self._parts[1](
            prompted.lower() if self.recipe.lower else prompted,
            truncation=self.recipe.most_tokens is not None,
            max_length=self.recipe.most_tokens,
        )
        return list(found["input_ids"])

    def _vectors(self, tokens: torch.Tensor) -> np.ndarray:
        model, _, layers = self._parts
        states = model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).last_hidden_state
        pooled = torch.cat([_pool(states[:, self._prompt_tokens :], mode) for mode in self.recipe.poolings], dim=1)
        for layer in layers:
            pooled = layer(pooled)
        if self.recipe.normalised:
            pooled = torch.nn.functional.normalize(pooled, dim=1)
        vectors: np.ndarray = pooled.float().cpu().numpy()
        if not np.isfinite(vectors).all():
            raise PreparationError(f"expected finite vectors from {self.name!r}, got others: the weights are damaged")
        return vectors

    @cached_property
    def _prompt_tokens(self) -> int:
        """Tokens at the beginning that are not pooled."""
        if self.recipe.pools_prompt or not self.recipe.prompt:
            return 0
        tokenizer = self._parts[1]
        tokens = tokenizer(self.recipe.prompt)["input_ids"]
        closing = {tokenizer.eos_token_id, tokenizer.sep_token_id}
        return len(tokens) - (tokens[-1] in closing)

    @property
    def _parts(self) -> tuple[Any, Any, list[Any]]:
        """Model, tokenizer and dense layers, loaded at the first use."""
        with self._loading:
            return self._loaded

    @cached_property
    def _loaded(self) -> tuple[Any, Any, list[Any]]:
        from transformers import AutoTokenizer

        folder = str(self.recipe.model)
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            model, report = _class_of(folder).from_pretrained(
                folder, dtype=torch.float32, output_loading_info=True, trust_remote_code=False
            )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
            raise PreparationError(f"cannot load the text encoder {self.name!r}: {error}") from error
        broken = [*report["missing_keys"], *report["mismatched_keys"]]
        broken = [key for key in broken if "pooler" not in str(key)]  # sentence encoders are saved without it
        if broken:
            raise PreparationError(f"the weights of {self.name!r} do not fit its config: {broken[:3]} missing")
        layers = [_dense(layer, self._device) for layer in self.recipe.layers]
        return model.eval().to(self._device), tokenizer, layers


def _class_of(folder: str) -> Any:  # noqa: ANN401  # classes that transformers does not export with types
    """The class that loads a model: of models with a decoder only the encoder."""
    from transformers import AutoConfig, AutoModel, MT5EncoderModel, T5EncoderModel

    kind = AutoConfig.from_pretrained(folder, trust_remote_code=False).model_type
    return {"t5": T5EncoderModel, "mt5": MT5EncoderModel}.get(kind, AutoModel)


def _pool(states: torch.Tensor, mode: str) -> torch.Tensor:
    """One vector for each text, from those of its tokens, `[B, L, h]`; no text is padded."""
    if mode == "cls":
        return states[:, 0]
    if mode == "lasttoken":
        return states[:, -1]
    if mode == "max":
        return states.amax(dim=1)
    if mode == "weightedmean":
        weights = torch.arange(1, states.shape[1] + 1, device=states.device, dtype=states.dtype)
        return (states * weights[:, None]).sum(dim=1) / weights.sum()
    scale = states.shape[1] if mode == "mean" else states.shape[1] ** 0.5
    return states.sum(dim=1) / scale


def _dense(layer: Layer, device: torch.device) -> torch.nn.Module:
    """A dense layer from its folder.

    Raises:
        PreparationError: It has an unknown activation, or no weights.
    """
    if layer.activation not in ACTIVATIONS:
        raise PreparationError(
            f"{layer.folder}: expected an activation among {', '.join(ACTIVATIONS)}, got {layer.activation!r}: choose "
            "another encoder"
        )
    try:
        weights = load_file(layer.folder / "model.safetensors")
        weight, bias = weights["linear.weight"], weights.get("linear.bias")
    except (OSError, KeyError, SafetensorError) as error:
        raise PreparationError(
            f"{layer.folder}: expected linear.weight in model.safetensors, got {error!r}: download the encoder again"
        ) from error
    linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    linear.load_state_dict({"weight": weight} if bias is None else {"weight": weight, "bias": bias})
    return torch.nn.Sequential(linear, getattr(torch.nn, layer.activation)()).eval().to(device)


def _hash(folder: Path, recipe: Recipe) -> str:
    """A hash of the files that decide the vectors, by names and bytes."""
    folders = dict.fromkeys([folder, recipe.model, *(layer.folder for layer in recipe.layers)])
    digest = hashlib.blake2b(f"{FORMAT} {recipe.poolings} {recipe.normalised}".encode(), digest_size=16)
    for place in folders:
        for file in sorted(place.iterdir()):
            if file.suffix in _READ and file.is_file():
                content = file.read_bytes()
                digest.update(f"{file.relative_to(folder)} {len(content)} ".encode())
                digest.update(content)
    return digest.hexdigest()
