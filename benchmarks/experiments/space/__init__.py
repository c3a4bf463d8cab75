"""Accuracy of the latent space: ratings of unseen items from their texts, and true tastes on unseen texts.

On Plots and, with `--data`, on MovieLens: with rendered texts and with free text, read by its words, by MiniLM and by
both, where MiniLM is installed (`make models`). An interrupted run continues from its last finished part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, TypeVar

from benchmarks.experiments.space import comparison, tables
from benchmarks.experiments.space.comparison import Row
from benchmarks.experiments.space.inputs import catalogs, sentence_readings
from benchmarks.experiments.space.parts import Parts
from benchmarks.running import Options
from benchmarks.running.files import write_json
from benchmarks.running.provenance import circumstances
from eagle_gym.catalog import Catalog
from eagle_gym.latent import ColdStart, Reading

SIZES: Mapping[str, dict[str, Any]] = {
    "smoke": {"splits": 1, "cross_validate": False, "texts": 60},
    "small": {"splits": 5, "cross_validate": True, "texts": 300},
}
Records = dict[str, dict[str, Any]]
T = TypeVar("T")


def run(options: Options) -> None:
    """Measure; print the page; write it with its numbers."""
    size, found, readings = SIZES[options.size], catalogs(options), sentence_readings()
    parts = Parts(options.out / "parts" / options.size, options.fresh)
    read = " and ".join(["words", *readings])  # parts that were made without a text encoder lack its rows
    rows = {
        name: parts.part(f"{name} compared, {read}", partial(_compared, c, size, readings)) for name, c in found.items()
    }
    errors = {name: parts.part(f"{name} held out", partial(_errors, c, size)) for name, c in found.items()}
    sections = [
        tables.errors_table({name: _read(ColdStart, kept) for name, kept in errors.items()}, size["splits"]),
        *(comparison.comparison_table(name, _read(Row, kept), size["splits"]) for name, kept in rows.items()),
        *(_choices(found, readings, size["splits"], parts) if size["cross_validate"] else ()),
        *parts.part("tastes", lambda: list(tables.tastes_table(found["Plots"], size["texts"]))),
        *parts.part("second opinion", lambda: list(tables.second_lines(found))),
    ]
    page = "\n\n".join(sections) + "\n"
    facts = {"experiment": "space", "cold_start": errors, "comparison": rows} | circumstances()
    write_json(facts, options.out / "run.json")
    (options.out / "REPORT.md").write_text(page)
    print(f"\n{page}\nREPORT.md and run.json in {options.out}")


def _compared(catalog: Catalog, size: Mapping[str, Any], readings: Mapping[str, Reading]) -> Records:
    others = readings if catalog.language == "free" else {}
    return _records(comparison.compare(catalog, size["splits"], others))


def _errors(catalog: Catalog, size: Mapping[str, Any]) -> Records:
    return _records(tables.cold_start(catalog, size["splits"]).errors)


def _nested(catalog: Catalog, splits: int) -> str:
    return tables.nested(tables.cold_start(catalog, splits, nested=True))


def _records(found: Mapping[str, Any]) -> Records:
    return {name: asdict(record) for name, record in found.items()}


def _read(kind: type[T], records: Records) -> dict[str, T]:
    return {name: kind(**record) for name, record in records.items()}


def _choices(
    found: Mapping[str, Catalog], readings: Mapping[str, Reading], splits: int, parts: Parts
) -> Iterator[str]:
    """The tables on how parameters were chosen."""
    gains = {name: parts.part(f"{name} choices", partial(tables.cross_validated, c)) for name, c in found.items()}
    yield tables.choices_table(gains)
    for name, catalog in found.items():
        if catalog.language == "free":
            rated, read = comparison.rated(catalog)[0], {"words": Reading(), **readings}
            name_of_part = f"{name} scales, {' and '.join(read)}"
            yield parts.part(name_of_part, partial(tables.scales_table, name, rated, read))
    plots = {name: c for name, c in found.items() if c.language == "plot_english"}
    nested = {name: parts.part(f"{name} nested", partial(_nested, c, splits)) for name, c in plots.items()}
    yield tables.nested_lines(nested)
