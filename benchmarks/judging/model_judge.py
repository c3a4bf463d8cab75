"""The judge that is a language model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from eagle_gym.language.prompts import Prompt

if TYPE_CHECKING:
    from eagle_gym.language.model import LanguageModel

Floats = NDArray[np.float64]

BATCH = 64  # questions in one call

_NUMBER = re.compile(r"\d+")


class ModelJudge:
    """A language model that rates how much a user would like a text, from 1 to 10 (`task="rate"`).

    Args:
        model: Any language model of free text.
        seed: Seed of its answers.
    """

    def __init__(self, model: LanguageModel, seed: int = 0) -> None:
        self._model, self._seed = model, seed

    def rate(self, profiles: Sequence[str], texts: Sequence[str]) -> Floats:
        """Numbers from 1 to 10, [B]; nan for a user without profile, and for an answer without such a number."""
        asked = [(profile, text) for profile, text in zip(profiles, texts, strict=True) if profile.strip()]
        prompts = [Prompt("rate", text=text, profile=profile) for profile, text in dict.fromkeys(asked)]
        answers: dict[tuple[str, str], float] = {}
        starts = range(0, len(prompts), BATCH)
        for first in tqdm(starts, desc="language model judging", unit="batch", delay=2.0, disable=None):
            batch = prompts[first : first + BATCH]
            completions = self._model.generate(batch, [self._seed] * len(batch), temperature=0.0)
            answers |= {(p.profile, p.text): number_in(c.text) for p, c in zip(batch, completions, strict=True)}
        return np.array([answers.get(pair, np.nan) for pair in zip(profiles, texts, strict=True)])


def number_in(answer: str) -> float:
    """The first number of an answer if it lies between 1 and 10, otherwise nan."""
    found = _NUMBER.search(answer)
    number = int(found[0]) if found and len(found[0]) < 3 else 0
    return float(number) if 1 <= number <= 10 else float("nan")
