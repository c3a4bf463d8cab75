"""Draws episodes from runs, stratified by method, user and seed, and makes tasks of them.

Methods (or pairs of methods) are taken in turn; within each, seeds and users are taken in turn; and what is left open
is decided by how often seeds and users were taken in all. So the counts differ by as little as the runs allow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from baselines.evaluate import EpisodeRow
from benchmarks.rating.study import Shown, Task
from benchmarks.running.runs import Run
from eagle_gym.errors import ConfigurationError, PreparationError

NOT_EDITS = ("decode z*",)  # what methods write in place of an edit if they follow none

Start = tuple[str, int, int]
"""Environment, seed and episode, which determine user and original."""
Describe = Callable[[str, str], tuple[str, tuple[str, ...]]]
"""From environment and user to the user's profile and liked items."""


@dataclass(frozen=True, eq=False)
class Pool:
    """The episodes that tasks can be made of.

    Attributes:
        rows: By start and method.
        rank: A random order of the starts, which decides between equals.
    """

    rows: Mapping[Start, Mapping[str, EpisodeRow]]
    rank: Mapping[Start, int]

    @classmethod
    def of(cls, runs: Iterable[Run], methods: Sequence[str], rng: np.random.Generator) -> Pool:
        """The episodes of some methods (of all, if none is named) that have texts.

        Raises:
            ConfigurationError: Two runs hold the same episode of one method, or there is no such method.
            PreparationError: No episode has texts.
        """
        rows: dict[Start, dict[str, EpisodeRow]] = {}
        for run in runs:
            for cell in run.done:
                for row in cell.rows:
                    if not row.texts or (methods and row.method not in methods):
                        continue
                    found = rows.setdefault((cell.environment, row.seed, row.episode), {})
                    if row.method in found:
                        raise ConfigurationError(f"expected each episode once, got {row.method} twice: name one run")
                    found[row.method] = row
        if not rows:
            raise PreparationError(
                "the runs hold no texts of these methods: packed runs keep almost none, so name a run as it was made"
            )
        missing = set(methods) - {name for found in rows.values() for name in found}
        if missing:
            raise ConfigurationError(f"expected methods of the runs, got {sorted(missing)}: see their cells")
        starts = sorted(rows)
        order = rng.permutation(len(starts))
        return cls(rows, {starts[i]: place for place, i in enumerate(order)})

    def starts(self, methods: Sequence[str]) -> list[Start]:
        """Starts that all of some methods share."""
        return [start for start, found in self.rows.items() if set(methods) <= set(found)]

    @property
    def methods(self) -> list[str]:
        """All methods, sorted."""
        return sorted({name for found in self.rows.values() for name in found})


@dataclass(frozen=True)
class Sample:
    """What a task is made of: a start, and one method or two."""

    start: Start
    methods: tuple[str, ...]


@dataclass
class Counts:
    """How often methods, seeds and users were taken."""

    methods: Counter[str] = field(default_factory=Counter)
    groups: Counter[tuple[str, ...]] = field(default_factory=Counter)
    seeds: Counter[tuple[tuple[str, ...], int]] = field(default_factory=Counter)
    users: Counter[tuple[tuple[str, ...], str]] = field(default_factory=Counter)

    def take(self, group: tuple[str, ...], seed: int, user: str) -> None:
        """Count one sample, within its group and in all."""
        self.methods.update(group)
        self.groups[group] += 1
        for within in (group, ()):
            self.seeds[within, seed] += 1
            self.users[within, user] += 1

    def rarity(self, group: tuple[str, ...], seed: int, user: str) -> tuple[int, ...]:
        """How often seed and user were taken, within the group and in all."""
        return tuple(count for within in (group, ()) for count in (self.seeds[within, seed], self.users[within, user]))


def draw_samples(pool: Pool, count: int, rng: np.random.Generator, *, paired: bool) -> list[Sample]:
    """Draw scales, or pairs of different methods from one start.

    Args:
        pool: The episodes.
        count: How many.
        rng: Breaks ties between methods.
        paired: Whether to draw pairs.

    Returns:
        Different samples; fewer than asked for if the pool has no more.
    """
    free = {group: starts for group in combinations(pool.methods, 1 + paired) if (starts := pool.starts(group))}
    counts, found = Counts(), list[Sample]()
    while free and len(found) < count:
        noise = dict(zip(free, rng.random(len(free)), strict=True))
        group = min(
            free,
            key=lambda item: (
                counts.groups[item],
                sum(counts.methods[name] for name in item),
                noise[item],
            ),
        )
        start = min(
            free[group],
            key=lambda item: (*counts.rarity(group, item[1], user_of(pool, item)), pool.rank[item]),
        )
        found.append(Sample(start, group))
        counts.take(group, start[1], user_of(pool, start))
        free[group].remove(start)
        if not free[group]:
            del free[group]
    return found


def user_of(pool: Pool, start: Start) -> str:
    """The user of a start, with the environment: users of different catalogs may have the same id."""
    return f"{start[0]} {next(iter(pool.rows[start].values())).user}"


def make_tasks(pool: Pool, samples: Iterable[Sample], describe: Describe) -> list[Task]:
    """Tasks of samples, without ids.

    Args:
        pool: The episodes.
        samples: What to make tasks of.
        describe: Function from environment and user to profile and liked items.

    Raises:
        PreparationError: Two methods had different users or originals on an episode.
    """
    tasks = []
    for sample in samples:
        environment, seed, episode = sample.start
        rows = [pool.rows[sample.start][method] for method in sample.methods]
        if len({(row.user, row.texts[0]) for row in rows}) > 1:
            raise PreparationError(f"{sample.methods} began episode {episode} differently: name runs of one make")
        profile, liked = describe(environment, rows[0].user)
        texts = tuple(shown(row) for row in rows)
        tasks.append(
            Task("", "task", environment, seed, episode, rows[0].user, profile, liked, rows[0].texts[0], texts)
        )
    return tasks


def shown(row: EpisodeRow) -> Shown:
    """The last text of an episode and the edits that led to it."""
    return Shown(row.method, row.texts[-1], tuple(edit for edit in row.edits if edit and edit not in NOT_EDITS))


def strata(tasks: Iterable[Task]) -> dict[str, Any]:
    """Counts of scales and pairs by method, and of methods, seeds and users."""
    some = [task for task in tasks if task.role == "task"]
    return {
        "scales": dict(sorted(Counter(task.methods[0] for task in some if not task.paired).items())),
        "pairs": dict(sorted(Counter(" / ".join(task.methods) for task in some if task.paired).items())),
        "seeds": {str(seed): count for seed, count in sorted(Counter(task.seed for task in some).items())},
        "users": len({(task.environment, task.user) for task in some}),
    }
