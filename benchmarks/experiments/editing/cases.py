"""The edits that models are asked to make: invented ones, written by hand, and some of real overviews."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from eagle_gym.errors import CatalogError
from eagle_gym.language.editor.overviews import fill, mentions_in

KINDS: Final = ("name", "profession", "place", "decade", "object")
FILE: Final = Path(__file__).parent / "cases.txt"

# For each kind: wordings that occur in an editor's training, and as many that do not.
WORDINGS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = MappingProxyType({
    "name": (
        ("Change the name of {old} to {new}.", "Rename {old} to {new}.", "{old} should be called {new}."),
        ("From now on, {old} goes by the name of {new}.", "I would like {old} to be known as {new}.",
         "Could you call {old} {new} throughout?"),
    ),
    "profession": (
        ("Replace the {old} with {a new}.", "Make the {old} {a new}.", "Instead of {a old} use {a new}."),
        ("The {old} ought to work as {a new}.", "I'd rather read about {a new} than about {a old}.",
         "What if the {old} were {a new}?"),
    ),
    "place": (
        ("Set it in {new}.", "Move it from {old} to {new}.", "Replace {old} with {new}."),
        ("I'd prefer {new} as the location, not {old}.", "Let everything that happens in {old} happen in {new}.",
         "Transplant the story to {new}."),
    ),
    "decade": (
        ("Move it to the {new}.", "Set it in the {new}.", "Let it be from the {new}."),
        ("Have the events unfold in the {new}.", "The period should be the {new}.", "Shift it in time to the {new}."),
    ),
    "object": (
        ("Add {a new}.", "Include {a new}.", "Work in {a new}."),
        ("Somewhere in it there ought to be {a new}.", "Make sure that {a new} is part of it.",
         "I would love to see {a new} in this."),
    ),
})  # fmt: skip


# Open edits, each with the word that shows that it was followed; that of the first six occurs in an editor's training.
OPEN: Final = (
    ("Set it on a submarine.", "submarine"),
    ("Make it a musical.", "musical"),
    ("Add a ghost.", "ghost"),
    ("Move it to the moon.", "moon"),
    ("Let it end with a wedding.", "wedding"),
    ("Make it about forgiveness.", "forgiveness"),
    ("Set it in a planetarium.", "planetarium"),
    ("Tell it as a radio play.", "radio play"),
    ("Give somebody a pet ferret.", "ferret"),
    ("Let it happen during an eclipse.", "eclipse"),
    ("Let it end with a lawsuit.", "lawsuit"),
    ("Make it about gossip.", "gossip"),
)
KNOWN: Final = 6


@dataclass(frozen=True, slots=True)
class Case:
    """An edit whose success a rule can check.

    Attributes:
        kind: One of `KINDS`, or `"open"`.
        text: The text to edit.
        edit: The request.
        new: What the answer has to mention: a word, a phrase or a decade.
        old: What it must no longer mention, or "".
        familiar: Whether the request is worded as in an editor's training; of open edits, whether `new` occurs there.
    """

    kind: str
    text: str
    edit: str
    new: str
    old: str
    familiar: bool


def invented_cases(path: Path = FILE) -> list[Case]:
    """The edits of invented overviews: five of each text.

    Raises:
        CatalogError: A line does not have a text and five changes.
    """
    cases: list[Case] = []
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    for number, line in enumerate(lines):
        text, *changes = (part.strip() for part in line.split("|"))
        if len(changes) != len(KINDS):
            raise CatalogError(f"{path}: expected a text and {len(KINDS)} changes, got {line!r}")
        for place, (kind, change) in enumerate(zip(KINDS, changes, strict=True)):
            old, _, new = change.rpartition(" > ")
            cases.append(_case(kind, text, old, new, number + place))
    return cases


def open_cases(texts: int = 5) -> list[Case]:
    """Twelve open edits of some of the invented overviews: what is asked for has to be there, and the rest kept."""
    chosen = list(dict.fromkeys(case.text for case in invented_cases()))[4::12][:texts]
    return [
        Case("open", text, edit, new, "", familiar=number < KNOWN)
        for text in chosen
        for number, (edit, new) in enumerate(OPEN)
    ]


def real_cases(folder: Path, count: int) -> list[Case]:
    """Edits of real overviews: an added object, and a replaced profession, place and name where there is one.

    Args:
        folder: Has `overviews.csv`.
        count: How many edits, taken from overviews that are spread over the file.

    Raises:
        CatalogError: The folder has no overviews.
    """
    path = folder / "overviews.csv"
    if not path.is_file():
        raise CatalogError(f"{folder} has no overviews.csv: expected a MovieLens folder with overviews")
    with path.open(encoding="utf-8", newline="") as file:
        texts = [row["overview"] for row in csv.DictReader(file) if 20 <= len(row["overview"].split()) <= 80]
    wanted: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for case in invented_cases():
        wanted[case.kind].append(case.new)
    cases: list[Case] = []
    for number, text in enumerate(texts[:: max(1, len(texts) // count)]):
        mentioned = mentions_in(text)
        kinds = [kind for kind in KINDS if kind in ("decade", "object") or len(mentioned.of(kind)) == 1]
        kinds = [kind for kind in kinds if kind != "decade" or not re.search(r"\b(?:1[89]|20)\d\d", text)]
        kind = kinds[number % len(kinds)]
        old = mentioned.of(kind)[0] if kind not in ("decade", "object") else ""
        cases.append(_case(kind, text, old, wanted[kind][number % len(wanted[kind])], number))
    return cases[:count]


def spread(cases: Sequence[Case], count: int) -> list[Case]:
    """As many of the cases, of all kinds alike."""
    chosen = sorted(range(len(cases)), key=lambda place: (place // len(KINDS) * 7 % 60, place))[:count]
    return [cases[place] for place in sorted(chosen)]


def _case(kind: str, text: str, old: str, new: str, number: int) -> Case:
    familiar = number % 2 == 0
    forms = WORDINGS[kind][0 if familiar else 1]
    edit = fill(forms[number // 2 % len(forms)], {"old": old, "new": new})
    return Case(kind, text, edit, new, old, familiar)
