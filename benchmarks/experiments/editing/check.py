"""Whether an answer carries out an edit, by rule."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from benchmarks.experiments.editing.cases import Case

LEAST_KEPT: Final = 0.5  # of the other words; an answer that keeps less is another text, not an edit
RAMBLING: Final = 1.5, 12  # an answer rambles if it has more words than this multiple of the text's, and so many more

_LABEL: Final = re.compile(r"^(?:edit|description):", re.IGNORECASE | re.MULTILINE)
_WORD: Final = re.compile(r"[^\W_]+")


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
    kept = share_kept(case, answer)
    echoed = case.edit.rstrip(".?").lower() in answer.lower() or _LABEL.search(answer)
    done = mentions(answer, case.new) and not (case.old and mentions(answer, case.old))
    factor, more = RAMBLING
    copied, rambled = before == after, len(after) > factor * len(before) + more
    return Verdict(
        followed=done and not (echoed or copied or rambled) and kept >= LEAST_KEPT,
        copied=copied,
        kept=kept,
        rambled=rambled,
        length=len(after) / len(before),
    )


def mentions(text: str, phrase: str) -> bool:
    """Whether a text has a phrase, in any case, singular or plural; a decade is also mentioned by its years."""
    if re.fullmatch(r"\d{3}0s", phrase):
        return re.search(rf"\b{phrase[:3]}(?:\d|0s)\b", text) is not None
    return re.search(rf"(?<!\w){re.escape(phrase)}(?:s|es)?(?!\w)", text, re.IGNORECASE) is not None


def share_kept(case: Case, answer: str) -> float:
    """The share of the text's words, those that should go apart, that the answer has in their order."""
    text = case.text
    if case.old:
        pattern = rf"\b{case.old[:3]}(?:\d|0s)\b" if case.kind == "decade" else rf"(?<!\w){re.escape(case.old)}(?!\w)"
        text = re.sub(pattern, " ", text)
    others, after = words(text), words(answer)
    blocks = SequenceMatcher(None, others, after, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / len(others)


def words(text: str) -> list[str]:
    """The words of a text in small letters; "an" counts as "a"."""
    return ["a" if word == "an" else word for word in _WORD.findall(text.lower())]
