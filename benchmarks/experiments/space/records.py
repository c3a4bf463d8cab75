"""What is measured and kept of each catalog, as JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, TypeVar

from benchmarks.experiments.space import comparison, tables
from benchmarks.experiments.space.parts import Parts
from eagle_gym.catalog import Catalog
from eagle_gym.latent import Reading

Records = dict[str, dict[str, Any]]
T = TypeVar("T")


def compared(catalog: Catalog, size: Mapping[str, Any], readings: Mapping[str, Reading]) -> Records:
    """The rows of the comparison of predictors on a catalog."""
    others = readings if catalog.language == "free" else {}
    return _records(comparison.compare(catalog, size["splits"], others))


def errors_of(catalog: Catalog, size: Mapping[str, Any]) -> Records:
    """The errors of held-out items' ratings."""
    return _records(tables.cold_start(catalog, size["splits"]).errors)


def _nested(catalog: Catalog, splits: int) -> str:
    return tables.nested(tables.cold_start(catalog, splits, nested=True))


def _records(found: Mapping[str, Any]) -> Records:
    return {name: asdict(record) for name, record in found.items()}


def read(kind: type[T], records: Records) -> dict[str, T]:
    """Records of a kind from what a run kept of them."""
    return {name: kind(**record) for name, record in records.items()}


def choices(
    found: Mapping[str, Catalog], readings: Mapping[str, Reading], splits: int, parts: Parts
) -> Iterator[str]:
    """The tables on how parameters were chosen."""
    gains = {name: parts.part(f"{name} choices", partial(tables.cross_validated, c)) for name, c in found.items()}
    yield tables.choices_table(gains)
    for name, catalog in found.items():
        if catalog.language == "free":
            rated, texts = comparison.rated(catalog)[0], {"words": Reading(), **readings}
            name_of_part = f"{name} scales, {' and '.join(texts)}"
            yield parts.part(name_of_part, partial(tables.scales_table, name, rated, texts))
    plots = {name: c for name, c in found.items() if c.language == "plot_english"}
    nested = {name: parts.part(f"{name} nested", partial(_nested, c, splits)) for name, c in plots.items()}
    yield tables.nested_lines(nested)
