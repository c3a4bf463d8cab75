"""The attributes that the words of an overview state: keywords of the lexicon, where they mean what the lexicon says.

A keyword counts unless the words around it speak against it. These are the reasons, each a small function below: it is
part of a name or of a title; it is negated; it is a verb where a noun is meant; what `contexts` asks for is missing; a
place is where somebody comes from or dreams of; a person or a trait is not the protagonist's. Expressions that mean
nothing word by word ("media circus") are read whole. The rules prefer to miss an attribute rather than to invent one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from eagle_gym.plot_english import contexts, lexicon
from eagle_gym.plot_english.attributes import Pair

_WORD = re.compile(r"[^\W_]+(?:['\u2019\-&][^\W_]+)*")
_BREAK = re.compile(r"[,.;:!?()\[\]\u2013\u2014\u2026\"\u201c\u201d/]|--| - ")
_STOP = re.compile(r"[.!?\u2026:\"\u201c\u201d]|--|\u2014")
_SENTENCE_END = re.compile(r"[.!?\u2026]")

def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_ABBREVIATIONS = _set("mr mrs ms dr st lt col gen sgt prof jr sr vs capt")
_DETERMINERS = _set("""
    a an the this that these those his her their its my your our another each every some any no both several many
    few one two three four five six seven eight nine ten whose what which
""")
_POSSESSIVES = _set("his her their its my your our whose")
_PREPOSITIONS = _set("""
    in on at by of with from into for about aboard under over through between against without as like near during
    after before behind beyond inside outside onto toward towards via amid among around across
""")
_BEFORE_VERBS = _set("""
    to will would can could must may might should shall cannot can't won't don't doesn't didn't do does did they we
    you i he she it who not never let's help helps
""")
_OBJECTS = _set("""
    him them me us it himself herself themselves itself the a an his her their its my our your this these those
    someone something somebody everyone anyone
""")
_PLURALS = _set("children people men women police")
_NEGATORS = _set("""
    no not never without neither nor nobody nothing none hardly refuses refuse refused refusing cannot unable isn't
    aren't wasn't weren't don't doesn't didn't can't won't couldn't wouldn't fails lacks lacking
""")
_NOT_NEGATING = _set("""
    only just but matter sooner ordinary merely doubt longer-running less stranger least
""")
_CLAUSES = _set("""
    but until when because although though while who which that as after before where if unless yet since except
    whose what
""")
_ORIGINS = _set("from left leaves leaving fled flees")
_DREAMING = _set("""
    dream dreams dreaming dreamed dreamt longs longing imagines imagining imagined remembers remembering recalls
    yearns yearning fantasizes fantasises nostalgic
""")
_NOT_LEADS = _set("by with against from under between upon into for among")
_LINKS = _set("is are was were be been being becomes become became seems feels grows s")
_STREETS = _set("street road avenue lane square station cross hotel hall bridge park club")
_PERSONAL_NOUNS = _set("""
    genius prodigy loner alcoholic rookie newcomer novice maverick oddball has-been amnesiac amnesia divorcee retirement
    blindness
""") | {"old man", "old woman", "memory loss"}
_QUALIFIERS = _set("""
    north south east west northern southern eastern western victorian edwardian nazi imperial feudal rural downtown
    upstate old elizabethan tudor medieval ancient occupied colonial revolutionary
