"""Reading and writing files: JSON objects, and records in parquet tables."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from baselines.evaluate import EpisodeRow
from eagle_gym.errors import PreparationError

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "benchmarks" / "reference"  # committed runs


def write_rows(rows: Iterable[EpisodeRow], path: Path) -> None:
    """Write episodes to a parquet file."""
    write_table([asdict(row) for row in rows], path, schema())


def write_table(rows: Sequence[Mapping[str, Any]], path: Path, columns: Any = None) -> None:  # noqa: ANN401 - a pyarrow schema
    """Write rows to a parquet file; columns are inferred unless they are given."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(list(rows), schema=columns)
    replace(path, lambda temporary: pq.write_table(table, temporary, compression="zstd", compression_level=19))


def read_rows(path: Path) -> list[EpisodeRow]:
    """Read the episodes of a parquet file.

    Raises:
        PreparationError: As `read_table`.
    """
    return [EpisodeRow(**row) for row in read_table(path, EpisodeRow)]


def read_table(path: Path, record: Any, *before: str) -> list[dict[str, Any]]:  # noqa: ANN401 - a dataclass
    """Read the rows of a parquet file of records, lists as tuples.

    Args:
        path: The file.
        record: Dataclass whose fields are the columns.
        before: Further columns in front of them.

    Raises:
        PreparationError: The file is missing, broken or has different columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [*before, *(item.name for item in fields(record))]
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise PreparationError(f"{path} cannot be read ({error}); run the experiment again") from error
    if table.column_names != columns:
        raise PreparationError(f"{path} should have the columns {columns}, got {table.column_names}")
    return [{name: frozen(value) for name, value in row.items()} for row in table.to_pylist()]


def frozen(value: Any) -> Any:  # noqa: ANN401 - a value of a table
    """A value of a table, lists as tuples."""
    return tuple(frozen(item) for item in value) if isinstance(value, list) else value


def schema(record: Any = EpisodeRow, *, packed: bool = False) -> Any:  # noqa: ANN401 - pyarrow has no types of its own
    """Columns of a parquet file of records. Packed: floats of 32 bits, and the environment as first column."""
    import pyarrow as pa

    real = pa.float32() if packed else pa.float64()
    kinds = {
        "str": pa.string(),
        "int": pa.int64(),
        "float": real,
        "bool": pa.bool_(),
        "tuple[float, ...]": pa.list_(real),
        "tuple[str, ...]": pa.list_(pa.string()),
        "tuple[tuple[float, ...], ...]": pa.list_(pa.list_(real)),
    }
    before = [("environment", pa.string())] if packed else []
    return pa.schema([*before, *((item.name, kinds[str(item.type)]) for item in fields(record))])


def write_json(value: Mapping[str, Any], path: Path, *, compact: bool = False) -> None:
    """Write a JSON object; compact: on one line, without spaces."""
    form: dict[str, Any] = {"separators": (",", ":")} if compact else {"indent": 1}
    replace(path, lambda temporary: temporary.write_text(json.dumps(value, ensure_ascii=False, **form) + "\n"))


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write a temporary file and move it into place, so that no half-written file is ever seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    write(temporary)
    temporary.replace(path)


def read_json(path: Path, kind: type = dict) -> Any:  # noqa: ANN401 - a JSON value
    """Read a JSON object, or a list with `kind=list`.

    Raises:
        PreparationError: The file is missing or broken.
    """
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise PreparationError(f"{path} cannot be read ({error}); run the experiment again") from error
    if not isinstance(value, kind):
        raise PreparationError(f"{path} should hold a JSON object, got a {type(value).__name__}: run it again")
    return value
