"""Accuracy of the latent space: ratings of unseen items from their texts, and true tastes on unseen texts.

On Plots and, with `--data`, on MovieLens: with rendered texts and with free text, read by its words, by MiniLM and by
both, where MiniLM is installed (`make models`). An interrupted run continues from its last finished part.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from benchmarks.experiments.space import comparison, tables
from benchmarks.experiments.space.comparison import Row
from benchmarks.experiments.space.inputs import catalogs, sentence_readings
from benchmarks.experiments.space.parts import Parts
from benchmarks.experiments.space.records import choices, compared, errors_of, read
from benchmarks.running import Options
from benchmarks.running.files import write_json
from benchmarks.running.provenance import circumstances
from eagle_gym.latent import ColdStart

SIZES: Mapping[str, dict[str, Any]] = {
    "smoke": {"splits": 1, "cross_validate": False, "texts": 60},
    "small": {"splits": 5, "cross_validate": True, "texts": 300},
}


def run(options: Options) -> None:
    """Measure; print the page; write it with its numbers."""
    size, found, readings = SIZES[options.size], catalogs(options), sentence_readings()
    parts = Parts(options.out / "parts" / options.size, options.fresh)
    texts = " and ".join(["words", *readings])  # parts that were made without a text encoder lack its rows
    rows = {
        name: parts.part(f"{name} compared, {texts}", partial(compared, c, size, readings)) for name, c in found.items()
    }
    errors = {name: parts.part(f"{name} held out", partial(errors_of, c, size)) for name, c in found.items()}
    sections = [
        tables.errors_table({name: read(ColdStart, kept) for name, kept in errors.items()}, size["splits"]),
        *(comparison.comparison_table(name, read(Row, kept), size["splits"]) for name, kept in rows.items()),
        *(choices(found, readings, size["splits"], parts) if size["cross_validate"] else ()),
        *parts.part("tastes", lambda: list(tables.tastes_table(found["Plots"], size["texts"]))),
        *parts.part("second opinion", lambda: list(tables.second_lines(found))),
    ]
    page = "\n\n".join(sections) + "\n"
    facts = {"experiment": "space", "cold_start": errors, "comparison": rows} | circumstances()
    write_json(facts, options.out / "run.json")
    (options.out / "REPORT.md").write_text(page)
    print(f"\n{page}\nREPORT.md and run.json in {options.out}")
