"""Artefacts on disk: prepared once, written as a whole, checked when they are read.

An artefact is a folder with arrays (`NAME.npz`) and a header (`NAME.json`), which holds a checksum of each of the two.
It either appears complete or not at all. A file that was damaged or edited is an error, and so is a full disk.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from eagle_gym.errors import PreparationError

T = TypeVar("T")

LOCK_MODE: Final = 0o666  # a lock file holds nothing, and every user of the cache must be able to lock it
CHECKSUMS: Final = "sha256"  # key of the header: file name -> checksum


def prepared(
    folder: Path,
    marker: str,
    load: Callable[[Path], T],
    make: Callable[[], Callable[[Path], None]],
    *,
    prepare: str,
    absent: str,
) -> T:
    """What a folder of the cache holds. It is made where it is absent, once even if several processes ask together.

    Args:
        folder: The folder, named after everything that determines its content.
        marker: File that exists if and only if the folder is complete.
        load: Reads the folder.
        make: Makes the artefact, and returns the function that saves it into an empty folder.
        prepare: "auto", or "never": raise rather than make.
        absent: Message of the error where the artefact is absent and `prepare` is "never".

    Raises:
        PreparationError: The artefact is absent and `prepare` is "never", or the place cannot be read or written.
    """
    if not is_kept(folder / marker):
        if prepare == "never":
            raise PreparationError(absent)
        with alone_at(folder):
            if not is_kept(folder / marker):  # otherwise another process made it during the wait
                write_whole(folder, make())
    return load(folder)


@contextmanager
def cache_errors(folder: Path) -> Iterator[None]:
    """Turn the file system's errors, such as a full disk or missing permissions, into typed ones.

    Args:
        folder: Where something is kept, for the message.

    Raises:
        PreparationError: The place cannot be read or written.
    """
    try:
        yield
    except OSError as error:
        raise PreparationError(
            f"nothing can be kept in {folder}: {error}; free it, or name another folder that you can read and write "
            "with cache_dir="
        ) from error


def is_kept(file: Path) -> bool:
    """Whether a file is in the cache.

    Raises:
        PreparationError: The file is there, or may be, and you may not read it.
    """
    with cache_errors(file.parent):
        try:
            file.open("rb").close()
        except FileNotFoundError:
            return False
        return True


@contextmanager
def alone_at(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, whose parent is made where absent: other processes that ask for it wait.

    Args:
        folder: The folder, which need not exist.

    Raises:
        PreparationError: The place cannot be written.
    """
    lock = FileLock(f"{folder}.lock", mode=LOCK_MODE)
    with cache_errors(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def write_whole(folder: Path, save: Callable[[Path], None]) -> None:
    """Write a folder so that nobody ever finds a part of it.

    Args:
        folder: The folder, which is replaced where it exists.
        save: Fills a temporary folder, which is then renamed.

    Raises:
        PreparationError: The place cannot be written, or the disk is full. Nothing is left behind.
    """
    temporary = folder.parent / f".making-{uuid.uuid4().hex}"  # a folder of mkdtemp would be private to its user
    with cache_errors(folder.parent):
        try:
            temporary.mkdir(parents=True)
            save(temporary)
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files into a folder that may hold others, each as a whole, in their order.

    Args:
        folder: The folder, made where absent.
        contents: File name -> content; the file that marks the others as complete comes last.

    Raises:
        PreparationError: The place cannot be written, or the disk is full. No half-written file is left behind.
    """
    parts = {folder / f".{name}.{uuid.uuid4().hex}": folder / name for name in contents}
    with cache_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            for part, content in zip(parts, contents.values(), strict=True):
                part.write_bytes(content)
            for part, path in parts.items():
                os.replace(part, path)
        finally:
            for part in parts:
                part.unlink(missing_ok=True)


def drop_cut_line(file: BinaryIO) -> None:
    """Remove an incomplete last line of a file of lines, which a killed process may have left."""
    end = file.seek(0, os.SEEK_END)
    whole = end
    while whole > 0:
        begin = max(0, whole - 4096)
        file.seek(begin)
        at = file.read(whole - begin).rfind(b"\n")
        if at >= 0:
            whole = begin + at + 1
            break
        whole = begin
    if whole < end:
        file.truncate(whole)


def save_artefact(folder: Path, name: str, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write `NAME.npz` and `NAME.json` into a folder.

    Args:
        folder: The folder, made where absent; other files in it stay.
        name: NAME.
        header: JSON values; the checksums are added.
        arrays: The arrays by name.

    Raises:
        PreparationError: As `write_files`.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    content = buffer.getvalue()
    write_files(folder, {f"{name}.npz": content, f"{name}.json": sealed(name, header, content)})


def sealed(name: str, header: Mapping[str, Any], content: bytes) -> bytes:
    """A header with the checksums of itself and of the arrays' file, as the content of `NAME.json`.

    Args:
        name: NAME.
        header: JSON values; earlier checksums are replaced.
        content: Content of `NAME.npz`.
    """
    bare = {key: value for key, value in header.items() if key != CHECKSUMS}
    checksums = {f"{name}.json": _header_hash(bare), f"{name}.npz": hashlib.sha256(content).hexdigest()}
    return (json.dumps({**bare, CHECKSUMS: checksums}, indent=1) + "\n").encode()


def load_header(folder: Path, name: str) -> dict[str, Any]:
    """The header of an artefact; its checksum is not compared yet.

    Raises:
        PreparationError: The file is missing, or holds no JSON object.
    """
    path = folder / f"{name}.json"
    try:
        header = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise PreparationError(f"{path}: expected a readable header, got {error!r}: {_mend(folder)}") from error
    if not isinstance(header, dict):
        raise PreparationError(f"{path}: expected a JSON object, got {type(header).__name__}: {_mend(folder)}")
    return header


def load_arrays(folder: Path, name: str, header: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """The arrays of an artefact, after its checksums were compared.

    Args:
        folder: Where `save_artefact` wrote.
        name: NAME.
        header: What `load_header` read.

    Raises:
        PreparationError: A file is missing or broken, or is not the one that was saved.
    """
    checksums = header.get(CHECKSUMS)
    if not isinstance(checksums, dict):
        raise PreparationError(f"{folder / name}.json: expected checksums under {CHECKSUMS!r}: {_mend(folder)}")
    bare = {key: value for key, value in header.items() if key != CHECKSUMS}
    if checksums.get(f"{name}.json") != _header_hash(bare):
        raise PreparationError(f"{folder / name}.json: the header is not the one that was saved: {_mend(folder)}")
    try:
        return read_arrays(folder / f"{name}.npz", sha256=str(checksums.get(f"{name}.npz")))
    except ValueError as error:
        raise PreparationError(f"{error}: {_mend(folder)}") from error


def read_arrays(path: Path, *, sha256: str | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of an npz file.

    Args:
        path: The file.
        sha256: Checksum that its content must have.

    Raises:
        ValueError: The file is missing or broken, or has another checksum.
    """
    try:
        content = path.read_bytes()
        if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
            raise ValueError("its checksum is not that of the file that was saved")
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, EOFError, AttributeError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: expected a readable npz file, got {error!r}") from error


def _header_hash(header: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()


def _mend(folder: Path) -> str:
    return f"delete {folder} and prepare it again (reinstall the package if it is the package's own)"
