"""Whether an answer carries out an edit, by rule."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from benchmarks.experiments.editing.cases import Case
from eagle_gym.language.change import LEAST_KEPT, change, kept, mentions, words

_LABEL: Final = re.compile(r"^(?:edit|description):", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule finds.

    Attributes:
        followed: What was asked for is there, what it replaces is gone, and the answer is still the same text.
        copied: The answer is the text, unchanged.
        kept: Share of the text's other words that the answer has, in their order.
        rambled: The answer is far longer than the text, or does not end.
        length: Words of the answer, as a multiple of the text's.
    """

    followed: bool
    copied: bool
    kept: float
    rambled: bool
    length: float


def check(case: Case, answer: str | None) -> Verdict:
    """Judge an answer; None, which is no answer, is one that does not end."""
    if answer is None:
        return Verdict(followed=False, copied=False, kept=0.0, rambled=True, length=0.0)
    found, share = change(case.text, answer), kept(case.text, answer, case.old)
    echoed = case.edit.rstrip(".?").lower() in answer.lower() or _LABEL.search(answer)
    done = mentions(answer, case.new) and not (case.old and mentions(answer, case.old))
    return Verdict(
        followed=done and not echoed and found not in ("copied", "rambled") and share >= LEAST_KEPT,
        copied=found == "copied",
        kept=share,
        rambled=found == "rambled",
        length=len(words(answer)) / len(words(case.text)),
    )
