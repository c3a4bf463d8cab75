"""Who is excluded by the rule of the study, and how many passed the checks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.rating.records import Rater, Rating
from benchmarks.rating.study import Role, Study, Task


@dataclass(frozen=True)
class Conduct:
    """How a rater worked.

    Attributes:
        rater: Id of the rater.
        rated: Number of rated tasks.
        asked: Number of tasks of the rater's list.
        attention: Attention checks, as (passed, rated).
        gold: Gold items, as (passed, rated).
        seconds: Median time on a task; nan without any.
    """

    rater: str
    rated: int
    asked: int
    attention: tuple[int, int]
    gold: tuple[int, int]
    seconds: float


def passed(task: Task, rating: Rating) -> bool:
    """Whether a rating of a check has the answers that were expected."""
    return all(answer_of(task, rating, name) in answers for name, answers in task.expected.items())


def answer_of(task: Task, rating: Rating, name: str) -> str:
    """An answer, independent of the sides: a point, or "0", "same" or "1" for the texts of a pair as stored."""
    answer = rating.answers.get(name, "")
    if not task.paired or answer not in ("first", "second"):
        return answer
    return str(int((answer == "second") != rating.swapped))


def conduct(study: Study, rater: Rater, ratings: Iterable[Rating]) -> Conduct:
    """How a rater worked."""
    own = [item for item in ratings if item.rater == rater.id]

    def checks(role: Role) -> tuple[int, int]:
        found = [(study.by_id[item.task], item) for item in own if study.by_id[item.task].role == role]
        return sum(passed(*pair) for pair in found), len(found)

    seconds = float(np.median([item.seconds for item in own])) if own else float("nan")
    asked = len(study.slots[rater.slot]) if rater.slot is not None else len(study.tasks)
    return Conduct(rater.id, len(own), asked, checks("attention"), checks("gold"), seconds)


def reasons(study: Study, found: Conduct) -> list[str]:
    """Why the rule excludes a rater; empty if it does not. A condition on checks waits for the first check."""
    rule = study.settings.exclusion
    why = []
    for name, (right, rated), least in (
        ("attention checks", found.attention, rule.attention),
        ("gold items", found.gold, rule.gold),
    ):
        if rated and right / rated < least:
            why.append(f"{right} of {rated} {name} passed, less than {least:.0%}")
    if found.rated and found.seconds < rule.seconds:
        why.append(f"median time {found.seconds:.1f} s, less than {rule.seconds:g} s")
    if found.rated < rule.rated * found.asked:
        why.append(f"{found.rated} of {found.asked} tasks rated, less than {rule.rated:.0%}")
    return why


def exclude(
    study: Study, raters: Sequence[Rater], ratings: Sequence[Rating], *, finished: bool = False
) -> dict[str, list[str]]:
    """Excluded raters with reasons.

    Args:
        study: The study.
        raters: The raters; those without consent are left out.
        ratings: All ratings.
        finished: Only look at raters who have finished.
    """
    by_rater: dict[str, list[Rating]] = {rater.id: [] for rater in raters}
    for item in ratings:
        by_rater[item.rater].append(item)
    found = {
        rater.id: reasons(study, conduct(study, rater, by_rater[rater.id]))
        for rater in raters
        if rater.consent_at is not None and (rater.finished_at is not None or not finished)
    }
    return {name: why for name, why in found.items() if why}
