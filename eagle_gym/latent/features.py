"""The features of a text that an encoder sees: a few weighted entries of a fixed list.

The features of plot English are the attribute values that the text mentions and the tags that it carries. Those of free
text are its words, weighted by tf-idf, and what it says under the labels of a film's fields; or the vector of a text
encoder; or both. Either way, a text becomes a list of feature numbers and values, and a batch a padded pair of arrays.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property, lru_cache
from typing import Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from eagle_gym import plot_english
from eagle_gym.catalog import Language
from eagle_gym.catalog.fields import Described, read_description
from eagle_gym.errors import ConfigurationError, PreparationError
from eagle_gym.latent.text_encoders.encoder import TextEncoder
from eagle_gym.plot_english import lexicon

Floats = NDArray[np.float64]
Bag = tuple[tuple[int, ...], tuple[float, ...]]
"""Numbers of the features of a text, ascending, and their values."""
Idf = tuple[float, ...]

WORDS = 1000  # largest vocabulary of free text
SEEN = 3  # fewest texts in which a word of the vocabulary occurs
TAGGED = 2  # fewest texts in which a tag of the vocabulary occurs

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")


@dataclass(frozen=True)
class Scales:
    """How large features are: the larger a feature, the less a penalty shrinks its weight.

    The defaults were tuned on train users' ratings of held-out items; the README of this folder has the table.

    Attributes:
        words: Norm of the words of a free text.
        label: Value of a genre or year of free text.
        tag: Value of a tag, in units of its idf.
        tags: Largest norm of a text's tags.
        vector: Factor on the vector of a text encoder.
    """

    words: float = 1.0
    label: float = 2.0
    tag: float = 0.3
    tags: float = 3.0
    vector: float = 1.0

    def __post_init__(self) -> None:
        if min(asdict(self).values()) <= 0:
            raise ConfigurationError(f"expected positive scales of features, got {self}")

    def to_json(self) -> dict[str, object]:
        """The scales under their name, nothing where they are the defaults."""
        return {} if self == Scales() else {"scales": asdict(self)}


SCALES = Scales()


@dataclass(frozen=True)
class Reading:
    """What the features of free text are. Plot English is read by its attributes, whatever this says.

    Attributes:
        words: Whether they are words and labels.
        encoder: The text encoder whose vector they are, or are too.
        scales: How large they are.
    """

    words: bool = True
    encoder: TextEncoder | None = None
    scales: Scales = SCALES

    def __post_init__(self) -> None:
        if not self.words and self.encoder is None:
            raise ConfigurationError("expected words, a text encoder or both to read texts with, got neither")

    def to_json(self) -> object:
        """JSON values that determine the features, given the texts."""
        if self == Reading():
            return "labelled words"
        encoder = None if self.encoder is None else self.encoder.fingerprint
        return {"words": self.words, "encoder": encoder, **self.scales.to_json()}


READING = Reading()


class Features(Protocol):
    """Reads the features of a text. `count` is the number of different features."""

    @property
    def count(self) -> int:
        """Number of features."""
        ...

    def bags(self, texts: Sequence[str]) -> list[Bag]:
        """Features of each text, possibly none."""
        ...

    def to_json(self) -> dict[str, object]:
        """JSON values that determine these features."""
        ...


@dataclass(frozen=True)
class AttributeFeatures:
    """The attribute values of plot English, each present (1) or absent, and then the tags that texts carry.

    Tags are weighted by how rare they are; together those of a text have at most the norm `Scales.tags`.

    Attributes:
        tags: The tags that are features; none in a catalog without tags.
        idf: Inverse document frequency of each tag.
        scales: How large features are.
    """

    tags: tuple[str, ...] = ()
    idf: tuple[float, ...] = ()
    scales: Scales = SCALES

    @classmethod
    def of(cls, texts: Sequence[str], seen: int = TAGGED, scales: Scales = SCALES) -> AttributeFeatures:
        """The attribute values, and the tags that at least `seen` texts carry."""
        tags, idf = _rare([plot_english.tags_in(text) for text in texts], seen)
        return cls(tags, idf, scales)

    @property
    def count(self) -> int:
        """Number of attribute values in the lexicon, and of tags."""
        return len(plot_english.FEATURES) + len(self.tags)

    def bags(self, texts: Sequence[str]) -> list[Bag]:
        """Features of each text."""
        return [self.bag(text) for text in texts]

    def bag(self, text: str) -> Bag:
        """Attribute values that the text mentions, and its tags; other words are ignored."""
        numbers = _values_in(text)
        carried, values = self.carried(text)
        first = len(plot_english.FEATURES)
        return (*numbers, *(first + number for number in carried)), (*(1.0,) * len(numbers), *values)

    def carried(self, text: str) -> Bag:
        """The tags of the text, numbered from 0: the part of its features that no edit of plot English changes."""
        if not self.tags:
            return (), ()
        return _tags_bag(plot_english.tags_in(text), self._rank, self.idf, self.scales)

    def to_json(self) -> dict[str, object]:
        """The kind, the lexicon's hash, and the tags where there are any."""
        tagged = {"tags": list(self.tags), "idf": list(self.idf)} if self.tags else {}
        return {"kind": "attributes", "lexicon": lexicon_hash(), **tagged, **self.scales.to_json()}

    @cached_property
    def _rank(self) -> dict[str, int]:
        return {tag: number for number, tag in enumerate(self.tags)}


