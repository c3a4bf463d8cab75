"""A model tuned to edit, which leaves proposals and judgements to the model that it was tuned from.

An editor has learnt to answer with a text, whatever it is asked for: it is no use as a proposer or a judge.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from eagle_gym.errors import CutOffError, LanguageModelError
from eagle_gym.language.model import Completion, check_request
from eagle_gym.language.prompts import Prompt, PromptSource, load_prompts
from eagle_gym.language.transformers import TransformersModel

PROPOSING = "chat_few_shot"  # the words in which the base model is asked, where nobody chooses others
OF_BASE = ("propose", "rate", "check")  # tasks of the base model


class TunedModel(TransformersModel):
    """Rewrites with its own weights; proposes and judges with those of its base model (see `LanguageModel`).

    The base model is loaded when it is first asked. Both count into one `usage`.

    Args:
        name: The model's name.
        target: A folder in the Hugging Face layout: the tuned model.
        base: The base model: a folder or a GGUF file.
        prompts: The words in which both are asked; None takes `"chat"` for rewrites and `PROPOSING` for the base model.
        about: What the texts describe, for the base model; the editor keeps to the words in which it was tuned.
        cache_dir: Folder of converted GGUF files.
        sharpness: Divides the temperature of the base model, as the tuned model's own was divided.
        **options: The other arguments of `TransformersModel`, for both.
    """

    def __init__(
        self,
        name: str,
        target: str,
        *,
        base: str,
        prompts: PromptSource | None = None,
        about: str | None = None,
        cache_dir: str | None = None,
        sharpness: float = 1.0,
        **options: Any,  # noqa: ANN401 - as TransformersModel declares them
    ) -> None:
        super().__init__(name, target, prompts=prompts, cache_dir=cache_dir, **options)
        words = PROPOSING if prompts is None else prompts
        self._base_arguments = (base, {**options, "prompts": words, "about": about, "cache_dir": cache_dir})
        self._base: TransformersModel | None = None
        self._sharpness = sharpness
        asked = f"{self.fingerprint}&{load_prompts(words, about).fingerprint}&{sharpness:g}"
        self.fingerprint = hashlib.blake2b(asked.encode(), digest_size=16).hexdigest()

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
    ) -> list[Completion]:
        """Answer all prompts, those of each model in one batched call; see the protocol."""
        check_request(prompts, seeds, temperature)
        found: dict[int, Completion] = {}
        for of_base in (False, True):
            rows = [row for row, prompt in enumerate(prompts) if (prompt.task in OF_BASE) == of_base]
            generate = self._opened_base().generate if of_base and rows else super().generate
            heat = temperature / self._sharpness if of_base else temperature
            asked = [prompts[row] for row in rows], [seeds[row] for row in rows]
            try:
                found |= zip(rows, generate(*asked, temperature=heat), strict=True)
            except LanguageModelError as error:
                error.answered = found | {rows[at]: said for at, said in error.answered.items()}
                if isinstance(error, CutOffError):
                    error.cut = {rows[at]: said for at, said in error.cut.items()}
                raise
        return [found[row] for row in range(len(prompts))]

    def close(self) -> None:
        """Release the weights of both models."""
        super().close()
        if self._base is not None:
            self._base.close()

    def _opened_base(self) -> TransformersModel:
        self._open()  # a closed model answers nothing
        if self._base is None:
            target, options = self._base_arguments
            self._base = TransformersModel(self.name, target, **options)
            self._base.usage = self.usage
        return self._base
