"""The page's part on transfer: what agents lose that were trained with another language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.reporting.document import aligned
from benchmarks.reporting.names import title
from benchmarks.reporting.standings import UNIFORM, difference
from benchmarks.running.runs import Run, by_method


def section(run: Run, environment: str, models: Sequence[str], learners: Sequence[str], far: Mapping[str, str]) -> str:
    """The page's section of an environment: the losses, and once for each catalog the distances of its environments.

    Args:
        run: The run of the experiment.
        environment: Name of the environment: that of the catalog, then that of a model.
        models: Names of the models.
        learners: Names of the learners.
        far: Paragraphs on the distances, by catalog (see `distance.distances`).
    """
    catalog, _, here = environment.rpartition("-")
    trained = {f"{name}-{there}": f"{name}-{here}" for name in learners for there in models if there != here}
    said = [far[catalog]] if here == models[0] and catalog in far else []
    return "\n\n".join([losses(run, environment, trained), *said])


def losses(run: Run, environment: str, trained: Mapping[str, str]) -> str:
    """The table of differences between agents trained elsewhere and here, over the same test episodes.

    Args:
        run: The run, which tested both kinds of agents in the environment.
        environment: Name of the environment.
        trained: For each agent that was trained elsewhere, the one that was trained here.
    """
    methods, rng = by_method(run.of(environment)), np.random.default_rng(0)
    body = [
        [title(foreign), *(str(difference(methods[foreign], methods.get(other), rng)) for other in (own, UNIFORM))]
        for foreign, own in trained.items()
        if foreign in methods
    ]
    return aligned(["trained elsewhere", "less the one trained here", "less uniform"], body)
