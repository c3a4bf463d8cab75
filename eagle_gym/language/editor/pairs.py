"""Self-made pairs: a model carries out edits of free texts, and what it did well becomes training data.

The edits of `edits` have one right answer, in few words. A model says it in words of its own. What it wrote is kept if
a rule finds the phrase that was asked for, not the one that it replaces, and most of the other words, in their order.

A file of pairs has a line about its making, and one for each edit that was asked for, kept or not: so the command can
go on where it was interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from eagle_gym.errors import ConfigurationError, LanguageModelError, PreparationError
from eagle_gym.language.change import change, kept, mentions
from eagle_gym.language.editor.edits import NoEdit, free_text, requested, spoken, swapped
from eagle_gym.language.editor.overviews import KINDS, choose
from eagle_gym.language.embedded.examples import Example
from eagle_gym.language.model import LanguageModel
from eagle_gym.language.prompts import Prompt
from eagle_gym.progress import progress_bar
from eagle_gym.seeding import stable_seed

BATCH: Final = 32
TEMPERATURE: Final = 0.7
LEAST_KEPT: Final = 0.8  # share of the other words, in their order; training teaches to keep them all
SWAPS: Final = 0.5  # share of requests that ask for another word


@dataclass(frozen=True, slots=True)
class Request:
    """An edit whose success a rule can check.

    Attributes:
        text: The text.
        edit: What is asked for.
        new: Phrase that a rewrite has to have.
        old: Phrase that it may not have, or "".
    """

    text: str
    edit: str
    new: str
    old: str = ""

    @classmethod
    def draw(cls, rng: np.random.Generator, texts: Sequence[str]) -> Request:
        """A request to swap a word, or to put something in.

        Args:
            rng: Draws it.
            texts: Free texts to edit, in addition to invented ones.
        """
        while True:
            source = free_text(rng, texts)
            if rng.random() < SWAPS:
                try:
                    done = swapped(rng, source, choose(rng, KINDS))
                except NoEdit:
                    continue
                edit, new, old = done.request, done.new, done.old
            else:
                (edit, new), old = requested(rng), ""
            if not mentions(source.text, new):
                return cls(source.text, spoken(rng, edit), new, old)

    def is_done(self, rewrite: str) -> bool:
        """Whether a rewrite does what is asked, and leaves the rest."""
        echoed = self.edit.rstrip(".").lower() in rewrite.lower()
        done = mentions(rewrite, self.new) and not (self.old and mentions(rewrite, self.old)) and not echoed
        return done and change(self.text, rewrite) == "edited" and kept(self.text, rewrite, self.old) >= LEAST_KEPT


def write_pairs(model: LanguageModel, texts: Sequence[str], count: int, seed: int, path: Path) -> int:
    """Let a model edit free texts, and write what came of it, batch by batch; goes on where it was interrupted.

    Args:
        model: Any language model of free text, such as an editor that is to be improved.
        texts: Free texts to edit, in addition to invented ones.
        count: How many edits to ask for.
        seed: Of requests and generations.
        path: The file.

    Returns:
        How many pairs it has that a rule accepts.

    Raises:
        ConfigurationError: The file was made by another model, from other texts or with another seed.
        LanguageModelError: The model has no answer to any edit of a batch.
    """
    about = {"model": model.fingerprint, "texts": f"{stable_seed(*texts):x}", "seed": seed}
    path.parent.mkdir(parents=True, exist_ok=True)
    head = json.dumps(about) + "\n"
    found = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    lines = found or [head]
    if lines[0] != head:
        raise ConfigurationError(f"{path} was made by another model, from other texts or seed: name another file")
    done = (len(lines) - 1) // BATCH * BATCH  # a batch that is not whole is made again
    path.write_text("".join(lines[: 1 + done]), encoding="utf-8")
    starts = range(done, count, BATCH)
    for start in progress_bar(starts, desc="making pairs", unit="batch"):
        rows = _batch(model, texts, seed, start, min(BATCH, count - start))
        with path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return sum(row["kept"] for row in _rows(path))


def _batch(model: LanguageModel, texts: Sequence[str], seed: int, start: int, count: int) -> list[dict[str, Any]]:
    """What became of some edits; the rewrite is "" where there was none."""
    rng = np.random.default_rng([seed, 11, start])
    asked = [Request.draw(rng, texts) for _ in range(count)]
    prompts = [Prompt("rewrite", text=one.text, edit=one.edit) for one in asked]
    answers = _answers(model, prompts, [stable_seed("pair", seed, start + row) for row in range(count)])
    return [
        {"text": one.text, "edit": one.edit, "rewrite": answers.get(row, ""), "kept": one.is_done(answers.get(row, ""))}
        for row, one in enumerate(asked)
    ]


def _answers(model: LanguageModel, prompts: Sequence[Prompt], seeds: Sequence[int]) -> dict[int, str]:
    """The rewrites by row; rows without an answer are left out."""
    try:
        answers = dict(enumerate(model.generate(prompts, seeds, temperature=TEMPERATURE)))
    except LanguageModelError as error:
        if not error.answered:
            raise
        answers = error.answered
    return {row: answer.text for row, answer in answers.items()}


def read_pairs(path: Path) -> list[Example]:
    """The pairs in a file that a rule accepts, each once.

    Raises:
        PreparationError: The file is missing or holds something else, or no such pair.
    """
    rows = _rows(path)
    pairs = [
        Example(Prompt("rewrite", text=row["text"], edit=row["edit"]), row["rewrite"]) for row in rows if row["kept"]
    ]
    if not pairs:
        raise PreparationError(f"expected pairs in {path}, got none: the model made none that a rule accepts")
    return list(dict.fromkeys(pairs))


def _rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a file without the first.

    Raises:
        PreparationError: The file is missing, or not of this kind.
    """
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]
        for number, row in enumerate(rows, start=2):
            if not isinstance(row, dict) or not {"text", "edit", "rewrite", "kept"} <= row.keys():
                raise ValueError(f"line {number} is {row!r:.60}")
    except (OSError, ValueError) as error:
        raise PreparationError(
            f"expected text, edit, rewrite and kept on each line of {path}, got an error: {error}: make it with "
            "python -m eagle_gym.language.editor pairs"
        ) from error
    return rows
