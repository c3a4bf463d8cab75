"""Folders that are written as a whole or not at all, and the catalogs kept in them."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from eagle_gym.catalog.catalog import Catalog
from eagle_gym.errors import CatalogError, PreparationError

LOCK_MODE = 0o666  # a lock file holds nothing, and whoever shares the cache must be able to lock it


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


def cached_catalog(cache_dir: Path, key: str, make: Callable[[], Catalog]) -> Catalog:
    """The catalog kept under a key. It is made where it is absent, once even if several processes ask together.

    Args:
        cache_dir: Where catalogs are kept, each in `catalogs/<key>`.
        key: Hash of everything that determines the catalog.
        make: Makes the catalog.

    Raises:
        CatalogError: What is kept is broken; the message names the folder to delete.
        PreparationError: `cache_dir` cannot be read or written.
    """
    folder = cache_dir.expanduser() / "catalogs" / key[:32]
    if not is_kept(folder / "catalog.json"):
        with alone_at(folder):
            if not is_kept(folder / "catalog.json"):  # otherwise another process made it during the wait
                write_whole(folder, make().save)
    try:
        return Catalog.load(folder)
    except CatalogError as error:
        raise CatalogError(f"{error}; delete {folder}, and it is made again") from error


def code_in(*folders: Path) -> list[Path]:
    """The Python files of some folders, as sources of a hash: any change invalidates the cache."""
    return [path for folder in folders for path in sorted(folder.glob("*.py"))]


def hash_files(paths: Iterable[Path], *facts: object) -> str:
    """Hash of the names and contents of files, which may be absent, and of some facts."""
    digest = hashlib.sha256(repr(facts).encode())
    for path in paths:
        digest.update(f"\n{path.name} {_hash_file(path)}".encode())
    return digest.hexdigest()


def _hash_file(path: Path) -> str:
    if not path.is_file():
        return "absent"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
