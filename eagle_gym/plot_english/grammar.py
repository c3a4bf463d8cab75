"""The sentences of plot English: render attributes as a description, and parse a description back.

A description has up to four sentences: a *head* (genres, decade, tone, setting), a *plot* (who, what for, against
whom), a *content* sentence (themes, motifs) and a *close* (styles, ending). Every sentence has several wordings, and
the order of the sentences varies; `dialects.py` has the templates. In a template, `{slot}` stands for a slot's phrases,
and `[...]` is left out when its slot is missing. To render, a template is filled in. To parse, it becomes a regular
expression over the *shape* of a text, in which a letter for the slot replaces every lexicon phrase. Texts of every
dialect parse, and so do mixtures of dialects.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from eagle_gym.errors import TextError
from eagle_gym.plot_english import lexicon
from eagle_gym.plot_english.attributes import Attributes, Pair
from eagle_gym.plot_english.dialects import DIALECTS, PLAIN, Dialect, Forms
from eagle_gym.plot_english.tags import split_tags, without_tags

EMPTY = "A film."

_HEAD_SLOTS = ("genres", "decade", "tone", "setting")
KINDS = ("head", "plot", "content", "close")  # of sentences
ORDERS = ((0, 1, 2, 3), (0, 1, 3, 2), (0, 2, 1, 3), (1, 0, 2, 3), (0, 3, 1, 2), (2, 0, 1, 3))
NUMBERS = 60  # different layouts of a kind of sentence: a multiple of the number of templates of every group
_CODES = dict(zip(lexicon.SLOTS, "GDTSPROAHMYE", strict=True))
_WORD = re.compile(r"[^\W_]+(?:['\u2019\-&][^\W_]+)*|[.,;:!?]|\S")
_PIECE = re.compile(r"\[[^\]]*\]|[^\[]+")
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Layout:
    """Wording and order of a description: the template and the place of each sentence."""

    head: int = 0
    plot: int = 0
    content: int = 0
    close: int = 0
    order: int = 0
    dialect: Dialect = PLAIN

    @staticmethod
    def random(rng: np.random.Generator, dialect: Dialect = PLAIN) -> Layout:
        """A layout drawn at random; the plain order is the most frequent."""
        head, plot, content, close, order = (int(number) for number in rng.integers(NUMBERS, size=5))
        return Layout(head, plot, content, close, 0 if order < NUMBERS // 2 else order, dialect)


@dataclass(frozen=True, slots=True)
class Token:
    """A part of a text: a lexicon phrase (with `slot` and `value`) or a plain word (without)."""

    word: str
    slot: str = ""
    value: str = ""


def render(attributes: Attributes, rng: np.random.Generator | None = None, layout: Layout | None = None) -> str:
    """A description that says exactly what the attributes say.

    Args:
        attributes: What to say.
        rng: Draws the layout where none is given.
        layout: Wording and order. By default drawn with `rng`, or the plain one without it.
    """
    chosen = layout or (Layout() if rng is None else Layout.random(rng))
    phrases = phrases_of(attributes)
    sentences = _sentences_of(phrases, chosen)
    text = " ".join([fill(templates[index], phrases) for _, templates, index in sentences]) or EMPTY
    if len(_RENDERED) >= _RENDERED_MOST:
        _RENDERED.clear()
    _RENDERED[text] = attributes, chosen.dialect, sentences
    return text


Sentence = tuple[int, Sequence[str], int]  # index into `KINDS`, the templates, and which of them

# What was said here, and how: a cache of `read` and `parses`, since reading takes longer than writing.
_RENDERED: dict[str, tuple[Attributes, Dialect, list[Sentence]]] = {}
_RENDERED_MOST = 65536


def rendered(text: str) -> tuple[Dialect, list[Sentence]] | None:
    """The dialect and the sentences of a text, in order, if it was rendered in this process lately."""
    known = _RENDERED.get(text)
    return known and known[1:]


def _sentences_of(there: Container[str], layout: Layout) -> list[Sentence]:
    """The sentences that say these slots, in order."""
    dialect = layout.dialect
    groups = (
        _head(dialect.head, there),
        _first_of(dialect.plot, there),
        _both_or_one(dialect.content, "themes", "motifs", there),
        _both_or_one(dialect.close, "styles", "ending", there),
    )
    numbers = (layout.head, layout.plot, layout.content, layout.close)
    order = ORDERS[layout.order % len(ORDERS)]
    return [(kind, groups[kind], numbers[kind] % len(groups[kind])) for kind in order if groups[kind]]


def parse(text: str) -> Attributes:
    """The attributes of a description, which may carry tags (see `tags`).

    Raises:
        TextError: The text is not plot English; the message names the first sentence or word that is not.
    """
    return Attributes.from_pairs(_strict_pairs(text))


def _strict_pairs(text: str) -> list[Pair]:
    """What a description says; raises as `parse` does."""
    if not isinstance(text, str):
        raise TextError(f"expected a text, got {type(text).__name__}")
    found: list[Pair] = []
    kinds: list[str] = []
    for sentence in _sentences(split_tags(text)[0]):
        kind = _kind(shape(sentence))
        if kind is None or kind in kinds:
            raise TextError(_complaint(sentence, repeated=kind is not None))
        kinds.append(kind)
        found.extend((token.slot, token.value) for token in sentence if token.slot)
    if not kinds:
        raise TextError("expected a description in plot English, got an empty text: see eagle_gym.plot_english.render")
    return found


def parses(text: str) -> bool:
    """Whether a text is plot English, that is, whether `parse` reads it."""
    return text in _RENDERED or _parses(text)


@lru_cache(maxsize=65536)
def _parses(text: str) -> bool:
    try:
        _strict_pairs(text)
    except TextError:
        return False
    return True


def read(text: str) -> Attributes:
    """The attributes found in a text, well formed or not; tags and words outside the language are ignored."""
    known = _RENDERED.get(text)
    return known[0] if known else _read(text)


@lru_cache(maxsize=65536)
def _read(text: str) -> Attributes:
    body = without_tags(text)
    if body in _RENDERED:
        return _RENDERED[body][0]
    stated = (token for sentence in _sentences(body) for token in sentence if token.slot)
    return Attributes.from_pairs((token.slot, token.value) for token in stated)


def tokens(text: str) -> tuple[Token, ...]:
    """The text as lexicon phrases (longest match first) and plain words, in lower case."""
    words = _WORD.findall(unicodedata.normalize("NFC", text).lower())
    phrases = _phrases_by_word()
    result: list[Token] = []
    start = 0
    while start < len(words):
        for phrase, token in phrases.get(words[start], ()):
            if words[start : start + len(phrase)] == phrase:
                result.append(token)
                start += len(phrase)
                break
        else:
            result.append(_plain(words[start]))
            start += 1
    return tuple(result)


def shapes(text: str) -> list[str]:
    """The shapes of a text's sentences."""
    return [shape(sentence) for sentence in _sentences(text)]


