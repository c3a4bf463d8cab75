"""Whether an answer carries out an edit, by rule."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from benchmarks.experiments.editing.cases import Case
from eagle_gym.language.change import kept, mentions, words

LEAST_KEPT: Final = 0.5  # of the other words; an answer that keeps less is another text, not an edit
RAMBLING: Final = 1.5, 12  # an answer rambles if it has more words than this multiple of the text's, and so many more

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
    before, after = words(case.text), words(answer)
    share = kept(case.text, answer, case.old)
    echoed = case.edit.rstrip(".?").lower() in answer.lower() or _LABEL.search(answer)
    done = mentions(answer, case.new) and not (case.old and mentions(answer, case.old))
    factor, more = RAMBLING
    copied, rambled = before == after, len(after) > factor * len(before) + more
    return Verdict(
        followed=done and not (echoed or copied or rambled) and share >= LEAST_KEPT,
        copied=copied,
        kept=share,
        rambled=rambled,
        length=len(after) / len(before),
    )
