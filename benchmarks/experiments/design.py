"""How fast and how good are designs? Our solver, every cvxpy form and accbpg (if installed), in one run on one thread.

Pools are Gaussian, clustered, rank-deficient, and recorded from EagleGym/Plots-v0. Cells of cvxpy that take minutes
belong to ``--size large``, the one that needs 17 GB of memory to ``--size huge``. Rows are printed and written as they
come; a run that was killed goes on, and ``--size huge`` after ``large`` measures one cell more. How is told in
``benchmarks/design_times.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import design_times as times
from benchmarks.suite import Options

SMALL: dict[str, Any] = {"shapes": times.SHAPES, "repeats": 5, "patience": 4.0, "pools": 64, "prepare": "auto"}
SIZES: dict[str, dict[str, Any]] = {  # "patience": seconds that a cell may take; "giants": of memory, run as well
    "smoke": {"shapes": times.SHAPES[:1], "repeats": 2, "patience": 0.5, "pools": 4, "prepare": "never"},
    "small": SMALL,
    "large": SMALL | {"patience": np.inf},
    "huge": SMALL | {"patience": np.inf, "giants": True},
}


def run(options: Options) -> None:
    """Time every method on every pool, print and write the table, draw four action sets of Plots."""
    size = SIZES[options.size]
    if options.figure:
        print(times.draw(size, options.out))
    elif not times.on_one_thread():
        times.again_on_one_thread(options)
    else:
        for words in times.time_all(options, size):
            print(words, flush=True)
