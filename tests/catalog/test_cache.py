"""What is kept: as a whole or not at all, for every user of the machine."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from eagle_gym.cache import alone_at, write_whole
from eagle_gym.catalog import Catalog, Item, Ratings
from eagle_gym.catalog.cache import cached_catalog, hash_files
from eagle_gym.errors import CatalogError, PreparationError
from tests.catalog.faults import forbid

CATALOG = Catalog("c", (Item("a", "A", "A film."),), ("u",), Ratings.of([0], [0], [3]), (1, 5), "free")


def never() -> Catalog:
    pytest.fail("made again")


def fails_with(code: int) -> Callable[[Path], None]:
    def save(folder: Path) -> None:
        (folder / "begun").write_text("half of")
        raise OSError(code, os.strerror(code), str(folder / "begun"))

    return save


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix != ".lock")


def test_a_catalog_is_made_once(tmp_path: Path) -> None:
    assert cached_catalog(tmp_path, "key", lambda: CATALOG) == CATALOG
    assert cached_catalog(tmp_path, "key", never) == CATALOG


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EIO])
def test_a_folder_that_cannot_be_written_leaves_no_scraps(tmp_path: Path, code: int) -> None:
    with pytest.raises(PreparationError, match=f"nothing can be kept in .*{os.strerror(code)}.* with cache_dir="):
        write_whole(tmp_path / "kept", fails_with(code))
    assert everything(tmp_path) == []


def test_what_was_kept_outlives_a_failure_to_replace_it(tmp_path: Path) -> None:
    write_whole(tmp_path / "kept", CATALOG.save)
    with pytest.raises(PreparationError):
        write_whole(tmp_path / "kept", fails_with(errno.ENOSPC))
    assert Catalog.load(tmp_path / "kept") == CATALOG
    assert everything(tmp_path) == ["kept", "kept/catalog.json", "kept/ratings.npz"]


@pytest.mark.parametrize("name", [".catalog.json.part", ".ratings.npz.part"])
def test_a_full_disk_is_said_and_leaves_no_scraps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    forbid(monkeypatch, name, errno.ENOSPC, writing=True)
    with pytest.raises(CatalogError, match=r"No space left on device"):
        cached_catalog(tmp_path, "key", lambda: CATALOG)
    assert everything(tmp_path) == ["catalogs"]
    with pytest.raises(CatalogError, match=r"folder that can be written, got .*No space left on device"):
        CATALOG.save(tmp_path / "mine")
    assert everything(tmp_path / "mine") == []


def test_a_failed_save_leaves_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    CATALOG.save(tmp_path)
    other = Catalog("c", CATALOG.items, ("w",), CATALOG.ratings, (1, 5), "free")
    forbid(monkeypatch, ".ratings.npz.part", errno.ENOSPC, writing=True)
    with pytest.raises(CatalogError):
        other.save(tmp_path)
    assert Catalog.load(tmp_path) == CATALOG


def test_a_second_user_may_read_and_lock(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        cached_catalog(tmp_path, "key", lambda: CATALOG)
    finally:
        os.umask(before)
    folder = tmp_path / "catalogs" / "key"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert all(path.stat().st_mode & stat.S_IROTH for path in folder.iterdir())
    with alone_at(folder):
        assert stat.S_IMODE(Path(f"{folder}.lock").stat().st_mode) == 0o666


def test_a_cache_that_may_not_be_read_is_said_with_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached_catalog(tmp_path, "key", lambda: CATALOG)
    for name in ("catalog.json", "ratings.npz"):
        with monkeypatch.context() as patch:
            forbid(patch, name)
            message = r"catalogs/key: .*Permission denied.*name another folder .* with cache_dir="
            with pytest.raises(PreparationError, match=message):
                cached_catalog(tmp_path, "key", never)


def test_a_cache_below_a_file_is_said_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PreparationError, match=r"name another folder that you can read and write with cache_dir="):
        cached_catalog(tmp_path / "file", "key", lambda: CATALOG)


@pytest.mark.parametrize("content", ["", "[]", "[" * 100_000, '{"format": 1}', '{"format": 1, "items": [[1, 2, 3]]}'])
def test_a_broken_catalog_names_the_folder_to_delete(tmp_path: Path, content: str) -> None:
    cached_catalog(tmp_path, "key", lambda: CATALOG)
    (tmp_path / "catalogs" / "key" / "catalog.json").write_text(content)
    with pytest.raises(CatalogError, match=r"delete .*catalogs/key, and it is made again"):
        cached_catalog(tmp_path, "key", never)


def test_hashes_depend_on_names_contents_and_facts(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("1")
    found = [hash_files([one], 1), hash_files([one], 2), hash_files([one, other], 1)]
    other.write_text("1")
    found += [hash_files([one, other], 1), hash_files([other], 1)]
    one.write_text("2")
    found += [hash_files([one], 1)]
    assert len(set(found)) == len(found)
    assert hash_files([one], 1) == hash_files([one], 1)
