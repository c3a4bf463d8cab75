"""Your own catalog, from two tables: texts (one row per item) and ratings (one row per user and item).

A table is a CSV file, a Parquet file (needs pyarrow), or a table in memory: a pandas or polars DataFrame, a dict of
lists.
"""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast, get_args

import numpy as np

from eagle_gym import plot_english
from eagle_gym.catalog.catalog import Catalog, Item, Language, Ratings, Skipped, check_count, check_ratings
from eagle_gym.catalog.reading import existing, file_errors, number, read_header, read_records, unique_key
from eagle_gym.errors import CatalogError, ConfigurationError, TextError
from eagle_gym.progress import progress_bar

_MISSING = {"None", "nan", "NaT", "<NA>"}  # how the values that stand for "missing" print
_WHOLE_FLOAT = re.compile(r"[0-9]+\.0")
COLUMNS = {"item": "item", "text": "text", "title": "title", "user": "user", "rating": "rating"}


class Columns(Protocol):
    """A table in memory, whose columns are reached by name."""

    def __getitem__(self, column: str, /) -> Iterable[Any]: ...


Table = str | Path | Columns


def load_table(
    texts: Table,
    ratings: Table,
    *,
    name: str = "table",
    columns: Mapping[str, str] | None = None,
    scale: Sequence[float] | None = None,
    min_ratings: int = 0,
    language: Language | None = None,
    progress: bool = True,
) -> Catalog:
    """Read a catalog of your own.

    Ids of items and users that are written 123.0, as pandas writes whole numbers in a column with gaps, are read as 123
    where every id of the column is written so.

    Args:
        texts: Table with the columns `item` (unique), `text` and, if you like, `title`.
        ratings: Table with the columns `user`, `item` (of `texts`) and `rating`.
        name: Name of the catalog, for people.
        columns: Your names of the columns, where they differ: `{"item": "asin", "text": "description"}`.
        scale: Lowest and highest rating that can be given; by default the lowest and highest that were given.
        min_ratings: Items with fewer ratings are left out, with their ratings.
        language: "plot_english" (every text must be), "free", or None: plot English if every text is.
        progress: Whether to show a bar, on a terminal, where reading ratings takes more than two seconds.

    Returns:
        A catalog whose `skipped` says what was left out.

    Raises:
        ConfigurationError: An unknown key in `columns` or a name that is not text, an unknown `language`, a `scale`
            that is not two finite numbers in ascending order, a `min_ratings` that is not a whole number of 0 or more,
            or Parquet without pyarrow.
        CatalogError: A file or column is missing or cannot be read, or a row is bad; the message names table, row and
            value.
    """
    names = _column_names(columns)
    if language is not None and language not in get_args(Language):
        raise ConfigurationError(f"expected language to be one of {get_args(Language)} or None, got {language!r}")
    check_count("min_ratings", min_ratings, 0)
    bounds = None if scale is None else _bounds(scale)
    with file_errors(_label(texts, "texts")):
        items, rows = _read_texts(texts, names)
    with file_errors(_label(ratings, "ratings")):
        rated = _read_ratings(ratings, names, items, bounds, progress)
    notes: tuple[Skipped, ...] = ()
    if bounds is None:
        given = f"the ratings that were given run from {rated.scale[0]:g} to {rated.scale[1]:g}"
        notes += (Skipped(1, "default", f"no scale was named; {given}"),)
    spoken = _language(language, _label(texts, "texts"), items, rows)
    items, rated, left_out = _often_rated(items, rated, min_ratings)
    unrated = np.setdiff1d(np.arange(len(items)), rated.ratings.item)
    unrated_ids = [items[row].id for row in unrated]
    return Catalog(
        name=name,
        items=items,
        users=rated.users,
        ratings=rated.ratings.sorted(),
        scale=rated.scale,
        language=spoken,
        skipped=(*left_out, *Skipped.of(unrated_ids, "items", "no ratings (kept)"), *notes),
    )


@dataclass(frozen=True)
class _Rated:
    """What a table of ratings holds: users, ratings in the order of the table, and the scale."""

    users: tuple[str, ...]
    ratings: Ratings
    scale: tuple[float, float]


