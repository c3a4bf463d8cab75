"""Vectors on disk: a text that an encoder has once encoded is never encoded again.

One SQLite file for each fingerprint of an encoder, so that processes share it. A text is found by its hash.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import numpy as np

from eagle_gym.cache import cache_errors
from eagle_gym.errors import PreparationError
from eagle_gym.latent.text_encoders.encoder import TextEncoder, Vectors
from eagle_gym.progress import progress_bar

MOST: Final = 1_000_000  # vectors that are kept of one encoder
AT_ONCE: Final = 256  # texts between two writes: an interrupted fit resumes from the last
_WAIT: Final = 60.0  # seconds that a process waits for another that writes


class StoredEncoder:
    """A text encoder whose vectors are kept on disk; see `TextEncoder`.

    Args:
        inner: Encodes the texts that are not kept yet.
        folder: Holds a file for each encoder, and is made where absent.
    """

    def __init__(self, inner: TextEncoder, folder: Path) -> None:
        self.inner = inner
        self.name, self.fingerprint, self.deterministic = inner.name, inner.fingerprint, inner.deterministic
        self.file = folder / f"{inner.fingerprint}.sqlite"

    @property
    def dim(self) -> int:
        """Length of the vectors: of those that are kept, else the encoder is asked."""
        kept = self._any()
        return self.inner.dim if kept is None else len(kept)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts; see the protocol.

        Raises:
            PreparationError: The file cannot be read or written, or holds vectors of another length.
        """
        keys = {text: _key(text) for text in texts}
        found = self._kept(list(keys.values()))
        new = [text for text, key in keys.items() if key not in found]
        parts = range(0, len(new), AT_ONCE)
        for begin in progress_bar(parts, show=len(parts) > 1, desc="encoding texts"):
            some = new[begin : begin + AT_ONCE]
            fresh = dict(zip((keys[text] for text in some), self.inner.encode(some), strict=True))
            self._check(found, fresh)
            self._keep(fresh)
            found |= fresh
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        return np.stack([found[keys[text]] for text in texts])

    def _check(self, found: Mapping[bytes, Vectors], fresh: Mapping[bytes, Vectors]) -> None:
        kept = next(iter(found.values()), None)
        kept = self._any() if kept is None else kept
        got = next(iter(fresh.values()))
        if kept is not None and len(kept) != len(got):
            raise PreparationError(
                f"expected vectors of length {len(kept)} from {self.name!r}, as in {self.file}, got {len(got)}: the "
                "encoder has changed under its name; delete the file, and prepare the spaces made from it again"
            )

    def _any(self) -> Vectors | None:
        with self._open() as kept:
            row = kept.execute("SELECT vector FROM vectors LIMIT 1").fetchone()
        return None if row is None else np.frombuffer(row[0], "<f4")

    def _kept(self, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        found: dict[bytes, Vectors] = {}
        with self._open() as kept:
            for begin in range(0, len(keys), AT_ONCE):
                some = keys[begin : begin + AT_ONCE]
                marks = ",".join("?" * len(some))
                rows = kept.execute(f"SELECT text, vector FROM vectors WHERE text IN ({marks})", some)
                found |= {key: np.frombuffer(vector, "<f4") for key, vector in rows}
        if len({len(vector) for vector in found.values()}) > 1:
            raise PreparationError(f"{self.file}: expected vectors of one length, got several: delete the file")
        return found

    def _keep(self, fresh: Mapping[bytes, Vectors]) -> None:
        with self._open() as kept, kept:
            if kept.execute("SELECT count(*) FROM vectors").fetchone()[0] < MOST:
                rows = [(key, np.asarray(vector, "<f4").tobytes()) for key, vector in fresh.items()]
                kept.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The file, open for one transaction: a connection would not survive a fork."""
        with cache_errors(self.file.parent):
            self.file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(self.file, timeout=_WAIT)) as kept:
                kept.execute("CREATE TABLE IF NOT EXISTS vectors (text BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID")
                yield kept
        except sqlite3.Error as error:
            raise PreparationError(
                f"{self.file}: expected a file of vectors that can be read and written, got {error}: delete it, or "
                "name another folder with cache_dir="
            ) from error


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