def shape(sentence: Iterable[Token]) -> str:
    """A sentence with every lexicon phrase replaced by its slot's letter; "an" counts as "a"."""
    return " ".join(_CODES[token.slot] if token.slot else "a" if token.word == "an" else token.word
                    for token in sentence)  # fmt: skip


def code(slot: str) -> str:
    """The letter that stands for a slot in a shape."""
    return _CODES[slot]


def fill(template: str, phrases: Mapping[str, str]) -> str:
    """A template with its slots filled, missing optional pieces left out, and articles corrected."""
    return _filled(template, tuple(map(phrases.get, _slots_in(template))))


@cache
def _slots_in(template: str) -> tuple[str, ...]:
    return tuple(_SLOT.findall(template))


@lru_cache(maxsize=65536)  # a rewrite keeps most sentences
def _filled(template: str, phrases: tuple[str | None, ...]) -> str:
    given = {slot: phrase for slot, phrase in zip(_slots_in(template), phrases, strict=True) if phrase is not None}
    pieces = []
    for piece in _PIECE.findall(template):
        if not piece.startswith("["):
            pieces.append(piece.format_map(given))
        elif _SLOT.search(piece)[1] in given:  # type: ignore[index]  # every optional piece has a slot
            pieces.append(piece[1:-1].format_map(given))
    return _tidy("".join(pieces))


def pattern(template: str) -> str:
    """The regular expression that the shapes of a template's sentences match."""
    expression = ""
    for piece in _PIECE.findall(template):
        inner = _shape_pattern(piece.strip("[]") if piece.startswith("[") else piece)
        expression += f"(?:{inner})?" if piece.startswith("[") else inner
    return expression


def join(phrases: Sequence[str]) -> str:
    """An English list: "a", "a and b", "a, b and c"."""
    return phrases[0] if len(phrases) == 1 else ", ".join(phrases[:-1]) + " and " + phrases[-1]


def phrases_of(attributes: Attributes) -> dict[str, str]:
    """The phrase of each slot that has a value; several values are joined as a list."""
    phrases = {}
    for slot in lexicon.SLOTS:
        held = getattr(attributes, slot)
        if held:
            phrases[slot] = _phrase(slot, held)
    return phrases


@lru_cache(maxsize=65536)
def _phrase(slot: str, held: str | tuple[str, ...]) -> str:
    table = lexicon.surfaces()
    return table[slot, held] if isinstance(held, str) else join([table[slot, value] for value in held])


def _head(groups: Forms, there: Container[str]) -> Sequence[str]:
    if not any(slot in there for slot in _HEAD_SLOTS):
        return ()
    return groups["placed" if "setting" in there else "unplaced"]


def _first_of(groups: Forms, there: Container[str]) -> Sequence[str]:
    return next((templates for slot, templates in groups.items() if slot in there), ())


