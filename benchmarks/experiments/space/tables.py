"""Tables of the experiment on the latent space, and the parameters that it compares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace

import numpy as np

from benchmarks.judging.second_opinion import SecondOpinion
from benchmarks.judging.true_taste import TrueTaste, agreement
from benchmarks.reporting.document import aligned
from eagle_gym.catalog import Catalog, split_catalog
from eagle_gym.latent import (
    ColdStart,
    ColdStartReport,
    Reading,
    Scales,
    SpaceParameters,
    cold_start_report,
    cross_validate,
    prepare_space,
)

RIDGES = tuple(SpaceParameters(encoder_ridge=ridge) for ridge in (100.0, 300.0, 1000.0))
CHOICES = (
    *RIDGES,
    *(SpaceParameters(factor_ridge=ridge) for ridge in (2.0, 10.0)),
    *(SpaceParameters(bias_ridge=ridge) for ridge in (1.0, 10.0)),
    *(SpaceParameters(damping=damping) for damping in (2.0, 20.0)),
    *(SpaceParameters(rank=rank) for rank in (7, 31)),
    *(SpaceParameters(components=count) for count in (0, 24, 48)),
    *(SpaceParameters(dim=dim) for dim in (5, 12, 16)),
)
SCALES: Mapping[str, tuple[float, ...]] = {
    "words": (0.5, 2.0),
    "label": (1.0, 4.0),
    "tag": (0.15, 0.6),
    "tags": (1.5, 6.0),
    "vector": (0.5, 2.0, 4.0),
}
CROSS = 2  # splits of a cross-validation
WHO = {"all": "all users", "train": "train users", "test": "test users, folded in"}


def errors_table(reports: Mapping[str, Mapping[str, ColdStart]], splits: int) -> str:
    """Root mean squared errors of ratings, and gains over the user mean."""
    body = [
        [name if who == "all" else "", words, *cells(report[who])]
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
    """Parameters compared by inner validation."""
    rows = zip(CHOICES, *gains.values(), strict=True)
    body = [[changed(choice), *(f"{gain:.2f}" for gain in row), f"{np.mean(row):.2f}"] for choice, *row in rows]
    head = ["change to the defaults", *gains, "mean"]
    title = f"Inner validation on train users' ratings: gain over the user mean in percent, mean over {CROSS} splits:"
    return f"{title}\n\n{aligned(head, body)}"


def cross_validated(catalog: Catalog) -> list[float]:
    """The gain of each of `CHOICES` on train users' ratings."""
    return cross_validate(catalog, split_catalog(catalog), CHOICES, splits=CROSS, progress=True)


def scales_table(name: str, catalog: Catalog, readings: Mapping[str, Reading]) -> str:
    """How large features are, compared by the same validation.

    Args:
        name: Name of the catalog, which is free text.
        catalog: The catalog.
        readings: Ways of reading its texts, by name; all scales but `vector` are changed in the first.
    """
    split, default = split_catalog(catalog), [SpaceParameters()]

    def gain(reading: Reading) -> str:
        (found,) = cross_validate(catalog, split, default, reading=reading, splits=CROSS, progress=True)
        return f"{found:.2f}"

    words, *others = readings
    body = [[f"{reading}, default scales", gain(readings[reading])] for reading in readings]
    for scale, values in SCALES.items():
        if scale == "vector" and not others:
            continue
        read = others[0] if scale == "vector" else words
        for value in values:
            scales = replace(Scales(), **{scale: value})
            body.append([f"{read}, {scale} {value:g}", gain(replace(readings[read], scales=scales))])
    defaults = ", ".join(f"{field.name} {getattr(Scales(), field.name):g}" for field in fields(Scales))
    title = f"{name}: the same validation for how large features are (by default {defaults}):"
    return f"{title}\n\n{aligned(['reading and changed scale', 'gain'], body)}"


def changed(choice: SpaceParameters) -> str:
    """The difference between a choice and the defaults, in words."""
    default = SpaceParameters()
    names = [item.name for item in fields(default) if getattr(choice, item.name) != getattr(default, item.name)]
    return ", ".join(f"{name.replace('_', ' ')} {getattr(choice, name):g}" for name in names) or "none (ridge 300)"


def nested(report: ColdStartReport) -> str:
    """The gain with the ridge chosen in each split, in words."""
    ridges = ", ".join(f"{parameters.encoder_ridge:g}" for parameters in report.parameters)
    return f"{report.errors['all'].gain():+.2f} % (ridges {ridges})"


def nested_lines(gains: Mapping[str, str]) -> str:
    """Gains with the ridge chosen in each split, as a list."""
    lines = [f"- {name}: {gain}" for name, gain in gains.items()]
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
