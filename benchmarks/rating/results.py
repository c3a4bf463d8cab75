"""What the raters of a study said: estimates, and the files that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.rating.agreement import alpha
from benchmarks.rating.answers import Answer, answers_to, pairs, scales
from benchmarks.rating.estimates import mean_opinion, preferred
from benchmarks.rating.exclusion import Conduct, conduct, exclude
from benchmarks.rating.records import Rater, Rating
from benchmarks.rating.store import Store
from benchmarks.rating.strengths import strengths
from benchmarks.rating.study import Role, Study
from benchmarks.running.people import Opinion, People, Preference, Strength
from benchmarks.running.runs import Run
from benchmarks.stats import Interval

RESULTS = "results"  # folder in that of the study


@dataclass(frozen=True)
class Bias:
    """Whether the place of a text decides.

    Attributes:
        first: Share of the decided answers that prefer the text shown first; 0.5 without bias.
        ties: Share of answers that prefer neither.
        repeats: Number of pairs shown a second time with the sides exchanged.
        kept: Share of them in which the same text was preferred again, or neither again; nan without any.
    """

    first: Interval | None
    ties: float
    repeats: int
    kept: float


@dataclass(frozen=True)
class Results:
    """Everything that a study's ratings say; each number is computed when it is asked for.

    Attributes:
        study: The study.
        raters: All raters.
        ratings: All ratings.
        replicates: Bootstrap replicates of each interval.
    """

    study: Study
    raters: tuple[Rater, ...]
    ratings: tuple[Rating, ...]
    replicates: int = 2000

    @classmethod
    def of(cls, store: Store, replicates: int = 2000) -> Results:
        """What a store holds now."""
        return cls(store.study, tuple(store.raters()), tuple(store.ratings()), replicates)

    @cached_property
    def excluded(self) -> dict[str, list[str]]:
        """Excluded raters with reasons."""
        return exclude(self.study, self.raters, self.ratings)

    @property
    def counted(self) -> list[Rater]:
        """Raters who gave ratings and are not excluded."""
        rated = {item.rater for item in self.ratings}
        return [rater for rater in self.raters if rater.id in rated and rater.id not in self.excluded]

    @cached_property
    def conducts(self) -> list[Conduct]:
        """How every rater with consent worked."""
        return [conduct(self.study, rater, self.ratings) for rater in self.raters if rater.consent_at is not None]

    @cached_property
    def environments(self) -> list[str]:
        """Environments of the tasks."""
        return list(dict.fromkeys(task.environment for task in self.study.tasks))

    def answers(self, name: str) -> list[Answer]:
        """Answers to a criterion that count."""
        return self._answers[name]

    @cached_property
    def _answers(self) -> dict[str, list[Answer]]:
        names = [item.name for item in self.study.settings.criteria]
        return {name: answers_to(self.study, self.ratings, name, self.excluded) for name in names}

    def passed(self, role: Role, *, everyone: bool = True) -> tuple[int, int]:
        """Checks that were passed and rated, by all raters or by those who count."""
        some = [item for item in self.conducts if everyone or item.rater not in self.excluded]
        found = [item.attention if role == "attention" else item.gold for item in some]
        return sum(right for right, _ in found), sum(rated for _, rated in found)

    def coverage(self) -> list[int]:
        """Number of raters who count, for each task that is no check."""
        seen = {task.id: set[str]() for task in self.study.tasks if task.role == "task"}
        for item in self.ratings:
            if item.task in seen and item.rater not in self.excluded:
                seen[item.task].add(item.rater)
        return [len(found) for found in seen.values()]

    def alphas(self, name: str, environment: str = "") -> tuple[Interval | None, Interval | None]:
        """Agreement between raters by a criterion, on scales and on pairs."""
        found = self.answers(name)
        one, two = (
            alpha(some, self._rng(name), self.replicates) if some else None
            for some in (scales(found, environment), pairs(found, environment))
        )
        return one, two

    def means(self, name: str, environment: str) -> dict[str, Interval]:
        """Mean point of each method by a criterion."""
        by_method: dict[str, list[Answer]] = {}
        for item in scales(self.answers(name), environment):
            by_method.setdefault(item.task.methods[0], []).append(item)
        found = {
            method: mean_opinion(some, self._rng(name), self.replicates) for method, some in sorted(by_method.items())
        }
        return {method: item for method, item in found.items() if item is not None}

    def strengths(self, name: str, environment: str) -> list[Strength]:
        """Strengths of the methods by a criterion."""
        return strengths(pairs(self.answers(name), environment), self._rng(name), self.replicates)

    def bias(self, name: str) -> Bias | None:
        """Whether the place of a text decides, by a criterion; None without pairs."""
        found = self.answers(name)
        first = pairs(found)
        if not first:
            return None
        decided = [
            Answer(item.rater, item.task, -item.side, item.swapped, item.again) for item in first if item.value != 0
        ]
        before = {(item.rater, item.task.id): item.value for item in first}
        again = [
            item.value == before[key]
            for item in found
            if item.again and (key := (item.rater, item.task.id)) in before
        ]
        return Bias(
            preferred(decided, self._rng(name), self.replicates),
            1 - len(decided) / len(first),
            len(again),
            float(np.mean(again)) if again else float("nan"),
        )

    def _rng(self, name: str) -> np.random.Generator:
        """A generator for each criterion, so that no table depends on which others are made."""
        names = [item.name for item in self.study.settings.criteria]
        return np.random.default_rng([self.study.seed, names.index(name)])

    def people(self, run: Run, environment: str) -> People:
        """What people said of a run, by the main criterion."""
        name = self.study.settings.main
        answers = self.answers(name)
        texts = {
            (row.method, row.seed, row.episode): (row.gain, row.texts[-1] if row.texts else None)
            for cell in run.done
            if cell.environment == environment
            for row in cell.rows
        }
        opinions, preferences = [], []
        for task, some in by_task(answers, environment).items():
            item = self.study.by_id[task]
            rows = [texts.get((method, item.seed, item.episode)) for method in item.methods]
            if not all(
                row is not None and row[1] in (None, shown.text) for row, shown in zip(rows, item.texts, strict=True)
            ):
                continue
            gains = [row[0] for row in rows if row is not None]
            mean, count = float(np.mean([answer.value for answer in some])), len(some)
            if item.paired:
                preferences.append(
                    Preference(*item.methods, item.seed, item.episode, (gains[0], gains[1]), mean, count)  # type: ignore[call-arg, arg-type]
                )
            else:
                opinions.append(Opinion(item.methods[0], item.seed, item.episode, gains[0], mean, count))
        return People(
            study=self.study.version,
            simulated=self.study.simulated,
            sentence=self.study.settings.criterion(name).sentence,
            raters=len(self.counted),
            excluded=len(self.excluded),
            alpha=self.alphas(name, environment),
            means=self.means(name, environment),
            strengths=self.strengths(name, environment),
            opinions=opinions,
            preferences=preferences,
        )


def by_task(answers: Sequence[Answer], environment: str) -> dict[str, list[Answer]]:
    """First answers of an environment by the id of their task."""
    found: dict[str, list[Answer]] = {}
    for item in (*scales(answers, environment), *pairs(answers, environment)):
        found.setdefault(item.task.id, []).append(item)
    return found
