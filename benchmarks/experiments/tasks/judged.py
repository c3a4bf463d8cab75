"""Verdicts twice: by the rewarded utility, and by a judge that took no part in training.

The judge is the true taste behind the ratings on Plots, and elsewhere a second factorisation of ratings that the first
one has not seen (see `benchmarks.judging`). It knows nothing of novelty, of interests and of prices: it says how much
the user would like the last text more than the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.experiments.tasks.methods import SETS
from benchmarks.reporting.document import aligned
from benchmarks.reporting.standings import Cells, Methods, average, judged_mean
from benchmarks.reporting.verdicts import HEAD, judged, judged_difference, rows, verdict
from benchmarks.running.runs import Run, by_method, rows_of
from benchmarks.stats import Interval, normalised, shared
from eagle_gym.errors import ConfigurationError

MARK = "judge"  # of the column
ROWS = ("no_op", "uniform", "user_blind", "optimistic", "lookahead", "beam")


@dataclass(frozen=True)
class Comparison:
    """Two methods that are compared, with their cells.

    Attributes:
        name: In words.
        one, other: Their cells.
    """

    name: str
    one: Cells
    other: Cells


def fresh() -> np.random.Generator:
    """The generator of one bootstrap."""
    return np.random.default_rng(0)


def scores(run: Run, place: str, learnt: Sequence[str], worded: Sequence[str]) -> str:
    """Gains by the judge, and their place between uniform (0) and beam search (1), of a few policies.

    Args:
        run: A judged run.
        place: The environment.
        learnt: Methods to show in addition to those without training.
        worded: What all of them are called, those without training first.
    """
    methods = by_method(run.of(place))
    body = []
    for name, words in zip((*ROWS, *learnt), worded, strict=True):
        if cells := methods.get(name):
            reward = average(rows_of(cells), lambda row: row.gain, fresh())
            by_judge = judged_mean(run.judged(cells), lambda item: item.confirmed, fresh())
            body.append([words, str(reward), str(by_judge or "n/a"), str(placed(run, methods, name) or "n/a")])
    return aligned(["policy", "gain by reward", f"gain by {MARK}", f"normalised by {MARK}"], body) if body else ""


def placed(run: Run, methods: Methods, name: str) -> Interval | None:
    """The score of a method by the judge: 0 is uniform, 1 is beam search; None if the judge cannot tell these two."""
    if not {name, "beam", "uniform"} <= set(methods):
        return None
    scale = judged_difference(run, methods["beam"], methods["uniform"])
    if scale is None or scale.low <= 0:
        return None
    try:
        method, top, bottom = shared(*(judged(run, methods[key]) for key in (name, "beam", "uniform")))
        return normalised(method, top, fresh(), bottom=bottom)
    except ConfigurationError:  # no episode is judged for all three
        return None


def verdicts(run: Run, compared: Iterable[Comparison]) -> str:
    """A table of comparisons by reward and by judge; empty without any."""
    found = [verdict(run, item.name, item.one, item.other) for item in compared]
    return aligned(HEAD, rows(found)) if found else ""


def comparisons(run: Run, place: str, pairs: Sequence[tuple[str, str, str]], *, sets: bool) -> Iterator[Comparison]:
    """The comparisons of a preset: pairs of methods with their name, then designed sets and others if `sets`."""
    usual = by_method(run.of(place))
    for name, one, other in pairs:
        if one in usual and other in usual:
            yield Comparison(name, usual[one], usual[other])
    for kind in SETS if sets else ():
        others = by_method(run.of(f"{place}-{kind}"))
        for method in ("optimistic", "beam"):
            if method in usual and method in others:
                words = {"optimistic": "Privileged greedy", "beam": "Beam search"}[method]
                yield Comparison(f"{words}: designed minus {kind} sets", usual[method], others[method])
