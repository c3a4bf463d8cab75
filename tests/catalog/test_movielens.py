from __future__ import annotations

import gzip
import re
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eagle_gym import plot_english, progress
from eagle_gym.catalog import Catalog, load_movielens, movielens, split_catalog
from eagle_gym.catalog.fields import FIELDS, Described, read_description
from eagle_gym.errors import CatalogError, ConfigurationError
from tests.catalog.faults import forbid

REAL = Path(__file__).parents[2] / ".." / "shared" / "data" / "ml-latest-small"

MOVIES = """movieId,title,genres\r
1,Toy Story (1995),Adventure|Animation|Children|Comedy\r
2,"American President, The (1995) ",Comedy|Drama\r
5,Babylon 5,Sci-Fi\r
7,Pokémon (1998),(no genres listed)\r
9,La cravate,(no genres listed)\r
"""
RATINGS = "userId,movieId,rating,timestamp\r\n4,1,4.0,1\r\n4,2,0.5,2\r\n12,5,5.0,3\r\n12,1,3.5,4\r\n12,9,2.0,4\r\n"
TAGS = "userId,movieId,tag,timestamp\r\n4,1,Pixar,1\r\n4,2,politics,2\r\n12,2,Politics,2\r\n12,7,dark,3\r\n"
LINKS = (
    "movieId,imdbId,tmdbId\r\n1,0114709,862\r\n2,0112346,9087\r\n5,0105946,\r\n7,0190641,10228\r\n9,0050000,10228\r\n"
)
OVERVIEWS = 'movieId,overview\n1,"Led by Woody, the toys fear a new arrival."\n2,A widowed president falls in love.\n'


FILES = {"movies_csv": MOVIES, "ratings_csv": RATINGS, "tags_csv": TAGS}


def folder(tmp_path: Path, **files: Any) -> Path:
    tmp_path.mkdir(exist_ok=True)
    contents: dict[str, Any] = {"movies.csv": MOVIES, "ratings.csv": RATINGS, "tags.csv": TAGS}
    contents |= {name.replace("_", "."): content for name, content in files.items()}
    for name, content in contents.items():
        if content is not None:
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return tmp_path


def notes(catalog: Catalog) -> list[str]:
    return [str(note) for note in catalog.skipped]


def test_films_users_and_ratings_are_read(tmp_path: Path) -> None:
    catalog = load_movielens(folder(tmp_path))
    assert [item.id for item in catalog.items] == ["1", "2", "5", "7"]
    assert catalog.items[1].title == "American President, The (1995)"
    assert catalog.users == ("4", "12")
    assert catalog.ratings.user.tolist() == [0, 0, 1, 1]
    assert catalog.ratings.item.tolist() == [0, 1, 0, 2]
    assert catalog.ratings.value.tolist() == [4.0, 0.5, 3.5, 5.0]
    assert (catalog.scale, catalog.language, catalog.name) == ((0.5, 5.0), "plot_english", tmp_path.name)


def test_free_texts_say_what_is_known(tmp_path: Path) -> None:
    catalog = load_movielens(folder(tmp_path, overviews_csv=OVERVIEWS), "free")
    assert catalog.texts == [
        "Genres: Adventure, Animation, Children, Comedy. Year: 1995. Tags: pixar. Led by Woody, the toys fear a new "
        "arrival.",
        "Genres: Comedy, Drama. Year: 1995. Tags: politics. A widowed president falls in love.",
        "Genres: Sci-Fi.",
        "Year: 1998. Tags: dark.",
    ]
    assert catalog.language == "free"
    assert "1 films left out: nothing to describe them with (such as La cravate)" in notes(catalog)


def test_texts_say_genres_year_and_tags(tmp_path: Path) -> None:
    said = [plot_english.parse(text) for text in load_movielens(folder(tmp_path)).texts]
    assert set(said[0].genres) == {"Adventure", "Animation", "Children", "Comedy"}
    assert said[0].decade == "1990s"
    assert any("politics" in value for _, value in said[1].pairs())
    assert said[2].decade is None
    assert ("tone", "dark") in said[3].pairs()


def test_what_is_left_out_or_lacking_is_said(tmp_path: Path) -> None:
    assert notes(load_movielens(folder(tmp_path))) == [
        "1 films: no ratings (kept) (such as Pokémon (1998))",
        "2 films: no year at the end of the title (kept) (such as Babylon 5, La cravate)",
        "2 films: no genres listed (kept) (such as Pokémon (1998), La cravate)",
        "1 films left out: nothing to describe them with (such as La cravate)",
        "1 ratings left out: their films were left out",
        "2 users: wrote tags, which are part of the texts (kept, they never test) (such as 4, 12)",
    ]