@dataclass(frozen=True)
class WordFeatures:
    """Words of free text by tf-idf (1 + log of the count, times the idf), scaled to one norm.

    What a text says under the labels of `eagle_gym.catalog.fields` are features of their own: "genre:comedy" and
    "year:1990" (five years from 1990) with the value 1, and tags as "tag:dark comedy", by how rare they are.

    Attributes:
        words: The vocabulary.
        idf: Inverse document frequency of each word.
        scales: How large features are.
    """

    words: tuple[str, ...]
    idf: tuple[float, ...]
    scales: Scales = SCALES

    @classmethod
    def of(
        cls, texts: Sequence[str], most: int = WORDS, seen: int = SEEN, scales: Scales = SCALES
    ) -> WordFeatures:
        """The vocabulary of some texts: the most frequent words that do not occur in all of them, and every label."""
        films = [read_description(text) for text in texts]
        found = dict(zip(*_rare([_words(film.overview) for film in films], seen, most), strict=True))
        for entries, fewest in (
            ([_labels(film) for film in films], seen),
            ([_tags(film) for film in films], TAGGED),
        ):
            found |= zip(*_rare(entries, fewest), strict=True)
        words = sorted(found)
        return cls(tuple(words), tuple(found[word] for word in words), scales)

    @property
    def count(self) -> int:
        """Size of the vocabulary."""
        return len(self.words)

    def bags(self, texts: Sequence[str]) -> list[Bag]:
        """Features of each text."""
        return [self.bag(text) for text in texts]

    def bag(self, text: str) -> Bag:
        """Words and labels of the text that are in the vocabulary."""
        film, rank = read_description(text), self._rank
        labels = sorted(rank[label] for label in _labels(film) if label in rank)
        parts = (
            _words_bag(film.overview, rank, self.idf, self.scales),
            _tags_bag(_tags(film), rank, self.idf, self.scales),
            (labels, (self.scales.label,) * len(labels)),
        )
        entries = sorted(entry for numbers, values in parts for entry in zip(numbers, values, strict=True))
        return tuple(number for number, _ in entries), tuple(value for _, value in entries)

    def to_json(self) -> dict[str, object]:
        """The kind and the vocabulary."""
        return {"kind": "words", "words": list(self.words), "idf": list(self.idf), **self.scales.to_json()}

    @cached_property
    def _rank(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}