""")
_COUNTED = ("protagonist", "antagonist", "motifs")  # slots whose keywords are also read in the plural
_TITLE_CASE = 0.6  # share of capitalised words above which capitals say nothing
_REACH = 5  # words over which a negation holds, unless the clause ends before
_REACH_TO_PLACES = 2
_SPAN = 3  # words that may stand between a noun and its determiner


@dataclass(frozen=True, slots=True)
class _Token:
    """A word of an overview.

    Attributes:
        text: As it is written.
        word: In lower case.
        opens: Whether it opens a sentence.
        breaks: Whether punctuation stands before it.
    """

    text: str
    word: str
    opens: bool
    breaks: bool

    @property
    def capital(self) -> bool:
        return self.text[0].isupper()


@dataclass(frozen=True, slots=True)
class _Found:
    """A phrase of the lexicon in a sentence: `sentence[start:end]`."""

    sentence: Sequence[_Token]
    start: int
    end: int
    phrase: str

    def word(self, index: int) -> str:
        """The word at an index, or "" outside the sentence."""
        return self.sentence[index].word if 0 <= index < len(self.sentence) else ""

    @property
    def previous(self) -> str:
        """The word before, "" where punctuation parts the two."""
        return "" if self.start == 0 or self.sentence[self.start].breaks else self.word(self.start - 1)

    @property
    def next(self) -> str:
        """The word after, "" where punctuation parts the two."""
        after = self.following()
        return after.word if after else ""

    def following(self) -> _Token | None:
        """The token after, None where punctuation parts the two."""
        if self.end >= len(self.sentence) or self.sentence[self.end].breaks:
            return None
        return self.sentence[self.end]

    def follows_a_name(self) -> bool:
        """Whether a capitalised word that opens no sentence stands before."""
        before = self.sentence[self.start - 1]
        return bool(self.previous) and before.capital and not before.opens

    def before(self) -> Iterator[str]:
        """The words before, nearest first, to the last punctuation."""
        for index in range(self.start, 0, -1):
            if self.sentence[index].breaks:
                return
            yield self.word(index - 1)

    def determiner(self) -> str:
        """The determiner of a noun phrase, "" where there is none in reach; a genitive counts as "his"."""
        for word in _first(self.before(), _SPAN):
            if word in _DETERMINERS:
                return word
            if word.endswith(("'s", "\u2019s", "s'", "s\u2019")):
                return "his"
            if word in _PREPOSITIONS or word in _BEFORE_VERBS:
                break
        return ""

    def preposition(self) -> str:
        """The preposition that governs a noun phrase, "" where there is none in reach."""
        return next((word for word in _first(self.before(), _SPAN + 1) if word in _PREPOSITIONS), "")


def read_overview(overview: str) -> list[Pair]:
    """The pairs that an overview states, in its order; a pair may occur more than once."""
    words = _WORD.findall(overview)
    shouts = sum(word[0].isupper() for word in words) > _TITLE_CASE * len(words)
    sentences = _sentences(overview.lower() if shouts else overview)
    return [pair for sentence in sentences for pair in _read_sentence(sentence)]


def _read_sentence(sentence: Sequence[_Token]) -> Iterator[Pair]:
    words = tuple(token.word for token in sentence)
    start = 0
    while start < len(words):
        entry = next((entry for entry in _phrases().get(words[start], ()) if entry.stands(words, start)), None)
        end = start + (len(entry.words) if entry else 1)
        if entry:
            found = _Found(sentence, start, end, entry.keyword)
            yield from (pair for pair in entry.pairs if not any(against(found, pair) for against in _REASONS))
        start = end


def _sentences(overview: str) -> list[list[_Token]]:
    sentences: list[list[_Token]] = [[]]
    end = 0
    for match in _WORD.finditer(overview):
        gap = overview[end : match.start()]
        end = match.end()
        if sentences[-1] and _abbreviates(sentences[-1][-1]):
            gap = ""
        if sentences[-1] and _SENTENCE_END.search(gap):
            sentences.append([])
        opens = not sentences[-1] or bool(_STOP.search(gap))
        sentences[-1].append(_Token(match[0], match[0].lower(), opens, bool(_BREAK.search(gap))))
    return sentences


def _abbreviates(token: _Token) -> bool:
    return token.word in _ABBREVIATIONS or (len(token.text) == 1 and token.capital)


def _is_name(found: _Found, pair: Pair) -> bool:
    """Part of a name or title ("Rose King", "The Detective"); or a proper name that is written as a common word."""
    if found.previous in ("mr", "mrs", "ms"):
        return True
    if _is_lower_case(found.sentence):
        return False
    token = found.sentence[found.start]
    if found.phrase in contexts.PROPER:
        return not any(each.capital for each in found.sentence[found.start : found.end])
    if not token.capital:
        return False
    after = found.following()
    if after is None or not after.capital or after.word in _DETERMINERS:
        return not token.opens
    return found.phrase not in contexts.TITLES or after.word in _STREETS or found.follows_a_name()


def _is_part_of_a_name(found: _Found, pair: Pair) -> bool:
    """A place that is somebody's name, or in the name of something: "Denzel Washington", "Paris Malone"."""
    if found.phrase not in contexts.PLACES or _is_lower_case(found.sentence):
        return False
    after = found.following()
    if found.previous in _PREPOSITIONS:
        return False
    led = bool(found.previous) and found.sentence[found.start - 1].capital
    if led and found.previous not in _DETERMINERS | contexts.NATIONALITIES | _QUALIFIERS:
        return True
    return after is not None and after.capital and after.word not in ("city", "in", "and")