def test_what_plot_english_cannot_say_is_noted(tmp_path: Path) -> None:
    movies = MOVIES.replace("(1995)", "(1897)").replace("Adventure|", "Bollywood|")
    moods = "".join(f"4,2,{tag},1\r\n" for tag in ("dark", "bleak", "crime", "dvd"))
    catalog = load_movielens(folder(tmp_path, movies_csv=movies, tags_csv=TAGS + moods))
    assert set(notes(catalog)) > {
        "1 genres: plot English has no word for them (their films are kept) (such as Bollywood)",
        "2 films: no word for their decade (kept) (such as Toy Story (1897), American President, The (1897))",
        "2 tags: plot English has no word for them as tags (such as crime, dvd)",
        "1 films: no room for all of their tags (kept) (such as American President, The (1897))",
    }
    free = load_movielens(folder(tmp_path, overviews_csv=OVERVIEWS), "free")
    assert not any("plot English" in note for note in notes(free))


def test_who_wrote_tags_is_an_author_of_texts_with_tags(tmp_path: Path) -> None:
    root = folder(tmp_path, tags_csv="userId,movieId,tag,timestamp\n12,7,dark,3\n99,1,odd,4\n", overviews_csv=OVERVIEWS)
    catalog = load_movielens(root)
    assert catalog.authors == ("12",)  # user 99 rated nothing and is no user of the catalog
    assert load_movielens(root, "free").authors == ("12",)
    assert load_movielens(root, "free", fields=["overview"]).authors == ()
    assert load_movielens(root, fields=["genres", "year", "overview"]).authors == ()
    assert [catalog.users[row] for row in split_catalog(catalog, test_fraction=0.9).test_users] == ["4"]


def test_overviews_as_texts(tmp_path: Path) -> None:
    catalog = load_movielens(folder(tmp_path, overviews_csv=OVERVIEWS), "free", fields=["overview"])
    assert catalog.texts == ["Led by Woody, the toys fear a new arrival.", "A widowed president falls in love."]
    assert catalog.language == "free"
    assert "3 films left out: no overview (such as Babylon 5, Pokémon (1998), La cravate)" in notes(catalog)
    assert "2 ratings left out: their films were left out" in notes(catalog)


def test_users_who_rated_only_what_is_left_out_go_too(tmp_path: Path) -> None:
    overviews = "movieId,overview\n2,A president.\n"
    catalog = load_movielens(folder(tmp_path, overviews_csv=overviews), "free", fields=["overview"])
    assert catalog.users == ("4",)
    assert "1 users left out: rated only films that were left out (such as 12)" in notes(catalog)


def test_words_of_overviews_reach_rendered_texts(tmp_path: Path) -> None:
    plain = load_movielens(folder(tmp_path)).texts[1]
    richer = load_movielens(folder(tmp_path, overviews_csv=OVERVIEWS)).texts[1]
    assert len(plot_english.parse(richer).pairs()) > len(plot_english.parse(plain).pairs())


@pytest.mark.parametrize(("key", "ids"), [("tmdbId", ("862", "10228")), ("imdbId", ("tt114709", "0190641"))])
def test_overviews_by_other_databases_are_joined_through_links(tmp_path: Path, key: str, ids: tuple[str, str]) -> None:
    overviews = f"{key},overview\n{ids[0]},Toys.\n{ids[1]},Monsters.\n"
    catalog = load_movielens(folder(tmp_path, links_csv=LINKS, overviews_csv=overviews), "free", fields=["overview"])
    folder(tmp_path, overviews_csv=overviews.replace(f"{key},overview", f'"{key}","overview"'))
    quoted = load_movielens(tmp_path, "free", fields=["overview"])
    assert quoted == catalog
    texts = {item.id: item.text for item in catalog.items}
    assert texts["1"] == "Toys."
    assert texts["7"] == "Monsters."
    assert ("9" in texts) == (key == "tmdbId")  # two films share a tmdbId


def test_rare_films_are_left_out_on_request(tmp_path: Path) -> None:
    catalog = load_movielens(folder(tmp_path), min_ratings=2)
    assert [item.id for item in catalog.items] == ["1"]
    assert any(note.startswith("4 films left out: fewer than 2 ratings") for note in notes(catalog))


def test_one_films_text_does_not_depend_on_the_others(tmp_path: Path) -> None:
    everything = {item.id: item.text for item in load_movielens(folder(tmp_path)).items}
    some = load_movielens(tmp_path, min_ratings=2)
    assert all(everything[item.id] == item.text for item in some.items)


def test_order_of_rows_changes_nothing(tmp_path: Path) -> None:
    first = load_movielens(folder(tmp_path))
    header, *rows = RATINGS.splitlines(keepends=True)
    again = load_movielens(folder(tmp_path, ratings_csv=header + "".join(reversed(rows))))
    assert first == again


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    shuffled = "rating,timestamp,movieId,userId,source\n" + "4.0,1,1,4,web\n3.5,2,2,4,\n"
    catalog = load_movielens(folder(tmp_path, ratings_csv=shuffled))
    assert catalog.ratings.value.tolist() == [4.0, 3.5]


