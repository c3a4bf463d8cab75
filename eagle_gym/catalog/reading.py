"""Delimited files, read strictly: every complaint names the file, the row and the value.

Rows are counted as a spreadsheet shows them: the header, where there is one, is row 1. Blank lines are not rows.
"""

from __future__ import annotations

import csv
import io
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eagle_gym.errors import CatalogError

DAT = "::"  # what separates the fields of ml-1m and ml-10m


def existing(path: Path, need: str) -> Path:
    """The path itself.

    Raises:
        CatalogError: There is no such file; `need` says what it is for.
    """
    if not path.is_file():
        raise CatalogError(f"{path}: no such file; {need}")
    return path


def read_records(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """The named columns of a CSV file with a header (UTF-8), or of a headerless `.dat` file (`::`).

    Args:
        path: The file. A `.dat` file is UTF-8 where it can be, else ISO-8859-1, as ml-1m is.
        columns: Names in the header; for a `.dat` file, the names of its fields in order.

    Yields:
        The row's number and its fields, in the order of `columns`.

    Raises:
        CatalogError: No such file, a column is missing, a row has too few or too many
            fields, or the bytes are not text.
    """
    return _read_dat(path, columns) if path.suffix == ".dat" else _read_csv(path, columns)


def read_header(path: Path) -> list[str]:
    """The names of a CSV file's columns (UTF-8).

    Raises:
        CatalogError: The file's first row is no CSV.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            return next(csv.reader(file, strict=True), [])
        except (csv.Error, UnicodeDecodeError) as error:
            raise CatalogError(f"{path}, row 1: expected CSV in UTF-8; {error}") from error


def read_numbers(path: Path, columns: Sequence[str]) -> NDArray[np.float64]:
    """The named columns of a file that holds nothing but numbers, [rows, columns]; for files of millions of rows.

    Raises:
        CatalogError: As `read_records`; or a field is not a finite number.
    """
    try:
        table, fields = _load_numbers(path, columns)
    except (ValueError, UnicodeDecodeError):
        # Something is not a number, or a row is broken. The slow reader finds out where, and says so; where the fault
        # is in a column that nobody asked for, it succeeds.
        records = read_records(path, columns)
        return np.array(
            [[number(path, row, *pair) for pair in zip(columns, record, strict=True)] for row, record in records]
        )
    picked = table[:, [fields.index(column) for column in columns]]
    bad = np.argwhere(~np.isfinite(picked))
    if bad.size:
        row, column = bad[0]
        raise CatalogError(
            f"{path}, row {row_number(path, row)}: {columns[column]} is {picked[row, column]}, not a number"
        )
    return picked


def number(path: Path | str, row: int, column: str, value: str) -> float:
    """The number that a field holds.

    Raises:
        CatalogError: It holds none, or not a finite one.
    """
    try:
        result = float(value)
    except ValueError:
        result = float("nan")
    if not np.isfinite(result):
        raise CatalogError(f"{path}, row {row}: expected a number as {column}; got {value!r}")
    return result


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an npz file.

    Raises:
        ValueError: The file is missing or broken.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, EOFError, AttributeError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: expected a readable npz file; {error!r}") from error


def row_number(path: Path, index: int) -> int:
    """Number, for people, of the record with this 0-based index."""
    return int(index) + (1 if path.suffix == ".dat" else 2)


def unique_key(seen: Mapping[str, int], path: Path | str, row: int, column: str, value: str) -> str:
    """The key itself.

    Raises:
        CatalogError: It is empty, or stands in `seen` (key to row) already.
    """
    if not value:
        raise CatalogError(f"{path}, row {row}: {column} is empty")
    if value in seen:
        raise CatalogError(f"{path}, row {row}: {column} {value!r} stands in row {seen[value]} already")
    return value


def _read_csv(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    existing(path, f"expected a CSV file with the columns {', '.join(columns)}")
    row = 1
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, [])
            picks = [_column(path, header, column) for column in columns]
            for record in reader:
                if not record:
                    continue
                row += 1
                if len(record) != len(header):
                    raise CatalogError(
                        f"{path}, row {row}: expected {len(header)} fields; got {len(record)}: {record!r:.200}"
                    )
                yield row, [record[pick] for pick in picks]
        except (csv.Error, UnicodeDecodeError) as error:
            raise CatalogError(f"{path}, row {row + 1}: expected CSV in UTF-8; {error}") from error


def _read_dat(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    for row, line in enumerate(_dat_lines(path), start=1):
        record = line.split(DAT)
        if len(record) != len(columns):
            raise CatalogError(f"{path}, row {row}: expected {DAT.join(columns)}; got {line!r:.200}")
        yield row, record


def _dat_lines(path: Path) -> Iterator[str]:
    existing(path, "expected a file of fields separated by '::'")
    content = path.read_bytes()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("iso-8859-1")
    # not splitlines(): it also breaks at control characters that a title may hold
    return (line.removesuffix("\r") for line in text.split("\n") if line.strip())


def _load_numbers(path: Path, columns: Sequence[str]) -> tuple[NDArray[np.float64], list[str]]:
    """All columns of a file of numbers, and their names."""
    if path.suffix == ".dat":
        lines = (line.replace(DAT, ",") for line in _dat_lines(path))
        table = _loadtxt(lines)
        if table.shape[1] != len(columns):
            raise ValueError
        return table, list(columns)
    with existing(path, f"expected a CSV file with the columns {', '.join(columns)}").open(
        encoding="utf-8-sig", newline=""
    ) as file:
        header = next(csv.reader([file.readline()]), [])
        for column in columns:
            _column(path, header, column)
        table = _loadtxt(file)
    if table.size == 0:
        return np.empty((0, len(header))), header
    if table.shape[1] != len(header):
        raise ValueError
    return table, header


def _loadtxt(lines: Iterable[str]) -> NDArray[np.float64]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*input contained no data")  # whoever needs rows says so
        return np.loadtxt(lines, delimiter=",", comments=None, ndmin=2)


def _column(path: Path, header: Sequence[str], column: str) -> int:
    if column not in header:
        raise CatalogError(f"{path}, row 1: expected a column {column!r}; the header is {','.join(header)!r:.200}")
    return header.index(column)
