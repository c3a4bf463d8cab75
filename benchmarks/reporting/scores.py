"""What the tables hold: estimates for every method of an environment, from the rows of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from baselines.evaluate import Cost, EpisodeRow
from benchmarks.judges import Judgement
from benchmarks.reporting.names import is_oracle
from benchmarks.reporting.runs import Done, Run
from benchmarks.stats import (
    Interval,
    Keyed,
    Paired,
    bootstrap,
    normalised,
    paired_difference,
    probability_of_improvement,
    shared,
    weighted_iqm,
)
from eagle_gym.errors import ConfigurationError

UNIFORM = "uniform"


@dataclass(frozen=True)
class Standing:
    """One method in one environment.

    Attributes:
        environment, method: Which.
        seeds, episodes: How many, episodes over all seeds.
        utility: Of the last text.
        gain: In utility over the first.
        iqm: Interquartile mean of the same.
        normalised: 0 as the uniform policy, 1 as the beam oracle; None where one of them is absent or not above.
        improvement: Probability of gaining more than the uniform policy on an episode; None without it.
        user: What the judges say that the user gained: true taste where it is known, else the second opinion.
        raters: The same of other users.
        model: The same of a language model, of 10.
        distance: In Z, of the last text from the first; None where neither judges nor embeddings say.
        valid: Share of the episodes whose texts were all well-formed.
        percentile: Mean percentile of the last text's predicted rating.
        training: Cost of training, mean over seeds.
        evaluation: Cost of an episode, mean.
    """

    environment: str
    method: str
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
    valid: float
    percentile: float
    training: Cost
    evaluation: Cost


Measure = Callable[[Judgement], float]
Ends = tuple[Sequence[Done], Sequence[Done]] | None
"""What scores 1 and what scores 0, where there are both."""


def by_method(cells: Sequence[Done]) -> dict[str, list[Done]]:
    """Cells by their method."""
    found: dict[str, list[Done]] = {}
    for cell in cells:
        found.setdefault(cell.method, []).append(cell)
    return found


def rows_of(cells: Sequence[Done]) -> list[EpisodeRow]:
    """Every episode of some cells."""
    return [row for cell in cells for row in cell.rows]


def keyed(cells: Sequence[Done]) -> Keyed:
    """``(seed, episode, user, gain)`` of every episode."""
    return [(row.seed, row.episode, row.user, row.gain) for row in rows_of(cells)]


def standings(run: Run, environment: str, seed: int = 0) -> list[Standing]:
    """Every finished method of an environment, the one that gains most first."""
    methods = by_method(run.of(environment))
    ends = scale(run, environment)
    rng = np.random.default_rng(seed)
    found = [standing(run, environment, cells, ends, methods.get(UNIFORM), rng) for cells in methods.values()]
    return sorted(found, key=lambda item: -item.gain.estimate)


def scale(run: Run, environment: str) -> Ends:
    """The oracle (1) and the uniform policy (0) by which an environment's scores are normalised.

    They are its own, or, where it has no oracle, those of the first environment of the run that has one and differs in
    nothing but its action sets: these are compared on a common scale. Episodes of one seed begin alike in both.
    """
    for name in (environment, *(other for other in run.environments if alike(run, environment, other))):
        methods = by_method(run.of(name))
        top, bottom = oracle(methods), methods.get(UNIFORM)
        if top is not None and bottom is not None:
            return top, bottom
    return None


def alike(run: Run, one: str, other: str) -> bool:
    """Whether two environments differ in nothing but their action sets."""
    made = [
        {part: cell.header["hashes"].get(part) for part in ("catalog", "split", "space", "model")}
        for cell in (run.of(one)[:1] + run.of(other)[:1])
    ]
    return len(made) == 2 and made[0] == made[1]


def oracle(methods: Mapping[str, Sequence[Done]]) -> Sequence[Done] | None:
    """The cells of the beam search, of the dearest where there are several."""
    beams = [cells for name, cells in methods.items() if is_oracle(name)]
    return max(beams, key=lambda cells: mean_cost([cell.evaluation for cell in cells]).calls, default=None)


def standing(
    run: Run,
    environment: str,
    cells: Sequence[Done],
    ends: Ends,
    uniform: Sequence[Done] | None,
    rng: np.random.Generator,
) -> Standing:
    """One method."""
    rows = rows_of(cells)
    seeds, users = [row.seed for row in rows], [row.user for row in rows]
    gains = [row.gain for row in rows]
    judged = [run.judgements.get((environment, row.method, row.seed, row.episode)) for row in rows]
    known = [judgement for judgement in judged if judgement is not None]
    return Standing(
        environment,
        cells[0].method,
        len({cell.seed for cell in cells}),
        len(rows),
        utility=bootstrap([row.utilities[-1] for row in rows], seeds, users, rng),
        gain=bootstrap(gains, seeds, users, rng),
        iqm=bootstrap(gains, seeds, users, rng, statistic=weighted_iqm),
        normalised=score(cells, *ends, rng) if ends else None,
        improvement=beats(cells, uniform, rng),
        user=judged_mean(known, serves, rng),
        raters=judged_mean(known, lambda judgement: judgement.raters, rng),
        model=judged_mean(known, lambda judgement: judgement.model, rng),
        distance=moved(rows, known, rng),
        valid=float(np.mean([row.valid for row in rows])),
        percentile=float(np.mean([row.percentile for row in rows])),
        training=mean_cost([cell.training for cell in cells if cell.training]),
        evaluation=per_episode([cell.evaluation for cell in cells], len(rows)),
    )


def serves(judgement: Judgement) -> float:
    """What the user gained: by true taste where it is known, else by the second opinion."""
    return judgement.true_taste if np.isfinite(judgement.true_taste) else judgement.second


def judged_mean(judged: Sequence[Judgement], measure: Measure, rng: np.random.Generator) -> Interval | None:
    """Mean of what a judge says, over the episodes on which it says something; None where on none."""
    some = [judgement for judgement in judged if np.isfinite(measure(judgement))]
    if not some:
        return None
    values = [measure(judgement) for judgement in some]
    return bootstrap(values, [item.seed for item in some], [item.user for item in some], rng)


def moved(rows: Sequence[EpisodeRow], judged: Sequence[Judgement], rng: np.random.Generator) -> Interval | None:
    """Distance in Z of the last texts from the first: of the judges, else of the embeddings, where they are kept."""
    if len(judged) == len(rows):
        return judged_mean(judged, lambda judgement: judgement.distance, rng)
    if not all(row.z for row in rows):
        return None
    ways = [float(np.linalg.norm(np.subtract(row.z[-1], row.z[0]))) for row in rows]
    return bootstrap(ways, [row.seed for row in rows], [row.user for row in rows], rng)


def score(
    cells: Sequence[Done], top: Sequence[Done] | None, bottom: Sequence[Done] | None, rng: np.random.Generator
) -> Interval | None:
    """Normalised score over the episodes that method, uniform policy and oracle have all met; None where it is none."""
    if top is None or bottom is None:
        return None
    try:
        method, high, low = shared(keyed(cells), keyed(top), keyed(bottom))
        return normalised(method, high, rng, bottom=low)
    except ConfigurationError:  # nothing in common, or an oracle that is not above the uniform policy
        return None


def beats(cells: Sequence[Done], other: Sequence[Done] | None, rng: np.random.Generator) -> Interval | None:
    """Probability of gaining more than another method on an episode that both have met; None where there is none."""
    pair = paired(cells, other)
    return probability_of_improvement(*pair, rng) if pair else None


def win_rate(cells: Sequence[Done], other: Sequence[Done]) -> float | None:
    """The probability that :func:`beats` estimates, without an interval."""
    pair = paired(cells, other)
    if pair is None:
        return None
    first, second = Paired.of(*pair).scores
    return float(np.mean((np.sign(first - second) + 1) / 2))


def apart(cells: Sequence[Done], other: Sequence[Done] | None, rng: np.random.Generator) -> Interval | None:
    """Mean difference of gains over the episodes that both have met; None where there is none."""
    pair = paired(cells, other)
    return paired_difference(*pair, rng) if pair else None


def paired(cells: Sequence[Done], other: Sequence[Done] | None) -> tuple[Keyed, Keyed] | None:
    """Two methods' gains on the episodes that both have met; None where there is none."""
    if other is None:
        return None
    try:
        first, second = shared(keyed(cells), keyed(other))
    except ConfigurationError:
        return None
    return first, second


def mean_cost(costs: Sequence[Cost]) -> Cost:
    """Mean of costs; nothing where there are none."""
    return per_episode(costs, len(costs)) if costs else Cost()


def per_episode(costs: Sequence[Cost], episodes: int) -> Cost:
    """Sum of costs, divided."""
    sums = {item.name: sum(getattr(cost, item.name) for cost in costs) / episodes for item in fields(Cost)}
    return Cost(**sums)