# ratings.csv, movies.csv and so on: what stands in the file -> what the message must say
BAD = {
    "rating out of range": (
        {"ratings_csv": RATINGS.replace("0.5,2", "7.5,2")},
        r"ratings.csv, row 3 .*user 4, item 2.*7.5",
    ),
    "rating of zero": ({"ratings_csv": RATINGS.replace("0.5,2", "0,2")}, "ratings.csv, row 3 .*got 0"),
    "rating not a number": (
        {"ratings_csv": RATINGS.replace("0.5,2", "good,2")},
        "ratings.csv, row 3: .*rating, got 'good'",
    ),
    "rating empty": ({"ratings_csv": RATINGS.replace("0.5,2", ",2")}, "ratings.csv, row 3: .*rating, got ''"),
    "rating nan": ({"ratings_csv": RATINGS.replace("0.5,2", "nan,2")}, "ratings.csv, row 3: rating is nan"),
    "user not whole": ({"ratings_csv": RATINGS.replace("12,5", "1.5,5")}, "ratings.csv, row 4: .*userId, got 1.5"),
    "user too large": ({"ratings_csv": RATINGS.replace("12,5", "1e20,5")}, r"ratings.csv, row 4: .*userId, got 1e\+20"),
    "film too large": (
        {"movies_csv": MOVIES + f"{10**20},Again (1999),Drama\n"},
        f"movies.csv, row 7: .*movieId, got '{10**20}'",
    ),
    "film of thousands of digits": (
        {"movies_csv": MOVIES + "9" * 5000 + ",Again (1999),Drama\n"},
        "movies.csv, row 7: .*movieId, got '9{40}'",
    ),
    "overviews not UTF-8": ({"overviews_csv": b"\xff\xfe"}, "overviews.csv, row 1: expected CSV in UTF-8"),
    "pair twice": ({"ratings_csv": RATINGS + "4,2,3.0,9\r\n"}, "ratings.csv, row 7: user '4' rated item '2' before"),
    "unknown film": (
        {"ratings_csv": RATINGS + "4,99,3.0,9\r\n"},
        "ratings.csv, row 7: movieId 99 is not in movies.csv",
    ),
    "short row": ({"ratings_csv": RATINGS + "4,7\r\n"}, r"ratings.csv, row 7: expected 4 fields, got 2: \['4', '7'\]"),
    "long row": ({"ratings_csv": RATINGS + "4,7,3.0,9,9\r\n"}, "ratings.csv, row 7: expected 4 fields, got 5"),
    "all rows long": (
        {"ratings_csv": "userId,movieId,rating\n4,1,4.0,1\n"},
        "ratings.csv, row 2: expected 3 fields, got 4",
    ),
    "no column": (
        {"ratings_csv": RATINGS.replace("rating,", "stars,")},
        "ratings.csv, row 1: expected a column 'rating'",
    ),
    "no ratings": ({"ratings_csv": "userId,movieId,rating,timestamp\n"}, "ratings.csv: expected ratings"),
    "empty file": ({"ratings_csv": ""}, "ratings.csv, row 1: expected a column 'userId'"),
    "no file": ({"ratings_csv": None}, "ratings.csv: no such file; expected a folder with"),
    "film twice": ({"movies_csv": MOVIES + "2,Again (1999),Drama\n"}, "movies.csv, row 7: movieId '2' stands in row 3"),
    "film without id": ({"movies_csv": MOVIES + "x,Again (1999),Drama\n"}, "movies.csv, row 7: .*movieId, got 'x'"),
    "film without title": (
        {"movies_csv": MOVIES + "8, ,Drama\n"},
        "movies.csv, row 7: the title of movieId '8' is empty",
    ),
    "film short": ({"movies_csv": MOVIES + "8,Again (1999)\n"}, "movies.csv, row 7: expected 3 fields, got 2"),
    "open quote": ({"movies_csv": MOVIES + '8,"Again (1999),Drama\n'}, "movies.csv, row 7: expected CSV in UTF-8"),
    "not UTF-8": ({"movies_csv": MOVIES.encode("iso-8859-1")}, "movies.csv, row .*: expected CSV in UTF-8"),
    "no films": ({"movies_csv": "movieId,title,genres\n"}, "movies.csv: expected films"),
    "tag of no film": ({"tags_csv": TAGS + "4,99,odd,1\n"}, "tags.csv, row 6: movieId '99' is not in movies.csv"),
    "tag of nobody": ({"tags_csv": TAGS + "x,1,odd,1\n"}, "tags.csv, row 6: .*userId, got 'x'"),
    "tag short": ({"tags_csv": TAGS + "4,7\n"}, "tags.csv, row 6: expected 4 fields, got 2"),
    "overview without a number": (
        {"overviews_csv": OVERVIEWS + "x9,Odd.\n"},
        "overviews.csv, row 4: expected a whole number as movieId, got 'x9'",
    ),
    "overview twice, written otherwise": (
        {"overviews_csv": OVERVIEWS + "2.0,Odd.\n"},
        "overviews.csv, row 4: movieId '2' stands in row 3",
    ),
    "decimal comma": (
        {"ratings_csv": RATINGS.replace("0.5,2", '"0,5",2')},
        "ratings.csv, row 3: expected a number as rating, got '0,5': write decimals with a point",
    ),
    "decimal comma without quotes": (
        {"ratings_csv": "userId,movieId,rating\n4,1,4,5\n4,2,3,0\n"},
        "ratings.csv, row 2: expected 3 fields, got 4",
    ),
    "semicolons": (
        {"ratings_csv": "userId;movieId;rating\n4;1;4,5\n"},
        "ratings.csv, row 1: expected a column 'userId'; .*: separate the columns by commas",
    ),
    "column twice": (
        {"ratings_csv": "userId,movieId,rating,rating\n4,1,4.0,1\n"},
        "ratings.csv, row 1: expected one column 'rating', got 2: rename the others",
    ),
    "column of films twice": (
        {"movies_csv": "movieId,title,title,genres\n1,A,B,Drama\n"},
        "movies.csv, row 1: expected one column 'title', got 2",
    ),
    "underscore in an id": ({"ratings_csv": RATINGS + "1_2,2,3.0,9\n"}, "ratings.csv, row 7: .*userId, got '1_2'"),
    "underscore in a rating": ({"ratings_csv": RATINGS + "4,7,0_5,9\n"}, "ratings.csv, row 7: .*rating, got '0_5'"),
    "digits of another script": ({"ratings_csv": RATINGS + "4,7,٣,9\n"}, "ratings.csv, row 7: .*rating, got '٣'"),
    "film in digits of another script": ({"movies_csv": MOVIES + "٣,A,Drama\n"}, "row 7: .*movieId, got '٣'"),
    "bad row after blank lines": (
        {"ratings_csv": RATINGS.replace("\r\n", "\r\n\r\n") + "4,7,9.5,1\n"},
        r"ratings.csv, row 13 \(user 4, item 7\): expected a rating from 0.5 to 5, got 9.5",
    ),
    "bad word after blank lines": (
        {"ratings_csv": RATINGS.replace("\r\n", "\r\n \r\n") + "4,7,good,1\n"},
        "ratings.csv, row 13: expected a number as rating, got 'good'",
    ),
    "bad row after lines in quotes": (
        {"movies_csv": 'movieId,title,genres\n1,"Two\nlines (1995)",Drama\n\nx,Again (1999),Drama\n'},
        "movies.csv, row 5: .*movieId, got 'x'",
    ),
    "one line in ISO-8859-1": (
        {"movies_csv": MOVIES.encode() + "11,Léon (1994),Crime\n".encode("iso-8859-1")},
        "movies.csv, row 7: expected CSV in UTF-8, got the byte 0xe9 at character 5: save the file as UTF-8",
    ),
    "overviews in ISO-8859-1": (
        {"overviews_csv": "movieId,overview\n1,Woody.\n2,Café.\n".encode("iso-8859-1")},
        "overviews.csv, row 3: expected CSV in UTF-8, got the byte 0xe9",
    ),
    "ratings in ISO-8859-1": (
        {"ratings_csv": ("userId,movieId,rating,note\n" + "4,1,4.0,\n" * 3 + "4,2,1,é\n").encode("iso-8859-1")},
        "ratings.csv, row 5: expected CSV in UTF-8, got the byte 0xe9",
    ),
    "an archive": ({"ratings_csv": gzip.compress(RATINGS.encode())}, "ratings.csv, row 1: .*gzip archive: unpack it"),
    "a spreadsheet": ({"movies_csv": b"PK\x03\x04\xff\xfe"}, "movies.csv, row 1: .*export it as CSV"),
    "UTF-16": ({"ratings_csv": RATINGS.encode("utf-16")}, "ratings.csv, row 1: .*it is UTF-16: save it as UTF-8"),
    "overview twice": ({"overviews_csv": OVERVIEWS + "2,Odd.\n"}, "overviews.csv, row 4: movieId '2' stands in row 3"),
    "overview without column": (
        {"overviews_csv": "movieId,plot\n1,Toys.\n"},
        "overviews.csv, row 1: .*column 'overview'",
    ),
    "overview without links": ({"overviews_csv": "tmdbId,overview\n862,Toys.\n"}, "links.csv: no such file"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_file_row_and_value(tmp_path: Path, case: str) -> None:
    files, message = BAD[case]
    path = folder(tmp_path, **files)
    if files.get("ratings_csv", "") is None:
        (path / "ratings.csv").unlink(missing_ok=True)
    with pytest.raises(CatalogError, match=message):
        load_movielens(path)


def test_overviews_of_other_films_are_left_out_with_a_note(tmp_path: Path) -> None:
    few = load_movielens(folder(tmp_path, overviews_csv=OVERVIEWS), "free", fields=["overview"])
    many = OVERVIEWS + "99,Odd.\n,Nobody's.\n100.0,Odder.\n"
    for fields in (["overview"], None):
        catalog = load_movielens(folder(tmp_path, overviews_csv=many), "free", fields=fields)  # type: ignore[arg-type]
        assert "3 overviews left out: no film has their movieId (such as 99, row 5, 100.0)" in notes(catalog)
        assert fields is None or catalog == few
    links = LINKS + "99,0000099,99\r\n"
    superset = "tmdbId,overview\n862,Toys.\n99,Odd.\n98,Odder.\n"
    catalog = load_movielens(folder(tmp_path, overviews_csv=superset, links_csv=links), "free", fields=["overview"])
    assert catalog.texts == ["Toys."]
    assert {
        "1 links left out: no film has their movieId (such as 99)",
        "2 overviews left out: no film has their tmdbId (such as 99, 98)",
    } < set(notes(catalog))
    with pytest.raises(CatalogError, match=r"no rated film is left; .*1 overviews left out: no film has their movieId"):
        load_movielens(folder(tmp_path, overviews_csv="movieId,overview\n99,Odd.\n"), "free", fields=["overview"])


def test_ids_are_read_as_pandas_writes_them(tmp_path: Path) -> None:
    plain = folder(tmp_path / "plain", overviews_csv=OVERVIEWS.replace("movieId", "tmdbId").replace("\n2,", "\n9087,"))
    (plain / "overviews.csv").write_text("tmdbId,overview\n862,Toys.\n9087,A president.\n")
    (plain / "links.csv").write_text(LINKS)
    floats = folder(
        tmp_path / "floats",
        movies_csv=re.sub(r"(?m)^(\d+),", r"\1.0,", MOVIES),
        ratings_csv=re.sub(r"(?m)^(\d+),(\d+),", r"\1.0,\2.0,", RATINGS),
        tags_csv=re.sub(r"(?m)^(\d+),(\d+),", r"\1.0,\2.0,", TAGS),
        links_csv=re.sub(r"(?m),(\d+)\r?$", r",\1.0", LINKS).replace("\n1,", "\n1.0,"),
        overviews_csv="tmdbId,overview\n862.0,Toys.\n9087.0,A president.\n",
    )
    for texts in ("rendered", "free"):
        assert load_movielens(floats, texts) == load_movielens(plain, texts)  # type: ignore[arg-type]
    (floats / "overviews.csv").write_text("imdbId,overview\n114709.0,Toys.\ntt0112346,A president.\n")
    assert load_movielens(floats, "free") == load_movielens(plain, "free")


def test_byte_order_marks_and_blank_lines_change_nothing(tmp_path: Path) -> None:
    plain = load_movielens(folder(tmp_path / "plain"))
    marked = {name: "\ufeff" + text.replace("\n", "\n\n \n") + "\n\n" for name, text in FILES.items()}
    assert load_movielens(folder(tmp_path / "marked", **marked)) == plain
    old = load_movielens(old_folder(tmp_path / "old"))
    for path in (tmp_path / "old").glob("*.dat"):
        text = path.read_bytes().decode("iso-8859-1")
        path.write_text("\ufeff" + text.replace("\n", "\n\n"), encoding="utf-8")
    assert load_movielens(tmp_path / "old") == old


@pytest.mark.parametrize("name", ["ratings.csv", "movies.csv", "tags.csv", "overviews.csv"])
def test_a_folder_in_place_of_a_file_is_said(tmp_path: Path, name: str) -> None:
    root = folder(tmp_path)
    (root / name).unlink(missing_ok=True)
    (root / name).mkdir()
    with pytest.raises(CatalogError, match=rf"{name}: expected a file, got a folder: move the file that it holds"):
        load_movielens(root)


@pytest.mark.parametrize("name", ["ratings.csv", "movies.csv", "tags.csv", "overviews.csv", "links.csv"])
@pytest.mark.parametrize("kept", [False, True])
def test_a_file_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kept: bool
) -> None:
    root = folder(tmp_path, links_csv=LINKS, overviews_csv="tmdbId,overview\n862,Toys.\n")
    forbid(monkeypatch, name)
    with pytest.raises(CatalogError, match=rf"{name}: expected .* got 'Permission denied': check its permissions"):
        load_movielens(root, cache_dir=tmp_path / "cache" if kept else None)


def test_two_data_sets_in_one_folder_are_said(tmp_path: Path) -> None:
    root = old_folder(folder(tmp_path))
    message = "expected the files of one data set, got movies.csv, ratings.csv, movies.dat, ratings.dat: move"
    with pytest.raises(CatalogError, match=message):
        load_movielens(root)
    (root / "ratings.csv").unlink()
    with pytest.raises(CatalogError, match=r"got movies.csv, movies.dat, ratings.dat"):
        load_movielens(root)
    (root / "movies.csv").unlink()
    assert load_movielens(root).scale == (1.0, 5.0)


def test_a_file_in_place_of_the_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"movies.csv: expected a folder, got a file: unpack it"):
        load_movielens(folder(tmp_path) / "movies.csv")


