"""People as a judge: how well the other judges, and the reward, agree with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.judging.measures import correlation
from benchmarks.running.people import People
from benchmarks.running.runs import Run
from benchmarks.stats import Interval, percentiles

Floats = NDArray[np.float64]
Key = tuple[str, int, int]
"""Method, seed and episode."""

REWARDS = ("reward", "affinity")
JUDGES = ("true_taste", "second", "raters", "model")


@dataclass(frozen=True)
class Agreement:
    """Agreement of a judge with people.

    Attributes:
        judge: Name of a field of `Judgement`.
        texts: Number of texts that both rated.
        correlation: Correlation of the judge's gain with people's mean point over these texts; None if not defined.
        pairs: Number of pairs on which people are not divided and which the judge rated.
        concordance: Share of these pairs on whose better text both agree, ties of the judge half; None without any.
    """

    judge: str
    texts: int
    correlation: Interval | None
    pairs: int
    concordance: Interval | None


def agreements(
    run: Run, environment: str, people: People, rng: np.random.Generator, replicates: int = 2000
) -> list[Agreement]:
    """Agreement of every judge with people, with 95 % intervals over texts and pairs.

    Args:
        run: The run; without judgements only its rewards are compared.
        environment: One of its environments.
        people: What people said there.
        rng: Draws the replicates.
        replicates: Their number.
    """
    found = []
    for name, values in gains_of(run, environment).items():
        rated = [
            (item.mean, values[key])
            for item in people.opinions
            if np.isfinite(values.get(key := (item.method, item.seed, item.episode), np.nan))
        ]
        paired = [
            (item.mean, values[second] - values[first])
            for item in people.preferences
            if item.mean != 0
            and np.isfinite(values.get(first := (item.first, item.seed, item.episode), np.nan))
            and np.isfinite(values.get(second := (item.second, item.seed, item.episode), np.nan))
        ]
        found.append(
            Agreement(
                name,
                len(rated),
                interval(np.array(rated).reshape(-1, 2), correlation, rng, replicates),
                len(paired),
                interval(np.array(paired).reshape(-1, 2), concordance, rng, replicates),
            )
        )
    return [item for item in found if item.texts or item.pairs]


def gains_of(run: Run, environment: str) -> Mapping[str, Mapping[Key, float]]:
    """Gains of each episode by the reward and by every judge."""
    found: dict[str, dict[Key, float]] = {name: {} for name in (*REWARDS, *JUDGES)}
    for cell in run.done:
        if cell.environment != environment:
            continue
        for row in cell.rows:
            key = (row.method, row.seed, row.episode)
            found["reward"][key], found["affinity"][key] = row.gain, row.affinity_gain
            judgement = run.judgements.get((environment, *key))
            for name in JUDGES if judgement else ():
                found[name][key] = getattr(judgement, name)
    return found


def concordance(preferences: Floats, differences: Floats) -> float:
    """Share of pairs on whose better text two judges agree; a difference of 0 counts half."""
    if not len(preferences):
        return float("nan")
    return float((np.sign(preferences) * np.sign(differences) + 1).mean() / 2)


def interval(
    columns: Floats, statistic: Callable[[Floats, Floats], float], rng: np.random.Generator, replicates: int
) -> Interval | None:
    """A statistic of two columns [m, 2] with its interval over rows; None where it is not defined."""
    estimate = statistic(*columns.T)
    if not np.isfinite(estimate):
        return None
    rows = rng.integers(len(columns), size=(replicates, len(columns)))
    drawn = np.array([statistic(*columns[row].T) for row in rows])
    return percentiles(estimate, drawn[np.isfinite(drawn)], 0.95)
