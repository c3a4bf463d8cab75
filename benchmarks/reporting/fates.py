"""What became of texts in rewrites: copied, edited, cut off and so on; and by a rough rule, which edits were done."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from baselines.evaluate import EpisodeRow
from eagle_gym.language.change import CHANGES, CUT_OFF, LEAST_KEPT, change, kept, mentions, words

FATES: Final = (
    "*Valid* is the share of episodes in which every text is a proper rewrite. Of the single rewrites, *copied*, "
    "*edited*, *rewritten*, *summarised* and *rambled* are found by overlap of words; *cut off* are those of which no "
    "answer was finished, so that the text stayed. *Followed* is a rough rule: the answer has at least half of the "
    "edit's content words that the text lacked, keeps at least half of the text, does not repeat the edit, and no "
    "longer has what the edit replaces. Edits without such words are left out."
)
_EMPTY: Final = (
    "a add and as at be by change for from give have in into is it its let like make more move of on or put set some "
    "so than that the them then there this to turn with without remove replace instead"
)
EMPTY: Final = frozenset(words(_EMPTY))
_REPLACED: Final = re.compile(
    r"(?i)\s*(?:replace|change|swap|turn)\s+(?:the\s+|an?\s+)?(.+?)\s+(?:with|by|to|for|into)\s"
)


def followed(before: str, edit: str, after: str) -> bool | None:
    """Whether an answer has at least half of the words that an edit brings; None if it brings none.

    A copy, a rambling answer, one that repeats the edit or that has less than half of the text is never counted, nor
    one that still has what the edit replaces.
    """
    wanted = set(words(edit)) - EMPTY - set(words(before))
    if not wanted or re.match(r"(?i)\s*(remove|delete|take out)", edit):
        return None
    echoed = edit.rstrip(".?! ").lower() in after.lower()
    if echoed or change(before, after) in ("copied", "rambled") or kept(before, after) < LEAST_KEPT:
        return False
    replaced = _REPLACED.match(edit)
    if replaced and mentions(before, replaced[1]) and mentions(after, replaced[1]):
        return False
    return len(wanted & set(words(after))) >= len(wanted) / 2


def steps_of(rows: Sequence[EpisodeRow]) -> list[tuple[str, str, str]]:
    """Text, edit and rewrite of every step."""
    return [step for row in rows for step in zip(row.texts, row.edits, row.texts[1:], strict=False)]


def kinds_of(row: EpisodeRow) -> list[str]:
    """What each step made of the text: as the environment says, in plot English by its words."""
    return list(row.rewrites) or [change(before, after) for before, _, after in steps_of([row])]


def fates(rows: Sequence[EpisodeRow]) -> dict[str, float]:
    """Shares of the rewrites that were copied, edited and so on, or cut off, and the share of edits followed."""
    steps = steps_of(rows)
    kinds = [kind for row in rows for kind in kinds_of(row)]
    done = [found for step in steps if (found := followed(*step)) is not None]
    shares = {kind: kinds.count(kind) / len(kinds) if kinds else float("nan") for kind in (*CHANGES, CUT_OFF)}
    return {**shares, "followed": float(np.mean(done)) if done else float("nan")}