def test_a_bar_shows_while_ratings_are_read_on_a_terminal_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress.progress_bar, "__kwdefaults__", {**progress.progress_bar.__kwdefaults__, "delay": 0.0})
    load_movielens(folder(tmp_path))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    load_movielens(tmp_path, progress=False)
    assert capsys.readouterr().err == ""
    load_movielens(tmp_path)
    assert "ratings.csv: " in capsys.readouterr().err


def test_a_kept_catalog_is_loaded_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    (tmp_path / "data").mkdir()
    root = folder(tmp_path / "data")
    read: list[str] = []

    def counted(*args: object) -> Catalog:
        read.append(str(args[0]))
        return movielens_read(*args)

    movielens_read = movielens._read
    monkeypatch.setattr(movielens, "_read", counted)
    made = [load_movielens(root, cache_dir=cache) for _ in range(2)]
    assert len(read) == 1
    assert made[0] == made[1] == load_movielens(root)
    assert notes(made[1]) == notes(load_movielens(root))
    read.clear()
    assert load_movielens(root, cache_dir=cache, seed=1) != made[0]
    folder(root, ratings_csv=RATINGS.replace("0.5,2", "1.5,2"))
    assert load_movielens(root, cache_dir=cache) != made[0]
    folder(root, overviews_csv=OVERVIEWS)
    load_movielens(root, cache_dir=cache)
    assert len(read) == 3


