"""The surrogate: predicts the expected effect of an edit on a text, without asking the language model.

In plot English most of the effect can be computed: read the text, apply the edit's changes to its attributes, encode
the result. A vague change has several outcomes, so its symbolic effect is their mean, weighted by how often the
language model chose each. What the model does beyond that (it misses changes, fills empty attributes, drifts) is a
correction, fitted by ridge regression on rollouts: a linear map of the symbolic effect for each kind of change; an
offset for each kind, direction and value; and a drift that depends on the embedding and on which attributes are empty.

For free text there is no symbolic effect: the regression (`free`) sees what the space's encoder reads in the text and
in the edit.

All of it is indexing and small products of fixed shape, so a row's result does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from eagle_gym import plot_english
from eagle_gym.errors import PreparationError, TextError
from eagle_gym.latent.features import AttributeFeatures, padded
from eagle_gym.latent.geometry import project_to_ball
from eagle_gym.plot_english import Change, arrays, lexicon

if TYPE_CHECKING:
    from eagle_gym.latent import LatentSpace

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

OPERATIONS: Final = ("set", "add", "remove", "replace", "intensify", "vague")
S: Final = len(plot_english.SLOTS)
CLASSES: Final = len(OPERATIONS) * S  # kinds of changes: one for each operation and slot; vague changes have slot 0


@dataclass(frozen=True, eq=False)
class LinearMap:
    """The encoder before its projection: z = held @ weights + offset + what carried tags add, then into the ball.

    Attributes:
        weights: [F, n].
        offset: [n].
        radius: Radius of the ball.
        features: Reads the tags that texts carry.
        tags: [T, n] What each tag adds.
    """

    weights: Floats
    offset: Floats
    radius: float
    features: AttributeFeatures
    tags: Floats

    def start(self, texts: Sequence[str]) -> Floats:
        """[B, n] The part of each text's embedding that no edit changes: the offset and the tags that it carries."""
        numbers, values = padded([self.features.carried(text) for text in texts], len(self.tags))
        rows = np.vstack([self.tags, np.zeros((1, self.tags.shape[1]))])  # the last row is for padding
        z = np.tile(self.offset, (len(texts), 1))
        for column in range(numbers.shape[1]):
            z += values[:, column, None] * rows[numbers[:, column]]
        return z

    def project(self, z: Floats) -> Floats:
        """Move rows outside the ball to its surface; see `project_to_ball`."""
        return project_to_ball(z, self.radius)


@dataclass(frozen=True, eq=False)
class CompiledChanges:
    """The changes that a list of (state, edit) pairs asks for, as flat arrays; a macro edit asks for several.

    Attributes:
        pair: [I] Index of the pair, ascending.
        group: [I] Row of `outcome_groups()`: the columns that the change may bring in; -1 where the state decides.
        column: [I] The column taken out, -1 for none.
        slot: [I] The single slot emptied, -1 for none.
        kind: [I] Operation and slot as one number below `CLASSES`.
        value: [I] The column asked for, -1 for none.
        direction: [I] The vague direction, -1 for none.
    """

    pair: Ints
    group: Ints
    column: Ints
    slot: Ints
    kind: Ints
    value: Ints
    direction: Ints


@cache
def outcome_groups() -> tuple[Ints, Ints]:
    """The columns that changes may bring in, as compressed rows: one per column, one per vague direction, one empty.

    Returns:
        `start` [G+1] and `columns`: row g is `columns[start[g]:start[g+1]]`.
    """
    wanted = arrays.change_table().wanted
    rows = [np.array([column]) for column in range(wanted.shape[1])]
    rows += [np.flatnonzero(row) for row in wanted]
    rows.append(np.array([], np.intp))
    return np.concatenate([[0], np.cumsum([len(row) for row in rows])]), np.concatenate(rows)


def compile_edit(edit: str) -> tuple[tuple[int, ...], ...]:
    """The changes that an edit asks for, as rows of `CompiledChanges` without the pair; () if it cannot be read."""
    try:
        changes = arrays.changes_in(edit)
    except TextError:
        return ()
    return tuple(_compile_change(change) for change in changes)