def _column_names(columns: Mapping[str, str] | None) -> dict[str, str]:
    if columns is None:
        return COLUMNS
    if not isinstance(columns, Mapping):
        raise ConfigurationError(f"expected columns to map {', '.join(COLUMNS)} to your names of them, got {columns!r}")
    unknown = sorted(map(str, set(columns) - set(COLUMNS)))
    if unknown:
        known, got = ", ".join(COLUMNS), ", ".join(map(repr, unknown))
        raise ConfigurationError(f"expected columns to rename {known}, got {got}")
    for key, name in columns.items():
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"expected the name of a column as columns[{key!r}], got {name!r}")
    return {**COLUMNS, **columns}


def _bounds(scale: object) -> tuple[float, float]:
    """A scale as two floats; a list, as JSON has it, will do."""
    given = list(scale) if isinstance(scale, list | tuple | np.ndarray) else []
    numbers = all(isinstance(bound, int | float | np.number) and not isinstance(bound, bool) for bound in given)
    if len(given) == 2 and numbers and -math.inf < given[0] < given[1] < math.inf:
        return float(given[0]), float(given[1])
    raise ConfigurationError(f"expected scale to be the lowest and the highest rating, two numbers, got {scale!r}")


def _read_texts(table: Table, names: Mapping[str, str]) -> tuple[tuple[Item, ...], list[int]]:
    """The items, and the row that each stands in."""
    label = _label(table, "texts")
    titled = _has_column(table, names["title"])
    picked = [names["item"], names["text"], *([names["title"]] if titled else [])]
    records = list(_records(table, picked, label))
    ids = _plain_ids([item for _, (item, *_) in records])
    seen: dict[str, int] = {}
    items: list[Item] = []
    for item, (row, (_, text, *title)) in zip(ids, records, strict=True):
        seen[unique_key(seen, label, row, names["item"], item)] = row
        if not text.strip():
            raise CatalogError(f"{label}, row {row}: {names['text']} of item {item!r} is empty")
        items.append(Item(item, title[0] if title and title[0] else item, text))
    if not items:
        raise CatalogError(f"{label}: expected items; the table has none")
    return tuple(items), list(seen.values())


def _read_ratings(
    table: Table,
    names: Mapping[str, str],
    items: Sequence[Item],
    scale: tuple[float, float] | None,
    progress: bool,
) -> _Rated:
    label = _label(table, "ratings")
    rows: list[int] = []
    who: list[str] = []
    what: list[str] = []
    value: list[float] = []
    records = _records(table, [names["user"], names["item"], names["rating"]], label)
    for row, (user, item, rating) in progress_bar(records, show=progress, desc="ratings", unit="row"):
        if not user:
            raise CatalogError(f"{label}, row {row}: {names['user']} is empty")
        rows.append(row)
        who.append(user)
        what.append(item)
        value.append(number(label, row, names["rating"], rating))
    if not rows:
        raise CatalogError(f"{label}: expected ratings; the table has none")
    row_of = {item.id: index for index, item in enumerate(items)}
    rated = [row_of.get(item, -1) for item in _plain_ids(what)]
    if -1 in rated:
        first = rated.index(-1)
        raise CatalogError(
            f"{label}, row {rows[first]}: {names['item']} {what[first]!r} is not in the table of texts"
        )
    bounds = (min(value), max(value)) if scale is None else scale
    if not bounds[0] < bounds[1]:
        raise CatalogError(
            f"{label}: expected ratings that differ; all are {bounds[0]:g}, which says nothing about taste"
        )
    users, user_rows = np.unique(np.array(_plain_ids(who)), return_inverse=True)
    ids = tuple(str(user) for user in users)
    checked = Ratings.of(user_rows, rated, value)
    check_ratings(checked, ids, [item.id for item in items], bounds, lambda index: f"{label}, row {rows[index]}")
    return _Rated(ids, checked, bounds)


def _plain_ids(ids: list[str]) -> list[str]:
    """The ids; without ".0" where every one ends so, as pandas writes the whole numbers of a column with gaps."""
    if all(_WHOLE_FLOAT.fullmatch(id) for id in ids):
        return [id.removesuffix(".0") for id in ids]
    return ids