def test_no_folder_says_where_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"nowhere: no such folder; .*grouplens.org"):
        load_movielens(tmp_path / "nowhere")


@pytest.mark.parametrize("texts", ["rendered", "free"])
def test_fields_that_are_asked_for_need_their_files(tmp_path: Path, texts: Any) -> None:
    root = folder(tmp_path, tags_csv=None)
    with pytest.raises(CatalogError, match=r"overviews.csv: no such file; fields with \"overview\" need it"):
        load_movielens(root, texts, fields=["genres", "overview"])
    with pytest.raises(CatalogError, match=r"tags.csv: no such file; fields with \"tags\" need"):
        load_movielens(root, texts, fields=["tags"])
    assert load_movielens(root, texts).texts == load_movielens(root, texts, fields=["genres", "year"]).texts


def some_fields() -> list[list[str]]:
    return [list(some) for size in range(1, 5) for some in combinations(FIELDS, size)]


@pytest.mark.parametrize("fields", some_fields(), ids="+".join)
def test_texts_say_the_fields_that_are_asked_for(tmp_path: Path, fields: Any) -> None:
    root = folder(tmp_path, overviews_csv=OVERVIEWS)
    catalog = load_movielens(root, "free", fields=fields)
    said = {item.id: read_description(item.text) for item in catalog.items}
    assert said["2"] == Described(
        ("Comedy", "Drama") if "genres" in fields else (),
        1995 if "year" in fields else None,
        ("politics",) if "tags" in fields else (),
        "A widowed president falls in love." if "overview" in fields else "",
    )
    assert all(item.text for item in catalog.items)
    rendered = load_movielens(root, fields=fields)
    assert [item.id for item in rendered.items] == [item.id for item in catalog.items]
    text = {item.id: item.text for item in rendered.items}["2"]
    attributes = plot_english.parse(text)
    assert bool(attributes.genres) == ("genres" in fields)
    assert (attributes.decade == "1990s") == ("year" in fields)
    assert plot_english.split_tags(text)[1] == (("politics",) if "tags" in fields else ())
    assert len(load_movielens(root, fields=fields[::-1]).items) == len(rendered.items)


