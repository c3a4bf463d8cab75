from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from eagle_gym.errors import TextError
from eagle_gym.plot_english import Attributes, Profile, from_film, parse, parse_profile, render, render_profile
from eagle_gym.plot_english.films import tag_pairs

DATA = Path(__file__).parents[3] / "shared" / "data" / "ml-latest-small"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="ml-latest-small is not next to the repository")


def test_a_film_from_genres_year_tags_and_overview() -> None:
    film = from_film(
        ["Action", "Thriller"],
        1995,
        ["time travel", "Quirky", "in netflix queue"],
        "A retired cop must rob a bank in Paris.",
    )
    assert film == Attributes(
        genres=("Action", "Thriller"), decade="1990s", setting="in Paris", trait="retired",
        protagonist="police officer", goal="rob a bank", motifs=("time travel",), styles=("quirky",),
    )  # fmt: skip


def test_tags_go_before_the_overview_and_unknown_genres_are_passed_over() -> None:
    film = from_film(["(no genres listed)", "IMAX"], None, ["submarine"], "A story set in Paris.")
    assert (film.genres, film.decade, film.setting) == (("IMAX",), None, "on a submarine")


def test_words_match_whole() -> None:
    assert from_film([], None, [], "A stunning unspyable caterpillar.").pairs() == ()


def _rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@needs_data
def test_real_films_have_attributes_beyond_genre_and_decade() -> None:
    tags: dict[str, Counter[str]] = defaultdict(Counter)
    for row in _rows("tags.csv"):
        tags[row["movieId"]][row["tag"]] += 1
    overviews = {row["movieId"]: row["overview"] for row in _rows("overviews.csv")}
    ratings = Counter(row["movieId"] for row in _rows("ratings.csv"))
    counts = []
    for row in _rows("movies.csv"):
        if ratings[row["movieId"]] < 5:
            continue
        year = re.search(r"\((\d{4})\)\s*$", row["title"])
        film = from_film(
            row["genres"].split("|"),
            int(year[1]) if year else None,
            [tag for tag, _ in tags[row["movieId"]].most_common()],
            overviews.get(row["movieId"], ""),
        )
        assert parse(render(film, np.random.default_rng(len(counts)))) == film
        counts.append(sum(slot not in ("genres", "decade") for slot, _ in film.pairs()))
    assert np.median(counts) >= 3
    assert np.mean(np.array(counts) >= 1) >= 0.9


@needs_data
def test_the_lexicon_covers_the_content_tags_that_users_use() -> None:
    used = {row["tag"].strip().lower() for row in _rows("tags.csv")}
    assert sum(tag in used for tag in tag_pairs()) >= 250


def test_profiles_are_read_back() -> None:
    profile = Profile(
        (("genres", "Comedy"), ("setting", "on a submarine")), (("tone", "ironic"), ("goal", "rob a bank"))
    )
    text = "Enjoys comedy films and stories set on a submarine. Dislikes an ironic tone and heroes who rob a bank."
    assert render_profile(profile) == text
    assert parse_profile(text) == profile
    assert parse_profile(render_profile(Profile())) == Profile()


def test_a_text_that_is_no_profile_is_refused() -> None:
    with pytest.raises(TextError, match="expected a profile"):
        parse_profile("Hello.")
