"""What an experiment leaves on disk: episodes as parquet, and a ``run.json`` that says how they came about."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from baselines.evaluate import EpisodeRow
from eagle_gym.errors import PreparationError

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "benchmarks" / "reference"  # runs that are committed
PACKAGES = (
    *("eagle_gym", "gymnasium", "stable_baselines3", "torch", "transformers"),
    *("numpy", "scipy", "cvxpy", "pandas", "pyarrow"),
)


def write_rows(rows: Iterable[EpisodeRow], path: Path) -> None:
    """Write episodes to a parquet file, replaced in one move."""
    write_table([asdict(row) for row in rows], path, schema())


def write_table(rows: Sequence[Mapping[str, Any]], path: Path, columns: Any = None) -> None:  # noqa: ANN401 - a pyarrow schema
    """Write rows to a parquet file, replaced in one move; columns are inferred where they are not given."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(list(rows), schema=columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(table, beside, compression="zstd")
    beside.replace(path)


def read_rows(path: Path) -> list[EpisodeRow]:
    """Read the episodes of a parquet file.

    Raises:
        PreparationError: The file is missing, broken or has other columns.
    """
    return [EpisodeRow(**row) for row in read_table(path, [item.name for item in fields(EpisodeRow)])]


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Read the rows of a parquet file, lists as tuples.

    Raises:
        PreparationError: The file is missing, broken or has other columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise PreparationError(f"{path} cannot be read ({error}); run the experiment again") from error
    if table.column_names != list(columns):
        raise PreparationError(f"{path} should have the columns {list(columns)}; it has {table.column_names}")
    return [{name: frozen(value) for name, value in row.items()} for row in table.to_pylist()]


def frozen(value: Any) -> Any:  # noqa: ANN401 - a cell of a table
    """A cell of a table, lists as tuples."""
    return tuple(frozen(item) for item in value) if isinstance(value, list) else value


def schema(record: Any = EpisodeRow, *, packed: bool = False) -> Any:  # noqa: ANN401 - pyarrow has no types of its own
    """Columns of a parquet file of records; in a packed one floats are short, and an environment stands before them."""
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


def write_json(value: Mapping[str, Any], path: Path) -> None:
    """Write JSON, replaced in one move."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
    beside.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        PreparationError: The file is missing or broken.
    """
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise PreparationError(f"{path} cannot be read ({error}); run the experiment again") from error
    if not isinstance(value, dict):
        raise PreparationError(f"{path} should hold a JSON object; run the experiment again")
    return value


def circumstances() -> dict[str, Any]:
    """Versions, code and machine behind a run."""
    return {
        "versions": {"python": platform.python_version()} | {name: package_version(name) for name in PACKAGES},
        "commit": commit(),
        "command": " ".join(Path(part).name if i == 0 else part for i, part in enumerate(sys.argv)),
        "machine": {"system": platform.platform(), "processor": processor(), "cores": os.cpu_count()},
    }


def package_version(name: str) -> str | None:
    """Version of an installed package, None where it is absent."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def shortened(commit: object) -> str:
    """A commit for people, with its ``+`` where it has one."""
    return f"{str(commit)[:10]}{'+' if str(commit).endswith('+') else ''}"


def commit() -> str | None:
    """The checkout's commit, with ``+`` where tracked files differ from it; None outside a checkout."""
    head, changed = git("rev-parse", "HEAD"), git("status", "--porcelain", "--untracked-files=no")
    return head and head + ("+" if changed else "")


def git(*arguments: str) -> str | None:
    """What git answers, None where it cannot."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def processor() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names: Sequence[str] = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def hashes(envs: Any) -> dict[str, str]:  # noqa: ANN401 - any vector environment
    """Fingerprints of what an environment is made of: catalog, split, latent space, language model, effects."""
    world = getattr(envs.unwrapped, "world", None)
    if world is None:
        return {}
    return {
        "catalog": world.catalog.hash,
        "split": world.resources.split.hash,
        "space": world.space.fingerprint,
        "model": world.model.fingerprint,
        "effects": hash_of_effects(world.resources.action_sets.effects),
    }


def hash_of_effects(effects: Any) -> str:  # noqa: ANN401 - any of eagle_gym.actions.effects.Effects
    """Hash of a surrogate's arrays; a rollout is what model and settings make it, so its name is enough."""
    kind = type(effects).__name__
    arrays = getattr(getattr(effects, "model", None), "arrays", None)
    if arrays is None:
        return kind
    digest = hashlib.sha256(kind.encode())
    for name, array in sorted(arrays().items()):
        digest.update(f"{name} {array.shape}".encode() + np.ascontiguousarray(array, "<f8").tobytes())
    return f"{kind} {digest.hexdigest()[:16]}"
