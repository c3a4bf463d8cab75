"""Invented overviews of films: free texts of many shapes, with the words in them that have one clear sense."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from eagle_gym.language.editor import words
from eagle_gym.language.editor.templates import CLOSINGS, FILLERS, MIDDLES, OPENINGS

T = TypeVar("T")

_FIELD: Final = re.compile(r"\{(?:([aA]) )?(\w+)\}")
_PRONOUNS: Final = {
    "woman": {"he": "she", "He": "She", "his": "her", "His": "Her", "him": "her"},
    "man": {"he": "he", "He": "He", "his": "his", "His": "His", "him": "him"},
}
KINDS: Final = ("name", "profession", "place", "time", "object")  # of mentions


@dataclass(frozen=True, slots=True)
class FreeText:
    """A free text, and what is mentioned in it.

    Attributes:
        text: One paragraph.
        mentions: Pairs of a kind (one of `KINDS`) and a word or phrase, which the text has in this spelling.
        lead: The main character's first name, or "".
    """

    text: str
    mentions: tuple[tuple[str, str], ...] = ()
    lead: str = ""

    def of(self, kind: str) -> tuple[str, ...]:
        """What is mentioned of a kind."""
        return tuple(value for each, value in self.mentions if each == kind)


def choose(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of the options."""
    return options[int(rng.integers(len(options)))]


def with_article(phrase: str) -> str:
    """The phrase after "a" or "an"."""
    return f"{'an' if phrase[:1].lower() in 'aeio' or _IS_AN.match(phrase) else 'a'} {phrase}"


_IS_AN: Final = re.compile(r"(?:um|un(?!i)|up|hour|honest)", re.IGNORECASE)


def capitalised(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]


def fill(template: str, values: Mapping[str, str]) -> str:
    """A template with its fields filled in."""

    def field(match: re.Match[str]) -> str:
        value = values[match[2]]
        if match[1] is None:
            return value
        return capitalised(with_article(value)) if match[1] == "A" else with_article(value)

    return _FIELD.sub(field, template)


def overview(rng: np.random.Generator, longest: int = 70) -> FreeText:
    """An invented overview of one to five sentences.

    Args:
        rng: Draws it.
        longest: Words that it may have, if it has more than one sentence.
    """
    values = _values(rng)
    wanted = int(rng.choice(5, p=(0.1, 0.25, 0.35, 0.2, 0.1)))
    templates = [choose(rng, OPENINGS)]
    templates += [MIDDLES[int(place)] for place in rng.choice(len(MIDDLES), size=wanted, replace=False)]
    if wanted and rng.random() < 0.6:
        templates[-1] = choose(rng, CLOSINGS)
    written: list[str] = []
    for template in templates:
        sentence = capitalised(fill(fill(template, values), values))  # fillers have fields, too
        if written and len(" ".join([*written, sentence]).split()) > longest:
            break
        written.append(sentence)
    used = {match[2] for template in templates[: len(written)] for match in _FIELD.finditer(template)}
    mentions = [(key.rstrip("2"), values[key]) for key in values if key in used and key.rstrip("2") in KINDS]
    return FreeText(" ".join(written), tuple(mentions), values["name"] if "name" in used else "")


def _values(rng: np.random.Generator) -> dict[str, str]:
    """A value for every field."""
    kind = "woman" if rng.random() < 0.5 else "man"
    names = [str(name) for name in rng.choice(words.WOMEN if kind == "woman" else words.MEN, size=2, replace=False)]
    other = choose(rng, words.MEN if kind == "woman" else words.WOMEN)
    professions = [str(each) for each in rng.choice(words.PROFESSIONS, size=2, replace=False)]
    places = [str(each) for each in rng.choice(words.PLACES, size=2, replace=False)]
    time = str(rng.integers(1910, 2020)) if rng.random() < 0.5 else f"the {choose(rng, words.DECADES)}"
    fillers = {key: choose(rng, options) for key, options in FILLERS.items()}
    return {
        "name": names[0],
        "name2": other if rng.random() < 0.6 else names[1],
        "profession": professions[0],
        "profession2": professions[1],
        "place": places[0],
        "place2": places[1],
        "time": time,
        "object": choose(rng, words.THINGS),
        "surname": choose(rng, words.SURNAMES),
        **_PRONOUNS[kind],
        **fillers,
    }


def mentions_in(text: str) -> FreeText:
    """A text that somebody else wrote, with the words of `words` that stand in it."""
    found: list[tuple[str, str]] = []
    for kind, pattern in _PATTERNS.items():
        found += [(kind, match) for match in dict.fromkeys(pattern.findall(text))]
    names = [value for kind, value in found if kind == "name"]
    return FreeText(text, tuple(found), names[0] if names else "")


def _any_of(options: Sequence[str]) -> re.Pattern[str]:
    alternatives = "|".join(map(re.escape, sorted(options, key=len, reverse=True)))
    return re.compile(rf"(?<![\w-])(?:{alternatives})(?![\w-])")


_PATTERNS: Final = {
    "name": _any_of(words.WOMEN + words.MEN),
    "profession": _any_of(words.PROFESSIONS),
    "place": _any_of(words.PLACES),
    "time": re.compile(r"(?<=[Ii]n )(?:the )?(?:19|20)\d\d(?:s\b|\b)(?!-)"),
    "object": _any_of([each for each in words.THINGS if " " in each]),
}
