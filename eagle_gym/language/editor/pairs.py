"""Self-made pairs: a model carries out edits of free texts, and what it did well becomes training data.

The edits of `edits` have one right answer, in few words. A model says it in words of its own. What it wrote is kept if
a rule finds what was asked for, nothing of what that replaces, and most of the rest, in its order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from eagle_gym.errors import LanguageModelError, PreparationError
from eagle_gym.language.change import change, kept, words
from eagle_gym.language.editor.edits import NoEdit, free_text, requested, spoken, swapped
from eagle_gym.language.editor.overviews import KINDS, choose
from eagle_gym.language.embedded.examples import Example
from eagle_gym.language.model import LanguageModel
from eagle_gym.language.prompts import Prompt
from eagle_gym.progress import progress_bar
from eagle_gym.seeding import stable_seed

BATCH: Final = 32
TEMPERATURE: Final = 0.7
LEAST_KEPT: Final = 0.8  # share of the text's words, in their order; training teaches to keep the rest
SWAPS: Final = 0.5  # share of requests that ask for another word


@dataclass(frozen=True, slots=True)
class Request:
    """An edit whose success a rule can check.

    Attributes:
        text: The text.
        edit: What is asked for.
        new: Words that a rewrite has to have.
        old: Words that it may not have.
    """

    text: str
    edit: str
    new: frozenset[str]
    old: frozenset[str] = frozenset()

    @classmethod
    def draw(cls, rng: np.random.Generator, texts: Sequence[str]) -> Request:
        """A request to swap a word, or to put something in.

        Args:
            rng: Draws it.
            texts: Free texts to edit, in addition to invented ones.
        """
        while True:
            source = free_text(rng, texts)
            before = frozenset(words(source.text))
            if rng.random() < SWAPS:
                try:
                    done = swapped(rng, source, choose(rng, KINDS))
                except NoEdit:
                    continue
                after = frozenset(words(done.text))
                edit, new, old = done.request, after - before, before - after
            else:
                edit, value = requested(rng)
                new, old = frozenset(words(value)) - before, frozenset[str]()
            if new:
                return cls(source.text, spoken(rng, edit), new, old)

    def is_done(self, rewrite: str) -> bool:
        """Whether a rewrite does what is asked, and leaves the rest."""
        said = frozenset(words(rewrite))
        echoed = self.edit.rstrip(".").lower() in rewrite.lower()
        done = self.new <= said and not self.old & said and not echoed
        return done and change(self.text, rewrite) == "edited" and kept(self.text, rewrite) >= LEAST_KEPT


def self_made(model: LanguageModel, texts: Sequence[str], count: int, seed: int) -> Iterator[Example]:
    """Pairs that a model made and a rule accepts.

    Args:
        model: Any language model of free text, such as an editor that is to be improved.
        texts: Free texts to edit, in addition to invented ones.
        count: How many edits to ask for.
        seed: Of requests and generations.
    """
    rng = np.random.default_rng([seed, 11])
    for start in progress_bar(range(0, count, BATCH), desc="making pairs", unit="batch"):
        asked = [Request.draw(rng, texts) for _ in range(start, min(start + BATCH, count))]
        prompts = [Prompt("rewrite", text=one.text, edit=one.edit) for one in asked]
        seeds = [stable_seed("pair", seed, start + row) for row in range(len(asked))]
        for row, rewrite in _answers(model, prompts, seeds).items():
            if asked[row].is_done(rewrite):
                yield Example(prompts[row], rewrite)


def _answers(model: LanguageModel, prompts: Sequence[Prompt], seeds: Sequence[int]) -> dict[int, str]:
    """The rewrites by row; rows without an answer are left out."""
    try:
        answers = dict(enumerate(model.generate(prompts, seeds, temperature=TEMPERATURE)))
    except LanguageModelError as error:
        if not error.answered:
            raise
        answers = error.answered
    return {row: answer.text for row, answer in answers.items()}


def write_pairs(model: LanguageModel, texts: Sequence[str], count: int, seed: int, path: Path) -> int:
    """Write pairs to a file, one JSON object a line; return how many there are."""
    pairs = list(dict.fromkeys(self_made(model, texts, count, seed)))
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = ({"text": one.prompt.text, "edit": one.prompt.edit, "rewrite": one.answer} for one in pairs)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return len(pairs)


def read_pairs(path: Path) -> list[Example]:
    """The pairs in a file.

    Raises:
        PreparationError: The file is missing or holds something else, or nothing.
    """
    found = []
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            row = json.loads(line)
            if not isinstance(row, dict) or not all(row.get(name) for name in ("text", "edit", "rewrite")):
                raise ValueError(f"line {number} is {line[:60]!r}")
            found.append(Example(Prompt("rewrite", text=row["text"], edit=row["edit"]), str(row["rewrite"])))
    except (OSError, ValueError) as error:
        raise PreparationError(
            f"expected an object with text, edit and rewrite on each line of {path}, got an error: {error}"
        ) from error
    if not found:
        raise PreparationError(f"expected pairs in {path}, got an empty file: the model made none that a rule accepts")
    return found
