"""Accuracy of the latent space: ratings of unseen items from their texts, and true tastes on unseen texts.

On Plots and, with `--data`, on MovieLens: with rendered texts and with free text, read by its words, by MiniLM and by
both, where MiniLM is installed (`make models`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from benchmarks.experiments.space import comparison, tables
from benchmarks.running import Options
from benchmarks.running.files import write_json
from benchmarks.running.provenance import circumstances
from eagle_gym.catalog import Catalog, load_movielens, load_plots
from eagle_gym.language.installed import installed_file
from eagle_gym.latent import Reading, open_text_encoder

SIZES: Mapping[str, dict[str, Any]] = {
    "smoke": {"splits": 1, "cross_validate": False, "texts": 60},
    "small": {"splits": 5, "cross_validate": True, "texts": 300},
}


def run(options: Options) -> None:
    """Measure; print the page; write it with its numbers."""
    size, found, readings = SIZES[options.size], catalogs(options), sentence_readings()
    compared = {
        name: comparison.compare(catalog, size["splits"], readings if catalog.language == "free" else None)
        for name, catalog in found.items()
    }
    sections = [comparison.comparison_table(name, rows, size["splits"]) for name, rows in compared.items()]
    reports = {name: tables.cold_start(catalog, size["splits"]) for name, catalog in found.items()}
    sections.insert(0, tables.errors_table(reports, size["splits"]))
    plots = {name: catalog for name, catalog in found.items() if catalog.language == "plot_english"}
    if size["cross_validate"]:
        sections.append(tables.choices_table({name: tables.cross_validated(c) for name, c in found.items()}))
        sections += [
            tables.scales_table(name, comparison.rated(catalog)[0], {"words": Reading(), **readings})
            for name, catalog in found.items()
            if catalog.language == "free"
        ]
        nested = {name: tables.cold_start(catalog, size["splits"], nested=True) for name, catalog in plots.items()}
        sections.append(tables.nested_lines(nested))
    sections += [*tables.tastes_table(found["Plots"], size["texts"]), *tables.second_lines(found)]
    page = "\n\n".join(sections) + "\n"
    numbers = {name: {who: asdict(row) for who, row in report.errors.items()} for name, report in reports.items()}
    rows = {name: {row: asdict(scores) for row, scores in r.items()} for name, r in compared.items()}
    facts = {"experiment": "space", "cold_start": numbers, "comparison": rows} | circumstances()
    write_json(facts, options.out / "run.json")
    (options.out / "REPORT.md").write_text(page)
    print(f"\n{page}\nREPORT.md and run.json in {options.out}")


def sentence_readings() -> dict[str, Reading]:
    """Ways of reading free text with MiniLM, none where it is not installed."""
    if installed_file("minilm") is None:
        return {}
    encoder = open_text_encoder("minilm")
    return {"words and MiniLM": Reading(True, encoder), "MiniLM": Reading(False, encoder)}


def catalogs(options: Options) -> dict[str, Catalog]:
    """The catalogs, by name."""
    found = {"Plots": load_plots()}
    if options.data:
        name = options.data.resolve().name
        found[f"{name}, rendered in plot English"] = load_movielens(options.data)
        found[f"{name}, free text"] = load_movielens(options.data, "free")
    return found