def _compile_change(change: Change) -> tuple[int, ...]:
    features = len(plot_english.FEATURES)
    slot = arrays.SLOT_INDEX.get(change.slot, 0)
    kind = OPERATIONS.index(change.operation) * S + slot
    value = arrays.feature_index().get((change.slot, change.value), -1)
    nothing = features + arrays.change_table().vague
    if change.operation == "vague":
        direction = _direction_row()[change.value]
        return features + direction, -1, -1, kind, -1, direction
    if change.operation == "intensify":
        return -1, -1, -1, kind, -1, -1
    if change.operation == "remove":
        single = change.slot in lexicon.SINGLE_SLOTS
        return nothing, -1 if single else value, slot if single else -1, kind, value, -1
    old = arrays.feature_index()[change.slot, change.old] if change.operation == "replace" else -1
    return value, old, -1, kind, value, -1


@lru_cache(maxsize=1)
def _direction_row() -> Mapping[str, int]:
    table = arrays.change_table()
    return {table.changes[row].value: row for row in range(table.vague)}


class _CompiledEdits:
    """A cache of `compile_edit`, as arrays: a step looks up the changes of 64 edits for each of 64 states."""

    MOST: Final = 200_000  # changes

    def __init__(self) -> None:
        self._first: dict[str, int] = {}  # edit -> its first change
        self._changes = np.zeros((1024, 7), np.intp)  # each row: changes of this edit from here on, and the change
        self._used = 0

    def gather(self, edits: Sequence[str]) -> CompiledChanges:
        """The changes of all edits, numbered consecutively."""
        new = set(edits).difference(self._first)
        if new:
            self._add(new)
        first = np.fromiter(map(self._first.__getitem__, edits), np.intp, len(edits))
        counts = self._changes[first, 0]
        pair = np.repeat(np.arange(len(first)), counts)
        place = np.arange(len(pair)) - np.repeat(np.cumsum(counts) - counts, counts)
        found = CompiledChanges(pair, *self._changes[first[pair] + place, 1:].T)
        if self._used > self.MOST:
            self.__init__()  # type: ignore[misc]  # forget all
        return found

    def _add(self, edits: Iterable[str]) -> None:
        rows: list[tuple[int, ...]] = []
        for edit in edits:
            self._first[edit] = self._used + len(rows)
            compiled = compile_edit(edit)
            rows += [(len(compiled) - place, *change) for place, change in enumerate(compiled)] or [_NO_CHANGE]
        end = self._used + len(rows)
        while end > len(self._changes):
            self._changes = np.concatenate([self._changes, np.zeros_like(self._changes)])
        self._changes[self._used : end] = rows
        self._used = end


_NO_CHANGE: Final = (0,) * 7
_COMPILED: Final = _CompiledEdits()


def gather_changes(edits: Sequence[Sequence[str]]) -> CompiledChanges:
    """The changes of all edits of all states; pairs are numbered consecutively."""
    return _COMPILED.gather([edit for pool in edits for edit in pool])


@dataclass(frozen=True, eq=False)
class Effect:
    """The symbolic effect of (state, edit) pairs.

    Attributes:
        change: [P, n] Expected difference in the encoder's linear part.
        items: The pairs' changes.
        moved: [I, n] Contribution of each change.
        mixup: [I, n] Additional difference if another value of the set were removed than the one asked for.
    """

    change: Floats
    items: CompiledChanges
    moved: Floats
    mixup: Floats


