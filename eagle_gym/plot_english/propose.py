"""Candidate edit prompts for a description: generic ones, and personalised ones drawn from a user's profile."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import numpy as np

from eagle_gym.errors import ConfigurationError
from eagle_gym.plot_english import lexicon
from eagle_gym.plot_english.attributes import Attributes, Pair
from eagle_gym.plot_english.edits import Edit, directions, outcomes, render_edit, slots_of

# Shares of the generic prompts by kind ("ask" sets or adds a value), and how often each slot is asked for.
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
    edits: int = 1,
) -> list[str]:
    """Distinct edit prompts, each of which can change the description.

    Args:
        attributes: what the description says.
        rng: draws the prompts.
        n: how many are wanted.
        likes: what the user likes: half of the prompts then ask for one of these.
        dislikes: what the user dislikes: never asked for, and taken out where the description has it.
        edits: how many edits a prompt asks for; three make the macro prompts of the paper's ablation.

    Returns:
        ``n`` prompts, or fewer where the language has no more for this description.

    Raises:
        ConfigurationError: if ``n`` or ``edits`` is below 1.
    """
    if n < 1 or edits < 1:
        raise ConfigurationError(f"expected n >= 1 and edits >= 1, got n={n}, edits={edits}")
    taken: set[tuple[Edit, ...]] = set()
    prompts: dict[str, None] = {}
    for _ in range(20 * n):
        drawn = _several(attributes, rng, edits, likes, dislikes)
        if len(drawn) == edits and drawn not in taken:
            taken.add(drawn)
            prompts.setdefault(render_edit(drawn, rng))
        if len(prompts) == n:
            break
    return list(prompts)


def sample_edit(
    attributes: Attributes, rng: np.random.Generator, likes: Sequence[Pair] = (), dislikes: Sequence[Pair] = ()
) -> Edit | None:
    """One edit that can change the description, or None where the draw came to nothing."""
    edit = _personal(attributes, rng, likes, dislikes) if likes and rng.random() < 0.5 else _generic(attributes, rng)
    if edit is None or not outcomes(attributes, edit) or _unwanted(edit, dislikes) or _full(attributes, edit):
        return None
    return edit


def _several(
    attributes: Attributes, rng: np.random.Generator, count: int, likes: Sequence[Pair], dislikes: Sequence[Pair]
) -> tuple[Edit, ...]:
    """Up to ``count`` edits that touch different slots, so that none undoes another."""
    drawn: list[Edit] = []
    for _ in range(10 * count):
        edit = sample_edit(attributes, rng, likes, dislikes)
        if edit is not None and all(slots_of(edit).isdisjoint(slots_of(other)) for other in drawn):
            drawn.append(edit)
        if len(drawn) == count:
            break
    return tuple(drawn)


def _generic(attributes: Attributes, rng: np.random.Generator) -> Edit | None:
    vague, remove, replace, intensify, _ = accumulate(SHARES.values())
    draw = float(rng.random())
    if draw < vague:
        return Edit("vague", "", _choose(rng, tuple(directions())))
    if draw < remove:
        return _removal(rng, attributes.pairs())
    if draw < replace:
        return _replacement(attributes, rng)
    if draw < intensify:
        return Edit("intensify", "tone")
    slots, weights = tuple(SLOT_WEIGHTS), np.array(list(SLOT_WEIGHTS.values()))
    slot = slots[int(np.searchsorted(np.cumsum(weights), float(rng.random()) * weights.sum(), side="right"))]
    return asking_for((slot, _choose(rng, lexicon.values(slot))))


def _personal(
    attributes: Attributes, rng: np.random.Generator, likes: Sequence[Pair], dislikes: Sequence[Pair]
) -> Edit | None:
    present = [pair for pair in attributes.pairs() if pair in set(dislikes)]
    if present and rng.random() < 0.3:
        return _removal(rng, present)
    return asking_for(likes[int(rng.integers(len(likes)))])


def asking_for(pair: Pair) -> Edit:
    """The edit that asks for a pair: ``add`` for a set, ``set`` for a single slot."""
    return Edit("add" if pair[0] in lexicon.SET_SLOTS else "set", *pair)


def _removal(rng: np.random.Generator, pairs: Sequence[Pair]) -> Edit | None:
    if not pairs:
        return None
    slot, value = pairs[int(rng.integers(len(pairs)))]
    return Edit("remove", slot, value if slot in lexicon.SET_SLOTS else "")


def _replacement(attributes: Attributes, rng: np.random.Generator) -> Edit | None:
    held = [pair for pair in attributes.pairs() if pair[0] in lexicon.SET_SLOTS]
    if not held:
        return None
    slot, old = held[int(rng.integers(len(held)))]
    return Edit("replace", slot, _choose(rng, lexicon.values(slot)), old)


def _choose(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _unwanted(edit: Edit, dislikes: Sequence[Pair]) -> bool:
    return edit.operation not in ("remove", "vague") and (edit.slot, edit.value) in dislikes


def _full(attributes: Attributes, edit: Edit) -> bool:
    """Whether a set has as many values as a readable description bears."""
    return edit.operation == "add" and len(attributes.values(edit.slot)) >= lexicon.CAPACITY[edit.slot]


def random_attributes(rng: np.random.Generator, richness: float = 0.5) -> Attributes:
    """Attributes drawn at random: each single slot is given with probability ``richness``, sets are filled likewise."""
    pairs: list[Pair] = []
    for slot in lexicon.SINGLE_SLOTS:
        if rng.random() < richness:
            pairs.append((slot, _choose(rng, lexicon.values(slot))))
    for slot in lexicon.SET_SLOTS:
        count = int(rng.binomial(lexicon.CAPACITY[slot], richness))
        pairs.extend((slot, _choose(rng, lexicon.values(slot))) for _ in range(count))
    return Attributes.from_pairs(pairs)
