"""What the latent space is worth: ratings of unseen items from their texts, and true tastes on unseen texts.

On Plots, and with ``--data`` on MovieLens: its texts rendered, and its overviews where there are any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from benchmarks import space_tables as tables
from benchmarks.results import circumstances, write_json
from benchmarks.suite import Options
from eagle_gym.catalog import Catalog, load_movielens, load_plots, split_catalog
from eagle_gym.latent import ColdStartReport, cold_start_report, weigh

SIZES: Mapping[str, dict[str, Any]] = {
    "smoke": {"splits": 1, "weigh": False, "texts": 60},
    "small": {"splits": 5, "weigh": True, "texts": 300},
}


def run(options: Options) -> None:
    """Measure, print the page, write it with its numbers."""
    size, found = SIZES[options.size], catalogs(options)
    reports = {name: cold_start(catalog, size["splits"]) for name, catalog in found.items()}
    sections = [tables.errors_table(reports, size["splits"])]
    weighed = {name: catalog for name, catalog in found.items() if size["weigh"] and catalog.language == "plot_english"}
    if weighed:
        gains = {name: weigh(c, split_catalog(c), tables.CHOICES, progress=True) for name, c in weighed.items()}
        nested = {name: cold_start(catalog, size["splits"], nested=True) for name, catalog in weighed.items()}
        sections += [tables.weights_table(gains), tables.nested_lines(nested)]
    sections += [*tables.tastes_table(found["Plots"], size["texts"]), *tables.second_lines(found)]
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
    choices = tables.RIDGES if nested else ()
    return cold_start_report(catalog, split_catalog(catalog), choices=choices, splits=splits, progress=True)
