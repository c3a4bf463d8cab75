"""Tables of the experiment on the latent space, and the parameters that it compares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields

import numpy as np

from benchmarks.judging.second_opinion import SecondOpinion
from benchmarks.judging.true_taste import TrueTaste, agreement
from benchmarks.reporting.document import aligned
from eagle_gym.catalog import Catalog, split_catalog
from eagle_gym.latent import ColdStart, ColdStartReport, SpaceParameters, cold_start_report, prepare_space

RIDGES = tuple(SpaceParameters(encoder_ridge=ridge) for ridge in (30.0, 100.0, 300.0, 1000.0, 3000.0))
CHOICES = (
    *RIDGES,
    *(SpaceParameters(factor_ridge=ridge) for ridge in (2.0, 10.0)),
    *(SpaceParameters(bias_ridge=ridge) for ridge in (1.0, 10.0)),
    *(SpaceParameters(damping=damping) for damping in (2.0, 20.0)),
    *(SpaceParameters(rank=rank) for rank in (7, 23, 31)),
    *(SpaceParameters(dim=dim) for dim in (5, 12, 16)),
)
WHO = {"all": "all users", "train": "train users", "test": "test users, folded in"}


def errors_table(reports: Mapping[str, ColdStartReport], splits: int) -> str:
    """Root mean squared errors of ratings, and gains over the user mean."""
    body = [
        [name if who == "all" else "", words, *cells(report.errors[who])]
        for name, report in reports.items()
        for who, words in WHO.items()
    ]
    head = ["catalog", "users", "RMSE of the user mean", "gain, quality only", "gain, taste only", "gain, both"]
    title = f"Ratings of held-out items (20 %), {splits} splits; gain is the reduction of the user mean's error:"
    return f"{title}\n\n{aligned(head, body)}"


def cells(errors: ColdStart) -> list[str]:
    """A row of the table."""
    gains = [f"{errors.gain(name):+.2f} %" for name in ("bias_only", "taste_only", "text")]
    return [f"{errors.user_mean:.4f}", *gains]


def choices_table(gains: Mapping[str, list[float]]) -> str:
    """Parameters compared by inner validation; the default ridge has the best mean."""
    rows = zip(CHOICES, *gains.values(), strict=True)
    body = [[changed(choice), *(f"{gain:.2f}" for gain in row), f"{np.mean(row):.2f}"] for choice, *row in rows]
    head = ["change to the defaults", *gains, "mean"]
    title = "Inner validation on train users' ratings: gain over the user mean in percent, mean over 3 splits:"
    return f"{title}\n\n{aligned(head, body)}"


def changed(choice: SpaceParameters) -> str:
    """The difference between a choice and the defaults, in words."""
    default = SpaceParameters()
    names = [item.name for item in fields(default) if getattr(choice, item.name) != getattr(default, item.name)]
    return ", ".join(f"{name.replace('_', ' ')} {getattr(choice, name):g}" for name in names) or "none (ridge 300)"


def nested_lines(reports: Mapping[str, ColdStartReport]) -> str:
    """Gains with the ridge chosen in each split, as a list."""
    lines = []
    for name, report in reports.items():
        ridges = ", ".join(f"{parameters.encoder_ridge:g}" for parameters in report.parameters)
        lines.append(f"- {name}: {report.errors['all'].gain():+.2f} % (ridges {ridges})")
    return "\n".join(["Gains with the encoder's ridge chosen inside each split by the same validation:", "", *lines])


def tastes_table(catalog: Catalog, texts: int) -> Iterator[str]:
    """Correlation of predicted with true ratings, on texts rendered from another seed."""
    split, judge = split_catalog(catalog), TrueTaste(catalog)
    space = prepare_space(catalog, split)
    body = []
    for words, users in (("train users", split.train_users), ("test users", split.test_users)):
        found = agreement(judge, catalog, space, users, texts)
        body.append([words, f"{found.mean:.2f}", f"{found.low:.2f}", f"{found.pooled:.2f}"])
    yield f"Plots: correlation of predicted with true ratings over {texts} texts that are in no catalog:"
    yield aligned(["users", "mean over users", "10 % quantile", "pooled"], body)


def second_lines(found: Mapping[str, Catalog]) -> Iterator[str]:
    """The quality of the judges' second opinion."""
    yield "Second opinion, the judge with a latent space of its own, on items and ratings that it never saw:"
    for name, catalog in found.items():
        if catalog.language == "plot_english":
            yield f"- {name}: {SecondOpinion(catalog, split_catalog(catalog)).quality}"


def cold_start(catalog: Catalog, splits: int, *, nested: bool = False) -> ColdStartReport:
    """Errors on items held out whole; if nested, with the ridge chosen by inner validation in each split."""
    choices = RIDGES if nested else ()
    return cold_start_report(catalog, split_catalog(catalog), choices=choices, splits=splits, progress=True)
