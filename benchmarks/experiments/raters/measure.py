"""One study with simulated raters: what was put in, and what the statistics find."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks.judging.true_taste import TrueTaste
from benchmarks.rating.make import make_study
from benchmarks.rating.results import Bias, Results
from benchmarks.rating.simulated import Clock, make_raters, simulate, true_means, true_qualities
from benchmarks.rating.store import Store
from benchmarks.running.people import Strength
from benchmarks.stats import Interval
from eagle_gym.catalog import load_plots

CARELESS = 2  # raters who answer at random


@dataclass(frozen=True)
class Found:
    """A study with simulated raters.

    Attributes:
        noise: Standard deviation of the raters' errors, in standard deviations of the true qualities.
        alphas: Agreement between raters on scales and on pairs.
        strengths: Strengths that the study finds.
        truth: Mean true quality of each method's texts.
        rank: Spearman's correlation of strengths and truth.
        raters: Number of raters, the careless ones among them.
        caught: Careless raters that were excluded.
        wronged: Other raters that were excluded.
        bias: Position bias.
    """

    noise: float
    alphas: tuple[Interval | None, Interval | None]
    strengths: list[Strength]
    truth: Mapping[str, float]
    rank: float
    raters: int
    caught: int
    wronged: int
    bias: Bias | None


def measure(run: Path, noise: float, size: Mapping[str, Any]) -> Found:
    """Make a study of a run, let simulated raters take it, and read it.

    Args:
        run: Folder of the run; the study is made in it, in place of an earlier one.
        noise: Standard deviation of the raters' errors.
        size: Numbers of tasks and replicates.
    """
    folder, clock, rng = run / "studies" / f"noise-{noise:g}", Clock(), np.random.default_rng(0)
    shutil.rmtree(folder, ignore_errors=True)
    study = make_study([run], folder, scales=size["scales"], pairs=size["pairs"], simulated=True)
    qualities = true_qualities(study, TrueTaste(load_plots()))
    users = sorted({task.user for task in study.tasks})
    raters = make_raters(users, len(study.slots) + CARELESS, noise, rng, careless=CARELESS)
    with Store(study, clock) as store:
        simulate(store, raters, qualities, rng, clock)
        results = Results.of(store, size["replicates"])
    careless = {person.id for person, rater in zip(results.raters, raters, strict=True) if rater.careless}
    name, (environment,) = study.settings.main, results.environments
    found, truth = results.strengths(name, environment), true_means(study, qualities, name)
    pairs = [(item.strength.estimate, truth[item.method]) for item in found]
    return Found(
        noise,
        results.alphas(name),
        found,
        truth,
        float(spearmanr(*np.array(pairs).T).statistic),
        len(raters),
        len(careless & set(results.excluded)),
        len(set(results.excluded) - careless),
        results.bias(name),
    )
