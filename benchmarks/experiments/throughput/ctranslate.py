"""The embedded model through CTranslate2, an engine that this project did not write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import torch

from eagle_gym.errors import PreparationError
from eagle_gym.language.model import Completion
from eagle_gym.language.prompts import Prompt
from eagle_gym.language.transformers import TransformersModel

INSTALL: Final = "pip install ctranslate2"
TOGETHER: Final = 32  # rows of a pass: of 16, 32, 64 and all at once, the fastest for 256 rows


class CTranslate2Generate:
    """Answers prompts by CTranslate2 on the processor, with as many threads as torch has.

    Args:
        model: The model whose tokens and limits are used.
        folder: Its folder, which is converted anew.
        compute: Number format: `"float32"`, or `"int8"` for weights of eight bits, which are another model.

    Raises:
        PreparationError: CTranslate2 is not installed.
    """

    def __init__(self, model: TransformersModel, folder: Path, compute: str = "float32") -> None:
        if find_spec("ctranslate2") is None:
            raise PreparationError(f"expected the package ctranslate2, got none: {INSTALL}")
        import ctranslate2
        from ctranslate2.converters import TransformersConverter

        self._format, self._seed = model.prompt_format, ctranslate2.set_random_seed
        with TemporaryDirectory() as made:
            TransformersConverter(str(folder)).convert(made, force=True)
            self._pieces: list[str] = json.loads((Path(made) / "vocabulary.json").read_text(encoding="utf-8"))
            self._generator: Any = ctranslate2.Generator(
                made, device="cpu", compute_type=compute, inter_threads=1, intra_threads=torch.get_num_threads()
            )

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
    ) -> list[Completion]:
        """Answer all prompts; a truncated text is accepted.

        Args:
            prompts: What to ask.
            seeds: One per row; the first of them seeds all rows.
            temperature: 1, or 0 for the most likely tokens.
        """
        self._seed(int(seeds[0]))
        asked = [self._format.encode(prompt)[0] for prompt in prompts]
        results = self._generator.generate_batch(
            [[self._pieces[token] for token in row] for row in asked],
            max_batch_size=TOGETHER,
            max_length=self._format.default_max_tokens,
            sampling_topk=0 if temperature else 1,
            end_token=sorted(self._format.ending.stop),
            include_prompt_in_result=False,
        )
        said = [result.sequences_ids[0] for result in results]
        return [
            Completion(self._format.read(tokens)[0], len(row), len(tokens) + 1, "stop")
            for row, tokens in zip(asked, said, strict=True)
        ]
