"""The options that the command line passes to an experiment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """Options of an experiment.

    Attributes:
        size: One of the experiment's `SIZES`.
        out: Folder for everything that the experiment writes.
        data: Folder of a data set (MovieLens; Amazon for `t4_products`, which invents some by default), or None.
        fresh: Repeat cells that are done.
        resume: Repeat cells that have failed.
        jobs: Number of cells done at a time.
        engine: Where cells are done: `"local"` or `"ray"`.
        device: Device of language models. Only experiments on speed use it.
        figure: Draw the figure and measure nothing. Only `design` uses it.
        experiment: Name of the experiment.
        only: Do only the cells (or pieces) whose names match this pattern, such as `plots-plan-*`, and what they
            need; of `throughput`, only these sections; of `editing`, only these texts; of `serving`, only these models.
        report_only: Do no cell; report on the finished ones and list the missing ones.
        judge: Specs of language models that judge edits, with commas between them. Only `editing` uses it.
        language_model: Spec of a general language model, for `t4_products` and `free_text`; for `editing`, one or
            several.
    """

    size: str
    out: Path
    data: Path | None = None
    fresh: bool = False
    resume: bool = False
    jobs: int = 1
    engine: str = "local"
    device: str = "cpu"
    figure: bool = False
    experiment: str = ""
    only: str = "*"
    report_only: bool = False
    language_model: str | None = None
    judge: str | None = None
