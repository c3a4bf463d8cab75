"""The answers of raters as columns: points on the scales, and preferences between two methods."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.rating.exclusion import answer_of
from benchmarks.rating.records import Rating
from benchmarks.rating.study import Study, Task

Floats = NDArray[np.float64]

PREFERENCES = {"0": -1.0, "same": 0.0, "1": 1.0}


@dataclass(frozen=True)
class Answer:
    """One answer to one criterion.

    Attributes:
        rater: Id of the rater.
        task: The task.
        value: A point from 1 to 5; of a pair, -1 if the first of the task's texts was preferred, 1 for the second, 0
            for neither.
        swapped: Whether the second text was shown first.
        again: Whether it is a repeat.
    """

    rater: str
    task: Task
    value: float
    swapped: bool
    again: bool

    @property
    def user(self) -> str:
        """The user of its task, with the environment."""
        return f"{self.task.environment} {self.task.user}"

    @property
    def side(self) -> float:
        """Of a pair: -1 if the text that was shown first was preferred, 1 for the other, 0 for neither."""
        return -self.value if self.swapped else self.value


def answers_to(study: Study, ratings: Iterable[Rating], name: str, excluded: Collection[str] = ()) -> list[Answer]:
    """The answers to a criterion, without those of excluded raters and without checks.

    Args:
        study: The study.
        ratings: All ratings.
        name: Name of the criterion.
        excluded: Ids of raters.
    """
    found = []
    for item in ratings:
        task = study.by_id[item.task]
        if item.rater in excluded or task.role != "task" or name not in item.answers:
            continue
        answer = answer_of(task, item, name)
        value = PREFERENCES[answer] if task.paired else float(answer)
        found.append(Answer(item.rater, task, value, item.swapped, item.again))
    return found


def scales(answers: Iterable[Answer], environment: str = "") -> list[Answer]:
    """Answers on scales, of one environment or of all."""
    return [item for item in answers if not item.task.paired and of(item, environment)]


def pairs(answers: Iterable[Answer], environment: str = "") -> list[Answer]:
    """First answers to pairs, of one environment or of all."""
    return [item for item in answers if item.task.paired and not item.again and of(item, environment)]


def of(item: Answer, environment: str) -> bool:
    """Whether an answer is of an environment; every one is of ""."""
    return environment in ("", item.task.environment)


def column(answers: Sequence[Answer]) -> Floats:
    """Values of answers, [m]."""
    return np.array([item.value for item in answers], dtype=np.float64)