class Symbolic:
    """Applies changes to attributes, in expectation, and encodes the difference.

    Args:
        linear: The encoder's linear part.
        choice: [G'] Relative likelihood of each entry of `outcome_groups()`.
    """

    def __init__(self, linear: LinearMap, choice: Floats) -> None:
        self.linear = linear
        self.choice = choice
        self._start, self._columns = outcome_groups()

    def effect(self, held: NDArray[np.bool_], rows: Ints, items: CompiledChanges) -> Effect:
        """The expected effect of the pairs' changes.

        Args:
            held: [B, F] Whether a state has an attribute value.
            rows: [P] The state of each pair.
            items: The pairs' changes, from `gather_changes`.
        """
        state = rows[items.pair]
        cleared = self._cleared(held)  # [B, S, n]
        group = np.where(items.group >= 0, items.group, self._further(held)[state])
        possible = (items.column < 0) | held[state, items.column]
        moved = self._brought(held, cleared, state, group, possible)
        goes = np.flatnonzero(possible & (items.column >= 0) & self._replaceable(held, state, items))
        moved[goes] -= self.linear.weights[items.column[goes]]
        mixup = np.zeros_like(moved)
        mixup[goes] = self._mixup(held, cleared, state[goes], items.column[goes])
        emptied = np.flatnonzero(items.slot >= 0)
        moved[emptied] -= cleared[state[emptied], items.slot[emptied]]
        return Effect(segment_sums(moved, items.pair, len(rows)), items, moved, mixup)

    def displacement(self, start: Floats, held: NDArray[np.bool_], rows: Ints, effect: Effect) -> Floats:
        """[P, n] The symbolic displacement, with both ends projected onto the ball.

        Args:
            start: [B, n] What no edit changes, from `LinearMap.start`.
            held: [B, F] Whether a state has an attribute value.
            rows: [P] The state of each pair.
            effect: Symbolic effect of the same pairs.
        """
        start = start + self._cleared(held).sum(axis=1)
        return self.linear.project(start[rows] + effect.change) - self.linear.project(start)[rows]

    def _mixup(self, held: NDArray[np.bool_], cleared: Floats, state: Ints, column: Ints) -> Floats:
        """[I, n] Removes the mean of the slot's other values and restores the one asked for; 0 without others."""
        slot = arrays.feature_slots()[column]
        counts = held.astype(np.float64) @ arrays.slot_members().T  # [B, S]
        others = (counts[state, slot] - 1.0)[:, None]
        stays = self.linear.weights[column]
        return np.where(others > 0, stays - (cleared[state, slot] - stays) / np.maximum(others, 1.0), 0.0)

    def _cleared(self, held: NDArray[np.bool_]) -> Floats:
        """[B, S, n] What emptying a slot would take away: the sum over its values."""
        result = np.zeros((len(held), S, self.linear.weights.shape[1]))
        state, column = np.nonzero(held)
        np.add.at(result, (state, arrays.feature_slots()[column]), self.linear.weights[column])
        return result

    def _further(self, held: NDArray[np.bool_]) -> Ints:
        """[B] The group of the next tone on the ladder."""
        steps = np.where(held, arrays.ladder(), -1).max(axis=1)
        return np.where(steps >= 0, steps, len(self._start) - 2)

    def _replaceable(self, held: NDArray[np.bool_], state: Ints, items: CompiledChanges) -> NDArray[np.bool_]:
        """[I] False where the new value of a replacement is present already: then nothing happens."""
        replaces = items.kind // S == OPERATIONS.index("replace")
        there: NDArray[np.bool_] = replaces & held[state, items.value]
        return ~there

    def _brought(
        self, held: NDArray[np.bool_], cleared: Floats, state: Ints, group: Ints, possible: NDArray[np.bool_]
    ) -> Floats:
        """[I, n] What comes in, less what it displaces in single slots, averaged over the outcomes of a change."""
        counts = (self._start[group + 1] - self._start[group]) * possible
        item = np.repeat(np.arange(len(group)), counts)
        entry = np.arange(len(item)) - np.repeat(np.cumsum(counts) - counts, counts) + self._start[group][item]
        column = self._columns[entry]
        weight = self.choice[entry] * ~held[state[item], column]
        total = segment_sums(weight[:, None], item, len(group))[:, 0]
        share = weight / np.where(total > 0, total, 1.0)[item]
        slot = arrays.feature_slots()[column]
        displaced = cleared[state[item], slot] * ~arrays.IS_SET[slot][:, None]
        return segment_sums(share[:, None] * (self.linear.weights[column] - displaced), item, len(group))