def test_a_text_lists_a_films_tags_by_frequency(tmp_path: Path) -> None:
    names = ["Odd, really", "odd; really", "Sci-Fi", "sci-fi", "SCI-FI", "e.t.", "x" * 50, *"abcdefghijklmnop"]
    tags = "userId,movieId,tag,timestamp\n" + "".join(f'{user},1,"{tag}",1\n' for user, tag in enumerate(names))
    for texts in ("rendered", "free"):
        text = load_movielens(folder(tmp_path, tags_csv=tags), texts).texts[0]  # type: ignore[arg-type]
        listed = plot_english.tags_in(text)
        assert listed[0] == "sci-fi"
        assert {"odd really", "a", "b"} <= set(listed)
        assert len(listed) == movielens.MOST_TAGS


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"texts to be one of .*got 'plots'"):
        load_movielens(tmp_path, "plots")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="min_ratings to be a whole number of 0 or more, got -1"):
        load_movielens(tmp_path, min_ratings=-1)
    with pytest.raises(ConfigurationError, match="min_ratings to be a whole number of 0 or more, got '3'"):
        load_movielens(tmp_path, min_ratings="3")  # type: ignore[arg-type]


def old_folder(tmp_path: Path, *, ratings: str = "1::1::5::97\n2::1::3::97\n", **files: str) -> Path:
    """The layout of ml-1m, in its encoding."""
    tmp_path.mkdir(exist_ok=True)
    movies = "1::Toy Story (1995)::Animation|Children's|Comedy\n2::Misérables, Les (1995)::Drama|Musical\n"
    contents = {"movies.dat": movies, "ratings.dat": ratings, "users.dat": "1::F::1::10::48067\n2::M::56::16::70072\n"}
    for name, content in (contents | {name.replace("_", "."): content for name, content in files.items()}).items():
        (tmp_path / name).write_bytes(content.encode("iso-8859-1"))
    return tmp_path