def _both_or_one(groups: Forms, one: str, other: str, there: Container[str]) -> Sequence[str]:
    if one in there and other in there:
        return groups["both"]
    return groups[one] if one in there else groups[other] if other in there else ()


def _tidy(sentence: str) -> str:
    sentence = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", sentence)
    sentence = re.sub(r"\s+([.,;:])", r"\1", re.sub(r"\s+", " ", sentence)).strip()
    return sentence[:1].upper() + sentence[1:]


@lru_cache(maxsize=16384)  # a text is read, encoded, proposed for and parsed within one step
def _sentences(text: str) -> tuple[tuple[Token, ...], ...]:
    *ended, rest = text.split(".")  # no phrase has a full stop
    written = [_sentence(part, stop=True) for part in ended] + [_sentence(rest, stop=False)]
    return tuple(sentence for sentence in written if sentence)


@lru_cache(maxsize=65536)  # a rewrite keeps most sentences
def _sentence(part: str, *, stop: bool) -> tuple[Token, ...]:
    return _settled((*tokens(part), *([_plain(".")] if stop else [])))


def _settled(sentence: tuple[Token, ...]) -> tuple[Token, ...]:
    """The sentence, with some phrase split where it fits a pattern only so.

    "with a twist" is a phrase; split, it is the word "with" and the phrase "a twist".
    """
    shorter = _shorter_phrases()
    places = [at for at, token in enumerate(sentence) if token in shorter]
    if not places or _kind(shape(sentence)) is not None:
        return sentence
    others = ((*sentence[:at], *shorter[sentence[at]], *sentence[at + 1 :]) for at in places)
    return next((other for other in others if _kind(shape(other)) is not None), sentence)


@lru_cache(maxsize=16384)  # there are few shapes: a template with some of its slots filled
def _kind(written: str) -> str | None:
    """The kind of a sentence of this shape."""
    return next((kind for kind, expression in _expressions() if expression.fullmatch(written)), None)


def _complaint(sentence: Sequence[Token], repeated: bool) -> str:
    shown = " ".join(token.word for token in sentence)
    if repeated:
        return f"expected each kind of sentence once, got another: {shown[:200]!r}: leave one of them out"
    known = _template_words()
    odd = next((token.word for token in sentence if not token.slot and token.word not in known), None)
    reason = f"it has no word {odd!r}" if odd else "the sentence fits none of its patterns"
    return f"not plot English: {shown[:200]!r}: {reason}: eagle_gym.plot_english.render writes descriptions"


@cache
def _expressions() -> tuple[tuple[str, re.Pattern[str]], ...]:
    kinds: dict[str, list[str]] = {}
    for dialect in DIALECTS.values():
        for kind, forms in dialect.kinds.items():
            kinds.setdefault(kind, []).extend(forms)
    compiled = [(kind, re.compile("|".join(pattern(form) for form in forms))) for kind, forms in kinds.items()]
    return (*compiled, ("empty", re.compile(re.escape("a film ."))))


@cache
def _template_words() -> frozenset[str]:
    forms = [form for dialect in DIALECTS.values() for kind in dialect.kinds.values() for form in kind]
    return frozenset(token.word for form in forms for token in tokens(_SLOT.sub(" ", re.sub(r"[\[\]]", "", form))))


def _shape_pattern(piece: str) -> str:
    """The shape of a piece of a template, as a regular expression; the blank before a word or slot is optional."""
    expression = ""
    for part in re.split(r"(\{\w+\})", piece):
        if slot := _SLOT.fullmatch(part):
            code = _CODES[slot[1]]
            several = f"{code}(?: , {code})*(?: and {code})?" if slot[1] in lexicon.SET_SLOTS else code
            expression += rf" ?{several}"
        else:
            expression += "".join(rf" ?{re.escape(word)}" for word in _WORD.findall(part.lower()))
    return expression


@cache
def _phrases_by_word() -> dict[str, list[tuple[list[str], Token]]]:
    """By first word, the phrases that start with it, longest first."""
    table: dict[str, list[tuple[list[str], Token]]] = {}
    for pair, surface in lexicon.surfaces().items():
        words = _WORD.findall(surface.lower())
        table.setdefault(words[0], []).append((words, Token(" ".join(words), *pair)))
    for phrases in table.values():
        phrases.sort(key=lambda phrase: -len(phrase[0]))
    return table


@cache
def _shorter_phrases() -> dict[Token, tuple[Token, ...]]:
    """For each phrase that ends in another phrase: its first words, then the longest such phrase."""
    known = {tuple(words): token for phrases in _phrases_by_word().values() for words, token in phrases}
    table: dict[Token, tuple[Token, ...]] = {}
    for words, token in known.items():
        start = next((start for start in range(1, len(words)) if words[start:] in known), None)
        if start is not None:
            table[token] = (*map(_plain, words[:start]), known[words[start:]])
    return table


@lru_cache(maxsize=4096)
def _plain(word: str) -> Token:
    return Token(word)
