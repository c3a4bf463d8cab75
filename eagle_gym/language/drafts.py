"""Guesses of how a text goes on, for the decode loop: right or wrong, they change how fast it is drawn, and no text.

(The rounding of logits aside: it depends on what is read together.) A rewrite says again most of what it rewrites, its
*source*; a rewrite in other words says it in words that the sources of other rows of the batch use.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np

MATCHED = 4  # tokens that a place in the source is found by, at most
BEHIND = (2, 1)  # last tokens that tell what texts have in common; the first that are known count
FOLLOWED = 4  # tokens at most that are guessed from what texts have in common


class Draft:
    """Guesses how a text goes on that repeats most of another, its source: as the source does behind the same tokens.

    Where the text's last n tokens stand in the source, the next 2^(n-1) there are the guess: a short coincidence is
    trusted little. The longest match counts, of equal ones the next behind the one before. Where the source says
    nothing of the last token, the guess is what the texts have in common.

    Args:
        source: What the text is likely to repeat; without one nothing is guessed.
        common: What the sources of several rows have in common.
    """

    def __init__(self, source: Sequence[int] = (), common: NGrams | None = None) -> None:
        self._source, self._common, self._at = source, common if source else None, 0
        self._behind: dict[int, list[int]] = {}
        for at, token in enumerate(source[:-1]):
            self._behind.setdefault(token, []).append(at + 1)

    def after(self, said: Sequence[int], most: int) -> list[int]:
        """Up to `most` tokens that may follow what was said."""
        found = self._behind.get(said[-1], []) if said else []
        if not found or most < 1:
            return self._common.after(said, most) if self._common else []
        matched = [self._matched(said, at) for at in found]
        length, _, _, self._at = max(
            (length, at >= self._at, -abs(at - self._at), at) for length, at in zip(matched, found, strict=True)
        )
        return list(self._source[self._at : self._at + min(most, 1 << (length - 1))])

    def _matched(self, said: Sequence[int], at: int) -> int:
        """How many of the last tokens stand before a place of the source, `MATCHED` at most."""
        most = min(MATCHED, at, len(said))
        return next((n for n in range(1, most) if said[-1 - n] != self._source[at - 1 - n]), most)


class NGrams:
    """Guesses that a text goes on as others do, in half of the cases or more, behind the same one or two tokens.

    Args:
        texts: The others. Equal ones count once, empty ones not at all, and one alone says nothing.
    """

    def __init__(self, texts: Sequence[Sequence[int]]) -> None:
        self._next: dict[tuple[int, ...], int] = {}
        different = dict.fromkeys(tuple(text) for text in texts if text)
        for length in BEHIND if len(different) > 1 else ():
            self._next |= _likeliest(different, length)

    def after(self, said: Sequence[int], most: int) -> list[int]:
        """Up to `most` tokens that may follow what was said, and up to `FOLLOWED`."""
        text = list(said[-max(BEHIND) :])
        begun = len(text)
        while self._next and len(text) - begun < min(most, FOLLOWED):
            known = (self._next.get(tuple(text[-length:])) for length in BEHIND if len(text) >= length)
            token = next((token for token in known if token is not None), None)
            if token is None:
                break
            text.append(token)
        return text[begun:]


def _likeliest(texts: Iterable[tuple[int, ...]], length: int) -> dict[tuple[int, ...], int]:
    """By `length` tokens: the token that follows them in half of the cases or more; of two such, the first seen."""
    long = [text for text in texts if len(text) > length]
    if not long:
        return {}
    tokens, sizes = np.fromiter(chain.from_iterable(long), np.int64), [len(text) for text in long]
    offset = np.arange(len(tokens)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    windows = tokens[np.flatnonzero(offset >= length)[:, None] + np.arange(-length, 1)]  # [W, length + 1]
    base = int(tokens.max()) + 1
    numbered = windows @ base ** np.arange(length, -1, -1)
    same, first, count = np.unique(numbered, return_index=True, return_counts=True)
    behind = same // base
    order = np.lexsort((first, -count, behind))
    begin = np.flatnonzero(np.diff(behind[order], prepend=-1))
    best, total = order[begin], np.add.reduceat(count[order], begin)
    sure = best[2 * count[best] >= total]
    return {tuple(before): token for *before, token in windows[first[sure]].tolist()}
