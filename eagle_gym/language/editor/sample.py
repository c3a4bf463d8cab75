"""Free texts from the base model itself: overviews of films that do not exist, to be given away with an adapter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from eagle_gym.errors import LanguageModelError
from eagle_gym.language.editor import words
from eagle_gym.language.model import LanguageModel
from eagle_gym.language.prompts import Prompt
from eagle_gym.progress import progress_bar
from eagle_gym.seeding import stable_seed

BATCH: Final = 32
TEMPERATURE: Final = 0.7  # at 1 a model of 135 million parameters loses the thread
SHORTEST, LONGEST = 25, 90  # words of a text that is kept
_SENTENCE: Final = re.compile(r"[A-Z][^.!?\n*#:_<>{}\[\]|]*[.!?]")
_ABOUT_ITSELF: Final = re.compile(r"\b(description|rewrite|attribute|word limit|AI|I|I'm|my|you|your)\b")


def sample_overviews(model: LanguageModel, count: int, seed: int) -> Iterator[str]:
    """Overviews that pass `is_usable`, cut to at most four sentences.

    Args:
        model: Any language model that writes free text; it is asked at temperature 0.7.
        count: How many to ask for; about half of them pass.
        seed: Of the listings and the generations.
    """
    rng = np.random.default_rng([seed, 7])
    starts = range(0, count, BATCH)
    for start in progress_bar(starts, desc="sampling overviews", unit="batch"):
        rows = range(start, min(start + BATCH, count))
        prompts = [Prompt("write", text=listing(rng)) for _ in rows]
        answers = _answers(model, prompts, [stable_seed("overview", seed, row) for row in rows])
        yield from (text for text in map(shortened, answers) if is_usable(text))


def _answers(model: LanguageModel, prompts: list[Prompt], seeds: list[int]) -> list[str]:
    """The texts, unfinished ones included."""
    try:
        return [completion.text for completion in model.generate(prompts, seeds, temperature=TEMPERATURE)]
    except LanguageModelError as error:
        return [completion.text for completion in error.answered.values()]


def listing(rng: np.random.Generator) -> str:
    """Attributes of a film that does not exist."""
    genre, profession, place = (str(rng.choice(group)) for group in (words.GENRES, words.PROFESSIONS, words.PLACES))
    name = str(rng.choice(words.WOMEN if rng.random() < 0.5 else words.MEN))
    parts = [f"a short overview of a {genre} film", f"main character: {name}, a {profession}", f"place: {place}"]
    if rng.random() < 0.4:
        parts.append(f"time: {rng.choice(words.DECADES)}")
    if rng.random() < 0.4:
        parts.append(f"an object in it: {rng.choice(words.OBJECTS)}")
    return "; ".join([*parts, f"length: {rng.integers(2, 4)} sentences"])


def shortened(text: str) -> str:
    """The whole sentences that a text begins with, at most four and not more than `LONGEST` words."""
    kept: list[str] = []
    for match in _SENTENCE.finditer(text):
        if len(kept) == 4 or len(" ".join([*kept, match[0]]).split()) > LONGEST:
            break
        kept.append(match[0])
    return " ".join(kept)


def is_usable(text: str) -> bool:
    """Whether a text reads like an overview: long enough, plain characters, not about itself, no repetition."""
    found = text.split()
    if not SHORTEST <= len(found) <= LONGEST or not text.isascii() or _ABOUT_ITSELF.search(text):
        return False
    return len(set(found)) > 0.6 * len(found)


def write_overviews(model: LanguageModel, count: int, seed: int, path: Path) -> int:
    """Sample overviews into a file, one a line; return how many there are."""
    texts = list(dict.fromkeys(sample_overviews(model, count, seed)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return len(texts)
