"""Your own catalog, from two tables: texts (one row per item) and ratings (one row per user and item).

A table is a CSV file, a Parquet file (needs pyarrow), or anything in memory whose columns are reached by name: a pandas
or polars DataFrame, a dict of lists.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast, get_args

import numpy as np

from eagle_gym import plot_english
from eagle_gym.catalog.catalog import Catalog, Item, Language, Ratings, Skipped, check_ratings
from eagle_gym.catalog.reading import existing, number, read_records, unique_key
from eagle_gym.errors import CatalogError, ConfigurationError, TextError

_MISSING = {"None", "nan", "NaT", "<NA>"}  # how the values that stand for "missing" print
COLUMNS = {"item": "item", "text": "text", "title": "title", "user": "user", "rating": "rating"}


class Columns(Protocol):
    """What is asked of a table in memory: its columns, by name."""

    def __getitem__(self, column: str, /) -> Iterable[Any]: ...


def load_table(
    texts: str | Path | Columns,
    ratings: str | Path | Columns,
    *,
    name: str = "table",
    columns: Mapping[str, str] | None = None,
    scale: tuple[float, float] | None = None,
    language: Language | None = None,
) -> Catalog:
    """Read a catalog of your own.

    Args:
        texts: Table with the columns `item` (unique), `text` and, if you like, `title`.
        ratings: Table with the columns `user`, `item` (of `texts`) and `rating`.
        name: Of the catalog, for people.
        columns: Your names of the columns, where they differ: ``{"item": "asin", "text": "description"}``.
        scale: Lowest and highest rating that can be given; by default those that were given.
        language: "plot_english" (every text must be), "free", or None: plot English if every text is.

    Raises:
        ConfigurationError: An unknown key in `columns`, an unknown `language`, a `scale` that is none, or Parquet
            without pyarrow.
        CatalogError: A file or column is missing, or a row is bad; the message names table, row and value.
    """
    names = _column_names(columns)
    if language is not None and language not in get_args(Language):
        raise ConfigurationError(f"language must be one of {get_args(Language)} or None; got {language!r}")
    if scale is not None and not -np.inf < scale[0] < scale[1] < np.inf:
        raise ConfigurationError(f"scale must be the lowest and the highest rating, two finite numbers; got {scale!r}")
    items, rows = _read_texts(texts, names)
    users, checked, bounds = _read_ratings(ratings, names, items, scale)
    rated = set(checked.item.tolist())
    unrated = [item.id for row, item in enumerate(items) if row not in rated]
    notes = Skipped.of(unrated, "items", "no ratings (kept)")
    if scale is None:
        given = f"the ratings that were given run from {bounds[0]:g} to {bounds[1]:g}"
        notes += (Skipped(1, "default", f"no scale was named; {given}"),)
    return Catalog(
        name=name,
        items=items,
        users=users,
        ratings=checked.sorted(),
        scale=bounds,
        language=_language(language, _label(texts, "texts"), items, rows),
        skipped=notes,
    )


def _column_names(columns: Mapping[str, str] | None) -> dict[str, str]:
    unknown = sorted(set(columns or ()) - set(COLUMNS))
    if unknown:
        raise ConfigurationError(f"columns may rename {', '.join(COLUMNS)}; got {', '.join(map(repr, unknown))}")
    return {**COLUMNS, **(columns or {})}


def _read_texts(table: str | Path | Columns, names: Mapping[str, str]) -> tuple[tuple[Item, ...], list[int]]:
    """The items, and the row that each stands in."""
    label = _label(table, "texts")
    titled = _has_column(table, names["title"])
    picked = [names["item"], names["text"], *([names["title"]] if titled else [])]
    seen: dict[str, int] = {}
    items: list[Item] = []
    for row, (item, text, *title) in _records(table, picked, label):
        seen[unique_key(seen, label, row, names["item"], item)] = row
        if not text.strip():
            raise CatalogError(f"{label}, row {row}: {names['text']} of item {item!r} is empty")
        items.append(Item(item, title[0] if title and title[0] else item, text))
    if not items:
        raise CatalogError(f"{label}: expected items; the table has none")
    return tuple(items), list(seen.values())


def _read_ratings(
    table: str | Path | Columns,
    names: Mapping[str, str],
    items: Sequence[Item],
    scale: tuple[float, float] | None,
) -> tuple[tuple[str, ...], Ratings, tuple[float, float]]:
    """Users, ratings in the order of the table, and the scale."""
    label = _label(table, "ratings")
    row_of = {item.id: index for index, item in enumerate(items)}
    rows: list[int] = []
    who: list[str] = []
    what: list[int] = []
    value: list[float] = []
    for row, (user, item, rating) in _records(table, [names["user"], names["item"], names["rating"]], label):
        if not user:
            raise CatalogError(f"{label}, row {row}: {names['user']} is empty")
        if item not in row_of:
            raise CatalogError(f"{label}, row {row}: {names['item']} {item!r} is not in the table of texts")
        rows.append(row)
        who.append(user)
        what.append(row_of[item])
        value.append(number(label, row, names["rating"], rating))
    if not rows:
        raise CatalogError(f"{label}: expected ratings; the table has none")
    bounds = (min(value), max(value)) if scale is None else scale
    if not bounds[0] < bounds[1]:
        raise CatalogError(
            f"{label}: expected ratings that differ; all are {bounds[0]:g}, which says nothing about taste"
        )
    users, user_rows = np.unique(np.array(who), return_inverse=True)
    ids = tuple(str(user) for user in users)
    checked = Ratings.of(user_rows, what, value)
    check_ratings(checked, ids, [item.id for item in items], bounds, lambda index: f"{label}, row {rows[index]}")
    return ids, checked, bounds


def _language(wanted: Language | None, label: str, items: Sequence[Item], rows: Sequence[int]) -> Language:
    if wanted == "free":
        return "free"
    for item, row in zip(items, rows, strict=True):
        try:
            plot_english.parse(item.text)
        except TextError as error:
            if wanted is None:
                return "free"
            raise CatalogError(
                f"{label}, row {row}: the text of item {item.id!r} is not plot English; {error}"
            ) from error
    return "plot_english"


def _records(table: str | Path | Columns, columns: Sequence[str], label: str) -> Iterable[tuple[int, list[str]]]:
    """Row number (the header is row 1) and fields as text, "" where a field is missing."""
    if isinstance(table, str | Path):
        path = Path(table)
        if path.suffix.lower() not in (".parquet", ".pq"):
            return read_records(path, columns)
        table = _read_parquet(path, columns)
    try:
        picked = [[_as_text(value) for value in table[column]] for column in columns]
    except KeyError as error:
        raise CatalogError(f"{label}: expected the columns {', '.join(columns)}; there is no {error}") from error
    if len({len(column) for column in picked}) > 1:
        raise CatalogError(f"{label}: expected columns of one length; got {', '.join(str(len(c)) for c in picked)}")
    return ((row, list(record)) for row, record in enumerate(zip(*picked, strict=True), start=2))


def _read_parquet(path: Path, columns: Sequence[str]) -> Columns:
    parquet = _pyarrow_parquet()
    existing(path, f"expected a Parquet file with the columns {', '.join(columns)}")
    schema = _schema(path)
    for column in columns:
        if column not in schema:
            raise CatalogError(f"{path}: expected a column {column!r}; it has {', '.join(schema)}")
    return cast(Columns, parquet.read_table(path, columns=list(columns)).to_pydict())


def _schema(path: Path) -> list[str]:
    try:
        return list(_pyarrow_parquet().read_schema(path).names)
    except ValueError as error:  # pyarrow's ArrowInvalid is one
        raise CatalogError(f"{path}: expected a Parquet file; {error}") from error


def _pyarrow_parquet() -> ModuleType:
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConfigurationError("reading Parquet needs pyarrow; install eagle_gym[benchmarks], or save CSV") from error


def _has_column(table: str | Path | Columns, column: str) -> bool:
    if not isinstance(table, str | Path):
        try:
            table[column]
        except KeyError:
            return False
        return True
    path = Path(table)
    existing(path, "expected a table of texts")
    if path.suffix.lower() in (".parquet", ".pq"):
        return column in _schema(path)
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return column in file.readline().strip().replace('"', "").split(",")


def _label(table: object, what: str) -> str:
    return str(table) if isinstance(table, str | Path) else what


def _as_text(value: object) -> str:
    """A field as a CSV file would hold it; whole floats without the point, so that ids match between tables."""
    if isinstance(value, str):
        return value
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return "" if str(value) in _MISSING else str(value)
