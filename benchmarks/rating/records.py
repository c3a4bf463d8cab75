"""What is kept of raters, and the tables that keep it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS raters (
    id TEXT PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE,
    token_hash TEXT UNIQUE,
    expires_at REAL NOT NULL,
    slot INTEGER,
    consent_at REAL,
    finished_at REAL,
    note TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS shown (
    rater TEXT NOT NULL REFERENCES raters (id),
    showing TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (rater, showing)
);
CREATE TABLE IF NOT EXISTS ratings (
    rater TEXT NOT NULL REFERENCES raters (id),
    showing TEXT NOT NULL,
    task TEXT NOT NULL,
    position INTEGER NOT NULL,
    swapped INTEGER NOT NULL,
    again INTEGER NOT NULL,
    answers TEXT NOT NULL,
    shown_at REAL NOT NULL,
    rated_at REAL NOT NULL,
    PRIMARY KEY (rater, showing)
);
"""


@dataclass(frozen=True)
class Rater:
    """A person who rates; nothing is known of them but this.

    Attributes:
        id: Random name.
        number: The how manieth invitation it was.
        expires_at: When the invitation ends, in seconds since 1970.
        slot: Row of `Study.slots`; None before consent.
        consent_at: When the rater agreed, None before.
        finished_at: When the last task was rated, None before.
        note: What the rater wrote at the end.
    """

    id: str
    number: int
    expires_at: float
    slot: int | None
    consent_at: float | None
    finished_at: float | None
    note: str


@dataclass(frozen=True)
class Rating:
    """One task as one rater answered it.

    Attributes:
        rater: Id of the rater.
        showing: Id of the showing.
        task: Id of the task.
        position: Place in the rater's list, from 0.
        swapped: Whether the second text of a pair was shown first.
        again: Whether it was a repeat.
        answers: By criterion: a point from "1" to "5", or "first", "same" or "second" as shown.
        shown_at: When the task was first shown, in seconds since 1970.
        rated_at: When it was rated.
    """

    rater: str
    showing: str
    task: str
    position: int
    swapped: bool
    again: bool
    answers: Mapping[str, str]
    shown_at: float
    rated_at: float

    @property
    def seconds(self) -> float:
        """Time from the first showing to the rating."""
        return self.rated_at - self.shown_at
