"""The summary of each method in an environment, and comparisons between methods on the episodes that they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

import numpy as np

from baselines import registry
from baselines.evaluate import Cost, EpisodeRow
from benchmarks.reporting.names import is_oracle
from benchmarks.running.records import Judgement
from benchmarks.running.runs import FinishedCell, Run, by_method, rows_of, total
from benchmarks.stats import (
    Interval,
    Keyed,
    bootstrap,
    normalised,
    paired_difference,
    probability_of_improvement,
    shared,
    weighted_iqm,
)
from eagle_gym.envs.settings import Settings
from eagle_gym.errors import ConfigurationError, EagleError

UNIFORM = "uniform"
Cells = Sequence[FinishedCell]
Methods = Mapping[str, Cells]


@dataclass(frozen=True)
class Standing:
    """One method in one environment.

    Attributes:
        environment, method: Names of both.
        reads: What the agent is given besides observations and rewards (see `baselines.registry.reads`).
        seeds, episodes: Number of seeds, and of episodes over all seeds.
        utility: Utility of the last text.
        gain: Gain in utility over the first text.
        iqm: Interquartile mean of the gain.
        normalised: Gain on the scale from the uniform policy (0) to the beam oracle (1); None if one of them is
            absent, or the oracle not above the uniform policy.
        improvement: Probability of a larger gain than the uniform policy's on an episode; None without it.
        user: The user's gain by the judges: by true taste if it is known, otherwise by the second opinion.
        raters: The gain of other users by the judges.
        model: The gain in a language model's rating, from 1 to 10.
        distance: Distance in Z between first and last text; None if neither judges nor embeddings are there.
        affinity, novelty: Mean gains in the parts of the utility.
        drift, cost: Means of what the prices of distance and of steps take off the gain.
        percentile: Mean percentile of the last text's predicted rating.
        valid: Share of the episodes in which all texts are well-formed.
        steps: Environment steps of training, mean over seeds.
        fit: Generations of the surrogate's fit, for methods that read what it predicts; 0 for the others.
        training: Cost of training, mean over seeds.
        evaluation: Cost of an episode, mean.
    """

    environment: str
    method: str
    reads: str
    seeds: int
    episodes: int
    utility: Interval
    gain: Interval
    iqm: Interval
    normalised: Interval | None
    improvement: Interval | None
    user: Interval | None
    raters: Interval | None
    model: Interval | None
    distance: Interval | None
    affinity: float
    novelty: float
    drift: float
    cost: float
    percentile: float
    valid: float
    steps: float
    fit: int
    training: Cost
    evaluation: Cost


def standings(run: Run, environment: str, seed: int = 0) -> list[Standing]:
    """Every complete method of an environment, the largest gain first."""
    methods = by_method(run.of(environment))
    ends = scale(run, environment)
    rng = np.random.default_rng(seed)
    found = [standing(run, cells, ends, methods.get(UNIFORM), rng) for cells in methods.values()]
    return sorted(found, key=lambda item: -item.gain.estimate)


def standing(
    run: Run, cells: Cells, ends: tuple[Cells, Cells] | None, uniform: Cells | None, rng: np.random.Generator
) -> Standing:
    """One method."""
    rows, judged = rows_of(cells), run.judged(cells)
    trained = [cell.training for cell in cells if cell.training]
    return Standing(
        cells[0].environment,
        cells[0].method,
        given(cells[0]),
        len({cell.seed for cell in cells}),
        len(rows),
        utility=average(rows, lambda row: row.utilities[-1], rng),
        gain=average(rows, lambda row: row.gain, rng),
        iqm=bootstrap(*columns(rows, lambda row: row.gain), rng, statistic=weighted_iqm),
        normalised=score(cells, *ends, rng) if ends else None,
        improvement=compare(probability_of_improvement, cells, uniform, rng=rng),
        user=judged_mean(judged, lambda judgement: judgement.confirmed, rng),
        raters=judged_mean(judged, lambda judgement: judgement.raters, rng),
        model=judged_mean(judged, lambda judgement: judgement.model, rng),
        distance=moved(rows, judged, rng),
        affinity=float(np.mean([row.affinity_gain for row in rows])),
        novelty=float(np.mean([row.novelty_gain for row in rows])),
        drift=float(np.mean([row.drift for row in rows])),
        cost=float(np.mean([row.cost for row in rows])),
        percentile=float(np.mean([row.percentile for row in rows])),
        valid=float(np.mean([row.valid for row in rows])),
        steps=float(np.mean([cell.steps for cell in cells])),
        fit=cells[0].surrogate if predicts(given(cells[0])) else 0,
        training=mean_cost(trained, len(trained)),
        evaluation=mean_cost([cell.evaluation for cell in cells], len(rows)),
    )


def given(cell: FinishedCell) -> str:
    """What the agent of a cell was given besides observations and rewards; "unknown" of an agent of other code."""
    spec = cell.header["cell"]
    try:
        return registry.reads(spec["agent"], spec.get("training", {}))
    except EagleError:
        return "unknown"


def predicts(reads: str) -> bool:
    """Whether one of the words of `registry.reads` is what the surrogate predicts of edits."""
    return bool({"effects", "expected"} & set(reads.split(", ")))


def is_privileged(cells: Cells) -> bool:
    """Whether a method was given more than anybody who plays can read; trial rewrites are not more."""
    return given(cells[0]) not in ("", "rewrites", "unknown")


R = TypeVar("R", EpisodeRow, Judgement)
T = TypeVar("T")


def columns(rows: Sequence[R], measure: Callable[[R], float]) -> tuple[list[float], list[int], list[str]]:
    """A measure, the seeds and the users of episodes."""
    return [measure(row) for row in rows], [row.seed for row in rows], [row.user for row in rows]


def average(rows: Sequence[R], measure: Callable[[R], float], rng: np.random.Generator) -> Interval:
    """Mean of a measure over episodes."""
    return bootstrap(*columns(rows, measure), rng)


def judged_mean(
    judged: Sequence[Judgement], measure: Callable[[Judgement], float], rng: np.random.Generator
) -> Interval | None:
    """Mean of a judge's measure over the episodes that have it; None without any."""
    some = [judgement for judgement in judged if np.isfinite(measure(judgement))]
    return average(some, measure, rng) if some else None


