"""Candidate edits for a description: generic ones, and personalised ones drawn from a user's profile."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import numpy as np

from eagle_gym.errors import ConfigurationError
from eagle_gym.plot_english import lexicon
from eagle_gym.plot_english.attributes import Attributes, Pair
from eagle_gym.plot_english.edits import Change, directions, outcomes, render_edit, slots_of

# Shares of the generic changes by kind ("ask" sets or adds a value), and how often each slot is asked for.
SHARES: Final = {"vague": 0.25, "remove": 0.12, "replace": 0.12, "intensify": 0.01, "ask": 0.50}
SLOT_WEIGHTS: Final = {
    "genres": 2.0, "decade": 1.0, "tone": 1.5, "setting": 2.0, "protagonist": 1.5, "trait": 1.0, "goal": 1.5,
    "antagonist": 1.5, "themes": 2.0, "motifs": 3.0, "styles": 2.0, "ending": 0.7,
}  # fmt: skip


def propose(
    attributes: Attributes,
    rng: np.random.Generator,
    n: int,
    *,
    likes: Sequence[Pair] = (),
    dislikes: Sequence[Pair] = (),
    changes: int = 1,
) -> list[str]:
    """Distinct edits, each of which can alter the description.

    Args:
        attributes: What the description says.
        rng: Draws the edits.
        n: Number of edits that are wanted.
        likes: What the user likes: half of the changes then ask for one of these.
        dislikes: What the user dislikes: never asked for, and removed where the description has it.
        changes: Number of changes in an edit; three make the macro edits of the paper's ablation.

    Returns:
        `n` edits, or fewer where the language has no more for this description.

    Raises:
        ConfigurationError: `n` or `changes` is below 1.
    """
    if n < 1 or changes < 1:
        raise ConfigurationError(f"expected n >= 1 and changes >= 1, got n={n}, changes={changes}")
    taken: set[tuple[Change, ...]] = set()
    edits: dict[str, None] = {}
    for _ in range(20 * n):
        drawn = _several(attributes, rng, changes, likes, dislikes)
        if len(drawn) == changes and drawn not in taken:
            taken.add(drawn)
            edits.setdefault(render_edit(drawn, rng))
        if len(edits) == n:
            break
    return list(edits)


def sample_edit(
    attributes: Attributes, rng: np.random.Generator, likes: Sequence[Pair] = (), dislikes: Sequence[Pair] = ()
) -> Change | None:
    """One change that can alter the description, or None where the drawn one cannot."""
    change = _personal(attributes, rng, likes, dislikes) if likes and rng.random() < 0.5 else _generic(attributes, rng)
    if change is None or not outcomes(attributes, change) or _unwanted(change, dislikes) or _full(attributes, change):
        return None
    return change


def _several(
    attributes: Attributes, rng: np.random.Generator, count: int, likes: Sequence[Pair], dislikes: Sequence[Pair]
) -> tuple[Change, ...]:
    """Up to `count` changes of different slots, so that none undoes another."""
    drawn: list[Change] = []
    for _ in range(10 * count):
        change = sample_edit(attributes, rng, likes, dislikes)
        if change is not None and all(slots_of(change).isdisjoint(slots_of(other)) for other in drawn):
            drawn.append(change)
        if len(drawn) == count:
            break
    return tuple(drawn)


def _generic(attributes: Attributes, rng: np.random.Generator) -> Change | None:
    vague, remove, replace, intensify, _ = accumulate(SHARES.values())
    draw = float(rng.random())
    if draw < vague:
        return Change("vague", "", _choose(rng, tuple(directions())))
    if draw < remove:
        return _removal(rng, attributes.pairs())
    if draw < replace:
        return _replacement(attributes, rng)
    if draw < intensify:
        return Change("intensify", "tone")
    slots, weights = tuple(SLOT_WEIGHTS), np.array(list(SLOT_WEIGHTS.values()))
    slot = slots[int(np.searchsorted(np.cumsum(weights), float(rng.random()) * weights.sum(), side="right"))]
    return asking_for((slot, _choose(rng, lexicon.values(slot))))


def _personal(
    attributes: Attributes, rng: np.random.Generator, likes: Sequence[Pair], dislikes: Sequence[Pair]
) -> Change | None:
    present = [pair for pair in attributes.pairs() if pair in set(dislikes)]
    if present and rng.random() < 0.3:
        return _removal(rng, present)
    return asking_for(likes[int(rng.integers(len(likes)))])


def asking_for(pair: Pair) -> Change:
    """The change that asks for a pair: "add" for a set, "set" for a single slot."""
    return Change("add" if pair[0] in lexicon.SET_SLOTS else "set", *pair)


def _removal(rng: np.random.Generator, pairs: Sequence[Pair]) -> Change | None:
    if not pairs:
        return None
    slot, value = pairs[int(rng.integers(len(pairs)))]
    return Change("remove", slot, value if slot in lexicon.SET_SLOTS else "")


def _replacement(attributes: Attributes, rng: np.random.Generator) -> Change | None:
    held = [pair for pair in attributes.pairs() if pair[0] in lexicon.SET_SLOTS]
    if not held:
        return None
    slot, old = held[int(rng.integers(len(held)))]
    return Change("replace", slot, _choose(rng, lexicon.values(slot)), old)


def _choose(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _unwanted(change: Change, dislikes: Sequence[Pair]) -> bool:
    return change.operation not in ("remove", "vague") and (change.slot, change.value) in dislikes


def _full(attributes: Attributes, change: Change) -> bool:
    """Whether a set has as many values as a readable description allows."""
    return change.operation == "add" and len(attributes.values(change.slot)) >= lexicon.CAPACITY[change.slot]


def random_attributes(rng: np.random.Generator, richness: float = 0.5) -> Attributes:
    """Attributes drawn at random: `richness` is the probability that a single slot, or a place in a set, is filled."""
    pairs: list[Pair] = []
    for slot in lexicon.SINGLE_SLOTS:
        if rng.random() < richness:
            pairs.append((slot, _choose(rng, lexicon.values(slot))))
    for slot in lexicon.SET_SLOTS:
        count = int(rng.binomial(lexicon.CAPACITY[slot], richness))
        pairs.extend((slot, _choose(rng, lexicon.values(slot))) for _ in range(count))
    return Attributes.from_pairs(pairs)
