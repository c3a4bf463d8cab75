from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from eagle_gym.catalog import load_table
from eagle_gym.errors import CatalogError, ConfigurationError
from tests.catalog.faults import forbid

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
        ({"text": ["x", "y"]}, {}, "texts: expected columns of one length, got 3, 2, 3"),
        ({"item": [], "text": [], "title": []}, {}, "texts: expected items; the table has none"),
        ({}, {"item": ["a", "b", "z"]}, "ratings, row 4: item 'z' is not in the table of texts"),
        ({}, {"rating": [1, "five", 2]}, "ratings, row 3: expected a number as rating, got 'five'"),
        ({}, {"rating": [1, None, 2]}, "ratings, row 3: expected a number as rating, got ''"),
        ({}, {"rating": [1, 9, 2]}, r"ratings, row 3 \(user u, item b\): expected a rating from 1 to 5, got 9"),
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


def test_items_with_few_ratings_are_left_out_on_request() -> None:
    scores = {"user": ["u", "u", "w", "x"], "item": ["a", "b", "a", "b"], "rating": [1, 4.5, 2, 3]}
    catalog = load_table(ITEMS, {name: [*column, column[0]] for name, column in SCORES.items()} | scores, min_ratings=2)
    assert [item.id for item in catalog.items] == ["a", "b"]
    catalog = load_table(ITEMS, SCORES, min_ratings=2, scale=[0, 5])
    assert [item.id for item in catalog.items] == ["a"]
    assert catalog.users == ("u", "w")
    assert catalog.ratings.value.tolist() == [1, 2]
    assert [str(note) for note in catalog.skipped] == [
        "2 items left out: fewer than 2 ratings (such as b, c)",
        "1 ratings left out: their items were left out",
    ]
    lonely = {"user": ["u", "w", "x"], "item": ["a", "b", "a"], "rating": [1, 4, 2]}
    catalog = load_table(ITEMS, lonely, min_ratings=2)
    assert (catalog.users, catalog.ratings.item.tolist()) == (("u", "x"), [0, 0])
    assert "1 users left out: rated only items that were left out (such as w)" in map(str, catalog.skipped)
    with pytest.raises(CatalogError, match="no rated item is left; left out: 3 items left out: fewer than 9 ratings"):
        load_table(ITEMS, SCORES, min_ratings=9)


def test_arguments_may_come_as_json() -> None:
    arguments = json.loads(json.dumps({"scale": (0, 5), "columns": {"rating": "stars"}, "min_ratings": 1}))
    scores = {"user": SCORES["user"], "item": SCORES["item"], "stars": SCORES["rating"]}
    assert load_table(ITEMS, scores, **arguments).scale == (0.0, 5.0)


@pytest.mark.parametrize("floats", ["items", "ratings", "both"])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_ids_are_read_as_pandas_writes_them(tmp_path: Path, floats: str, kind: str) -> None:
    items = {**ITEMS, "item": [1, 20, 3]}
    scores = {**SCORES, "user": [7, 7, 8], "item": [1, 20, 1]}
    plain = load_table(items, scores)
    if floats != "ratings":
        items["item"] = ["1.0", "20.0", "3.0"]
    if floats != "items":
        scores |= {"user": ["7.0", "7.0", "8.0"], "item": ["1.0", "20.0", "1.0"]}
    assert load_table(save(tmp_path, items, f"items.{kind}"), save(tmp_path, scores, f"ratings.{kind}")) == plain


def test_versions_are_no_floats() -> None:
    items = {**ITEMS, "item": ["1.0", "1", "2.10"]}
    catalog = load_table(items, {**SCORES, "item": ["1.0", "1", "2.10"]})
    assert [item.id for item in catalog.items] == ["1.0", "1", "2.10"]


@pytest.mark.parametrize("kind", ["csv", "frame"])
def test_a_column_that_stands_twice_is_said(tmp_path: Path, kind: str) -> None:
    frame = pd.DataFrame([["u", "a", 1, 5], ["w", "a", 2, 5]], columns=["user", "item", "rating", "rating"])
    table: Any = frame
    if kind == "csv":
        table = tmp_path / "ratings.csv"
        frame.to_csv(table, index=False)
    with pytest.raises(CatalogError, match=r"expected one column 'rating', got (2|several): rename the others"):
        load_table(ITEMS, table)


@pytest.mark.parametrize("rating", ["4,5", "1_0", "٤"])
def test_numbers_of_another_notation_are_said(tmp_path: Path, rating: str) -> None:
    path = save(tmp_path, {**SCORES, "rating": [1, rating, 2]}, "ratings.csv")
    with pytest.raises(CatalogError, match=f"ratings.csv, row 3: expected a number as rating, got '{rating}'"):
        load_table(ITEMS, path)


def test_rows_are_those_of_an_editor(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text('item,text\n\na,"A long\ntext"\n\nb,\n', encoding="utf-8-sig")
    with pytest.raises(CatalogError, match=r"items.csv, row 6: text of item 'b' is empty"):
        load_table(path, SCORES)
    path.write_bytes(b"item,text\n" + b"a,caf\xc3\xa9\n" * 3000 + b"b,caf\xe9\n")
    with pytest.raises(CatalogError, match=r"items.csv, row 3002: expected CSV in UTF-8, got the byte 0xe9"):
        load_table(path, SCORES)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_that_is_a_folder_is_said(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"ratings.{suffix}").mkdir()
    with pytest.raises(CatalogError, match=r"expected a file, got a folder"):
        load_table(ITEMS, tmp_path / f"ratings.{suffix}")


@pytest.mark.parametrize("name", ["items.csv", "ratings.csv"])
def test_a_table_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    paths = save(tmp_path, ITEMS, "items.csv"), save(tmp_path, SCORES, "ratings.csv")
    forbid(monkeypatch, name)
    with pytest.raises(CatalogError, match=f"{name}: expected .* got 'Permission denied': check its permissions"):
        load_table(*paths)


@pytest.mark.parametrize("name", ["nothing.csv", "nothing.parquet"])
def test_missing_files_are_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(CatalogError, match=f"{name}: no such file"):
        load_table(tmp_path / name, SCORES)


def test_a_file_that_is_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "items.parquet").write_text("item,text\n")
    with pytest.raises(CatalogError, match=r"items.parquet: expected a Parquet file"):
        load_table(tmp_path / "items.parquet", SCORES)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"columns to rename .*got 'stars'"):
        load_table(ITEMS, SCORES, columns={"stars": "rating"})
    with pytest.raises(ConfigurationError, match="language to be one of"):
        load_table(ITEMS, SCORES, language="latin")  # type: ignore[arg-type]
    for columns in (["item"], "item", {"item": 3}, {"item": ""}):
        with pytest.raises(ConfigurationError, match=r"expected columns to map|expected the name of a column"):
            load_table(ITEMS, SCORES, columns=columns)  # type: ignore[arg-type]
    for few in (-1, 1.5, "2", None):
        with pytest.raises(ConfigurationError, match="expected min_ratings to be a whole number of 0 or more"):
            load_table(ITEMS, SCORES, min_ratings=few)  # type: ignore[arg-type]
    ranges: list[Any] = [(5, 1), (1, 1), (1, float("nan")), (0, float("inf"))]
    others: list[Any] = [5, "15", (1, 2, 3), ("1", "5"), (False, 5)]
    for scale in (*ranges, *others):
        with pytest.raises(ConfigurationError, match="scale to be the lowest and the highest"):
            load_table(ITEMS, SCORES, scale=scale)