def moved(rows: Sequence[EpisodeRow], judged: Sequence[Judgement], rng: np.random.Generator) -> Interval | None:
    """Distance in Z between first and last text, from the judges, otherwise from the embeddings if they are kept."""
    if len(judged) == len(rows):
        return judged_mean(judged, lambda judgement: judgement.distance, rng)
    if not all(row.z for row in rows):
        return None
    return average(rows, lambda row: float(np.linalg.norm(np.subtract(row.z[-1], row.z[0]))), rng)


def mean_cost(costs: Sequence[Cost], count: int) -> Cost:
    """Sum of costs divided by a count; zero without costs."""
    return Cost(**{name: value / max(count, 1) for name, value in asdict(total(costs)).items()})


def scale(run: Run, environment: str) -> tuple[Cells, Cells] | None:
    """The oracle (1) and the uniform policy (0) by which an environment's scores are normalised.

    An environment without an oracle takes both from the first environment of the run that has one and differs only in
    its action sets. So action sets are compared on a common scale; episodes of a seed start alike in both.
    """
    for name in (environment, *(other for other in run.environments if alike(run, environment, other))):
        methods = by_method(run.of(name))
        top, bottom = oracle(methods), methods.get(UNIFORM)
        if top is not None and bottom is not None:
            return top, bottom
    return None


def alike(run: Run, one: str, other: str) -> bool:
    """Whether two environments differ only in their action sets."""
    made = [_apart_from_actions(cell) for cell in (run.of(one)[:1] + run.of(other)[:1])]
    return len(made) == 2 and made[0] == made[1]


def _apart_from_actions(cell: FinishedCell) -> tuple[dict[str, object], str, dict[str, object]]:
    """What an environment is made of: hashes of its parts, its id, and its arguments without those of action sets."""
    hashes = {part: cell.header["hashes"].get(part) for part in ("catalog", "split", "space", "model")}
    declared = Settings.arguments()
    described = cell.header["cell"]
    given = {**described.get("env_kwargs", {}), **described.get("test_env_kwargs", {})}
    kept = {k: v for k, v in given.items() if k not in declared or declared[k].applies_to != "actions"}
    return hashes, cell.env_id, kept


def oracle(methods: Methods) -> Cells | None:
    """The cells of the beam search, the one with the most calls a seed if there are several."""
    beams = [cells for name, cells in methods.items() if is_oracle(name)]
    return max(beams, key=lambda cells: np.mean([cell.evaluation.calls for cell in cells]), default=None)


def keyed(cells: Cells) -> Keyed:
    """`(seed, episode, user, gain)` of every episode."""
    return [(row.seed, row.episode, row.user, row.gain) for row in rows_of(cells)]


Reader = Callable[[Cells], Keyed]
"""From cells to gains by episode: `keyed` reads the reward; a judge has its own."""


def compare(estimate: Callable[..., T], *methods: Cells | None, read: Reader = keyed, **options: object) -> T | None:
    """An estimate from the gains of several methods on the episodes that all of them share; None if it is undefined.

    Args:
        estimate: A function of `benchmarks.stats` that takes one `Keyed` for each method.
        methods: Cells of each method, None for one that is absent.
        read: Whose gains.
        options: Further arguments of `estimate`.
    """
    present = [read(cells) for cells in methods if cells is not None]
    if len(present) < len(methods):
        return None
    try:
        return estimate(*shared(*present), **options)
    except ConfigurationError:  # no shared episode, or nothing to normalise by
        return None


def difference(cells: Cells, other: Cells | None, rng: np.random.Generator, read: Reader = keyed) -> Interval | None:
    """Mean difference of gains over shared episodes; None without any."""
    return compare(paired_difference, cells, other, read=read, rng=rng)


def score(
    cells: Cells, top: Cells | None, bottom: Cells | None, rng: np.random.Generator, read: Reader = keyed
) -> Interval | None:
    """Normalised score over shared episodes; None if it is undefined."""
    return compare(lambda method, high, low: normalised(method, high, rng, bottom=low), cells, top, bottom, read=read)


def win_rate(cells: Cells, other: Cells) -> float | None:
    """Probability of improvement without an interval."""
    found = compare(probability_of_improvement, cells, other, rng=np.random.default_rng(0), replicates=1)
    return None if found is None else found.estimate
