"""Real films in plot English: attributes from genres, year, users' tags and the words of an overview."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from eagle_gym.plot_english import lexicon
from eagle_gym.plot_english.attributes import Attributes, Pair
from eagle_gym.plot_english.overviews import read_overview


def from_film(genres: Sequence[str], year: int | None, tags: Iterable[str] = (), overview: str = "") -> Attributes:
    """The attributes of a real film.

    All genres are kept. The other slots are filled from the tags, then from the words of the overview in their order: a
    set takes at most its capacity (`lexicon.CAPACITY`), a single slot the first value found.

    Args:
        genres: MovieLens genre names; unknown ones (such as "(no genres listed)") are ignored.
        year: Year of release, or None.
        tags: Users' tags, the most frequent first.
        overview: A plot overview in free English, or "".
    """
    known = set(lexicon.values("genres"))
    found = [("genres", genre) for genre in genres if genre in known]
    found += _decade(year)
    for pair in (*_from_tags(tags), *read_overview(overview)):
        if sum(slot == pair[0] for slot, _ in found) < _room(pair[0]) and pair not in found:
            found.append(pair)
    return Attributes.from_pairs(found)


@dataclass(frozen=True, slots=True)
class Unsaid:
    """What `from_film` leaves out.

    Attributes:
        genres: Genres that plot English does not have.
        year: Whether plot English lacks the year's decade.
        tags: Tags that mean nothing in plot English, or something that only genres and years state ("crime").
        crowded: Whether the other tags mean more than a description has room for.
    """

    genres: tuple[str, ...]
    year: bool
    tags: tuple[str, ...]
    crowded: bool


def unsaid(genres: Sequence[str], year: int | None, tags: Sequence[str] = ()) -> Unsaid:
    """What `from_film` leaves out of a film's genres, year and tags."""
    said = from_film(genres, year, tags).pairs()
    meant = [pair for pair in _from_tags(tags) if _room(pair[0])]
    return Unsaid(
        genres=tuple(genre for genre in genres if genre not in lexicon.values("genres")),
        year=year is not None and not _decade(year),
        tags=tuple(tag for tag in tags if not _from_tags([tag])),
        crowded=any(pair not in said for pair in meant),
    )


@cache
def tag_pairs() -> Mapping[str, tuple[Pair, ...]]:
    """The pairs that each MovieLens tag means."""
    table: dict[str, list[Pair]] = {}
    for entry in lexicon.entries():
        if entry.slot not in ("genres", "decade"):
            for tag in entry.tags:
                table.setdefault(tag.lower(), []).append((entry.slot, entry.value))
    return {tag: tuple(pairs) for tag, pairs in table.items()}


def _room(slot: str) -> int:
    if slot in ("genres", "decade"):
        return 0  # never from tags or overviews: the catalog states them
    return lexicon.CAPACITY.get(slot, 1)


def _decade(year: int | None) -> list[Pair]:
    decade = f"{year // 10 * 10}s" if year else ""
    return [("decade", decade)] if decade in lexicon.values("decade") else []


def _from_tags(tags: Iterable[str]) -> list[Pair]:
    return [pair for tag in tags for pair in tag_pairs().get(tag.strip().lower(), ())]
