"""The embedded model's training examples: pairs of a prompt and its answer, made by the grammar.

There are four tasks: rewrite a description as an edit asks, propose an edit for a description, propose one for a
description and a user's profile, and write a description from attributes. Language models surprise, so a rewrite
sometimes rewords the text and sometimes invents a value for an empty attribute. A vague edit is answered by any of its
outcomes.

Some precise edit clauses are held out: training never shows them, and the evaluation's precise edits use only them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eagle_gym.language.prompts import Prompt
from eagle_gym.plot_english import (
    PLAIN,
    SLOTS,
    Attributes,
    Change,
    Layout,
    Pair,
    Profile,
    apply,
    dialect_of,
    parse_edit,
    propose,
    random_attributes,
    render,
    render_edit,
    render_profile,
)
from eagle_gym.plot_english.edits import FIRST_OUTCOME, FIRST_SLOT, directions
from eagle_gym.plot_english.lexicon import SET_SLOTS, values
from eagle_gym.plot_english.propose import asking_for

MACRO = {1: 0.82, 2: 0.03, 3: 0.15}  # share of edits that ask for so many changes
TASKS = {"rewrite": 0.73, "propose": 0.08, "personal": 0.11, "write": 0.08}
HELD_OUT = 20  # one precise clause in so many is held out


@dataclass(frozen=True)
class Manner:
    """How a model writes: models with different manners are different environments.

    Attributes:
        dialect: The dialect of its own texts.
        foreign: Share of plain texts among those that a model of another dialect reads.
        reword: Share of rewrites that reword the text; texts in another dialect are always reworded.
        invent: Share of rewrites that fill one empty attribute.
        first_outcome: Share of vague edits that take their first possible outcome.
        first_slot: Share of the other vague edits that take their first possible slot.
        taken: Share of rewrites that ask for a vague direction of which the text already has an outcome: in half of
            them the first outcome, otherwise any.
    """

    dialect: str = PLAIN.name
    foreign: float = 0.0
    reword: float = 0.3
    invent: float = 0.12
    first_outcome: float = FIRST_OUTCOME
    first_slot: float = FIRST_SLOT
    taken: float = 0.0

    def layout(self, rng: np.random.Generator) -> Layout:
        """A layout for one of its own texts."""
        return Layout.random(rng, dialect_of(self.dialect))

    def read_layout(self, rng: np.random.Generator) -> Layout:
        """A layout for a text that it reads."""
        return Layout.random(rng) if self.foreign and rng.random() < self.foreign else self.layout(rng)


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and its answer."""

    prompt: Prompt
    answer: str


def held_out(prompt: str) -> bool:
    """Whether an edit has a clause that training never shows. Vague directions are never held out."""
    clauses = [clause.strip().lower() for clause in prompt.removesuffix(".").split(";")]
    return any(
        zlib.crc32(clause.encode()) % HELD_OUT == 0
        for clause, change in zip(clauses, parse_edit(prompt), strict=True)
        if change.value and change.operation != "vague"
    )


def example(rng: np.random.Generator, manner: Manner | None = None, task: str | None = None) -> Example:
    """One training example of a task of `TASKS`, by default a random one; the default manner is the grammar's own."""
    makers: dict[str, Callable[[np.random.Generator, Manner], Example]] = {
        "rewrite": _rewrite, "propose": _propose, "personal": _personal, "write": _write,
    }  # fmt: skip
    task = task or str(rng.choice(list(TASKS), p=list(TASKS.values())))
    return makers[task](rng, manner or Manner())


def description(rng: np.random.Generator) -> Attributes:
    """Attributes of a description, from sparse to rich, some with many genres."""
    attributes = random_attributes(rng, float(rng.uniform(0.1, 0.7)))
    if rng.random() < 0.06:
        genres = rng.choice(values("genres"), size=int(rng.integers(5, 8)), replace=False)
        attributes = attributes.with_values("genres", map(str, genres))
    return attributes


def draw_edit(attributes: Attributes, rng: np.random.Generator) -> str:
    """An edit that may be shown in training and can change these attributes."""
    changes = int(rng.choice(list(MACRO), p=list(MACRO.values())))
    for _ in range(100):
        for prompt in propose(attributes, rng, 4, changes=changes):
            if not held_out(prompt):
                return prompt
    raise RuntimeError(f"no edit found for {attributes}")


