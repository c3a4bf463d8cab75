"""Text files and arrays, read strictly: every complaint names the file, the row and the value.

Rows are counted as an editor numbers lines: the first line is row 1, and blank lines count. A record that spans several
lines has the number of its first line.
"""

from __future__ import annotations

import csv
import gzip
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from eagle_gym.errors import CatalogError
from eagle_gym.progress import progress_bar

# What separates the fields of files without a header, by suffix: ml-1m and ml-10m, then ml-100k.
DELIMITERS = {".dat": "::", ".data": "\t", ".item": "|", ".user": "|"}
# How files begin that are no text in UTF-8, and what to do about each.
SIGNATURES = {
    b"\x1f\x8b": "it is a gzip archive: unpack it",
    b"PK\x03\x04": "it is a zip archive or a spreadsheet: unpack it, or export it as CSV",
    b"PAR1": "it is a Parquet file: name it .parquet",
    b"\xff\xfe": "it is UTF-16: save it as UTF-8",
    b"\xfe\xff": "it is UTF-16: save it as UTF-8",
}
SAVE = "save the file as UTF-8"
BLOCK = 1 << 20  # characters that are read at a time


@contextmanager
def file_errors(path: str | Path) -> Iterator[None]:
    """Turn the file system's errors, such as missing permissions, into typed ones.

    Args:
        path: The file or folder that is read, for errors that name none.

    Raises:
        CatalogError: Something could not be read.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise CatalogError(
            f"{error.filename or path}: expected something that can be read, got {reason!r}: check its permissions"
        ) from error


def present(path: Path) -> bool:
    """Whether there is a file of this name.

    Raises:
        CatalogError: There is, and it is a folder.
    """
    if path.is_dir():
        raise CatalogError(f"{path}: expected a file, got a folder: move the file that it holds into its place")
    return path.is_file()


def existing(path: Path, need: str) -> Path:
    """The path itself.

    Raises:
        CatalogError: There is no such file, or it is a folder; `need` says what it is for.
    """
    if not present(path):
        raise CatalogError(f"{path}: no such file; {need}")
    return path


def existing_folder(path: Path, need: str) -> Path:
    """The path itself.

    Raises:
        CatalogError: There is no such folder, or it is a file; `need` says what it is for.
    """
    if path.is_dir():
        return path
    if path.exists():
        raise CatalogError(f"{path}: expected a folder, got a file: unpack it, or name its folder; {need}")
    raise CatalogError(f"{path}: no such folder; {need}")


def read_lines(path: Path, what: str, encoding: str = "utf-8-sig") -> Iterator[str]:
    """The lines of a text file, plain or gzipped (`.gz`), with their ends and without a byte order mark.

    Args:
        path: The file.
        what: What the lines are expected to be, for messages.
        encoding: UTF-8 by default.

    Raises:
        CatalogError: Bytes that are no text, or a broken archive; the message names the row.
    """
    row = 0
    try:
        with _open(path, encoding) as file:
            for line in file:
                row += 1
                if not line.isascii():
                    _check_decoded(path, row, line, what)
                yield line
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        place = f"{path}, row {row + 1}"
        raise CatalogError(f"{place}: expected {what} in UTF-8, got a broken archive: {error}") from error


def read_records(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """The named columns of a CSV file with a header (UTF-8), or of a file without one (see `DELIMITERS`).

    Args:
        path: The file. One without a header is UTF-8 where all of it is, else ISO-8859-1, as ml-1m is.
        columns: Names in the header; for a file without one, the names of all its fields, in order.

    Yields:
        The row's number and its fields, in the order of `columns`.

    Raises:
        CatalogError: No such file; a column is missing or stands twice; a row has too few or too many fields; or the
            bytes are not text.
    """
    return _read_plain(path, columns) if path.suffix in DELIMITERS else _read_csv(path, columns)


def read_header(path: Path) -> list[str]:
    """The names of a CSV file's columns (UTF-8).

    Raises:
        CatalogError: The first row is not CSV.
    """
    return next(_rows(path))[1]


def read_numbers(path: Path, columns: Sequence[str], *, progress: bool = False) -> NDArray[np.float64]:
    """The named columns of a file that holds only numbers, [rows, columns]; for files of millions of rows.

    Args:
        path: The file, as in `read_records`.
        columns: The columns, as in `read_records`.
        progress: Whether to show a bar where reading takes long.

    Raises:
        CatalogError: As `read_records`; or a field is not a finite number.
    """
    try:
        table, fields = _load_numbers(path, columns, progress)
    except CatalogError:
        raise
    except (ValueError, csv.Error):  # UnicodeDecodeError is a ValueError
        # Something is not a number, or a row is broken. The slow reader finds the place and names it. Where the fault
        # is in a column that nobody asked for, the slow reader succeeds.
        records = progress_bar(read_records(path, columns), show=progress, desc=path.name, unit="row", unit_scale=True)
        rows = [[number(path, row, *pair) for pair in zip(columns, record, strict=True)] for row, record in records]
        return np.array(rows).reshape(-1, len(columns))
    picked = table[:, [fields.index(column) for column in columns]]
    bad = np.argwhere(~np.isfinite(picked))
    if bad.size:
        row, column = bad[0]
        where = row_number(path, columns, row)
        raise CatalogError(f"{path}, row {where}: {columns[column]} is {picked[row, column]}, not a number")
    return picked


def number(path: Path | str, row: int, column: str, value: str) -> float:
    """The number that a field holds, written in ASCII with a decimal point.

    Raises:
        CatalogError: The field holds no number, or not a finite one.
    """
    try:
        result = float(value) if value.isascii() and "_" not in value else float("nan")
    except ValueError:
        result = float("nan")
    if not np.isfinite(result):
        cure = ": write decimals with a point" if "," in value else ""
        raise CatalogError(f"{path}, row {row}: expected a number as {column}, got {value[:40]!r}{cure}")
    return result


def row_number(path: Path, columns: Sequence[str], index: int) -> int:
    """Row of the record with this 0-based index. It reads the file again, so it is for messages only."""
    return next(islice(read_records(path, columns), int(index), None))[0]


def unique_key(seen: Mapping[str, int], path: Path | str, row: int, column: str, value: str) -> str:
    """The key itself.

    Args:
        seen: The row of each key so far.
        path: The file or table, for messages.
        row: The key's row, for messages.
        column: The key's column, for messages.
        value: The key.

    Raises:
        CatalogError: The key is empty or was seen before.
    """
    if not value:
        raise CatalogError(f"{path}, row {row}: {column} is empty")
    if value in seen:
        raise CatalogError(f"{path}, row {row}: {column} {value!r} stands in row {seen[value]} already")
    return value


def _open(path: Path, encoding: str) -> IO[str]:
    """A text file whose undecodable bytes become lone surrogates, so that their row can be named."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding=encoding, errors="surrogateescape", newline="")
    newline = "\n" if path.suffix in DELIMITERS else ""  # a title without quotes may hold a carriage return
    return path.open(encoding=encoding, errors="surrogateescape", newline=newline)


