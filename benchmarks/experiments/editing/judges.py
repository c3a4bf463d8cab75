"""Is the edit done? Asked of language models as judges, and of measures that need none; compared with the rules."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.experiments.editing.agreement import agreement, area, kappa
from benchmarks.experiments.editing.measure import Measured
from benchmarks.stats import Interval
from eagle_gym.errors import ConfigurationError, LanguageModelError, PreparationError
from eagle_gym.language import LanguageModel, edits_done
from eagle_gym.language.change import change
from eagle_gym.language.checking import says_yes
from eagle_gym.latent.encoder import cosine_distance
from eagle_gym.latent.features import Features, VectorFeatures, WordFeatures
from eagle_gym.latent.text_encoders import open_text_encoder
from eagle_gym.progress import progress_bar

BATCH: Final = 20
OVERLAP: Final = "overlap: edited"


@dataclass(frozen=True)
class Judged:
    """What a judge says about the answers of a model.

    Attributes:
        of: What was measured.
        judge: The judge's name.
        said: For each finished answer: whether the edit is done, None where the judge said neither yes nor no.
        problem: Why it says nothing, or nothing of the first answer that could not be read; "" where all were read.
    """

    of: Measured
    judge: str
    said: tuple[bool | None, ...]
    problem: str = ""

    @property
    def yes(self) -> float:
        """Share of the readable verdicts that say yes."""
        readable = [said for said in self.said if said is not None]
        return float(np.mean(readable)) if readable else float("nan")

    def compared(self) -> dict[str, Interval | None]:
        """Agreement and kappa with the rule, over the answers of which the judge said yes or no."""
        rows = [(said, *row) for said, row in zip(self.said, finished(self.of), strict=True) if said is not None]
        if not rows:
            return {"agreement": None, "kappa": None}
        said, rule, texts = [row[0] for row in rows], [row[4] for row in rows], [row[1] for row in rows]
        return {"agreement": agreement(said, rule, texts), "kappa": kappa(said, rule, texts)}


def finished(one: Measured) -> list[tuple[str, str, str, bool]]:
    """Text, edit, answer, and what the rule says, of every case with an answer."""
    rows = zip(one.cases, one.answers, one.verdicts, strict=True)
    return [(case.text, case.edit, said, verdict.followed) for case, said, verdict in rows if said is not None]


def by_overlap(one: Measured) -> Judged:
    """The overlap of words as a judge: an edit is done if the answer is the text, edited (`language.change`)."""
    return Judged(one, OVERLAP, tuple(change(text, said) == "edited" for text, _, said, _ in finished(one)))


def by_model(one: Measured, model: LanguageModel, name: str) -> Judged:
    """A language model as a judge; it may be one that cannot judge."""
    rows = finished(one)
    said: list[bool | None] = []
    problem = ""
    for start in progress_bar(range(0, len(rows), BATCH), desc=f"{name} on {one.model}, {one.name}", unit="batch"):
        texts, edits, answers, _ = zip(*rows[start : start + BATCH], strict=True)
        try:
            said += edits_done(model, texts, edits, answers)
        except ConfigurationError as error:
            return Judged(one, name, (None,) * len(rows), str(error))
        except LanguageModelError as error:
            problem = problem or str(error).replace(model.name, name)  # no address goes to a page
            found = {row: says_yes(answer.text) for row, answer in error.answered.items()}
            said += [found.get(row) for row in range(len(texts))]
    return Judged(one, name, tuple(said), problem)


@dataclass(frozen=True)
class Moved:
    """How far answers are from their texts, by what an encoder reads.

    Attributes:
        of: What was measured.
        encoder: `"words"`, or a text encoder's name.
        distances: Cosine distance for each finished answer.
    """

    of: Measured
    encoder: str
    distances: tuple[float, ...]

    def mean(self, *, followed: bool) -> float:
        """The mean over answers that the rule calls followed, or over the others."""
        chosen = [d for d, row in zip(self.distances, finished(self.of), strict=True) if row[3] == followed]
        return float(np.mean(chosen)) if chosen else float("nan")

    def compared(self) -> Interval | None:
        """The area under the curve of a judge that says done below a distance; None where the rule never varies."""
        rows = finished(self.of)
        rule = [row[3] for row in rows]
        nearness = [-distance for distance in self.distances]
        return area(nearness, rule, [row[0] for row in rows]) if len({*rule}) == 2 else None


def movements(one: Measured, *, sentences: bool = True) -> list[Moved]:
    """The movement by words (tf-idf over texts and answers) and, where it is installed, by MiniLM.

    Args:
        one: What was measured.
        sentences: Whether MiniLM is wanted.
    """
    rows = finished(one)
    before, after = [row[0] for row in rows], [row[2] for row in rows]

    def moved(name: str, features: Features) -> Moved:
        return Moved(one, name, tuple(map(cosine_distance, features.bags(before), features.bags(after))))

    found = [moved("words", WordFeatures.of(sorted({*before, *after}), seen=1))]
    if sentences and rows:
        with suppress(PreparationError):
            encoder = open_text_encoder("minilm")
            found.append(moved("minilm", VectorFeatures(encoder, encoder.dim)))
    return found
