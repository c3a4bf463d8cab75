"""Makes a study of finished runs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rating.assignment import assign
from benchmarks.rating.people import describer
from benchmarks.rating.sampling import Describe, Pool, draw_samples, make_tasks, strata
from benchmarks.rating.settings import DEFAULTS, read_settings
from benchmarks.rating.study import FILES, RATINGS, Study, write_study
from benchmarks.running.runs import Run, read_run
from eagle_gym.errors import ConfigurationError, PreparationError


def make_study(
    folders: Sequence[Path],
    out: Path,
    *,
    scales: int = 30,
    pairs: int = 30,
    methods: Sequence[str] = (),
    settings: Path = DEFAULTS,
    seed: int = 0,
    describe: Describe | None = None,
    simulated: bool = False,
) -> Study:
    """Make a study of finished runs.

    Args:
        folders: Folders of the runs.
        out: Folder to write.
        scales: Number of tasks with one text.
        pairs: Number of tasks with two texts.
        methods: Methods to compare; all of the runs if none is named.
        settings: File of settings.
        seed: Draws and assigns the tasks.
        describe: What raters are told of a user; from the catalogs of the runs if it is None.
        simulated: Whether raters will be simulated; every page of results then says so.

    Raises:
        ConfigurationError: Settings or numbers are wrong.
        PreparationError: The runs hold no texts, or `out` holds a study.
    """
    if min(scales, pairs) < 0 or scales + pairs < 1:
        raise ConfigurationError(f"expected numbers of tasks from 0 and at least one, got {scales} and {pairs}")
    if any((out / name).exists() for name in (*FILES, RATINGS)):
        raise PreparationError(f"{out} holds a study: name another folder with --out")
    found = read_settings(settings)
    rng = np.random.default_rng(seed)
    runs = [read_run(folder) for folder in folders]
    pool = Pool.of(runs, methods, rng)
    samples = [
        *draw_samples(pool, scales, rng, paired=False),
        *draw_samples(pool, pairs, rng, paired=True),
    ]
    if pairs and len(pool.methods) < 2:
        raise ConfigurationError(f"expected two methods or more for pairs, got {pool.methods}: add --pairs 0")
    if not samples:
        raise PreparationError("no start is shared by two methods: name runs in which methods play the same episodes")
    tasks = make_tasks(pool, samples, describe or describer(runs, found.design.liked, seed))
    named, slots = assign(tasks, found, rng)
    facts = {
        "seed": seed,
        "simulated": simulated,
        "runs": [facts_of(run) for run in runs],
        "methods": pool.methods,
        "asked": {"scales": scales, "pairs": pairs},
        "tasks": dict(Counter(task.role for task in named)),
        "strata": strata(named),
        "raters": len(slots),
        "tasks_per_rater": math.ceil(sum(map(len, slots)) / len(slots)),
    }
    return write_study(out, settings, named, slots, facts)


def facts_of(run: Run) -> dict[str, Any]:
    """Where a run is and what it was made of."""
    hashes = {cell.environment: dict(cell.header.get("hashes") or {}) for cell in run.done}
    return {"folder": str(run.folder), "experiment": run.experiment, "commits": run.commits, "hashes": hashes}


def describe_study(study: Study) -> str:
    """A few lines on a new study, with the commands that come next."""
    found = study.facts["strata"]
    scales, pairs = sum(found["scales"].values()), sum(found["pairs"].values())
    roles = study.facts["tasks"]
    return "\n".join(
        [
            f"{study.folder}: {scales} texts to rate and {pairs} pairs to compare, of {len(study.facts['methods'])} "
            f"methods and {found['users']} users",
            f"{roles.get('attention', 0)} attention checks and {roles.get('gold', 0)} gold items among them",
            f"{len(study.slots)} raters are needed, with about {study.facts['tasks_per_rater']} tasks each, "
            f"for {study.settings.design.raters} ratings of every task",
            f"version {study.version}: change {study.folder}/study.toml now, or never after the first rating",
            f"next: python -m benchmarks invite {study.folder} --raters {len(study.slots)}",
            f"      python -m benchmarks serve {study.folder} --port 8000",
        ]
    )