@dataclass(frozen=True)
class VectorFeatures:
    """The vector that a text encoder gives of the whole text.

    Attributes:
        encoder: The text encoder.
        count: Length of its vectors.
        scales: How large features are.
    """

    encoder: TextEncoder
    count: int
    scales: Scales = SCALES

    def bags(self, texts: Sequence[str]) -> list[Bag]:
        """The vector of each text, as features that every text has.

        Raises:
            PreparationError: The encoder gives vectors of another length.
        """
        vectors = self.encoder.encode(texts).astype(np.float64)
        if vectors.shape != (len(texts), self.count):
            raise PreparationError(
                f"expected {len(texts)} vectors of length {self.count} from the text encoder {self.encoder.name!r}, on "
                f"which the space was fitted, got the shape {vectors.shape}: the encoder has changed under its name; "
                "delete the space and what is kept of the encoder, and prepare them again"
            )
        numbers = tuple(range(self.count))
        return [(numbers, tuple(vector)) for vector in (self.scales.vector * vectors).tolist()]

    def to_json(self) -> dict[str, object]:
        """The kind, the encoder's fingerprint and the length of its vectors."""
        of = {"encoder": self.encoder.fingerprint, "dim": self.count}
        return {"kind": "vector", **of, **self.scales.to_json()}


@dataclass(frozen=True)
class JointFeatures:
    """Words and the vector of a text encoder, side by side.

    Attributes:
        words: The words.
        vector: The vector.
    """

    words: WordFeatures
    vector: VectorFeatures

    @property
    def count(self) -> int:
        """Number of both."""
        return self.words.count + self.vector.count

    def bags(self, texts: Sequence[str]) -> list[Bag]:
        """Words, then the vector of each text."""
        first = self.words.count
        shifted = tuple(range(first, first + self.vector.count))
        pairs = zip(self.words.bags(texts), self.vector.bags(texts), strict=True)
        return [((*numbers, *shifted), (*values, *vector)) for (numbers, values), (_, vector) in pairs]

    def to_json(self) -> dict[str, object]:
        """The kind, and both."""
        return {"kind": "joint", "words": self.words.to_json(), "vector": self.vector.to_json()}


def _rare(entries: Sequence[Sequence[str]], seen: int, most: int | None = None) -> tuple[tuple[str, ...], Idf]:
    """The entries that `seen` or more texts have but not all, at most the `most` frequent, sorted; and their idf."""
    found = Counter(entry for each in entries for entry in set(each))
    usable = [(entry, count) for entry, count in found.items() if min(seen, len(entries)) <= count < len(entries)]
    kept = sorted(usable, key=lambda entry: (-entry[1], entry[0]))[:most]
    names = tuple(sorted(name for name, _ in kept))
    return names, tuple(float(np.log(len(entries) / found[name])) for name in names)


def _by_rarity(counts: Mapping[str, int], rank: Mapping[str, int], idf: Sequence[float]) -> tuple[list[int], Floats]:
    """Numbers of the known entries, ascending, and their tf-idf."""
    found = sorted((rank[entry], count) for entry, count in counts.items() if entry in rank)
    return [number for number, _ in found], np.array([(1.0 + np.log(count)) * idf[number] for number, count in found])


def _words_bag(text: str, rank: Mapping[str, int], idf: Sequence[float], scales: Scales) -> Bag:
    """Words by tf-idf, scaled to the norm `Scales.words`."""
    numbers, values = _by_rarity(Counter(_words(text)), rank, idf)
    return tuple(numbers), tuple((values * (scales.words / max(float(np.linalg.norm(values)), 1e-12))).tolist())


def _tags_bag(tags: Sequence[str], rank: Mapping[str, int], idf: Sequence[float], scales: Scales) -> Bag:
    """Tags by `Scales.tag` times their idf, scaled down to the norm `Scales.tags` where theirs is larger."""
    numbers, values = _by_rarity(dict.fromkeys(tags, 1), rank, idf)
    scale = min(scales.tag, scales.tags / max(float(np.linalg.norm(values)), 1e-12))
    return tuple(numbers), tuple((values * scale).tolist())


def _labels(film: Described) -> list[str]:
    """Genres and five-year bin of a film, as features."""
    bins = [] if film.year is None else [f"year:{film.year // 5 * 5}"]
    return [*dict.fromkeys(f"genre:{genre.lower()}" for genre in film.genres), *bins]


def _tags(film: Described) -> list[str]:
    return [f"tag:{tag}" for tag in film.tags]


