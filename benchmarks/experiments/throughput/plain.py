"""The obvious way to write a backend: `model.generate` of transformers and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from eagle_gym.language.loading import load_language_model
from eagle_gym.language.model import Completion, Usage
from eagle_gym.language.prompts import Prompt
from eagle_gym.language.transformers import DTYPES, TransformersModel


def open_model(device: str, dtype: str = "float32", *, batch_invariant: bool = False) -> TransformersModel:
    """The embedded model."""
    model = load_language_model("embedded", device=device, dtype=dtype, batch_invariant=batch_invariant)
    assert isinstance(model, TransformersModel)
    return model


class PlainGenerate:
    """A language model that calls `model.generate`: left padding, temperature 1, one random generator for all rows.

    Args:
        model: The model whose weights, tokens and limits are used.
        device: Where it runs.
        dtype: "float32", "bfloat16" or "float16".
    """

    deterministic = False

    def __init__(self, model: TransformersModel, device: str, dtype: str = "float32") -> None:
        self.name, self.fingerprint, self.language = model.name, model.fingerprint, model.language
        self.usage = Usage()
        self._format = model.prompt_format
        self._stop = sorted(self._format.ending.stop)
        self._model = model.load()[0].to(device=device, dtype=DTYPES[dtype])

    def tokens(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """The prompts as token ids."""
        return [self._format.encode(prompt)[0] for prompt in prompts]

    @torch.inference_mode()
    def raw(self, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
        """The answers to some prompts, both as token ids."""
        longest = max(map(len, prompts))
        padded = torch.tensor([[0] * (longest - len(row)) + list(row) for row in prompts], device=self._model.device)
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in prompts], device=self._model.device)
        out = self._model.generate(
            padded,
            attention_mask=mask,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            max_new_tokens=self._format.default_max_tokens,
            eos_token_id=self._stop,
            pad_token_id=0,
        )
        answers: list[list[int]] = out[:, longest:].tolist()
        return answers

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
    ) -> list[Completion]:
        """Implements the protocol at temperature 1; a truncated text is accepted, and an empty one is replaced."""
        torch.manual_seed(int(seeds[0]))
        tokens = self.tokens(prompts)
        answers = [self._until_stop(row) for row in self.raw(tokens)]
        completions = [
            Completion(self._format.read(said)[0] or "A film.", len(asked), len(said), "stop")
            for asked, said in zip(tokens, answers, strict=True)
        ]
        self.usage.add(completions)
        return completions

    def close(self) -> None:
        """There is nothing to release."""

    def _until_stop(self, row: Sequence[int]) -> list[int]:
        end = next((place for place, token in enumerate(row) if token in self._stop), len(row))
        return list(row[:end])
