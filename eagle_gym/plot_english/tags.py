"""Tags that a description carries: users' own words, in one last sentence that edits never change.

A film's tags say more than the lexicon has words for. A description may therefore end in the sentence "Tags: quirky,
atmospheric, twist ending." Its tags are not attributes. `parse` and `read` pass over them, a language model of plot
English never sees them, and every rewrite of the text keeps them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

LABEL: Final = "Tags: "
LONGEST: Final = 40  # characters of a tag; longer ones are remarks

_WRITTEN = re.compile(r"\btags?\s*:([^.\n]*)(?:\.|\n|$)", re.IGNORECASE)
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode categories: control characters and the like
_SEPARATORS = re.compile(r"[\s,.:;|]+")  # what would end a tag or its sentence


def clean_tags(counts: Mapping[str, int], most: int) -> tuple[str, ...]:
    """Tags as a sentence can list them: in lower case, on one line, without commas and full stops.

    Args:
        counts: How often users wrote each tag; spellings that are cleaned to the same tag count together.
        most: Largest number of tags; the most frequent are kept. Tags longer than `LONGEST` are left out.

    Returns:
        The tags, the most frequent first.
    """
    total: Counter[str] = Counter()
    for raw, count in counts.items():
        total[_clean(raw)] += count
    usable = [tag for tag in total if 0 < len(tag) <= LONGEST]
    return tuple(sorted(usable, key=lambda tag: (-total[tag], tag))[:most])


def with_tags(description: str, tags: Sequence[str]) -> str:
    """The description, with a last sentence that lists the tags; without tags, only the description."""
    sentence = f"{LABEL}{', '.join(tags)}." if tags else ""
    return f"{description} {sentence}" if description and sentence else description or sentence


def split_tags(text: str) -> tuple[str, tuple[str, ...]]:
    """A description and the tags that it carries; the inverse of `with_tags`.

    A last sentence of another form, or without a description in front of it, is part of the description.
    """
    description, label, listed = text.rpartition(f" {LABEL}")
    tags = tuple(listed.removesuffix(".").split(", "))
    if not label or not description.strip() or not listed.endswith(".") or any(_clean(tag) != tag for tag in tags):
        return text, ()
    return (description, tags) if all(tags) else (text, ())


@lru_cache(maxsize=65536)
def tags_in(text: str) -> tuple[str, ...]:
    """The tags that a text lists anywhere after "Tags:", cleaned: for texts that a general language model edited."""
    listed = [tag for sentence in _WRITTEN.findall(text) for tag in sentence.split(",")]
    return tuple(tag for tag in dict.fromkeys(map(_clean, listed)) if tag)


def without_tags(text: str) -> str:
    """The text without any list of tags."""
    return _WRITTEN.sub(" ", text) if ":" in text else text


def _clean(tag: str) -> str:
    visible = "".join(" " if unicodedata.category(letter) in _HIDDEN else letter for letter in tag)
    return _SEPARATORS.sub(" ", unicodedata.normalize("NFC", visible).lower()).strip()