def _is_negated(found: _Found, pair: Pair) -> bool:
    """A negation earlier in the clause; a place is negated only by one that stands right before it."""
    reach = _REACH_TO_PLACES if pair[0] == "setting" else _REACH
    later = ""
    for index in range(found.start - 1, -1, -1):
        breaks, word = found.sentence[index + 1].breaks, found.word(index)
        if reach == 0 or word in _CLAUSES or (breaks and later not in ("or", "nor")):
            return False
        if f"{found.word(index - 1)} {word}" in ("instead of", "rather than"):
            return reach > _REACH - 3
        if word in _NEGATORS or word.endswith("n't"):
            return later not in _NOT_NEGATING
        reach -= 1
        later = word
    return False


def _is_a_verb(found: _Found, pair: Pair) -> bool:
    """One of `contexts.NOUNS` that is used as a verb: "to train", "they ship him home"."""
    if found.phrase not in contexts.NOUNS:
        return False
    before = found.previous
    if before in _DETERMINERS or before.endswith(("'s", "\u2019s")):
        return before in ("what", "which", "that") and found.next in _OBJECTS
    if before in _BEFORE_VERBS or found.next in _OBJECTS:
        return True
    plural = before in _PLURALS or (before.endswith("s") and not before.endswith(("ss", "us", "is")))
    return plural and not found.phrase.endswith("s") and bool(found.determiner())


def _lacks_context(found: _Found, pair: Pair) -> bool:
    """Where `contexts.contexts` asks for something that is not there, or bars something that is."""
    rules = contexts.contexts()
    asked = (*rules.get(found.phrase, ()), *rules.get(f"{pair[0]}.{found.phrase}", ()))
    return any(
        (rule.needs and not any(_holds(test, found) for test in rule.needs))
        or any(_holds(test, found) for test in rule.bars)
        for rule in asked
    )


def _holds(test: str, found: _Found) -> bool:
    kind, word = test[0], test[1:]
    if kind == "<":
        return found.previous == word
    if kind == ">":
        after = found.following()
        return found.next == word if word != "^" else after is not None and after.capital
    outside = (*found.sentence[: found.start], *found.sentence[found.end :])
    return any(token.word == word for token in outside)


def _is_elsewhere(found: _Found, pair: Pair) -> bool:
    """A place that is not where the film is set: an origin, a dream, or a person's nationality."""
    if found.phrase not in _places():
        return False
    if found.phrase in contexts.NATIONALITIES:
        following = [found.word(index) for index in range(found.end, found.end + 2)]
        return not any(word in contexts.PLACE_NOUNS for word in following)
    near = list(_first(found.before(), _SPAN + 1))
    origin = next((word for word in near if word in _PREPOSITIONS or word in _ORIGINS), "")
    return origin in _ORIGINS or any(word in _DREAMING for word in near)


