"""Rows, intervals and paired differences of the page on latent actions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.reporting.document import aligned
from benchmarks.stats import Interval, bootstrap

QUALITY = {"gain": "gain", "judge": "judge", "parses": "parses", "followed": "edit followed"}
COMPARED = {name: QUALITY[name] for name in ("gain", "judge", "followed")}
Found = list[Mapping[str, Any]]
Section = tuple[str, dict[str, Any]]
Signs = Mapping[str, int]
"""Methods with 1 or -1: those that are added and those that are subtracted."""


def rows_of(pieces: Found, methods: Mapping[str, str], names: Mapping[str, str]) -> Section:
    """A table with a row for each method and an interval for each column."""
    body, numbers = body_of(pieces, methods, names)
    return (aligned(["", "seeds", *names.values()], body) if body else ""), numbers


def body_of(
    pieces: Found, methods: Mapping[str, str], names: Mapping[str, str]
) -> tuple[list[list[str]], dict[str, Any]]:
    """The rows of such a table."""
    body, numbers = [], {}
    for method, title in methods.items() if pieces else ():
        own = {name: over(pieces, partial(cell, method, name), method) for name in names}
        body.append([title, str(len(pieces)), *map(str, own.values())])
        numbers[title] = {name: str(value) for name, value in own.items()}
    return body, numbers


def cell(method: str, name: str, found: Mapping[str, Any]) -> Sequence[float]:
    """One column of one method of a piece."""
    column: Sequence[float] = found[method][name]
    return column


def over(pieces: Found, column: Callable[[Any], Sequence[float]], method: str = "") -> Interval:
    """Mean of a column over seeds and users; texts and answers stand for users where there are none."""
    values, seeds, users = [], [], []
    for piece in pieces:
        own = column(piece["found"])
        known = piece["found"].get(method, {}).get("users") if method else None
        values += list(own)
        seeds += [piece["seed"]] * len(own)
        users += list(known or range(len(own)))
    return bootstrap(values, seeds, users, np.random.default_rng(0))


def minus(one: str, other: str) -> dict[str, int]:
    """One method less another."""
    return {one: 1, other: -1}


def joined(*kinds: Found) -> Found:
    """One piece for each seed, with all methods of several kinds; they rewrite the same texts."""
    seeds: dict[int, dict[str, Any]] = {}
    for piece in (piece for pieces in kinds for piece in pieces):
        seeds.setdefault(piece["seed"], {}).update(piece["found"])
    return [{"seed": seed, "found": own} for seed, own in sorted(seeds.items())]


def compared(pieces: Found, name: str, signs: Signs, columns: Mapping[str, str] = COMPARED) -> Section:
    """Paired differences, as a paragraph and by name; nothing without pieces that have all the methods."""
    pieces = [piece for piece in pieces if signs.keys() <= piece["found"].keys()]
    if not pieces:
        return "", {}
    less = {title: contrast(pieces, signs, column) for column, title in columns.items()}
    said = ", ".join(f"{title} {value}" for title, value in less.items())
    return f"\n\nOn the same states, {name}: {said}.", {f"{title}, {name}": value for title, value in less.items()}


def contrast(pieces: Found, signs: Signs, name: str) -> str:
    """Paired difference of methods in a column."""

    def less(found: Any) -> list[float]:  # noqa: ANN401 - a piece's content
        rows = zip(*(found[method][name] for method in signs), strict=True)
        return [sum(sign * value for sign, value in zip(signs.values(), row, strict=True)) for row in rows]

    return str(over(pieces, less, next(iter(signs))))


def by_codes(pieces: Found) -> Iterable[tuple[int, Found]]:
    """Pieces by N, ascending."""
    for codes in sorted({piece["codes"] for piece in pieces}):
        yield codes, [piece for piece in pieces if piece["codes"] == codes]


def fine(value: Interval) -> str:
    """An interval of small numbers."""
    return f"{value.estimate:.3f} [{value.low:.3f}, {value.high:.3f}]"