def features_of(texts: Sequence[str], language: Language, reading: Reading = READING) -> Features:
    """The features that suit a catalog, read as told.

    Raises:
        ConfigurationError: The texts are plot English, and a text encoder is to read them.
        PreparationError: The text encoder cannot be used.
    """
    if language == "plot_english":
        if reading.encoder is not None:
            raise ConfigurationError(
                f"expected free text for the text encoder {reading.encoder.name!r}, got plot English, whose attributes "
                "are its features: leave out encoder, or choose free text (texts='free')"
            )
        return AttributeFeatures.of(texts, scales=reading.scales)
    words = WordFeatures.of(texts, scales=reading.scales)
    if reading.encoder is None:
        return words
    vector = VectorFeatures(reading.encoder, reading.encoder.dim, reading.scales)
    return JointFeatures(words, vector) if reading.words else vector


def text_encoder_of(features: Features) -> TextEncoder | None:
    """The text encoder that features are read with, or None."""
    vector = features.vector if isinstance(features, JointFeatures) else features
    return vector.encoder if isinstance(vector, VectorFeatures) else None


def features_from_json(saved: Mapping[str, object], encoder: TextEncoder | None = None) -> Features:
    """Features as `to_json` saved them.

    Args:
        saved: What was saved.
        encoder: The text encoder that they read with, where they do.

    Raises:
        PreparationError: The features are of another lexicon or text encoder, or of an unknown kind.
    """
    kind = saved.get("kind")
    if kind == "joint":
        parts = [saved.get(name) for name in ("words", "vector")]
        words, vector = (features_from_json(part if isinstance(part, dict) else {}, encoder) for part in parts)
        if isinstance(words, WordFeatures) and isinstance(vector, VectorFeatures):
            return JointFeatures(words, vector)
    if kind == "vector":
        return _vector_from_json(saved, encoder)
    scales = _saved_scales(saved)
    if kind == "attributes":
        if saved.get("lexicon") != lexicon_hash():
            raise PreparationError(
                f"the encoder reads lexicon {saved.get('lexicon')!r}: expected {lexicon_hash()!r}, prepare it again"
            )
        entries = _saved({"tags": [], "idf": [], **saved}, "tags")
        if entries is not None:
            return AttributeFeatures(*entries, scales)
    entries = _saved(saved, "words")
    if kind == "words" and entries is not None:
        return WordFeatures(*entries, scales)
    raise PreparationError(f"expected features of kind 'attributes', 'words', 'vector' or 'joint'; got {kind!r}")


def _vector_from_json(saved: Mapping[str, object], encoder: TextEncoder | None) -> VectorFeatures:
    wanted, dim = saved.get("encoder"), saved.get("dim")
    if encoder is None or encoder.fingerprint != wanted:
        got = "none" if encoder is None else f"{encoder.name!r} of fingerprint {encoder.fingerprint!r}"
        raise PreparationError(
            f"expected the text encoder of fingerprint {wanted!r}, with which the space was fitted, got {got}: name it "
            "with encoder=, or prepare the space again"
        )
    if not isinstance(dim, int):
        raise PreparationError(f"expected the length of the text encoder's vectors, got {dim!r}: prepare it again")
    return VectorFeatures(encoder, dim, _saved_scales(saved))


def _saved_scales(saved: Mapping[str, object]) -> Scales:
    """Saved scales, or the defaults.

    Raises:
        PreparationError: They are damaged.
    """
    given = saved.get("scales", {})
    try:
        return Scales(**given) if isinstance(given, dict) else Scales(**{"": 0.0})
    except (TypeError, ConfigurationError) as error:
        raise PreparationError(f"expected scales of features, got {given!r}: prepare it again") from error


def _saved(saved: Mapping[str, object], name: str) -> tuple[tuple[str, ...], Idf] | None:
    """A saved vocabulary with its idf, or None where it is damaged."""
    words, idf = saved.get(name), saved.get("idf")
    if not isinstance(words, list) or not isinstance(idf, list) or len(words) != len(idf):
        return None
    return tuple(map(str, words)), tuple(map(float, idf))


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
