"""Accuracy of the latent space: ratings of unseen items from their texts, and true tastes on unseen texts.

On Plots and, with `--data`, on MovieLens: with rendered texts and with free text, read by its words, by MiniLM and by
both, where MiniLM is installed (`make models`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from benchmarks.experiments.space import comparison, tables
from benchmarks.experiments.space.inputs import catalogs, sentence_readings
from benchmarks.running import Options
from benchmarks.running.files import write_json
from benchmarks.running.provenance import circumstances
from eagle_gym.latent import Reading

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