def _is_not_the_lead(found: _Found, pair: Pair) -> bool:
    """A person that belongs to another one or only has a part in the action: "her doctor", "hunted by a soldier"."""
    if pair[0] not in ("protagonist", "trait"):
        return False
    unowned = pair[0] == "trait" and found.previous not in _LINKS and not found.determiner() and found.start > 0
    return unowned or found.determiner() in _POSSESSIVES or found.preposition() in _NOT_LEADS


def _describes_no_person(found: _Found, pair: Pair) -> bool:
    """An adjective of character without a person after it: "a brave attempt"."""
    if (pair[0] != "trait" and found.phrase != "poor") or found.phrase in _PERSONAL_NOUNS:
        return False
    if found.previous in _LINKS and not found.next:
        return False
    for index in range(found.end, min(found.end + _SPAN, len(found.sentence))):
        token = found.sentence[index]
        if token.word in _people() or (token.capital and token.word not in contexts.PROPER):
            return False
        if token.word in _DETERMINERS or token.word in _PREPOSITIONS:
            break
    return True


_REASONS: tuple[Callable[[_Found, Pair], bool], ...] = (
    _is_name,
    _is_part_of_a_name,
    _is_negated,
    _is_a_verb,
    _lacks_context,
    _is_elsewhere,
    _is_not_the_lead,
    _describes_no_person,
)


def _is_lower_case(sentence: Sequence[_Token]) -> bool:
    return not any(token.capital for token in sentence)


def _first(words: Iterator[str], count: int) -> Iterator[str]:
    return (word for word, _ in zip(words, range(count), strict=False))


@cache
def _places() -> frozenset[str]:
    """Words for a setting."""
    return frozenset(word for entry in lexicon.entries() if entry.slot == "setting" for word in entry.words)


@cache
def _people() -> frozenset[str]:
    """Words for people, in singular and plural."""
    named = {word for entry in lexicon.entries() if entry.slot == "protagonist" for word in entry.words}
    singular = contexts.PEOPLE | {word for word in named if " " not in word}
    return singular | {f"{word}s" for word in singular}


@dataclass(frozen=True, slots=True)
class _Phrase:
    """What is looked for in an overview.

    Attributes:
        words: Its words, in lower case.
        keyword: The keyword of the lexicon, of which `words` may be the plural.
        pairs: What it means; nothing where it is only an expression.
    """

    words: tuple[str, ...]
    keyword: str
    pairs: tuple[Pair, ...]

    def stands(self, words: tuple[str, ...], start: int) -> bool:
        """Whether it begins at a place in a sentence."""
        return words[start : start + len(self.words)] == self.words


@cache
def _phrases() -> Mapping[str, Sequence[_Phrase]]:
    """By first word, the phrases that start with it, longest first."""
    meanings: dict[tuple[str, ...], dict[Pair, None]] = {}  # a dictionary for a set in order
    for entry in lexicon.entries():
        for phrase in entry.words:
            meanings.setdefault(_keyword(phrase), {})[entry.slot, entry.value] = None
    found = {words: _Phrase(words, " ".join(words), tuple(pairs)) for words, pairs in meanings.items()}
    for words, pairs in meanings.items():
        if words[-1] not in contexts.NOUNS and any(pair[0] in _COUNTED for pair in pairs):
            plural = (*words[:-1], f"{words[-1]}s")
            counted = tuple(pair for pair in pairs if pair[0] in _COUNTED)
            found.setdefault(plural, _Phrase(plural, " ".join(words), counted))
    for expression in contexts.EXPRESSIONS:
        found.setdefault(_words(expression), _Phrase(_words(expression), expression, ()))
    table: dict[str, list[_Phrase]] = {}
    for longest in sorted(found.values(), key=lambda each: -len(each.words)):
        table.setdefault(longest.words[0], []).append(longest)
    return table


def _keyword(phrase: str) -> tuple[str, ...]:
    """The words of a phrase of the lexicon, without the article that a surface has ("a ghost")."""
    words = _words(phrase)
    return words[1:] if words[0] in ("a", "an") and len(words) > 1 else words


def _words(phrase: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(phrase.lower()))
