"""Invitations and ratings, in one SQLite file.

Every change is one transaction, written through to the disk before it returns (WAL with `synchronous=FULL`): whatever a
rater was told is stored, is stored, even if the process is killed the next moment. A rating is unique by rater and
showing, so a form that is sent twice counts once. Tokens are stored as hashes only.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.rating.records import TABLES, Rater, Rating
from benchmarks.rating.study import RATINGS, Showing, Study
from eagle_gym.errors import ConfigurationError, PreparationError

DAY = 86_400.0  # seconds
NOTE = 2_000  # longest note, in characters
RATER = "id, number, expires_at, slot, consent_at, finished_at, note"


class Store:
    """The invitations and ratings of a study.

    Args:
        study: The study.
        clock: Tells the time, in seconds since 1970.

    Raises:
        PreparationError: The study was changed after its first rating, or the file is no database.
    """

    def __init__(self, study: Study, clock: Callable[[], float] = time.time) -> None:
        self.study, self._clock, self._lock = study, clock, threading.Lock()
        path = study.folder / RATINGS
        path.touch(mode=0o600, exist_ok=True)
        self._connection = sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)
        try:
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                self._connection.execute(f"PRAGMA {pragma}")
            with self._transaction() as db:
                for statement in TABLES.split(";\n"):
                    db.execute(statement)
                self._check_version(db)
        except sqlite3.DatabaseError as error:
            self.close()
            raise PreparationError(f"{path} cannot be read ({error}): restore it from a copy") from error
        except PreparationError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_version(self, db: sqlite3.Connection) -> None:
        """Fix the version with the first rating; before it, a new version starts over from consent."""
        row = db.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
        rated = db.execute("SELECT count(*) FROM ratings").fetchone()[0]
        if row is not None and row[0] != self.study.version:
            if rated:
                raise PreparationError(
                    f"{self.study.folder} was changed after its first rating: expected version {row[0]}, got "
                    f"{self.study.version}: restore {', '.join(('study.toml', 'tasks.jsonl', 'slots.jsonl'))} and "
                    "study.json as they were, or make another study"
                )
            db.execute("UPDATE raters SET slot = NULL, consent_at = NULL")
            db.execute("DELETE FROM shown")
        db.execute("INSERT OR REPLACE INTO meta VALUES ('version', ?)", (self.study.version,))

    def _check_unchanged(self, db: sqlite3.Connection) -> None:
        """A server that was started before the study was changed stores nothing more.

        Raises:
            PreparationError: Another process has opened a changed study since.
        """
        (version,) = db.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
        if version != self.study.version:
            raise PreparationError(f"expected study {version}, got {self.study.version}: start the server again")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Exclusive use of the file; all changes are kept, or none."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _read(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    # Invitations

    def invite(self, count: int, days: float) -> list[tuple[str, str]]:
        """Make invitations; returns ids of raters and tokens, which are not stored and cannot be shown again.

        Raises:
            ConfigurationError: The count or the days are not positive.
        """
        if count < 1 or not days > 0:
            raise ConfigurationError(f"expected at least one rater and more than 0 days, got {count} and {days}")
        made = [(f"r{secrets.token_hex(4)}", secrets.token_urlsafe(24)) for _ in range(count)]
        expires = self._clock() + days * DAY
        with self._transaction() as db:
            first = db.execute("SELECT coalesce(max(number), 0) + 1 FROM raters").fetchone()[0]
            db.executemany(
                "INSERT INTO raters (id, number, token_hash, expires_at) VALUES (?, ?, ?, ?)",
                [(name, first + i, hash_of(token), expires) for i, (name, token) in enumerate(made)],
            )
        return made

    def expire(self, names: Collection[str]) -> None:
        """End invitations now; what these raters rated is kept.

        Raises:
            ConfigurationError: There is no such rater.
        """
        unknown = set(names) - {rater.id for rater in self.raters()}
        if unknown:
            raise ConfigurationError(f"expected ids of raters, got {sorted(unknown)}: `invite --list` names them")
        now = self._clock()
        with self._transaction() as db:
            db.executemany("UPDATE raters SET expires_at = min(expires_at, ?) WHERE id = ?", [(now, n) for n in names])

    def find(self, token: str) -> Rater | None:
        """The rater of a token, None if nobody has it. Look at `expired`."""
        wanted = hash_of(token)
        for *values, stored in self._read(f"SELECT {RATER}, token_hash FROM raters WHERE token_hash = ?", (wanted,)):
            if hmac.compare_digest(stored, wanted):
                return Rater(*values)
        return None

    def expired(self, rater: Rater) -> bool:
        """Whether an invitation has ended."""
        return self.left(rater) <= 0

    def left(self, rater: Rater) -> float:
        """Seconds until an invitation ends."""
        return rater.expires_at - self._clock()

    def raters(self) -> list[Rater]:
        """All raters, in the order of their invitations."""
        return [Rater(*row) for row in self._read(f"SELECT {RATER} FROM raters ORDER BY number")]

    # Tasks

    def agree(self, rater: Rater, excluded: Collection[str] = ()) -> None:
        """Store a rater's consent and give them a slot: one that the fewest raters hold.

        Args:
            rater: The rater.
            excluded: Ids of excluded raters. They hold no slot, nor do those whose invitation ended before they
                finished.

        Raises:
            PreparationError: The study was changed since this store was opened.
        """
        now = self._clock()
        with self._transaction() as db:
            self._check_unchanged(db)
            taken = db.execute(
                "SELECT id, slot FROM raters WHERE slot IS NOT NULL AND (finished_at IS NOT NULL OR expires_at > ?)",
                (now,),
            ).fetchall()
            held = [slot for name, slot in taken if name not in excluded]
            slot = min(range(len(self.study.slots)), key=lambda place: (held.count(place), place))
            db.execute(
                "UPDATE raters SET slot = ?, consent_at = ? WHERE id = ? AND slot IS NULL", (slot, now, rater.id)
            )

    def next_showing(self, rater: Rater) -> tuple[int, Showing] | None:
        """The first task of a rater's list that is not rated, with its place; None if all are.

        When it was first shown is stored.
        """
        if rater.slot is None:
            raise ConfigurationError(f"{rater.id} has not agreed yet: call agree() first")
        done = {row[0] for row in self._read("SELECT showing FROM ratings WHERE rater = ?", (rater.id,))}
        left = ((i, item) for i, item in enumerate(self.study.slots[rater.slot]) if item.id not in done)
        found = next(left, None)
        if found is not None:
            with self._transaction() as db:
                db.execute("INSERT OR IGNORE INTO shown VALUES (?, ?, ?)", (rater.id, found[1].id, self._clock()))
        return found

    def was_shown(self, rater: Rater, position: int) -> bool:
        """Whether a rater has a task at this place and has seen it."""
        slot = () if rater.slot is None else self.study.slots[rater.slot]
        if not 0 <= position < len(slot):
            return False
        key = (rater.id, slot[position].id)
        return bool(self._read("SELECT 1 FROM shown WHERE rater = ? AND showing = ?", key))

    def rate(self, rater: Rater, position: int, answers: Mapping[str, str]) -> bool:
        """Store a rating, unless this rater has rated this showing.

        Args:
            rater: The rater.
            position: Place in the rater's list.
            answers: By criterion; they were checked before.

        Returns:
            Whether it is stored: newly, or before with the same answers.

        Raises:
            PreparationError: The study was changed since this store was opened.
        """
        assert rater.slot is not None
        slot, now = self.study.slots[rater.slot], self._clock()
        item, text = slot[position], json.dumps(dict(answers), sort_keys=True)
        with self._transaction() as db:
            self._check_unchanged(db)
            key = (rater.id, item.id)
            at = db.execute("SELECT at FROM shown WHERE rater = ? AND showing = ?", key).fetchone()
            db.execute(
                "INSERT OR IGNORE INTO ratings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*key, item.task, position, item.swapped, item.again, text, at[0] if at else now, now),
            )
            query = "SELECT answers FROM ratings WHERE rater = ? AND showing = ?"
            stored = db.execute(query, key).fetchone()[0]
            count = db.execute("SELECT count(*) FROM ratings WHERE rater = ?", (rater.id,)).fetchone()[0]
            if count == len(slot):
                db.execute("UPDATE raters SET finished_at = coalesce(finished_at, ?) WHERE id = ?", (now, rater.id))
        return bool(stored == text)

    def set_note(self, rater: Rater, note: str) -> None:
        """Store a rater's note in place of an earlier one."""
        with self._transaction() as db:
            db.execute("UPDATE raters SET note = ? WHERE id = ?", (note[:NOTE], rater.id))

    def ratings(self) -> list[Rating]:
        """All ratings, by rater and place."""
        query = (
            "SELECT ratings.rater, showing, task, position, swapped, again, answers, shown_at, rated_at FROM ratings "
            "JOIN raters ON raters.id = ratings.rater ORDER BY raters.number, position"
        )
        return [
            Rating(rater, showing, task, position, bool(swapped), bool(again), json.loads(answers), shown, rated)
            for rater, showing, task, position, swapped, again, answers, shown, rated in self._read(query)
        ]

    def add(self, raters: Sequence[Rater], ratings: Sequence[Rating]) -> int:
        """Add raters and ratings from elsewhere, those that are not here yet; returns the number of new ratings."""
        with self._transaction() as db:
            first = db.execute("SELECT coalesce(max(number), 0) + 1 FROM raters").fetchone()[0]
            before = db.execute("SELECT count(*) FROM ratings").fetchone()[0]
            for i, rater in enumerate(raters):
                values = (rater.expires_at, rater.slot, rater.consent_at, rater.finished_at, rater.note)
                db.execute(
                    "INSERT INTO raters VALUES (?, ?, NULL, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
                    "finished_at = coalesce(finished_at, excluded.finished_at), "
                    "note = CASE note WHEN '' THEN excluded.note ELSE note END",
                    (rater.id, first + i, *values),
                )
            for item in ratings:
                text = json.dumps(dict(item.answers), sort_keys=True)
                db.execute(
                    "INSERT OR IGNORE INTO ratings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (item.rater, item.showing, item.task, item.position, item.swapped, item.again, text, item.shown_at,
                     item.rated_at),
                )  # fmt: skip
            return int(db.execute("SELECT count(*) FROM ratings").fetchone()[0]) - int(before)


def hash_of(token: str) -> str:
    """Hash of a token. Tokens are random and long, so that neither salt nor a slow hash is needed."""
    return hashlib.sha256(token.encode()).hexdigest()