def test_dat_files_of_ml_1m(tmp_path: Path) -> None:
    catalog = load_movielens(old_folder(tmp_path))
    assert catalog.items[1].title == "Misérables, Les (1995)"
    assert "Children" in plot_english.parse(catalog.texts[0]).genres
    assert catalog.scale == (1.0, 5.0)
    assert catalog.users == ("1", "2")


def test_dat_files_of_ml_10m_have_half_stars_utf_8_and_tags(tmp_path: Path) -> None:
    folder = old_folder(tmp_path, ratings="1::1::4.5::97\n2::1::3::97\n")
    (folder / "movies.dat").write_text("1::Léon (1994)::Crime|Drama\n", encoding="utf-8")
    (folder / "tags.dat").write_text("1::1::dark::97\n", encoding="utf-8")
    catalog = load_movielens(folder)
    assert catalog.items[0].title == "Léon (1994)"
    assert catalog.scale == (0.5, 5.0)
    assert ("tone", "dark") in plot_english.parse(catalog.texts[0]).pairs()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"ratings": "1::1::5::97\n2::1::6::97\n"}, "ratings.dat, row 2 .*from 1 to 5, got 6"),
        (
            {"ratings": "1::1::5::97\n2::1::3\n"},
            "ratings.dat, row 2: expected userId::movieId::rating::timestamp, got '2::1::3'",
        ),
        ({"ratings": "1::1::5::97\n2:1:3:97\n"}, "ratings.dat, row 2: expected userId::movieId"),
        ({"ratings": "1::1::5::97\n2::1::x::97\n"}, "ratings.dat, row 2: expected a number as rating, got 'x'"),
        ({"ratings": "1::1::4,5\n2::1::3,0\n"}, "ratings.dat, row 1: expected userId::.*, got '1::1::4,5'"),
        ({"ratings": "1::1::4,5::97\n"}, "ratings.dat, row 1: .*rating, got '4,5': write decimals with a point"),
        ({"ratings": "1::1::5::97\n\n2::1::6::97\n"}, "ratings.dat, row 3 .*from 1 to 5, got 6"),
        ({"ratings": "1::1::5::97\n\n2::1::x::97\n"}, "ratings.dat, row 3: expected a number as rating, got 'x'"),
        ({"ratings": "1::1::5::97\n"}, "users.dat, row 2: user '2' has no rating"),
        (
            {"movies_dat": "1::Toy Story (1995)\n"},
            "movies.dat, row 1: expected movieId::title::genres, got '1::Toy Story",
        ),
        ({"users_dat": "1::F\n"}, "users.dat, row 1: expected userId::gender"),
    ],
)
def test_bad_dat_files_are_refused(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        load_movielens(old_folder(tmp_path, **files))


@pytest.mark.parametrize(
    ("encodings", "row", "message"),
    [
        (["utf-8", "iso-8859-1"], 2, "got ISO-8859-1 here and UTF-8 in row 1"),
        (["utf-8", "utf-8", "iso-8859-1"], 3, "got ISO-8859-1 here and UTF-8 in row 1"),
        (["iso-8859-1", "iso-8859-1", "utf-8"], 3, "got UTF-8 here and ISO-8859-1 in row 1"),
    ],
)
def test_one_line_in_another_encoding_is_said(tmp_path: Path, encodings: list[str], row: int, message: str) -> None:
    lines = [f"{at}::Léon (1994)::Crime\n".encode(encoding) for at, encoding in enumerate(encodings, start=1)]
    root = old_folder(tmp_path)
    (root / "movies.dat").write_bytes(b"".join(lines))
    with pytest.raises(CatalogError, match=f"movies.dat, row {row}: expected one encoding .*, {message}"):
        load_movielens(root)


def oldest_folder(tmp_path: Path, **files: str) -> Path:
    """The layout of ml-100k, in its encoding."""
    empty = "0|" * 18
    contents = {
        "u.data": "1\t1\t5\t97\n2\t1\t3\t97\n2\t2\t4\t98\n1\t3\t1\t99\n",
        "u.item": f"1|Toy Story (1995)|01-Jan-1995||http://us.imdb.com/?a%20b|0|0|0|1|1|1|{'0|' * 12}0\n"
        f"2|Misérables, Les|12-May-1972|||0|0|0|0|0|0|0|0|1|{'0|' * 9}0\n3|unknown||||1|{empty[:-1]}\n",
        "u.user": "1|24|M|technician|85711\n2|53|F|other|94043\n",
    }
    for name, content in (contents | {name.replace("_", "."): content for name, content in files.items()}).items():
        (tmp_path / name).write_bytes(content.encode("iso-8859-1"))
    return tmp_path


def test_files_of_ml_100k(tmp_path: Path) -> None:
    catalog = load_movielens(oldest_folder(tmp_path))
    assert [item.title for item in catalog.items] == ["Toy Story (1995)", "Misérables, Les"]
    said = [plot_english.parse(text) for text in catalog.texts]
    assert set(said[0].genres) == {"Animation", "Children", "Comedy"}
    assert (said[1].genres, said[1].decade) == (("Drama",), "1970s")
    assert (catalog.users, catalog.scale) == (("1", "2"), (1.0, 5.0))
    assert catalog.ratings.value.tolist() == [5, 3, 4]
    assert "1 films left out: nothing to describe them with (such as unknown)" in notes(catalog)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"u_data": "1\t1\t5\t97\n2\t1\t6\t97\n"}, "u.data, row 2 .*from 1 to 5, got 6"),
        ({"u_data": "1\t1\t4,5\t97\n"}, "u.data, row 1: .*rating, got '4,5': write decimals with a point"),
        ({"u_data": "1,1,5,97\n"}, r"u.data, row 1: expected userId\tmovieId"),
        ({"u_data": "1\t9\t5\t97\n"}, "u.data, row 1: movieId 9 is not in u.item"),
        ({"u_data": "1\t1\t5\t97\n"}, "u.user, row 2: user '2' has no rating"),
        ({"u_item": "1|Toy Story (1995)|||\n"}, "u.item, row 1: expected movieId|title"),
        ({"u_item": "1|Toy Story (1995)||||" + "2|" * 18 + "0\n"}, "u.item, row 1: expected 0 or 1 for each genre"),
    ],
)
def test_bad_files_of_ml_100k_are_refused(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        load_movielens(oldest_folder(tmp_path, **files))


@pytest.mark.skipif(not REAL.is_dir(), reason="the real ml-latest-small is not next to the checkout")
def test_the_real_data_set() -> None:
    catalog = load_movielens(REAL, progress=False)
    assert len(catalog.users) == 610
    assert len(catalog.items) + _left_out(catalog, "films left out") == 9742
    assert len(catalog.ratings) + _left_out(catalog, "ratings left out") == 100_836
    assert len(catalog.items) > 9700
    assert len(catalog.authors) == 58
    assert not set(split_catalog(catalog).test_users) & {catalog.user_index(user) for user in catalog.authors}
    said = [plot_english.parse(text).pairs() for text in catalog.texts]
    assert all(said)
    assert any(note.startswith("18 films: no ratings (kept)") for note in notes(catalog))
    assert any(note.startswith("13 films: no year") for note in notes(catalog))
    assert any(note.startswith("34 films: no genres listed") for note in notes(catalog))
    assert any(note.startswith("1059 tags: plot English has no word") for note in notes(catalog))
    counts = np.bincount(catalog.ratings.item, minlength=len(catalog.items))
    extra = [
        sum(slot not in ("genres", "decade") for slot, _ in pairs)
        for pairs, n in zip(said, counts, strict=True)
        if n >= 5
    ]
    assert np.median(extra) >= 3
    assert np.mean(np.array(extra) >= 1) >= 0.9


@pytest.mark.skipif(not REAL.is_dir(), reason="the real ml-latest-small is not next to the checkout")
def test_the_real_overviews() -> None:
    catalog = load_movielens(REAL, "free", fields=["overview"], progress=False)
    assert len(catalog.items) == 8199
    assert _left_out(catalog, "films left out") == 9742 - 8199
    assert len(catalog.ratings) + _left_out(catalog, "ratings left out") == 100_836


def _left_out(catalog: Catalog, what: str) -> int:
    return sum(note.count for note in catalog.skipped if note.what == what)
