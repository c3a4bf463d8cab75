"""What the latent space is worth: ratings of unseen items from their texts, and true tastes on unseen texts.

On Plots, and with ``--data`` on MovieLens: its texts rendered, and its overviews where there are any. No agent is trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from benchmarks.judges import SecondOpinion, TrueTaste, agreement
from benchmarks.report import aligned
from benchmarks.results import circumstances, write_json
from benchmarks.suite import Options
from eagle_gym.catalog import Catalog, load_movielens, load_plots, split_catalog
from eagle_gym.latent import ColdStart, ColdStartReport, SpaceParameters, cold_start_report, prepare_space, weigh

SIZES: Mapping[str, dict[str, Any]] = {
    "smoke": {"splits": 1, "weigh": False, "texts": 60},
    "small": {"splits": 5, "weigh": True, "texts": 300},
}
RIDGES = tuple(SpaceParameters(encoder_ridge=ridge) for ridge in (30.0, 100.0, 300.0, 1000.0, 3000.0))
OTHERS = (
    *(SpaceParameters(factor_ridge=ridge) for ridge in (2.0, 10.0)),
    *(SpaceParameters(bias_ridge=ridge) for ridge in (1.0, 10.0)),
    *(SpaceParameters(damping=damping) for damping in (2.0, 20.0)),
    *(SpaceParameters(dim=dim) for dim in (5, 12)),
)
WHO = {"all": "all users", "train": "train users", "test": "test users, folded in"}


def run(options: Options) -> None:
    """Measure, print the page, write it with its numbers."""
    size, found = SIZES[options.size], catalogs(options)
    reports = {name: cold_start(catalog, size["splits"]) for name, catalog in found.items()}
    sections = [errors_table(reports, size["splits"])]
    weighed = {name: catalog for name, catalog in found.items() if size["weigh"] and catalog.language == "plot_english"}
    if weighed:
        gains = {name: weigh(c, split_catalog(c), (*RIDGES, *OTHERS), progress=True) for name, c in weighed.items()}
        nested = {name: cold_start(catalog, size["splits"], nested=True) for name, catalog in weighed.items()}
        sections += [weights_table(gains), nested_lines(nested)]
    sections += [*tastes_table(found["Plots"], size["texts"]), *second_lines(found)]
    page = "\n\n".join(sections) + "\n"
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "REPORT.md").write_text(page)
    numbers = {name: {who: asdict(row) for who, row in report.errors.items()} for name, report in reports.items()}
    write_json({"experiment": "space", "cold_start": numbers} | circumstances(), options.out / "run.json")
    print(f"\n{page}\nREPORT.md and run.json in {options.out}")


def catalogs(options: Options) -> dict[str, Catalog]:
    """What is measured, by name."""
    found = {"Plots": load_plots()}
    if options.data:
        name = options.data.resolve().name
        found[f"{name}, rendered in plot English"] = load_movielens(options.data)
        if (options.data / "overviews.csv").is_file():
            found[f"{name}, overviews (words by tf-idf)"] = load_movielens(options.data, "overview")
    return found


def cold_start(catalog: Catalog, splits: int, *, nested: bool = False) -> ColdStartReport:
    """Items held out whole; nested: with the ridge that inner validation chooses in every split."""
    choices = RIDGES if nested else ()
    return cold_start_report(catalog, split_catalog(catalog), choices=choices, splits=splits, progress=True)


def errors_table(reports: Mapping[str, ColdStartReport], splits: int) -> str:
    """Root mean squared errors and what is gained over the user mean."""
    body = [
        [name if who == "all" else "", words, *cells(report.errors[who])]
        for name, report in reports.items()
        for who, words in WHO.items()
    ]
    head = ["catalog", "ratings of", "user mean, RMSE", "quality only", "taste only", "both"]
    title = (
        f"Ratings of items held out whole (20 %), mean of {splits} splits; error below that of the user's mean rating:"
    )
    return f"{title}\n\n{aligned(head, body)}"


def cells(errors: ColdStart) -> list[str]:
    """A row of the table."""
    gains = [f"{errors.gain(name):+.2f} %" for name in ("bias_only", "taste_only", "text")]
    return [f"{errors.user_mean:.4f}", *gains]


def weights_table(gains: Mapping[str, list[float]]) -> str:
    """Parameters weighed by inner validation; the defaults are those of the best mean among the ridges."""
    rows = zip((*RIDGES, *OTHERS), *gains.values(), strict=True)
    body = [[changed(choice), *(f"{gain:.2f}" for gain in row), f"{np.mean(row):.2f}"] for choice, *row in rows]
    head = ["changed from the defaults", *gains, "mean"]
    title = "Inner validation, by the train users' ratings alone: gain over the user mean in percent, mean of 3 splits:"
    return f"{title}\n\n{aligned(head, body)}"


def changed(choice: SpaceParameters) -> str:
    """What a choice changes of the defaults."""
    default = SpaceParameters()
    names = [item.name for item in fields(default) if getattr(choice, item.name) != getattr(default, item.name)]
    return ", ".join(f"{name.replace('_', ' ')} {getattr(choice, name):g}" for name in names) or "nothing (ridge 300)"


def nested_lines(reports: Mapping[str, ColdStartReport]) -> str:
    """The gains where every split chooses its own ridge."""
    lines = []
    for name, report in reports.items():
        ridges = ", ".join(f"{parameters.encoder_ridge:g}" for parameters in report.parameters)
        lines.append(f"- {name}: {report.errors['all'].gain():+.2f} % (ridges {ridges})")
    return "\n".join(["With the encoder's ridge chosen anew inside every split, by such a validation:", "", *lines])


def tastes_table(catalog: Catalog, texts: int) -> Iterator[str]:
    """Correlation of predicted with true ratings, on texts of another seed."""
    split, judge = split_catalog(catalog), TrueTaste(catalog)
    space = prepare_space(catalog, split)
    body = []
    for words, users in (("train users", split.train_users), ("test users", split.test_users)):
        found = agreement(judge, catalog, space, users, texts)
        body.append([words, f"{found.mean:.2f}", f"{found.low:.2f}", f"{found.pooled:.2f}"])
    yield f"Plots, correlation of predicted with true ratings over {texts} texts that no catalog has, mean over users:"
    yield aligned(["", "mean", "10 % quantile", "all users together"], body)


def second_lines(found: Mapping[str, Catalog]) -> Iterator[str]:
    """How good the second opinion of the judges is."""
    yield "Second opinions (see `benchmarks/judges.py`), on items and ratings that they never saw:"
    for name, catalog in found.items():
        if catalog.language == "plot_english":
            yield f"- {name}: {SecondOpinion(catalog, split_catalog(catalog)).quality}"
