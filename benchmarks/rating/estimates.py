"""Estimates from raters' answers, with bootstrap intervals. Pure functions; randomness is a Generator passed in.

Raters and tasks are crossed: a replicate draws raters with replacement, and tasks with replacement, and an answer's
weight is the product of both counts (the pigeonhole bootstrap, see `benchmarks.stats`). For mean opinions the tasks are
nested: a replicate draws training seeds, users, and then tasks within each user.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.rating.answers import Answer, column
from benchmarks.stats import Interval, counts, draw_weights, percentiles, weighted_mean

Floats = NDArray[np.float64]
LEVEL = 0.95


def codes(values: Sequence[Hashable]) -> tuple[NDArray[np.int64], int]:
    """Numbers of values from 0, [m], and how many different ones there are."""
    known: dict[Hashable, int] = {}
    numbers = np.array([known.setdefault(value, len(known)) for value in values], dtype=np.int64)
    return numbers, len(known)


def crossed(answers: Sequence[Answer], rng: np.random.Generator, replicates: int) -> Floats:
    """Weights of answers when raters and tasks are drawn, [R, m]."""
    return draw_weights(
        column(answers), [item.rater for item in answers], [item.task.id for item in answers], rng, replicates
    )


def nested(answers: Sequence[Answer], rng: np.random.Generator, replicates: int) -> Floats:
    """Weights of answers when raters, seeds, users and the tasks of each user are drawn, [R, m]."""
    weights = np.ones((replicates, len(answers)))
    for values in ([item.rater for item in answers], [item.task.seed for item in answers]):
        numbers, size = codes(values)
        weights *= counts(size, rng, replicates)[:, numbers]
    users, size = codes([item.user for item in answers])
    tasks, _ = codes([item.task.id for item in answers])
    drawn = counts(size, rng, replicates)
    for user in range(size):
        own = users == user
        met, places = np.unique(tasks[own], return_inverse=True)
        copies = rng.multinomial(len(met) * drawn[:, user], np.full(len(met), 1 / len(met)))
        weights[:, own] *= copies[:, places]
    used: Floats = weights[weights.sum(axis=1) > 0]
    return used


def mean_opinion(answers: Sequence[Answer], rng: np.random.Generator, replicates: int) -> Interval | None:
    """Mean of answers with a nested interval; None without answers."""
    if not answers:
        return None
    values = column(answers)
    return percentiles(float(values.mean()), weighted_mean(values, nested(answers, rng, replicates)), LEVEL)


def preferred(answers: Sequence[Answer], rng: np.random.Generator, replicates: int) -> Interval | None:
    """Share of answers above 0, ties half, with a crossed interval; None without answers."""
    if not answers:
        return None
    wins = (column(answers) + 1) / 2
    return percentiles(float(wins.mean()), weighted_mean(wins, crossed(answers, rng, replicates)), LEVEL)
