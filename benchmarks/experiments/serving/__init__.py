"""How many steps a second does one llama.cpp server give, with 1 to 64 environments and its prompt cache on and off?

The experiment starts and stops two servers on loopback, one with its cache and one without, each with one thread. They
serve SmolLM2-135M-Instruct as it is, with long prompts that show two examples, and tuned to edit (`"smollm2"`), with
short ones. Episodes start from invented overviews of films and take edits of the lexicon, so a step asks the server for
one rewrite and nothing else. Needs `make models`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.experiments.serving.measure import SLOTS, Row, Size, time_model, write_catalog
from benchmarks.experiments.serving.models import served
from benchmarks.experiments.serving.page import write_page
from benchmarks.llama_cpp import llama_cpp
from benchmarks.running import Options

SIZES: Mapping[str, Size] = {
    "smoke": Size(envs=(1, 2), repeats=1, steps=1),
    "small": Size(envs=(1, 4, 16, 64), repeats=1),
    "medium": Size(envs=(1, 4, 16, 64), repeats=3, least=1),
    "reference": Size(envs=(1, 4, 16, 64), repeats=3),
}


def run(options: Options) -> None:
    """Serve one model after the other; measure; write the page after each cell, and print it."""
    rows: list[Row] = []
    page = ""
    with TemporaryDirectory() as name:
        folder = Path(name)
        catalog = write_catalog(folder)
        for model in served(folder, options.only):
            on, off = (llama_cpp(model.file, slots=SLOTS, threads=1) for _ in range(2))
            with on as first, off as second:
                found: list[Row] = []
                for found in time_model(model, {"on": first, "off": second}, SIZES[options.size], catalog):
                    page = write_page([*rows, *found], options.out, options.size)
            rows += found
    print(page)
