"""Drafts for speculative decoding: guesses of how a text continues.

A draft changes how fast a text is drawn, but not the text, except that the rounding of logits depends on which tokens
are read together. A rewrite repeats most of its *source*, the text that it rewrites. Where it uses other words, these
often occur in the sources of other rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np

MATCHED = 4  # at most so many tokens are matched to find a place in the source
BEHIND = (2, 1)  # lengths of the n-grams that common continuations are looked up by, in this order
FOLLOWED = 4  # at most so many tokens are guessed from common continuations


class Draft:
    """Guesses the continuation of a text that repeats most of its source.

    If the text's last n tokens occur in the source, the guess is the 2^(n-1) tokens that follow them there, since short
    matches are less reliable. The longest match counts; among equally long ones, the next one after the previous match.
    If the last token does not occur in the source, the guess comes from what the texts have in common.

    Args:
        source: Tokens that the text is likely to repeat; without a source nothing is guessed.
        common: Continuations that the sources of several rows share.
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
        """How many of the last tokens precede a place in the source, at most `MATCHED`."""
        most = min(MATCHED, at, len(said))
        return next((n for n in range(1, most) if said[-1 - n] != self._source[at - 1 - n]), most)


class NGrams:
    """Guesses that one or two tokens are followed by the token that follows them in at least half of other texts.

    Args:
        texts: The other texts. Duplicates count once, empty texts do not count, and a single text gives no guesses.
    """

    def __init__(self, texts: Sequence[Sequence[int]]) -> None:
        self._next: dict[tuple[int, ...], int] = {}
        different = dict.fromkeys(tuple(text) for text in texts if text)
        for length in BEHIND if len(different) > 1 else ():
            self._next |= _likeliest(different, length)

    def after(self, said: Sequence[int], most: int) -> list[int]:
        """Up to `most` tokens, and at most `FOLLOWED`, that may follow what was said."""
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
    """For each n-gram of `length` tokens: the token that follows in at least half of the cases; of two, the first."""
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
