"""The measured shares of what a language model of plot English does when it rewrites."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from eagle_gym.errors import PreparationError
from eagle_gym.plot_english.edits import directions

PATH: Final = Path(__file__).with_name("shares.json")
FAILURES: Final = ("missed", "other", "kept", "mixed")
# Kinds of changes. A vague change is "held" if the text has an outcome of it already; the changes of an edit with
# several are "macro".
CHANGES: Final = ("set", "add", "remove", "replace", "intensify", "vague", "held", "macro")


@dataclass(frozen=True)
class Shares:
    """How a language model rewrites. Every number is a share, measured at temperature 1.

    Attributes:
        failures: For each kind of change, how it fails: it is "missed"; an "other" value of the slot comes in; the old
            value is "kept" next to the new one; or the values of a set are "mixed" up and another one goes.
        first: For each vague direction, the changes that have the first possible outcome.
        same_slot: Of the other vague changes, those with an outcome in the slot of the first one, where there are such
            outcomes and others.
        twice: Vague changes that have two outcomes.
        lost: Rewrites that lose a value that no change concerns.
        swapped: Rewrites that turn such a value into another one.
        invented: Rewrites that fill an empty slot.
        reworded: Rewrites that word the text in another way.
        source: What was measured, and how.
    """

    failures: Mapping[str, Mapping[str, float]]
    first: Mapping[str, float]
    same_slot: float
    twice: float
    lost: float
    swapped: float
    invented: float
    reworded: float
    source: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The shares as JSON values."""
        return asdict(self)


@cache
def load_shares(path: Path = PATH) -> Shares:
    """Read shares that `python -m eagle_gym.actions.grammar` measured.

    Raises:
        PreparationError: The file is absent or broken.
    """
    try:
        shares = Shares(**json.loads(path.read_text(encoding="utf-8")))
        numbers = [shares.first[name] for name in directions()]
        numbers += [shares.failures[kind].get(how, 0.0) for kind in CHANGES for how in FAILURES]
        numbers += [getattr(shares, name) for name in ("same_slot", "twice", "lost", "swapped", "invented", "reworded")]
        if not all(0.0 <= number <= 1.0 for number in numbers):
            raise ValueError("a share is outside 0 to 1")
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise PreparationError(
            f"{path}: expected shares that python -m eagle_gym.actions.grammar writes, got {error!r}"
        ) from error
    return shares


def save_shares(shares: Shares, path: Path = PATH) -> None:
    """Write shares, one line for each attribute."""
    lines = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in shares.as_json().items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    load_shares.cache_clear()
