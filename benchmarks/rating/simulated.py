"""Simulated raters, to rehearse a study and to see whether its statistics find what was put in.

A simulated rater is a test user of Plots who knows the true tastes and makes errors. Nothing that they say is about
people: a study for them is made with `simulated=True`, and every table and file of its results says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.judging.true_taste import TrueTaste
from benchmarks.rating.settings import Criterion
from benchmarks.rating.store import Store
from benchmarks.rating.study import Study, Task
from eagle_gym.errors import ConfigurationError

Floats = NDArray[np.float64]
Qualities = Callable[[Task, str, str], Floats]
"""From task, name of a criterion and the rater's own user to the true quality of each text, in standard deviations."""

TIE = 0.25  # smallest difference in perceived quality that is told apart
SECONDS = 20.0  # median time on a task


def true_qualities(study: Study, judge: TrueTaste) -> Qualities:
    """Qualities by true tastes: those of the task's user for `serves`, of the rater for `enjoy`, none for others.

    Args:
        study: Its texts are standardised together.
        judge: The true tastes.
    """
    texts = [(task.user, item.text) for task in study.tasks if task.role == "task" for item in task.texts]
    values = judge.standard([user for user, _ in texts], [text for _, text in texts])
    mean, spread = float(values.mean()), float(values.std()) or 1.0

    def qualities(task: Task, name: str, own: str) -> Floats:
        user = {"serves": task.user, "enjoy": own}.get(name)
        if user is None:
            return np.zeros(len(task.texts))
        found = judge.standard([user] * len(task.texts), [item.text for item in task.texts])
        return (found - mean) / spread

    return qualities


@dataclass(frozen=True)
class SimulatedRater:
    """A simulated rater.

    Attributes:
        user: Id of the test user whose own taste the rater has.
        noise: Standard deviation of the errors, in standard deviations of the true qualities.
        careless: Whether every answer is drawn at random.
    """

    user: str
    noise: float
    careless: bool = False

    def answer(
        self, task: Task, criteria: Sequence[Criterion], qualities: Qualities, swapped: bool, rng: np.random.Generator
    ) -> dict[str, str]:
        """Answers to a task, as the page would send them."""
        names = [item.name for item in task.asked(criteria)]
        if self.careless:
            return {name: str(rng.choice(task.choices())) for name in names}
        return {
            name: expected(task, name, swapped)
            if name in task.expected
            else self._perceive(qualities(task, name, self.user), swapped, rng)
            for name in names
        }

    def _perceive(self, quality: Floats, swapped: bool, rng: np.random.Generator) -> str:
        seen = quality + self.noise * rng.standard_normal(len(quality))
        if len(seen) == 1:
            return str(int(np.clip(np.rint(3 + seen[0]), 1, 5)))
        difference = seen[1] - seen[0]
        return as_shown("same" if abs(difference) < TIE else str(int(difference > 0)), swapped)


def expected(task: Task, name: str, swapped: bool) -> str:
    """An answer that passes a check."""
    answer = task.expected[name][0]
    return as_shown(answer, swapped) if task.paired else answer


def as_shown(answer: str, swapped: bool) -> str:
    """An answer to a pair as the page sends it: "0" and "1" become sides."""
    return {"0": ("first", "second"), "1": ("second", "first")}.get(answer, (answer, answer))[swapped]


def simulate(
    store: Store, raters: Sequence[SimulatedRater], qualities: Qualities, rng: np.random.Generator, clock: Clock
) -> None:
    """Let simulated raters take a study from invitation to the last task.

    Args:
        store: Store of a study that was made for simulated raters, with this clock.
        raters: The raters.
        qualities: True qualities of texts.
        rng: Draws errors and times.
        clock: Is moved on while they rate.

    Raises:
        ConfigurationError: The study was made for people.
    """
    study = store.study
    if not study.simulated:
        raise ConfigurationError(f"{study.folder} was made for people: make one with simulated=True")
    for rater, (_, token) in zip(raters, store.invite(len(raters), days=30), strict=True):
        person = store.find(token)
        assert person is not None
        store.agree(person)
        person = store.find(token)
        assert person is not None
        while (found := store.next_showing(person)) is not None:
            position, showing = found
            task = study.by_id[showing.task]
            clock.now += float(SECONDS * np.exp(0.5 * rng.standard_normal()))
            store.rate(person, position, rater.answer(task, study.settings.criteria, qualities, showing.swapped, rng))


@dataclass
class Clock:
    """A clock that only moves when it is told to.

    Attributes:
        now: Seconds since 1970.
    """

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def make_raters(
    users: Sequence[str], count: int, noise: float, rng: np.random.Generator, *, careless: int = 0
) -> list[SimulatedRater]:
    """Simulated raters with the tastes of different users, the last of them careless."""
    own = rng.choice(len(users), count, replace=count > len(users))
    return [SimulatedRater(users[user], noise, i >= count - careless) for i, user in enumerate(own)]


def true_means(study: Study, qualities: Qualities, name: str) -> Mapping[str, float]:
    """Mean true quality of the texts of each method in a study's pairs."""
    found: dict[str, list[float]] = {}
    for task in study.tasks:
        if task.role == "task" and task.paired:
            for method, value in zip(task.methods, qualities(task, name, ""), strict=True):
                found.setdefault(method, []).append(float(value))
    return {method: float(np.mean(values)) for method, values in found.items()}