def segment_sums(rows: Floats, segment: Ints, count: int) -> Floats:
    """[count, n] Sums of the rows of each segment, in order; segments ascend and may be empty.

    To the last bit, a segment's sum does not depend on the others.
    """
    result = np.zeros((count, rows.shape[1]))
    if len(segment) == 0:
        return result
    first = np.flatnonzero(np.diff(segment, prepend=-1))
    result[segment[first]] = rows if len(first) == len(rows) else np.add.reduceat(rows, first, axis=0)
    return result


@dataclass(frozen=True, eq=False)
class Correction:
    """What the language model does beyond the symbolic effect: the coefficients of a linear model.

    Attributes:
        bias: [n] A constant.
        effect: [n, n] Multiplies the symbolic displacement.
        embedding: [n, n] Multiplies the state's embedding.
        empty: [S, n] A drift for each empty slot.
        held: [F, n] A drift for each value that the state has.
        kind: [CLASSES, n] An offset for each operation and slot.
        scale: [CLASSES, n, n] Multiplies the contribution of a change, by operation and slot.
        mixup: [n, n] Multiplies `Effect.mixup`.
        direction: [V, n] An offset for each vague direction.
        value: [F, n] An offset for each value asked for.
    """

    bias: Floats
    effect: Floats
    embedding: Floats
    empty: Floats
    held: Floats
    kind: Floats
    scale: Floats
    mixup: Floats
    direction: Floats
    value: Floats

    @staticmethod
    def zero(n: int) -> Correction:
        """The correction that is zero."""
        return Correction(*(np.zeros((*shape, n)) for shape in blocks(n).values()))

    def displacement(self, base: Floats, z: Floats, held: NDArray[np.bool_], rows: Ints, effect: Effect) -> Floats:
        """[P, n] The correction to the symbolic displacement.

        Args:
            base: [P, n] Symbolic displacements.
            z: [B, n] Embeddings of the states.
            held: [B, F] Whether a state has an attribute value.
            rows: [P] The state of each pair.
            effect: Symbolic effect of the same pairs.
        """
        items = effect.items
        drift = self.bias + product(z, self.embedding) + product(empty_slots(held), self.empty)  # [B, n]
        state, column = np.nonzero(held)
        drift += segment_sums(self.held[column], state, len(held))
        own = self.kind[items.kind] + self._scaled(effect)
        own += product(effect.mixup, self.mixup)
        # An index of -1 picks the zeros appended at the end.
        own += np.concatenate([self.direction, np.zeros((1, z.shape[1]))])[items.direction]
        own += np.concatenate([self.value, np.zeros((1, z.shape[1]))])[items.value]
        return drift[rows] + product(base, self.effect) + segment_sums(own, items.pair, len(rows))

    def _scaled(self, effect: Effect) -> Floats:
        """[I, n] As `product(effect.moved, self.scale[effect.items.kind])`, without a matrix for each change."""
        kind, moved = effect.items.kind, effect.moved
        result = moved[:, 0, None] * self.scale[:, 0][kind]
        for i in range(1, moved.shape[1]):
            result += moved[:, i, None] * self.scale[:, i][kind]
        return result


def blocks(n: int) -> dict[str, tuple[int, ...]]:
    """Leading shape of each array of a correction, in the order of the regression's columns."""
    table = arrays.change_table()
    return {
        "bias": (),
        "effect": (n,),
        "embedding": (n,),
        "empty": (S,),
        "held": (len(plot_english.FEATURES),),
        "kind": (CLASSES,),
        "scale": (CLASSES, n),
        "mixup": (n,),
        "direction": (table.vague,),
        "value": (len(plot_english.FEATURES),),
    }


def empty_slots(held: NDArray[np.bool_]) -> Floats:
    """[B, S] 1.0 where a slot is empty."""
    counts = held.astype(np.float64) @ arrays.slot_members().T
    empty: Floats = (counts == 0).astype(np.float64)
    return empty


def product(rows: Floats, matrix: Floats) -> Floats:
    """`rows @ matrix`, summed in a fixed order, so that a row's bits do not depend on the number of rows."""
    result = rows[..., 0, None] * matrix[..., 0, :]
    for i in range(1, matrix.shape[-2]):
        result += rows[..., i, None] * matrix[..., i, :]
    return result