def listing(attributes: Attributes) -> str:
    """Attributes as the write task lists them: "genres: comedy, drama; tone: dark"."""
    return "; ".join(f"{slot}: {', '.join(attributes.values(slot))}" for slot in SLOTS if attributes.values(slot))


def _rewrite(rng: np.random.Generator, manner: Manner) -> Example:
    before = description(rng)
    if manner.taken and rng.random() < manner.taken:
        before, edit = _taken(before, rng)
    else:
        edit = draw_edit(before, rng)
    preferred = {"first_outcome": manner.first_outcome, "first_slot": manner.first_slot}
    after = apply(before, parse_edit(edit), rng, **preferred)
    if rng.random() < manner.invent:
        after = _invent(before, after, rng)
    layout = manner.read_layout(rng)
    text = render(before, layout=layout)
    reworded = layout.dialect.name != manner.dialect or rng.random() < manner.reword
    answer = render(after, layout=manner.layout(rng) if reworded else layout)
    return Example(Prompt("rewrite", text=text, edit=edit), answer)


def _taken(attributes: Attributes, rng: np.random.Generator) -> tuple[Attributes, str]:
    """A description that already has an outcome of a vague direction, and the edit that asks for the direction."""
    direction = list(directions().values())[int(rng.integers(len(directions())))]
    slot, value = direction.pairs[0 if rng.random() < 0.5 else int(rng.integers(len(direction.pairs)))]
    kept = attributes.values(slot) if slot in SET_SLOTS else ()
    prompt = render_edit(Change("vague", "", direction.name), rng)
    return attributes.with_values(slot, dict.fromkeys((*kept, value))), prompt


def _propose(rng: np.random.Generator, manner: Manner) -> Example:
    attributes = description(rng)
    text = render(attributes, layout=manner.read_layout(rng))
    return Example(Prompt("propose", text=text), draw_edit(attributes, rng))


def _personal(rng: np.random.Generator, manner: Manner) -> Example:
    """An edit for a user, which asks for something liked or removes something disliked."""
    attributes = description(rng)
    profile = _profile(attributes, rng)
    wanted = [pair for pair in profile.likes if pair not in attributes.pairs()]
    prompts = propose(attributes, rng, 12, likes=wanted or profile.likes, dislikes=profile.dislikes)
    personal = {asking_for(pair) for pair in wanted}
    fitting = [p for p in prompts if personal & set(parse_edit(p)) or _takes_out(p, profile.dislikes)]
    allowed = [p for p in fitting or prompts if not held_out(p)]
    answer = allowed[0] if allowed else draw_edit(attributes, rng)
    text = render(attributes, layout=manner.read_layout(rng))
    return Example(Prompt("propose", text=text, profile=render_profile(profile)), answer)


def _write(rng: np.random.Generator, manner: Manner) -> Example:
    attributes = description(rng)
    while not attributes.pairs():
        attributes = description(rng)
    return Example(Prompt("write", text=listing(attributes)), render(attributes, layout=manner.layout(rng)))


def _takes_out(edit: str, dislikes: tuple[Pair, ...]) -> bool:
    return any(c.operation == "remove" and (c.slot, c.value) in dislikes for c in parse_edit(edit))


def _profile(attributes: Attributes, rng: np.random.Generator) -> Profile:
    likes = _random_pairs(rng, int(rng.integers(2, 7)))
    held = [pair for pair in attributes.pairs() if pair[0] in SET_SLOTS and rng.random() < 0.3]
    dislikes = [*held[:2], *_random_pairs(rng, int(rng.integers(0, 4)))]
    return Profile(tuple(likes), tuple(pair for pair in dict.fromkeys(dislikes) if pair not in likes))


def _random_pairs(rng: np.random.Generator, count: int) -> list[Pair]:
    slots = [SLOTS[int(index)] for index in rng.integers(len(SLOTS), size=count)]
    return list(dict.fromkeys((slot, values(slot)[int(rng.integers(len(values(slot))))]) for slot in slots))


def _invent(before: Attributes, after: Attributes, rng: np.random.Generator) -> Attributes:
    """The attributes with a value for one that was empty before and after the edit."""
    empty = [slot for slot in SLOTS if not before.values(slot) and not after.values(slot)]
    if not empty:
        return after
    slot = empty[int(rng.integers(len(empty)))]
    return after.with_values(slot, [values(slot)[int(rng.integers(len(values(slot))))]])
