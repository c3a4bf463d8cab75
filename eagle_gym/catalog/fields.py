"""What is known of a film as free text, and back: genres, year, tags and overview.

A text reads "Genres: Comedy, Drama. Year: 1994. Tags: quirky, atmospheric. A widowed president falls in love." Every
field is optional. A general language model may edit any of it, so reading is lenient: labels may stand anywhere, in any
case, and whatever follows no label is the overview.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from eagle_gym import plot_english
from eagle_gym.errors import ConfigurationError, suggest

Field = Literal["genres", "year", "tags", "overview"]
FIELDS: Final[tuple[Field, ...]] = get_args(Field)

_LABELLED = re.compile(r"\b(genres?|year)\s*:([^.\n]*)(?:\.|\n|$)", re.IGNORECASE)
_YEAR = re.compile(r"\b(?:18|19|20)\d\d\b")


@dataclass(frozen=True, slots=True)
class Described:
    """What a text says of a film, as far as it says it; a description in plot English says other things.

    Attributes:
        genres: Its genres, as written.
        year: Its year of release.
        tags: Users' tags, the most frequent first.
        overview: The rest of the text.
    """

    genres: tuple[str, ...] = ()
    year: int | None = None
    tags: tuple[str, ...] = ()
    overview: str = ""


def checked_fields(fields: Sequence[str] | None) -> tuple[Field, ...]:
    """The fields of the texts, in the order of `FIELDS`; None stands for all.

    Raises:
        ConfigurationError: No field, an unknown one, or one that stands twice.
    """
    if fields is None:
        return FIELDS
    if isinstance(fields, str) or not isinstance(fields, Sequence) or not fields:
        raise ConfigurationError(f"expected fields to be a list of one or more of {', '.join(FIELDS)}, got {fields!r}")
    for name in fields:
        if name not in FIELDS:
            hint = suggest(name, FIELDS) if isinstance(name, str) else ""
            raise ConfigurationError(f"expected fields among {', '.join(FIELDS)}, got {name!r}{hint}")
    if len(set(fields)) < len(fields):
        raise ConfigurationError(f"expected each field once, got {list(fields)!r}: name it once")
    return tuple(name for name in FIELDS if name in fields)


def describe(film: Described) -> str:
    """What is known of a film as one text, "" where nothing is."""
    labels: Mapping[str, str] = {
        "Genres": ", ".join(film.genres),
        "Year": "" if film.year is None else str(film.year),
        "Tags": ", ".join(film.tags),
    }
    header = [f"{label}: {value}." for label, value in labels.items() if value]
    return " ".join([*header, film.overview] if film.overview else header)


def read_description(text: str) -> Described:
    """What a text says, edited or not: the inverse of `describe` for texts that it wrote."""
    if ":" not in text:
        return Described(overview=text)
    genres: list[str] = []
    year: int | None = None
    for label, value in _LABELLED.findall(text):
        if label.lower() != "year":
            genres += [genre.strip() for genre in value.split(",") if genre.strip()]
        elif found := _YEAR.search(value):
            year = int(found[0])
    rest = plot_english.without_tags(_LABELLED.sub(" ", text))
    return Described(tuple(dict.fromkeys(genres)), year, plot_english.tags_in(text), rest.strip())
