"""Tasks whose right answer is known: attention checks and gold items. They look like any other task.

An attention check is a task with a sentence in a text that says what to answer. A gold item is a task with a text that
nobody can misjudge: words in random order, or a copy of the original.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.rating.settings import Settings
from benchmarks.rating.study import Shown, Task

POINTED = 'If you are reading this, please answer "{}" to every question below.'
PAIRED = "If you are reading this, please choose {} for every question below."
SAME = '"no difference"'


def attention_check(task: Task, settings: Settings, rng: np.random.Generator) -> Task:
    """A task with a sentence in its text (in one of a pair) that says what to answer.

    Args:
        task: The task to change.
        settings: The criteria, and words for the points.
        rng: Draws the answer, the text and the place of the sentence.
    """
    if task.paired:
        answer = ("0", "1", "same")[rng.integers(3)]
        place = int(answer) if answer != "same" else int(rng.integers(2))
        sentence = PAIRED.format(SAME if answer == "same" else "this text")
    else:
        point = int(rng.integers(5))
        answer, place = str(point + 1), 0
        sentence = POINTED.format(settings.scale[point])
    texts = list(task.texts)
    texts[place] = replace(texts[place], text=with_sentence(texts[place].text, sentence, rng))
    expected = {item.name: (answer,) for item in task.asked(settings.criteria)}
    return replace(task, role="attention", texts=tuple(texts), expected=expected)


def with_sentence(text: str, sentence: str, rng: np.random.Generator) -> str:
    """A text with one more sentence after one of its own."""
    sentences = re.split(r"(?<=[.!?])\s+", text.strip())
    place = int(rng.integers(1, len(sentences) + 1))
    return " ".join([*sentences[:place], sentence, *sentences[place:]])


def gold_item(task: Task, kind: str, criterion: str, rng: np.random.Generator) -> Task:
    """A task with a text that nobody can misjudge by one criterion.

    Args:
        task: The task to change.
        kind: "scrambled" (words in random order) or "copied" (the original).
        criterion: Name of the criterion that gives it away.
        rng: Draws the order of the words, and which text of a pair is changed.
    """
    place = int(rng.integers(len(task.texts)))
    text = scrambled(task.texts[place].text, rng) if kind == "scrambled" else task.original
    texts = list(task.texts)
    texts[place] = Shown(texts[place].method, text, texts[place].edits)
    answers = (str(1 - place),) if task.paired else ("1", "2")
    return replace(task, role="gold", texts=tuple(texts), expected={criterion: answers})


def scrambled(text: str, rng: np.random.Generator) -> str:
    """A text with its words in random order."""
    words = text.split()
    return " ".join(words[i] for i in rng.permutation(len(words)))


def suits(task: Task, kind: str) -> bool:
    """Whether a gold item of a kind can be made of a task.

    A text with few words may still read well in another order. A copy differs visibly from the other text of a pair
    only if that one is not a copy too, or nearly one.
    """
    if kind == "scrambled":
        return all(len(item.text.split()) >= 8 for item in task.texts)
    words = set(task.original.split())
    return not task.paired or all(len(words ^ set(item.text.split())) >= 6 for item in task.texts)


def make_checks(
    bases: Sequence[Task], settings: Settings, attention: int, gold: int, rng: np.random.Generator
) -> tuple[list[Task], list[Task]]:
    """Attention checks and gold items, made of tasks in turn.

    Args:
        bases: Tasks to make them of.
        settings: The criteria and kinds of gold items.
        attention: Number of attention checks.
        gold: Number of gold items.
        rng: Draws all else.

    Returns:
        Both; fewer gold items if no task suits.
    """
    order = rng.permutation(len(bases))
    checks = [attention_check(bases[order[i % len(bases)]], settings, rng) for i in range(attention)]
    kinds = [
        (bases[i], kind, name)
        for i in order[::-1]
        for kind, name in settings.gold_items.items()
        if suits(bases[i], kind) and any(item.name == name for item in bases[i].asked(settings.criteria))
    ]
    items = [gold_item(*kinds[i % len(kinds)], rng) for i in range(gold)] if kinds else []
    return checks, items
