"""Catalogs kept in the cache, and the hashes that name them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from eagle_gym.cache import is_kept, prepared
from eagle_gym.catalog.catalog import Catalog
from eagle_gym.errors import CatalogError


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
    return prepared(folder, "catalog.json", _load, lambda: make().save, prepare="auto", absent="")


def _load(folder: Path) -> Catalog:
    is_kept(folder / "ratings.npz")  # another user's file, which you may not read, is no broken one
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
