"""Accuracy of the latent space: ratings of unseen items from their texts, and true tastes on unseen texts.

On Plots and, with `--data`, on MovieLens: with rendered texts and with free text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from benchmarks.experiments.space import comparison, tables
from benchmarks.running import Options
from benchmarks.running.files import write_json
from benchmarks.running.provenance import circumstances
from eagle_gym.catalog import Catalog, load_movielens, load_plots, split_catalog
from eagle_gym.latent import cross_validate

SIZES: Mapping[str, dict[str, Any]] = {
    "smoke": {"splits": 1, "cross_validate": False, "texts": 60},
    "small": {"splits": 5, "cross_validate": True, "texts": 300},
}


def run(options: Options) -> None:
    """Measure; print the page; write it with its numbers."""
    size, found = SIZES[options.size], catalogs(options)
    reports = {name: tables.cold_start(catalog, size["splits"]) for name, catalog in found.items()}
    sections = [tables.errors_table(reports, size["splits"])]
    plots = {name: catalog for name, catalog in found.items() if catalog.language == "plot_english"}
    compared = {name: comparison.compare(catalog, size["splits"]) for name, catalog in found.items()}
    sections += [comparison.comparison_table(name, rows, size["splits"]) for name, rows in compared.items()]
    if size["cross_validate"]:
        gains = {name: cross_validate(c, split_catalog(c), tables.CHOICES, progress=True) for name, c in plots.items()}
        nested = {name: tables.cold_start(catalog, size["splits"], nested=True) for name, catalog in plots.items()}
        sections += [tables.choices_table(gains), tables.nested_lines(nested)]
    sections += [*tables.tastes_table(found["Plots"], size["texts"]), *tables.second_lines(found)]
    page = "\n\n".join(sections) + "\n"
    numbers = {name: {who: asdict(row) for who, row in report.errors.items()} for name, report in reports.items()}
    rows = {name: {row: [asdict(score) for score in pair] for row, pair in r.items()} for name, r in compared.items()}
    facts = {"experiment": "space", "cold_start": numbers, "comparison": rows} | circumstances()
    write_json(facts, options.out / "run.json")
    (options.out / "REPORT.md").write_text(page)
    print(f"\n{page}\nREPORT.md and run.json in {options.out}")


def catalogs(options: Options) -> dict[str, Catalog]:
    """The catalogs, by name."""
    found = {"Plots": load_plots()}
    if options.data:
        name = options.data.resolve().name
        found[f"{name}, rendered in plot English"] = load_movielens(options.data)
        found[f"{name}, free text"] = load_movielens(options.data, "free")
    return found
