"""Asking a model for edits, and what it makes of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.experiments.editing.cases import Case
from benchmarks.experiments.editing.check import Verdict, check
from eagle_gym.errors import LanguageModelError
from eagle_gym.language import LanguageModel, Prompt
from eagle_gym.progress import progress_bar
from eagle_gym.seeding import stable_seed

TEMPERATURES: Final = (0.0, 1.0)
BATCH: Final = 20
MAX_NEW_TOKENS: Final = 256  # the longest text that is edited has about 130


@dataclass(frozen=True)
class Measured:
    """What a model made of some cases at one temperature.

    Attributes:
        model: Its spec.
        name: Of the cases: `"invented"` or `"real"`.
        temperature: Sampling temperature.
        cases: What was asked.
        answers: What came back, None where nothing did.
        verdicts: What the rules say.
        calls: Generations, further attempts included.
        seconds: How long it took.
    """

    model: str
    name: str
    temperature: float
    cases: tuple[Case, ...]
    answers: tuple[str | None, ...]
    verdicts: tuple[Verdict, ...]
    calls: int
    seconds: float

    def share(self, which: str, kind: str | None = None, familiar: bool | None = None) -> float:
        """The mean of an attribute of the verdicts, over all cases or some."""
        values = [
            float(getattr(verdict, which))
            for case, verdict in zip(self.cases, self.verdicts, strict=True)
            if kind in (None, case.kind) and familiar in (None, case.familiar)
        ]
        return float(np.mean(values)) if values else float("nan")

    @property
    def kept(self) -> float:
        """Share of the other words that are kept, over answers that are not copies."""
        judged = zip(self.answers, self.verdicts, strict=True)
        values = [verdict.kept for answer, verdict in judged if answer is not None and not verdict.copied]
        return float(np.mean(values)) if values else float("nan")


def measure(model: LanguageModel, spec: str, name: str, cases: Sequence[Case], temperature: float) -> Measured:
    """Every case asked once, and judged."""
    began, calls = time.perf_counter(), model.usage.calls
    answers: list[str | None] = []
    starts = range(0, len(cases), BATCH)
    for start in progress_bar(starts, desc=f"{spec}, {name}, temperature {temperature:g}", unit="batch"):
        answers += ask(model, cases[start : start + BATCH], temperature)
    verdicts = tuple(check(case, answer) for case, answer in zip(cases, answers, strict=True))
    seconds = time.perf_counter() - began
    return Measured(
        spec, name, temperature, tuple(cases), tuple(answers), verdicts, model.usage.calls - calls, seconds
    )


def ask(model: LanguageModel, cases: Sequence[Case], temperature: float) -> list[str | None]:
    """The answer to each case; None where there is none, even after the model's further attempts."""
    prompts = [Prompt("rewrite", text=case.text, edit=case.edit) for case in cases]
    seeds = [stable_seed("editing", case.text, case.edit) for case in cases]
    try:
        return [completion.text for completion in model.generate(prompts, seeds, temperature=temperature)]
    except LanguageModelError as error:
        return [error.answered[row].text if row in error.answered else None for row in range(len(cases))]
