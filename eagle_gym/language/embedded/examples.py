"""What the embedded model learns from: pairs of a prompt and its answer, made by the grammar.

Four tasks: rewrite a description as an edit prompt asks, propose an edit prompt for a description, the same for a
description and a user's profile, and write a description from attributes. A real language model surprises, so a
rewrite sometimes words the text anew and sometimes invents something for an attribute that was empty; vague prompts
are answered by any of their outcomes.

Some edit clauses are held out: training never shows them, and the evaluation asks for nothing else.
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

MACRO = {1: 0.82, 2: 0.03, 3: 0.15}  # share of prompts with so many edits
TASKS = {"rewrite": 0.73, "propose": 0.08, "personal": 0.11, "write": 0.08}
HELD_OUT = 20  # one precise clause in so many is kept from training


@dataclass(frozen=True)
class Manner:
    """How a model writes: two models of other manners are other environments.

    Attributes:
        dialect: What its own texts are written in.
        foreign: Share of the texts it reads that are plain though its dialect is another.
        reword: Share of rewrites that are worded anew; those of a text in another dialect all are.
        invent: Share of rewrites that fill one empty attribute.
        first_outcome: Share of vague edits that take the first outcome they can.
        first_slot: Share of the others that take the first slot they can.
        taken: Share of rewrites that ask for a vague direction of which the text has an outcome already: half of the
            time the first, else any.
    """

    dialect: str = PLAIN.name
    foreign: float = 0.0
    reword: float = 0.3
    invent: float = 0.12
    first_outcome: float = FIRST_OUTCOME
    first_slot: float = FIRST_SLOT
    taken: float = 0.0

    def layout(self, rng: np.random.Generator) -> Layout:
        """How a text of its own is worded."""
        return Layout.random(rng, dialect_of(self.dialect))

    def read_layout(self, rng: np.random.Generator) -> Layout:
        """How a text that it reads is worded."""
        return Layout.random(rng) if self.foreign and rng.random() < self.foreign else self.layout(rng)


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and the answer that the model is to give."""

    prompt: Prompt
    answer: str


def held_out(prompt: str) -> bool:
    """Whether a prompt has a clause that training never shows. Vague directions are never held out."""
    clauses = [clause.strip().lower() for clause in prompt.removesuffix(".").split(";")]
    return any(
        zlib.crc32(clause.encode()) % HELD_OUT == 0
        for clause, change in zip(clauses, parse_edit(prompt), strict=True)
        if change.value and change.operation != "vague"
    )


def example(rng: np.random.Generator, manner: Manner | None = None) -> Example:
    """One training example, of a task drawn at random; in the grammar's own manner where none is given."""
    makers: dict[str, Callable[[np.random.Generator, Manner], Example]] = {
        "rewrite": _rewrite, "propose": _propose, "personal": _personal, "write": _write,
    }  # fmt: skip
    return makers[str(rng.choice(list(TASKS), p=list(TASKS.values())))](rng, manner or Manner())


def description(rng: np.random.Generator) -> Attributes:
    """Attributes of a description, from sparse to rich; now and then one of many genres."""
    attributes = random_attributes(rng, float(rng.uniform(0.1, 0.7)))
    if rng.random() < 0.06:
        genres = rng.choice(values("genres"), size=int(rng.integers(5, 8)), replace=False)
        attributes = attributes.with_values("genres", map(str, genres))
    return attributes


def edit_prompt(attributes: Attributes, rng: np.random.Generator) -> str:
    """An edit prompt that may be shown in training and can change these attributes."""
    changes = int(rng.choice(list(MACRO), p=list(MACRO.values())))
    for _ in range(100):
        for prompt in propose(attributes, rng, 4, changes=changes):
            if not held_out(prompt):
                return prompt
    raise RuntimeError(f"no edit prompt found for {attributes}")


def listing(attributes: Attributes) -> str:
    """Attributes as a list, "genres: comedy, drama; tone: dark": what the write task is given."""
    return "; ".join(f"{slot}: {', '.join(attributes.values(slot))}" for slot in SLOTS if attributes.values(slot))


def _rewrite(rng: np.random.Generator, manner: Manner) -> Example:
    before = description(rng)
    if manner.taken and rng.random() < manner.taken:
        before, edit = _taken(before, rng)
    else:
        edit = edit_prompt(before, rng)
    preferred = {"first_outcome": manner.first_outcome, "first_slot": manner.first_slot}
    after = apply(before, parse_edit(edit), rng, **preferred)
    if rng.random() < manner.invent:
        after = _invent(before, after, rng)
    layout = manner.read_layout(rng)
    text = render(before, layout=layout)
    anew = layout.dialect.name != manner.dialect or rng.random() < manner.reword
    answer = render(after, layout=manner.layout(rng) if anew else layout)
    return Example(Prompt("rewrite", text=text, edit=edit), answer)


def _taken(attributes: Attributes, rng: np.random.Generator) -> tuple[Attributes, str]:
    """A description that has an outcome of a vague direction already, and the prompt that asks for the direction."""
    direction = list(directions().values())[int(rng.integers(len(directions())))]
    slot, value = direction.pairs[0 if rng.random() < 0.5 else int(rng.integers(len(direction.pairs)))]
    kept = attributes.values(slot) if slot in SET_SLOTS else ()
    prompt = render_edit(Change("vague", "", direction.name), rng)
    return attributes.with_values(slot, dict.fromkeys((*kept, value))), prompt


def _propose(rng: np.random.Generator, manner: Manner) -> Example:
    attributes = description(rng)
    text = render(attributes, layout=manner.read_layout(rng))
    return Example(Prompt("propose", text=text), edit_prompt(attributes, rng))


def _personal(rng: np.random.Generator, manner: Manner) -> Example:
    """A prompt for a user: it asks for something liked, or takes out something disliked."""
    attributes = description(rng)
    profile = _profile(attributes, rng)
    wanted = [pair for pair in profile.likes if pair not in attributes.pairs()]
    prompts = propose(attributes, rng, 12, likes=wanted or profile.likes, dislikes=profile.dislikes)
    personal = {asking_for(pair) for pair in wanted}
    fitting = [p for p in prompts if personal & set(parse_edit(p)) or _takes_out(p, profile.dislikes)]
    allowed = [p for p in fitting or prompts if not held_out(p)]
    answer = allowed[0] if allowed else edit_prompt(attributes, rng)
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
    """Something for an attribute that was empty and is empty still."""
    empty = [slot for slot in SLOTS if not before.values(slot) and not after.values(slot)]
    if not empty:
        return after
    slot = empty[int(rng.integers(len(empty)))]
    return after.with_values(slot, [values(slot)[int(rng.integers(len(values(slot))))]])
