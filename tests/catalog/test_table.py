from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from eagle_gym.catalog import load_table
from eagle_gym.errors import CatalogError, ConfigurationError

ITEMS = {"item": ["a", "b", "c"], "title": ["Aa", "", "Cc"], "text": ["A war film.", "A drama film.", "A comedy film."]}
SCORES = {"user": ["u", "u", "w"], "item": ["a", "b", "a"], "rating": [1, 4.5, 2]}


def save(folder: Path, table: dict[str, Any], name: str) -> Path:
    path = folder / name
    frame = pd.DataFrame(table)
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet", "frame", "dict"])
def test_every_kind_of_table_gives_the_same_catalog(tmp_path: Path, kind: str) -> None:
    tables: list[Any] = [ITEMS, SCORES]
    if kind == "frame":
        tables = [pd.DataFrame(table) for table in tables]
    elif kind != "dict":
        tables = [save(tmp_path, table, f"{number}.{kind}") for number, table in enumerate(tables)]
    catalog = load_table(*tables)
    assert catalog == load_table(ITEMS, SCORES)
    assert [item.title for item in catalog.items] == ["Aa", "b", "Cc"]
    assert catalog.users == ("u", "w")
    assert catalog.ratings.value.tolist() == [1.0, 4.5, 2.0]
    assert catalog.language == "plot_english"
    assert [str(note) for note in catalog.skipped] == [
        "1 items: no ratings (kept) (such as c)",
        "1 default: no scale was named; the ratings that were given run from 1 to 4.5",
    ]


def test_paths_may_be_strings(tmp_path: Path) -> None:
    paths = [str(save(tmp_path, table, f"{number}.csv")) for number, table in enumerate((ITEMS, SCORES))]
    assert load_table(*paths) == load_table(ITEMS, SCORES)


def test_columns_may_have_other_names_and_titles_may_be_missing() -> None:
    items = {"asin": [1, 2], "about": ["A war film.", "A drama film."]}
    scores = {"who": [7, 8], "asin": [1.0, 2.0], "stars": [1, 5]}
    columns = {"item": "asin", "text": "about", "user": "who", "rating": "stars"}
    catalog = load_table(items, scores, columns=columns, scale=(0, 5), name="shop")
    assert [(item.id, item.title) for item in catalog.items] == [("1", "1"), ("2", "2")]
    assert (catalog.users, catalog.scale, catalog.name) == (("7", "8"), (0, 5), "shop")


def test_language_is_plot_english_only_if_every_text_is() -> None:
    free = {**ITEMS, "text": ["A war film.", "Some shirt.", "A comedy film."]}
    assert load_table(free, SCORES).language == "free"
    assert load_table(ITEMS, SCORES, language="free").language == "free"
    with pytest.raises(CatalogError, match="texts, row 3: the text of item 'b' is not plot English"):
        load_table(free, SCORES, language="plot_english")


def test_order_of_ratings_changes_nothing() -> None:
    backwards = {name: list(reversed(column)) for name, column in SCORES.items()}
    assert load_table(ITEMS, backwards) == load_table(ITEMS, SCORES)


@pytest.mark.parametrize(
    ("items", "scores", "message"),
    [
        ({"item": ["a", "b", "a"]}, {}, "texts, row 4: item 'a' stands in row 2 already"),
        ({"item": ["a", "b", None]}, {}, "texts, row 4: item is empty"),
        ({"text": ["x", float("nan"), "y"]}, {}, "texts, row 3: text of item 'b' is empty"),
        ({"text": ["x", "y"]}, {}, "texts: expected columns of one length; got 3, 2, 3"),
        ({"item": [], "text": [], "title": []}, {}, "texts: expected items; the table has none"),
        ({}, {"item": ["a", "b", "z"]}, "ratings, row 4: item 'z' is not in the table of texts"),
        ({}, {"rating": [1, "five", 2]}, "ratings, row 3: expected a number as rating; got 'five'"),
        ({}, {"rating": [1, None, 2]}, "ratings, row 3: expected a number as rating; got ''"),
        ({}, {"rating": [1, 9, 2]}, r"ratings, row 3 \(user u, item b\): expected a rating from 1 to 5; got 9"),
        ({}, {"user": ["u", "u", pd.NA]}, "ratings, row 4: user is empty"),
        ({}, {"user": ["u", "u", "u"]}, "ratings, row 4: user 'u' rated item 'a' before"),
        ({}, {"user": [], "item": [], "rating": []}, "ratings: expected ratings; the table has none"),
    ],
)
def test_bad_rows_are_refused_with_row_and_value(items: dict[str, Any], scores: dict[str, Any], message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        load_table({**ITEMS, **items}, {**SCORES, **scores}, scale=(1, 5))


@pytest.mark.parametrize("kind", ["csv", "parquet", "frame"])
def test_missing_columns_are_named(tmp_path: Path, kind: str) -> None:
    scores = {"user": ["u"], "item": ["a"], "stars": [1]}
    table: Any = pd.DataFrame(scores) if kind == "frame" else save(tmp_path, scores, f"ratings.{kind}")
    with pytest.raises(CatalogError, match="rating"):
        load_table(ITEMS, table)


def test_ratings_that_never_differ_say_nothing() -> None:
    with pytest.raises(CatalogError, match="expected ratings that differ; all are 3"):
        load_table(ITEMS, {**SCORES, "rating": [3, 3, 3]})


@pytest.mark.parametrize("name", ["nothing.csv", "nothing.parquet"])
def test_missing_files_are_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(CatalogError, match=f"{name}: no such file"):
        load_table(tmp_path / name, SCORES)


def test_a_file_that_is_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "items.parquet").write_text("item,text\n")
    with pytest.raises(CatalogError, match=r"items.parquet: expected a Parquet file"):
        load_table(tmp_path / "items.parquet", SCORES)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"columns may rename .*got 'stars'"):
        load_table(ITEMS, SCORES, columns={"stars": "rating"})
    with pytest.raises(ConfigurationError, match="language must be one of"):
        load_table(ITEMS, SCORES, language="latin")  # type: ignore[arg-type]
    for scale in ((5, 1), (1, 1), (1, float("nan")), (0, float("inf"))):
        with pytest.raises(ConfigurationError, match="scale must be the lowest and the highest"):
            load_table(ITEMS, SCORES, scale=scale)
