"""Artefacts on disk: made once, whole or absent, checked when read; every fault of the file system is typed."""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eagle_gym import cache
from eagle_gym.errors import PreparationError

ARRAYS = {"a": np.arange(6.0), "b": np.eye(2, dtype=np.float32)}
HEADER = {"format": 1, "words": ["one", "zwei\u00df"], "share": 0.1}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    cache.save_artefact(tmp_path / "kept", "thing", HEADER, ARRAYS)
    return tmp_path / "kept"


def load(folder: Path) -> dict[str, np.ndarray]:
    return cache.load_arrays(folder, "thing", cache.load_header(folder, "thing"))


def test_what_is_saved_is_loaded(kept: Path) -> None:
    header = cache.load_header(kept, "thing")
    assert {name: header[name] for name in HEADER} == HEADER
    for name, array in load(kept).items():
        np.testing.assert_array_equal(array, ARRAYS[name])
    assert sorted(path.name for path in kept.iterdir()) == ["thing.json", "thing.npz"]


def test_no_byte_of_an_artefact_changes_silently(kept: Path) -> None:
    for name in ("thing.json", "thing.npz"):
        content = (kept / name).read_bytes()
        for at in range(0, len(content) - 1, 7):  # the last byte of the header is a line break
            (kept / name).write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            with pytest.raises(PreparationError, match=f"delete {kept} and prepare it again"):
                load(kept)
        (kept / name).write_bytes(content)
    load(kept)


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"\xff", b"[" * 100_000], ids=range(5))
def test_headers_that_are_none_are_typed(kept: Path, content: bytes) -> None:
    (kept / "thing.json").write_bytes(content)
    with pytest.raises(PreparationError, match=r"thing\.json: expected .*delete"):
        cache.load_header(kept, "thing")


def test_an_artefact_without_checksums_is_refused(kept: Path) -> None:
    (kept / "thing.json").write_text(json.dumps(HEADER))
    with pytest.raises(PreparationError, match="expected checksums"):
        load(kept)


def test_two_halves_of_different_artefacts_are_refused(kept: Path, tmp_path: Path) -> None:
    cache.save_artefact(tmp_path / "other", "thing", HEADER, {"a": np.arange(5.0)})
    os.replace(tmp_path / "other" / "thing.npz", kept / "thing.npz")
    with pytest.raises(PreparationError, match="its checksum is not that"):
        load(kept)


def full_disk(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let writing fail once some files were written; the last one is left half written."""
    write, count = Path.write_bytes, [0]

    def fail(path: Path, content: bytes) -> int:
        count[0] += 1
        if count[0] <= after:
            return write(path, content)
        write(path, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", fail)


@pytest.mark.parametrize("after", [0, 1])
def test_a_full_disk_is_typed_and_leaves_what_was_there(
    kept: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    full_disk(monkeypatch, after)
    with pytest.raises(PreparationError, match=r"nothing can be kept in .*No space left.*cache_dir="):
        cache.save_artefact(kept, "thing", HEADER, {"a": np.zeros(9)})
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before


def save(folder: Path) -> None:
    cache.save_artefact(folder, "thing", HEADER, ARRAYS)


def ask(folder: Path, make: Callable[[], Callable[[Path], None]] = lambda: save, prepare: str = "auto"):
    return cache.prepared(folder, "thing.json", load, make, prepare=prepare, absent="there is none")


@pytest.mark.parametrize("after", [0, 1])
def test_a_full_disk_while_preparing_leaves_no_scraps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    with monkeypatch.context() as patch:
        full_disk(patch, after)
        with pytest.raises(PreparationError, match="No space left"):
            ask(tmp_path / "deep" / "kept")
    assert [path.name for path in (tmp_path / "deep").iterdir() if path.suffix != ".lock"] == []
    assert set(ask(tmp_path / "deep" / "kept")) == set(ARRAYS)


def test_errors_of_the_maker_are_its_own(tmp_path: Path) -> None:
    def make() -> Callable[[Path], None]:
        raise ConnectionError("the server of the language model is gone")

    with pytest.raises(ConnectionError):
        ask(tmp_path / "kept", make)


def test_whoever_may_not_prepare_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match="there is none"):
        ask(tmp_path / "kept", prepare="never")
    assert list(tmp_path.iterdir()) == []
    ask(tmp_path / "kept")
    assert set(ask(tmp_path / "kept", prepare="never")) == set(ARRAYS)


def test_many_who_ask_together_make_it_once(tmp_path: Path) -> None:
    made, found = [], []

    def make() -> Callable[[Path], None]:
        made.append(1)
        time.sleep(0.1)
        return save

    threads = [threading.Thread(target=lambda: found.append(ask(tmp_path / "kept", make))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(found)) == (1, 4)


def test_what_is_kept_is_readable_by_other_users(tmp_path: Path) -> None:
    """A folder of mkdtemp and a lock of the default mode would be their owner's only."""
    old = os.umask(0o022)
    try:
        ask(tmp_path / "cache" / "kept")
    finally:
        os.umask(old)
    for path in (tmp_path / "cache").rglob("*"):
        mode = path.stat().st_mode
        assert mode & stat.S_IROTH, path
        if path.is_dir():
            assert mode & stat.S_IXOTH, path
    assert (tmp_path / "cache" / "kept.lock").stat().st_mode & stat.S_IWOTH


def test_a_file_in_the_way_is_typed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PreparationError, match="nothing can be kept in"):
        ask(tmp_path / "file" / "kept")
    with pytest.raises(PreparationError, match="nothing can be kept in"):
        cache.write_files(tmp_path / "file", {"a": b""})


def test_what_may_not_be_read_is_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(tmp_path / "kept")

    def refuse(path: Path, *_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PreparationError, match="Permission denied"):
        ask(tmp_path / "kept")
