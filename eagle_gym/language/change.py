"""What became of a free text in a rewrite, by its words and without a model: copied, edited, rewritten and so on."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import Final, Literal, get_args

Change = Literal["copied", "edited", "rewritten", "summarised", "rambled"]
CHANGES: Final[tuple[str, ...]] = get_args(Change)
CUT_OFF: Final = "cut off"  # in place of a change where no answer was finished, and the text stays
LEAST_KEPT: Final = 0.5  # share of the words, in their order, that an edited text keeps
SHORTER: Final = 0.6  # a text that keeps less and has fewer words than this multiple is a summary
LONGER: Final = 1.5, 12  # a text with more words than this multiple, and so many more, rambles

_WORD: Final = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """The words of a text in small letters; "an" counts as "a"."""
    return ["a" if word == "an" else word for word in _WORD.findall(text.lower())]


def mentions(text: str, phrase: str) -> bool:
    """Whether a text has a phrase, in any case, singular or plural; a decade is also mentioned by its years."""
    if re.fullmatch(r"\d{3}0s", phrase):
        return re.search(rf"\b{phrase[:3]}(?:\d|0s)\b", text) is not None
    return re.search(rf"(?<!\w){re.escape(phrase)}(?:s|es)?(?!\w)", text, re.IGNORECASE) is not None


def kept(before: str, after: str, replaced: str = "") -> float:
    """The share of a text's words that a rewrite has, in their order; 1 for a text without words.

    Args:
        before: The text.
        after: The rewrite.
        replaced: A phrase of the text that need not be kept; a decade stands for its years, too.
    """
    if replaced:
        years = re.fullmatch(r"\d{3}0s", replaced)
        pattern = rf"\b{replaced[:3]}(?:\d|0s)\b" if years else rf"(?<!\w){re.escape(replaced)}(?!\w)"
        before = re.sub(pattern, " ", before)
    old, new = words(before), words(after)
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / len(old) if old else 1.0


def change(before: str, after: str) -> Change:
    """What a rewrite is.

    Args:
        before: The text.
        after: Its rewrite.

    Returns:
        "copied": the same words. "rambled": far longer. "edited": at least half of the words are kept, in their order.
        "summarised": fewer are kept, and the rewrite is much shorter. "rewritten": anything else.
    """
    old, new = words(before), words(after)
    factor, more = LONGER
    if old == new:
        return "copied"
    if len(new) > factor * len(old) + more:
        return "rambled"
    if kept(before, after) >= LEAST_KEPT:
        return "edited"
    return "summarised" if len(new) < SHORTER * len(old) else "rewritten"
