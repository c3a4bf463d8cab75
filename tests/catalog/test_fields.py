from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym.catalog.fields import FIELDS, Described, checked_fields, describe, read_description
from eagle_gym.errors import ConfigurationError

names = st.lists(st.from_regex(r"[A-Z][a-z]{1,8}(-[A-Z][a-z]{1,4})?", fullmatch=True), max_size=4, unique=True)
tags = st.lists(st.from_regex(r"[a-z0-9]{1,8}( [a-z]{1,8}){0,2}", fullmatch=True), max_size=4, unique=True)
overviews = st.from_regex(r"([A-Z][a-z]{1,8}( [a-z]{1,8}){0,6}[.!?] ?){0,3}", fullmatch=True).map(str.strip)


@given(names, st.none() | st.integers(1800, 2099), tags, overviews)
def test_reading_undoes_describing(genres: list[str], year: int | None, listed: list[str], overview: str) -> None:
    film = Described(tuple(genres), year, tuple(listed), overview)
    assert read_description(describe(film)) == film


def test_what_a_text_looks_like() -> None:
    film = Described(("Comedy", "Drama"), 1994, ("quirky", "dark comedy"), "A president falls in love.")
    assert describe(film) == "Genres: Comedy, Drama. Year: 1994. Tags: quirky, dark comedy. A president falls in love."
    assert describe(Described()) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A heist. Genre: Crime", Described(("Crime",), overview="A heist.")),
        ("genres: comedy,\ntags: Dark Comedy\nA heist.", Described(("comedy",), None, ("dark comedy",), "A heist.")),
        ("Year: the summer of 1962. A heist.", Described(year=1962, overview="A heist.")),
        ("Year: unknown. A heist.", Described(overview="A heist.")),
        ("The plan: a heist in 1994.", Described(overview="The plan: a heist in 1994.")),
    ],
)  # fmt: skip
def test_reading_is_lenient(text: str, said: Described) -> None:
    assert read_description(text) == said


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    said = read_description(text)
    assert len(said.overview) <= len(text)
    if ":" not in text:
        assert said == Described(overview=text)


def test_fields_are_checked() -> None:
    assert checked_fields(None) == FIELDS
    assert checked_fields(["overview", "genres"]) == ("genres", "overview")
    for wrong, message in [
        ([], "expected fields to be a list of one or more of genres, year, tags, overview"),
        ("tags", "got 'tags'"),
        (["tag"], "got 'tag'; did you mean 'tags'"),
        (["tags", "tags"], "each field once"),
        ([["tags"]], "expected fields among"),
        ({"tags"}, "expected fields to be a list"),
    ]:
        with pytest.raises(ConfigurationError, match=message):
            checked_fields(wrong)  # type: ignore[arg-type]
