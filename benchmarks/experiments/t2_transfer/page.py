"""The page's part on transfer: what agents lose that were trained with another language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations

import numpy as np

from benchmarks.reporting.document import aligned
from benchmarks.reporting.names import title
from benchmarks.reporting.standings import UNIFORM, Cells, Reader, keyed
from benchmarks.reporting.verdicts import HEAD, Verdict, judge_of, rows, verdict
from benchmarks.running.runs import Run, by_method
from benchmarks.stats import Interval, Keyed, normalised, paired_difference, shared
from eagle_gym.errors import ConfigurationError

Trio = tuple[Cells, Cells, Cells]
"""An agent that was trained elsewhere, its twin that was trained where both are tested, and the uniform policy."""


def section(run: Run, environment: str, models: Sequence[str], learners: Sequence[str], far: Mapping[str, str]) -> str:
    """The page's section of an environment: verdicts on the agents from elsewhere.

    The first environment of a catalog also has the verdicts over all its environments, and their distances.

    Args:
        run: The run of the experiment.
        environment: Name of the environment: that of the catalog, then that of a model.
        models: Names of the models.
        learners: Names of the learners.
        far: Paragraphs on the distances, by catalog (see `distance.distances`).
    """
    catalog, _, here = environment.rpartition("-")
    parts = [aligned(HEAD, rows(losses(run, environment, models, learners)))]
    if here == models[0]:
        parts += ["Over all environments of the catalog:", aligned(HEAD, rows(overall(run, catalog, models, learners)))]
        parts += [kept(run, catalog, models, learners), far.get(catalog, "")]
    return "\n\n".join(part for part in parts if part)


def losses(run: Run, environment: str, models: Sequence[str], learners: Sequence[str]) -> list[Verdict]:
    """Agents from elsewhere, compared with their twins and with the uniform policy over the same test episodes."""
    methods, here = by_method(run.of(environment)), environment.rpartition("-")[2]
    found = []
    for name in learners:
        for there in (model for model in models if model != here):
            foreign, own = f"{name}-{there}", f"{name}-{here}"
            for other in (own, UNIFORM):
                claim = f"{title(foreign)} minus {title(other)}"
                found.append(verdict(run, claim, methods.get(foreign), methods.get(other)))
    return found


def trios(run: Run, catalog: str, models: Sequence[str], learners: Sequence[str]) -> list[Trio]:
    """The agents of a catalog that are tested elsewhere than where they were trained, with their comparisons."""
    found: list[Trio] = []
    for here, there in permutations(models, 2):
        methods = by_method(run.of(f"{catalog}-{here}"))
        for name in learners:
            keys = (f"{name}-{there}", f"{name}-{here}", UNIFORM)
            if all(key in methods for key in keys):
                found.append((methods[keys[0]], methods[keys[1]], methods[keys[2]]))
    return found


def overall(run: Run, catalog: str, models: Sequence[str], learners: Sequence[str]) -> list[Verdict]:
    """The mean differences over all environments, of each learner and of all."""
    found = []
    for some in ([name] for name in learners):
        found += mean_verdicts(run, f"{title(some[0])}", trios(run, catalog, models, some))
    return found + mean_verdicts(run, "All agents", trios(run, catalog, models, learners))


def mean_verdicts(run: Run, words: str, some: Sequence[Trio]) -> list[Verdict]:
    """The mean differences of agents from elsewhere to their twins, and to the uniform policy."""

    def mean(other: int, read: Reader) -> Interval | None:
        columns = together(some, read)
        return paired_difference(columns[0], columns[other], np.random.default_rng(0)) if columns else None

    others = {1: "trained here", 2: UNIFORM}
    return [
        Verdict(f"{words}: trained elsewhere minus {name}", mean(place, keyed), mean(place, judge_of(run)))
        for place, name in others.items()
    ]


def together(some: Sequence[Trio], read: Reader) -> tuple[Keyed, ...]:
    """The scores of several trios as three columns, over the episodes that each trio shares; empty if one shares none.

    An episode counts once for each trio. Seeds and users keep their names, so they are drawn for all trios together.
    """
    columns: tuple[list[tuple[object, object, object, float]], ...] = ([], [], [])
    for number, trio in enumerate(some):
        try:
            found = shared(*(read(cells) for cells in trio))
        except ConfigurationError:  # a trio is not judged, and a mean over the others would be of other pairs
            return ()
        for column, scores in zip(columns, found, strict=True):
            column += [(seed, (number, episode), user, score) for seed, episode, user, score in scores]
    return columns if columns[0] else ()


def kept(run: Run, catalog: str, models: Sequence[str], learners: Sequence[str]) -> str:
    """Which share of its twin's gain over the uniform policy an agent from elsewhere has."""
    columns = together(trios(run, catalog, models, learners), keyed)
    if not columns:
        return ""
    try:
        share = normalised(columns[0], columns[1], np.random.default_rng(0), bottom=columns[2])
    except ConfigurationError:
        return "Agents that were trained here are not above uniform."
    return f"By reward, an agent from elsewhere gains {share} times as much above uniform as one that was trained here."