def _check_decoded(path: Path, row: int, line: str, what: str) -> None:
    try:
        line.encode()
    except UnicodeEncodeError as error:
        byte = ord(line[error.start]) - 0xDC00
        raise CatalogError(
            f"{path}, row {row}: expected {what} in UTF-8, got the byte 0x{byte:02x} at character {error.start + 1}: "
            f"{_cure(path) if row == 1 else SAVE}"
        ) from None


def _cure(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    return next((cure for signature, cure in SIGNATURES.items() if start.startswith(signature)), SAVE)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Row number and fields of each record of a CSV file, blank lines left out; the header first, [] where absent."""
    reader = csv.reader(read_lines(path, "CSV"), strict=True)
    row, empty = 1, True
    try:
        for record in reader:
            if len(record) > 1 or any(field.strip() for field in record):
                empty = False
                yield row, record
            row = reader.line_num + 1
    except csv.Error as error:
        raise CatalogError(f"{path}, row {row}: expected CSV in UTF-8; {error}") from error
    if empty:
        yield 1, []


def _read_csv(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    existing(path, f"expected a CSV file with the columns {', '.join(columns)}")
    rows = _rows(path)
    first, header = next(rows)
    picks = [_column(path, first, header, column) for column in columns]
    for row, record in rows:
        if len(record) != len(header):
            raise CatalogError(f"{path}, row {row}: expected {len(header)} fields, got {len(record)}: {record!r:.200}")
        yield row, [record[pick] for pick in picks]


def _read_plain(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    delimiter = DELIMITERS[path.suffix]
    existing(path, f"expected a file of fields separated by {delimiter!r}")
    for row, line in enumerate(read_lines(path, "text", _encoding(path)), start=1):
        if not line.strip():
            continue
        line = line.rstrip("\r\n")
        record = line.split(delimiter)
        if len(record) != len(columns):
            raise CatalogError(f"{path}, row {row}: expected {delimiter.join(columns)}, got {line!r:.200}")
        yield row, record


def _encoding(path: Path) -> str:
    """UTF-8 where the whole file is, else ISO-8859-1.

    Raises:
        CatalogError: Some lines are written in one encoding and some in the other.
    """
    rows: tuple[list[int], list[int]] = ([], [])  # of lines beyond ASCII: those in ISO-8859-1, those in UTF-8
    with path.open("rb") as file:
        for row, line in enumerate(file, start=1):
            if not line.isascii():
                rows[_is_utf_8(line)].append(row)
    if all(rows):
        odd, others = sorted(rows, key=len)
        names = ("ISO-8859-1", "UTF-8") if odd is rows[0] else ("UTF-8", "ISO-8859-1")
        raise CatalogError(
            f"{path}, row {odd[0]}: expected one encoding in the whole file, got {names[0]} here and {names[1]} in row "
            f"{others[0]}: {SAVE}"
        )
    return "iso-8859-1" if rows[0] else "utf-8-sig"


def _is_utf_8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _load_numbers(path: Path, columns: Sequence[str], progress: bool) -> tuple[NDArray[np.float64], list[str]]:
    """All columns of a file of numbers, and their names.

    Raises:
        ValueError: The file is not simple enough for the quick way.
    """
    existing(path, f"expected a file with the columns {', '.join(columns)}")
    delimiter = DELIMITERS.get(path.suffix)
    encoding = _encoding(path) if delimiter else "utf-8-sig"
    size = path.stat().st_size  # numbers are ASCII: a character is a byte
    with (
        path.open(encoding=encoding, newline="\n" if delimiter else "") as file,
        progress_bar(show=progress, desc=path.name, unit="B", unit_scale=True, total=size) as bar,
    ):
        header = list(columns) if delimiter else _header_of_numbers(path, file, columns)
        table = _loadtxt(chain.from_iterable(_blocks(file, delimiter, bar)))
    if table.size == 0:
        return np.empty((0, len(header))), header
    if table.shape[1] != len(header):
        raise ValueError("the rows are longer or shorter than the header")
    return table, header


def _header_of_numbers(path: Path, file: IO[str], columns: Sequence[str]) -> list[str]:
    """The header, which is the first line that is not blank; the file is left behind it."""
    row, header = 0, list[str]()
    for line in iter(file.readline, ""):
        row += 1
        header = next(csv.reader([line.strip()], strict=True), [])
        if header:
            break
    for column in columns:
        _column(path, max(row, 1), header, column)
    return header


def _blocks(file: IO[str], delimiter: str | None, bar: tqdm[Any]) -> Iterator[list[str]]:
    """The lines of a file, many at a time, with commas between their fields.

    Raises:
        ValueError: A line without a header has a comma already.
    """
    while block := file.readlines(BLOCK):
        bar.update(BLOCK)
        if delimiter:
            if any("," in line for line in block):
                raise ValueError("a comma in a file without commas")
            block = [line.replace(delimiter, ",") for line in block]
        yield block


def _loadtxt(lines: Iterable[str]) -> NDArray[np.float64]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*input contained no data")  # whoever needs rows says so
        return np.loadtxt(lines, delimiter=",", comments=None, ndmin=2)


def _column(path: Path, row: int, header: Sequence[str], column: str) -> int:
    """Place of a column in the header.

    Raises:
        CatalogError: The header lacks the column, or has it twice.
    """
    count = header.count(column)
    if count == 1:
        return header.index(column)
    place, shown = f"{path}, row {row}", f"the header is {','.join(header)!r:.200}"
    if count:
        raise CatalogError(f"{place}: expected one column {column!r}, got {count}: rename the others; {shown}")
    cure = ": separate the columns by commas" if len(header) == 1 and set(";\t") & set(header[0]) else ""
    raise CatalogError(f"{place}: expected a column {column!r}; {shown}{cure}")
