"""The header of a finished cell or recording, its `run.json`: what it holds, and the seal that shows later changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from baselines.evaluate import EpisodeRow
from benchmarks.running.files import read_json
from eagle_gym.errors import PreparationError

SEAL = "sha256"
HEADER = "run.json"
EPISODES = "episodes.parquet"
MISSING = object()


def read_header(path: Path) -> dict[str, Any]:
    """Read and check a header and, if it is sealed, that it and its episodes are as they were written.

    Raises:
        PreparationError: The file is missing or broken, lacks a part, or was changed.
    """
    header: dict[str, Any] = read_json(path)
    check_header(header, str(path))
    if SEAL in header:
        check_seal(header, path, (EPISODES,))
    return header


def read_recording_header(path: Path) -> dict[str, Any]:
    """Read the header of recorded episodes and check that it and their files are as they were written.

    Raises:
        PreparationError: The file is missing or broken, lacks a part, or something was changed.
    """
    header: dict[str, Any] = read_json(path)
    check_numbers(header, "cost", str(path))
    check_part(header, SEAL, Mapping, str(path))
    check_seal(header, path, files_below(path.parent))
    return header


def check_seal(header: Mapping[str, Any], path: Path, names: Iterable[str]) -> None:
    """Check that a header and the files next to it are as they were sealed.

    Raises:
        PreparationError: One of them was changed, added or removed.
    """
    now = seal(header, path.parent, names)
    changed = [name for name in sorted({*now, *header[SEAL]}) if header[SEAL].get(name) != now.get(name)]
    if changed:
        raise PreparationError(f"{path}: {', '.join(changed)} changed after the run; run it again with --fresh")


def files_below(folder: Path) -> list[str]:
    """Names of all files in a folder and its folders, without the header."""
    found = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    return sorted(name for name in found if name != HEADER)


def sealed(header: Mapping[str, Any], folder: Path, names: Iterable[str]) -> dict[str, Any]:
    """A header with its seal; `names` are the files of the folder that it vouches for."""
    return {**header, SEAL: seal(header, folder, names)}


def unsealed(header: Mapping[str, Any]) -> dict[str, Any]:
    """A header without its seal."""
    return {name: value for name, value in header.items() if name != SEAL}


def seal(header: Mapping[str, Any], folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of a header, as it reads in JSON without its seal, and of files of its folder.

    Raises:
        PreparationError: A file cannot be read.
    """
    text = json.dumps(json.loads(json.dumps(unsealed(header))), sort_keys=True)
    digests = {HEADER: hashlib.sha256(text.encode()).hexdigest()}
    for name in names:
        try:
            digests[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except OSError as error:
            raise PreparationError(f"{folder / name} cannot be read ({error}); run the experiment again") from error
    return digests


def check_header(header: object, where: str) -> None:
    """Check that a header has the parts that reports read, of the right types.

    Args:
        header: The header.
        where: Where it is from, for messages.

    Raises:
        PreparationError: A part is missing or has another type.
    """
    check_cell(header, where)
    check_part(header, "cell.env_id", str, where)
    check_part(header, "cost.steps", int, where)
    check_numbers(header, "cost.evaluation", where)
    if part(header, "cost.training", where) is not None:
        check_numbers(header, "cost.training", where)
    for name in ("cost.parts", "hashes", "versions", "machine"):
        check_part(header, name, Mapping, where)
    check_part(header, "command", str, where)
    check_part(header, SEAL, Mapping, where, default={})


def check_cell(header: object, where: str) -> None:
    """Check the parts of a header's cell that name it; a planned cell has only these for certain.

    Raises:
        PreparationError: As `check_header`.
    """
    for name in ("cell.environment", "cell.agent"):
        check_part(header, name, str, where)
    check_part(header, "cell.label", str, where, default="")
    check_part(header, "cell.seed", int, where)


def part(header: object, name: str, where: str, default: object = MISSING) -> Any:  # noqa: ANN401 - a JSON value
    """A part of a header by its name with dots.

    Raises:
        PreparationError: It is missing, and there is no default.
    """
    found = header
    for key in name.split("."):
        found = found.get(key, default) if isinstance(found, Mapping) else MISSING
    if found is MISSING:
        raise PreparationError(f"{where}: expected {name}, which is missing: run the cell again")
    return found


def check_part(header: object, name: str, kind: type, where: str, default: object = MISSING) -> None:
    """Check the type of a part."""
    found = part(header, name, where, default)
    if not isinstance(found, kind) or isinstance(found, bool):
        raise PreparationError(f"{where}: expected {name} of type {kind.__name__}, got {found!r}: run the cell again")


def check_numbers(header: object, name: str, where: str) -> None:
    """Check that a part maps names to numbers."""
    found = part(header, name, where)
    if not isinstance(found, Mapping) or not all(type(value) in (int, float) for value in found.values()):
        raise PreparationError(f"{where}: expected {name} to hold numbers, got {found!r}: run the cell again")


def check_own(name: str, header: Mapping[str, Any], rows: Iterable[EpisodeRow]) -> None:
    """Check that a cell's name, header and episodes belong together.

    Raises:
        PreparationError: They do not.
    """
    cell = header["cell"]
    method, seed = cell.get("label") or cell["agent"], cell["seed"]
    if name != f"{cell['environment']}-{method}-{seed}":
        raise PreparationError(f"cell {name} has the header of {cell['environment']}-{method}-{seed}: run it again")
    found = {(row.method, row.seed) for row in rows}
    if found != {(method, seed)}:
        raise PreparationError(
            f"cell {name} should hold episodes of {(method, seed)}, got {sorted(found)}: run it again"
        )