@dataclass(frozen=True, eq=False)
class PlotSurrogate:
    """The surrogate for plot English: symbolic effect plus correction.

    Args:
        linear: The encoder's linear part.
        choice: [G'] Relative likelihood of each outcome of vague changes.
        correction: What the language model does beyond the symbolic effect.
    """

    linear: LinearMap
    choice: Floats
    correction: Correction

    def displacements(self, texts: Sequence[str], edits: Sequence[Sequence[str]], z: Floats) -> Floats:
        """[P, n] Expected displacements of all (state, edit) pairs, in the order of the states."""
        symbolic = Symbolic(self.linear, self.choice)
        held = arrays.one_hot(texts)
        rows = np.repeat(np.arange(len(texts)), [len(pool) for pool in edits])
        effect = symbolic.effect(held, rows, gather_changes(edits))
        base = symbolic.displacement(self.linear.start(texts), held, rows, effect)
        return base + self.correction.displacement(base, z, held, rows, effect)

    def arrays(self) -> dict[str, Floats]:
        """The fitted arrays by name."""
        return {"choice": self.choice, **{f.name: getattr(self.correction, f.name) for f in fields(Correction)}}

    @staticmethod
    def restore(arrays: Mapping[str, Floats], space: LatentSpace) -> PlotSurrogate:
        """The surrogate of some `arrays`."""
        correction = Correction(**{f.name: arrays[f.name] for f in fields(Correction)})
        return PlotSurrogate(linear_map(space), arrays["choice"], correction)


def linear_map(space: LatentSpace) -> LinearMap:
    """The linear part of a plot-English space's encoder.

    Raises:
        PreparationError: The encoder does not read the attributes of plot English.
    """
    encoder = space.encoder
    features, values = encoder.features, len(plot_english.FEATURES)
    if not isinstance(features, AttributeFeatures):
        raise PreparationError(
            f"expected an encoder of the {values} attribute values of plot English, got one of {features.count} other "
            "features: fit the space on texts in plot English"
        )
    return LinearMap(encoder.weights[:values], encoder.intercept, space.radius, features, encoder.weights[values:])


class Fitted(Protocol):
    """What a fit makes: `PlotSurrogate` or, for free text, `FreeSurrogate`."""

    def displacements(self, texts: Sequence[str], edits: Sequence[Sequence[str]], z: Floats) -> Floats:
        """[P, n] Expected displacements of all (state, edit) pairs, in the order of the states."""
        ...

    def arrays(self) -> dict[str, Floats]:
        """The fitted arrays by name."""
        ...


class Surrogate:
    """Expected effects from a fitted surrogate; implements `Effects`.

    Args:
        model: The fitted model.
        space: The latent space in which it was fitted.
        quality: Measurements such as the R² of displacements on states and edits unseen in the fit;
            `eagle_gym.actions.surrogate.make.MEANINGS` explains each.
        cost: Cost of the fit and its measurement. `calls` is the number of generations, `prompt_tokens` and
            `completion_tokens` are theirs. `recorded` counts the calls answered from the record of an earlier fit or
            attempt. `retries` counts answers drawn again because they were empty, cut off or outside plot English.
            `seconds` is the time in the language model; a recorded call counts with the mean of those attempts.
    """

    def __init__(
        self,
        model: Fitted,
        space: LatentSpace,
        quality: Mapping[str, float],
        cost: Mapping[str, float],
    ) -> None:
        self.model = model
        self.space = space
        self.quality = dict(quality)
        self.cost = dict(cost)

    def expected(
        self, texts: Sequence[str], edits: Sequence[Sequence[str]], z: Floats, seeds: Sequence[int]
    ) -> list[Floats]:
        """See `Effects`; the seeds are not used."""
        counts = [len(pool) for pool in edits]
        moved = self.model.displacements(texts, edits, np.asarray(z, np.float64))
        ahead = project_to_ball(np.repeat(z, counts, axis=0) + moved, self.space.radius)
        return np.split(ahead, np.cumsum(counts)[:-1])
