"""Asks a model for edits of invented texts in the words of a prompt set, greedily, and checks the answers by rule."""

from __future__ import annotations

import re
import time
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.experiments.editing.cases import invented_cases, spread
from benchmarks.experiments.editing.check import check
from benchmarks.experiments.editing.measure import ask
from eagle_gym.errors import LanguageModelError
from eagle_gym.language.model import Completion, LanguageModel
from eagle_gym.language.prompts import Prompt

CASES: Final = Path(__file__).with_name("cases.toml")
TOGETHER: Final = 8  # rows of a call
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Case:
    """An edit of a text, and the words by which its success is known.

    Attributes:
        text: The text.
        edit: The edit.
        has: Words that the edited text has.
        lacks: Words that it lacks.
        out: Words of the text that the edit replaces.
    """

    text: str
    edit: str
    has: tuple[str, ...]
    lacks: tuple[str, ...]
    out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of one case.

    Attributes:
        copied: Whether the answer is the text.
        followed: Whether the edit is done.
        kept: Share of the text's other words that the answer has.
        failed: Whether there was no answer: it reached the limit of tokens, or was no text.
    """

    copied: bool
    followed: bool
    kept: float
    failed: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: counts of `cases` edits, the mean share of words kept where there was an answer, seconds."""

    cases: int
    followed: int
    copied: int
    failed: int
    kept: float
    seconds: float


def load_cases(path: Path = CASES) -> list[Case]:
    """The edits in a file."""
    found = tomllib.loads(path.read_text(encoding="utf-8"))["texts"]
    return [
        Case(each["text"], edit["edit"], *(tuple(edit[name]) for name in ("has", "lacks", "out")))
        for each in found
        for edit in each["edits"]
    ]


def judge(case: Case, answer: str | None) -> Judgement:
    """Check an answer by rule; None where there was none."""
    if answer is None:
        return Judgement(copied=False, followed=False, kept=0.0, failed=True)
    said, asked = Counter(_words(answer)), Counter(_words(case.text))
    followed = all(word in said for word in case.has) and not any(word in said for word in case.lacks)
    wanted = Counter({word: count for word, count in asked.items() if word not in case.out})
    return Judgement(said == asked, followed, (said & wanted).total() / wanted.total(), failed=False)


def answers(model: LanguageModel, cases: list[Case]) -> list[str | None]:
    """The model's most likely answers; None where an answer is no text or is cut off."""
    found: list[str | None] = []
    for begin in range(0, len(cases), TOGETHER):
        asked = [Prompt("rewrite", case.text, case.edit) for case in cases[begin : begin + TOGETHER]]
        found += [None if said is None else said.text for said in _ask(model, asked)]
    return found


def _ask(model: LanguageModel, prompts: list[Prompt]) -> list[Completion | None]:
    try:
        return [*model.generate(prompts, [0] * len(prompts), temperature=0.0)]
    except LanguageModelError as error:
        return [error.answered.get(row) for row in range(len(prompts))]


def measure_edits(model: LanguageModel, count: int, minutes: float) -> Row:
    """One line of the table, for edits of the experiment `editing`.

    Args:
        model: Asked greedily.
        count: Edits wanted.
        minutes: Processor time of this process after which no further batch is asked for.
    """
    chosen, began = spread(invented_cases(), count), time.process_time()
    found: list[str | None] = []
    for begin in range(0, len(chosen), TOGETHER):
        if time.process_time() - began > 60.0 * minutes:
            break
        found += ask(model, chosen[begin : begin + TOGETHER], 0.0)
    verdicts = [check(case, answer) for case, answer in zip(chosen, found, strict=False)]
    edited = [one.kept for one, answer in zip(verdicts, found, strict=True) if answer is not None]
    return Row(
        cases=len(found),
        followed=sum(one.followed for one in verdicts),
        copied=sum(one.copied for one in verdicts),
        failed=found.count(None),
        kept=sum(edited) / len(edited) if edited else 0.0,
        seconds=time.process_time() - began,
    )


def measure(model: LanguageModel, cases: Sequence[Case] | None = None) -> Row:
    """One line of the table, for the edits of this folder."""
    cases = load_cases() if cases is None else list(cases)
    began = time.perf_counter()
    judged = [judge(case, answer) for case, answer in zip(cases, answers(model, cases), strict=True)]
    answered = [one.kept for one in judged if not one.failed]
    return Row(
        cases=len(judged),
        followed=sum(one.followed for one in judged),
        copied=sum(one.copied for one in judged),
        failed=sum(one.failed for one in judged),
        kept=sum(answered) / len(answered) if answered else 0.0,
        seconds=time.perf_counter() - began,
    )


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
