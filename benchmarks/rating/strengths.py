"""Strengths of methods from pairs: the model of Bradley and Terry, bootstrapped over raters and tasks.

A tie counts as half a win of each. As in an estimate of a share with Jeffreys' prior, each method is given half a win
and half a loss more, spread over all others, so that a method which won every time has a finite strength. A difference
of 1 in strength means that the stronger method is preferred with odds of e : 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from benchmarks.rating.answers import Answer, column
from benchmarks.rating.estimates import LEVEL, crossed
from benchmarks.running.people import Strength
from benchmarks.stats import percentiles, weighted_mean

Floats = NDArray[np.float64]

LIMIT = 10_000  # iterations
TOLERANCE = 1e-8


def strengths(answers: Sequence[Answer], rng: np.random.Generator, replicates: int) -> list[Strength]:
    """Strengths of all methods in some pairs, the strongest first; empty without pairs."""
    if not answers:
        return []
    games = Games.of(answers)
    values = column(answers)
    weights = crossed(answers, rng, replicates)
    drawn = np.array([games.solve(row) for row in weights])  # [R, methods]
    estimates = games.solve(np.ones(len(answers)))
    found = []
    for i, method in enumerate(games.methods):
        own = np.flatnonzero((games.left == i) | (games.right == i))
        wins = np.where(games.right[own] == i, values[own] + 1, 1 - values[own]) / 2
        kept = weights[:, own][weights[:, own].sum(axis=1) > 0]
        found.append(
            Strength(
                method,
                percentiles(float(estimates[i]), drawn[:, i], LEVEL),
                percentiles(float(wins.mean()), weighted_mean(wins, kept), LEVEL),
                len(own),
                float((drawn.argmax(axis=1) == i).mean()),
            )
        )
    return sorted(found, key=lambda item: -item.strength.estimate)


@dataclass(frozen=True, eq=False)
class Games:
    """Comparisons of methods, those of the same methods and outcome together.

    Attributes:
        methods: Names.
        left, right: Methods of each answer, [m].
        kinds: Methods and outcome of each kind of comparison.
        kind: Kind of each answer, [m].
    """

    methods: tuple[str, ...]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    kinds: tuple[tuple[int, int, float], ...]
    kind: NDArray[np.int64]

    @classmethod
    def of(cls, answers: Sequence[Answer]) -> Games:
        """The comparisons of answers to pairs."""
        methods = tuple(sorted({name for item in answers for name in item.task.methods}))
        sides = np.array([[methods.index(name) for name in item.task.methods] for item in answers], dtype=np.int64)
        keys = [(int(one), int(two), item.value) for (one, two), item in zip(sides, answers, strict=True)]
        known = {key: i for i, key in enumerate(dict.fromkeys(keys))}
        return cls(methods, sides[:, 0], sides[:, 1], tuple(known), np.array([known[key] for key in keys]))

    def solve(self, weights: Floats) -> Floats:
        """Log strengths under weights of the answers, [methods], with mean 0."""
        import evalica

        outcomes = {-1.0: evalica.Winner.X, 0.0: evalica.Winner.Draw, 1.0: evalica.Winner.Y}
        pairs = list(combinations(range(len(self.methods)), 2))
        prior = 1.0 / (len(self.methods) - 1)
        found = evalica.bradley_terry(
            [one for one, _, _ in self.kinds] + [one for one, _ in pairs],
            [two for _, two, _ in self.kinds] + [two for _, two in pairs],
            [outcomes[value] for _, _, value in self.kinds] + [evalica.Winner.Draw] * len(pairs),
            weights=[*np.bincount(self.kind, weights, len(self.kinds)).tolist(), *[prior] * len(pairs)],
            tolerance=TOLERANCE,
            limit=LIMIT,
        )
        logs: Floats = np.log(found.scores.sort_index().to_numpy(dtype=np.float64))
        centred: Floats = logs - logs.mean()
        return centred
