"""Folders that are written whole or not at all, and catalogs kept in them."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from eagle_gym.catalog.catalog import Catalog
from eagle_gym.errors import PreparationError


@contextmanager
def alone_at(folder: Path) -> Iterator[None]:
    """While this lasts, no other process that asks for the same is at the folder; the one above it is there.

    Raises:
        PreparationError: The place cannot be written.
    """
    lock = FileLock(f"{folder}.lock")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise PreparationError(
            f"nothing can be kept in {folder.parent}: {error}; name a folder that can be written with cache_dir="
        ) from error
    try:
        yield
    finally:
        lock.release()


def write_whole(folder: Path, save: Callable[[Path], None]) -> None:
    """Let `save` fill a folder beside, then rename it: whoever finds the folder finds all of it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".making-"))
    try:
        save(beside)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def cached_catalog(cache_dir: Path, key: str, make: Callable[[], Catalog]) -> Catalog:
    """The catalog kept under a key, made first where there is none; several processes that ask at once make it once.

    Args:
        cache_dir: Where catalogs are kept, each in ``catalogs/<key>``.
        key: Hash of everything that the catalog is made of.
        make: Makes it.

    Raises:
        CatalogError: What is kept is broken; delete the folder that the message names.
        PreparationError: `cache_dir` cannot be written.
    """
    folder = cache_dir.expanduser() / "catalogs" / key[:32]
    if not (folder / "catalog.json").is_file():
        with alone_at(folder):
            if not (folder / "catalog.json").is_file():  # else another process made it while this one waited
                write_whole(folder, make().save)
    return Catalog.load(folder)


def code_in(*folders: Path) -> list[Path]:
    """The Python files of some folders: what is kept was made by them, and is made anew by others."""
    return [path for folder in folders for path in sorted(folder.glob("*.py"))]


def hash_files(paths: Iterable[Path], *facts: object) -> str:
    """Hash of files' names and contents, absent files being absent, and of some facts."""
    digest = hashlib.sha256(repr(facts).encode())
    for path in paths:
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "absent"
        digest.update(f"\n{path.name} {content}".encode())
    return digest.hexdigest()
