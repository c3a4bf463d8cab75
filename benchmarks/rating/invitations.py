"""Invitations of raters, from the command line."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.rating.records import Rater
from benchmarks.rating.store import Store
from benchmarks.rating.study import read_study
from eagle_gym.errors import ConfigurationError


def invite(folder: Path, count: int, days: float, url: str) -> Iterator[str]:
    """Make invitations; yields a line for each, with its link.

    Raises:
        ConfigurationError: The count, the days or the address is wrong.
        PreparationError: There is no such study.
    """
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise ConfigurationError(f"expected the address of the server, such as https://rating.example.org, got {url!r}")
    with Store(read_study(folder)) as store:
        made = store.invite(count, days)
    yield from (f"{name}  {url.rstrip('/')}/join/{token}" for name, token in made)


def expire(folder: Path, names: Collection[str]) -> None:
    """End invitations.

    Raises:
        ConfigurationError: There is no such rater.
        PreparationError: There is no such study.
    """
    with Store(read_study(folder)) as store:
        store.expire(names)


def overview(folder: Path) -> str:
    """Who has rated how much.

    Raises:
        PreparationError: There is no such study.
    """
    with Store(read_study(folder)) as store:
        raters, counts = store.raters(), Counter(item.rater for item in store.ratings())
        lines = [f"{rater.id}  {state(rater, counts[rater.id], store)}" for rater in raters]
    wanted = len(store.study.slots)
    return "\n".join([*lines, f"{len(raters)} invitations; the study needs {wanted} raters who finish"])


def state(rater: Rater, count: int, store: Store) -> str:
    """How far a rater is."""
    of = f" of {len(store.study.slots[rater.slot])}" if rater.slot is not None else ""
    until = time.strftime("%Y-%m-%d", time.gmtime(rater.expires_at))
    if rater.finished_at is not None:
        return f"finished, {count} tasks"
    if store.expired(rater):
        return f"ended {until}, {count}{of} tasks"
    return f"{count}{of} tasks, until {until}" if rater.consent_at is not None else f"not begun, until {until}"
