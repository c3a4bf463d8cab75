"""What an edit's own words say, as numbers that depend on neither the state nor a prediction.

The features of an edit in plot English are

- the sum of what the encoder adds for each attribute value that the edit names, whether it asks for the value or takes
  it out, `[n]`
- the same for only the values that it takes out, `[n]`
- which operations it names (set, add, remove, replace, intensify, vague), a multi-hot, `[6]`
- which vague directions it names, a multi-hot, `[V]`

The features of an edit in free text are what the encoder adds for its words, `[n]`. What an operation does with the
words is for the agent to learn. Each edit is computed by itself and remembered, so its features are the same to the
last bit whatever the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from eagle_gym import plot_english
from eagle_gym.catalog import Language
from eagle_gym.errors import TextError
from eagle_gym.plot_english import Change, Pair, lexicon
from eagle_gym.plot_english.edits import Operation, directions

Floats = NDArray[np.float64]

OPERATIONS: Final[tuple[str, ...]] = get_args(Operation)
REMEMBERED: Final = 65_536  # most edits whose features are kept


class Words(Protocol):
    """What the features need of an encoder."""

    @property
    def radius(self) -> float:
        """Radius of the ball that holds every embedding."""
        ...

    def words(self, texts: Sequence[str]) -> Floats:
        """What the words of texts add to an embedding, [B, n], without intercept and projection."""
        ...


class EditFeatures:
    """Features of edits; an empty edit has none, so all its features are 0.

    Args:
        encoder: Embeds words.
        n: Dimension of the latent space.
        language: Whether edits are plot English or free text.
    """

    def __init__(self, encoder: Words, n: int, language: Language) -> None:
        self.n = n
        self.language = language
        self._encoder = encoder
        self._rows: dict[str, Floats] = {}
        self._values: dict[Pair, Floats] = {}

    @property
    def width(self) -> int:
        """m, the number of features of an edit."""
        return 2 * self.n + len(OPERATIONS) + len(_directions()) if self.language == "plot_english" else self.n

    @property
    def bounds(self) -> tuple[Floats, Floats]:
        """The lowest and highest features that are shown, each [m]; no two embeddings are further apart."""
        reach = 2.0 * self._encoder.radius
        embedded = np.arange(self.width) < (2 * self.n if self.language == "plot_english" else self.n)
        return np.where(embedded, -reach, 0.0), np.where(embedded, reach, 1.0)

    def of(self, edits: Sequence[str]) -> Floats:
        """Features of some edits, [B, m]."""
        return np.array([self._row(edit) for edit in edits]).reshape(len(edits), self.width)

    def asked(self, edits: Sequence[str]) -> Floats:
        """What edits ask for, [B, n]: what their words add to an embedding, with a minus where they are taken out.

        In free text, all words count as asked for: nothing there says which are taken out.
        """
        rows = self.of(edits)
        if self.language == "free":
            return rows
        named, taken_out = rows[:, : self.n], rows[:, self.n : 2 * self.n]
        return named - 2.0 * taken_out

    def _row(self, edit: str) -> Floats:
        row = self._rows.get(edit)
        if row is None:
            row = self._make(edit)
            row.flags.writeable = False
            if len(self._rows) < REMEMBERED:
                self._rows[edit] = row
        return row

    def _make(self, edit: str) -> Floats:
        if not edit:
            return np.zeros(self.width)
        if self.language == "free":
            return np.asarray(self._encoder.words([edit])[0])
        words, taken_out = np.zeros(self.n), np.zeros(self.n)
        operations, vague = np.zeros(len(OPERATIONS)), np.zeros(len(_directions()))
        for change in _changes(edit):
            operations[OPERATIONS.index(change.operation)] = 1.0
            if change.operation == "vague":
                vague[_directions()[change.value]] = 1.0
            words += self._sum(_named(change))
            taken_out += self._sum(_taken_out(change))
        return np.concatenate([words, taken_out, operations, vague])

    def _sum(self, pairs: Sequence[Pair]) -> Floats:
        total = np.zeros(self.n)
        for pair in pairs:
            if pair not in self._values:
                self._values[pair] = self._encoder.words([lexicon.surfaces()[pair]])[0]
            total += self._values[pair]
        return total


def _changes(edit: str) -> tuple[Change, ...]:
    """The changes that an edit asks for; none if they are in a language model's own words."""
    try:
        return plot_english.parse_edit(edit)
    except TextError:
        return ()


def _named(change: Change) -> tuple[Pair, ...]:
    """The values that a change names; removing from a single slot, or a vague direction, may name none."""
    if change.operation in ("intensify", "vague"):
        return ()
    return tuple((change.slot, value) for value in (change.value, change.old) if value)


def _taken_out(change: Change) -> tuple[Pair, ...]:
    """The value that a change names and takes out; removing from a single slot names none."""
    if change.operation == "remove" and change.value:
        return ((change.slot, change.value),)
    return ((change.slot, change.old),) if change.operation == "replace" else ()


@cache
def _directions() -> dict[str, int]:
    """The number of each vague direction."""
    return {name: number for number, name in enumerate(directions())}
