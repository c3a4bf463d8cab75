"""The features of a text that an encoder sees: a few weighted entries of a fixed list.

The features of plot English are the attribute values that the text mentions; those of free text are its words, weighted
by tf-idf. Either way, a text becomes a short list of feature numbers and values, and a batch a padded pair of arrays.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from eagle_gym import plot_english
from eagle_gym.catalog import Language
from eagle_gym.errors import PreparationError
from eagle_gym.plot_english import lexicon

Floats = NDArray[np.float64]
Bag = tuple[tuple[int, ...], tuple[float, ...]]
"""Numbers of the features of a text, ascending, and their values."""

WORDS = 1000  # largest vocabulary of free text
SEEN = 3  # fewest texts in which a word of the vocabulary occurs
NORM = 2.0  # of a free text's values; with a larger one, the ridge that suits plot English overfits words

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")


class Features(Protocol):
    """Reads the features of a text. `count` is the number of different features."""

    @property
    def count(self) -> int:
        """Number of features."""
        ...

    def bag(self, text: str) -> Bag:
        """Features of one text, possibly none."""
        ...

    def to_json(self) -> dict[str, object]:
        """JSON values that determine these features."""
        ...


class AttributeFeatures:
    """The attribute values of plot English, each present (1) or absent."""

    @property
    def count(self) -> int:
        """Number of attribute values in the lexicon."""
        return len(plot_english.FEATURES)

    def bag(self, text: str) -> Bag:
        """Attribute values that the text mentions; other words are ignored."""
        numbers = _values_in(text)
        return numbers, (1.0,) * len(numbers)

    def to_json(self) -> dict[str, object]:
        """The kind, and the lexicon's hash."""
        return {"kind": "attributes", "lexicon": lexicon_hash()}


@dataclass(frozen=True)
class WordFeatures:
    """Words of free text by tf-idf (1 + log of the count, times the idf), scaled to one norm.

    Attributes:
        words: The vocabulary.
        idf: Inverse document frequency of each word.
    """

    words: tuple[str, ...]
    idf: tuple[float, ...]

    @classmethod
    def of(cls, texts: Sequence[str], most: int = WORDS, seen: int = SEEN) -> WordFeatures:
        """The vocabulary of some texts: the most frequent words that do not occur in all of them."""
        found = Counter(word for text in texts for word in set(_words(text)))
        usable = [(word, count) for word, count in found.items() if min(seen, len(texts)) <= count < len(texts)]
        kept = sorted(usable, key=lambda entry: (-entry[1], entry[0]))[:most]
        words = sorted(word for word, _ in kept)
        return cls(tuple(words), tuple(float(np.log(len(texts) / found[word])) for word in words))

    @property
    def count(self) -> int:
        """Size of the vocabulary."""
        return len(self.words)

    def bag(self, text: str) -> Bag:
        """Words of the text that are in the vocabulary."""
        rank = self._rank
        found = sorted(Counter(rank[word] for word in _words(text) if word in rank).items())
        raw = [(1.0 + float(np.log(count))) * self.idf[number] for number, count in found]
        scale = NORM / max(sum(value**2 for value in raw) ** 0.5, 1e-12)
        return tuple(number for number, _ in found), tuple(value * scale for value in raw)

    def to_json(self) -> dict[str, object]:
        """The kind and the vocabulary."""
        return {"kind": "words", "words": list(self.words), "idf": list(self.idf)}

    @cached_property
    def _rank(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}


def features_of(texts: Sequence[str], language: Language) -> Features:
    """The features that suit a catalog."""
    return AttributeFeatures() if language == "plot_english" else WordFeatures.of(texts)


def features_from_json(saved: dict[str, object]) -> Features:
    """Features as `to_json` saved them.

    Raises:
        PreparationError: The features are of another lexicon, or of an unknown kind.
    """
    if saved.get("kind") == "attributes":
        if saved.get("lexicon") != lexicon_hash():
            raise PreparationError(
                f"the encoder reads lexicon {saved.get('lexicon')!r}: expected {lexicon_hash()!r}, prepare it again"
            )
        return AttributeFeatures()
    words, idf = saved.get("words"), saved.get("idf")
    if saved.get("kind") == "words" and isinstance(words, list) and isinstance(idf, list) and len(words) == len(idf):
        return WordFeatures(tuple(map(str, words)), tuple(map(float, idf)))
    raise PreparationError(f"expected features of kind 'attributes' or 'words'; got {saved.get('kind')!r}")


def lexicon_hash() -> str:
    """Hash of the attribute values, in order, and of the phrases that name them in texts."""
    surfaces = lexicon.surfaces()
    entries = [[*pair, surfaces[pair]] for pair in plot_english.FEATURES]
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()[:16]


def padded(bags: Sequence[Bag], count: int) -> tuple[NDArray[np.intp], Floats]:
    """Numbers and values of a batch, [B, L] each, padded to the longest with the number `count` and the value 0."""
    longest = max((len(numbers) for numbers, _ in bags), default=0)
    numbers = np.full((len(bags), longest), count, dtype=np.intp)
    values = np.zeros((len(bags), longest))
    for row, (found, weights) in enumerate(bags):
        numbers[row, : len(found)] = found
        values[row, : len(found)] = weights
    return numbers, values


def matrix(bags: Sequence[Bag], count: int) -> sp.csr_array:
    """The features of a batch as a sparse matrix, [B, count]."""
    ends = np.cumsum([0, *(len(numbers) for numbers, _ in bags)])
    numbers = np.array([number for found, _ in bags for number in found], dtype=np.intp)
    values = np.array([value for _, weights in bags for value in weights], dtype=np.float64)
    return sp.csr_array((values, numbers, ends), shape=(len(bags), count))


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


@lru_cache(65_536)
def _values_in(text: str) -> tuple[int, ...]:
    """Numbers of the attribute values in a text; cached, since fits of several splits read the same texts."""
    rank = _rank()
    return tuple(sorted({rank[pair] for pair in plot_english.read(text).pairs()}))


@cache
def _rank() -> dict[plot_english.Pair, int]:
    return {pair: number for number, pair in enumerate(plot_english.FEATURES)}