def _often_rated(
    items: tuple[Item, ...], rated: _Rated, min_ratings: int
) -> tuple[tuple[Item, ...], _Rated, tuple[Skipped, ...]]:
    """Items with enough ratings, their ratings, the users who gave them, and notes about the others."""
    ratings = rated.ratings
    enough = np.bincount(ratings.item, minlength=len(items)) >= min_ratings
    if enough.all():
        return items, rated, ()
    kept = enough[ratings.item]
    notes = Skipped.of(
        [item.id for item, stays in zip(items, enough, strict=True) if not stays],
        "items left out",
        f"fewer than {min_ratings} ratings",
    )
    if not kept.any():
        raise CatalogError(f"no rated item is left; left out: {notes[0]}")
    if not kept.all():
        notes += (Skipped(int((~kept).sum()), "ratings left out", "their items were left out"),)
    users, user_rows = np.unique(ratings.user[kept], return_inverse=True)
    lost = np.setdiff1d(ratings.user, users)
    notes += Skipped.of([rated.users[row] for row in lost], "users left out", "rated only items that were left out")
    places = np.cumsum(enough) - 1
    fewer = Ratings.of(user_rows, places[ratings.item[kept]], ratings.value[kept])
    left = tuple(item for item, stays in zip(items, enough, strict=True) if stays)
    return left, _Rated(tuple(rated.users[row] for row in users), fewer, rated.scale), notes


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


def _records(table: Table, columns: Sequence[str], label: str) -> Iterable[tuple[int, list[str]]]:
    """Row number (the header is row 1) and fields as text, "" where a field is missing."""
    if isinstance(table, str | Path):
        path = Path(table)
        if path.suffix.lower() not in (".parquet", ".pq"):
            return read_records(path, columns)
        table = _read_parquet(path, columns)
    picked = [_column(table, column, columns, label) for column in columns]
    if len({len(column) for column in picked}) > 1:
        raise CatalogError(f"{label}: expected columns of one length, got {', '.join(str(len(c)) for c in picked)}")
    return ((row, list(record)) for row, record in enumerate(zip(*picked, strict=True), start=2))


def _column(table: Columns, column: str, columns: Sequence[str], label: str) -> list[str]:
    """A column of a table in memory, as text.

    Raises:
        CatalogError: There is no such column, or several of its name.
    """
    if not _has_column(table, column):
        raise CatalogError(f"{label}: expected the columns {', '.join(columns)}; there is no {column!r}")
    values = table[column]
    if getattr(values, "ndim", 1) != 1:  # pandas answers with a frame
        raise CatalogError(f"{label}: expected one column {column!r}, got several: rename the others")
    return [_as_text(value) for value in values]


def _read_parquet(path: Path, columns: Sequence[str]) -> Columns:
    parquet = _pyarrow_parquet()
    existing(path, f"expected a Parquet file with the columns {', '.join(columns)}")
    schema = _schema(path)
    for column in columns:
        if column not in schema:
            raise CatalogError(f"{path}: expected a column {column!r}; it has {', '.join(schema)}")
        if schema.count(column) > 1:
            raise CatalogError(f"{path}: expected one column {column!r}, got several: rename the others")
    try:
        return cast(Columns, parquet.read_table(path, columns=list(columns)).to_pydict())
    except ValueError as error:
        raise CatalogError(f"{path}: expected a Parquet file; {error}") from error


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


def _has_column(table: Table, column: str) -> bool:
    if not isinstance(table, str | Path):
        return column in (table if isinstance(table, Mapping) else cast(Any, table).columns)
    path = Path(table)
    existing(path, "expected a table of texts")
    if path.suffix.lower() in (".parquet", ".pq"):
        return column in _schema(path)
    return column in read_header(path)


def _label(table: object, what: str) -> str:
    return str(table) if isinstance(table, str | Path) else what


def _as_text(value: object) -> str:
    """A field as a CSV file would hold it. Whole floats lose the point, so that ids match between tables."""
    if isinstance(value, str):
        return value
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return "" if str(value) in _MISSING else str(value)
