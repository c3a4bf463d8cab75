"""Speed and accuracy of designs: our solver, every cvxpy form and accbpg (if installed), on one thread.

Pools are Gaussian, clustered, rank-deficient, and recorded from EagleGym/Plots-v0. Measurements of cvxpy that take
minutes run only in `--size large`, the one that needs 17 GB of memory only in `--size huge`. Each row is printed and
written when it is measured. A run that was stopped resumes, and `--size huge` after `large` measures one more row. The
page also compares the coverage of action sets, four of which are drawn; `--figure` draws them and measures nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.experiments.design.measure import figure_only, on_one_thread, rerun_on_one_thread, time_all
from benchmarks.experiments.design.times import SHAPES
from benchmarks.running import Options

SMALL: dict[str, Any] = {"shapes": SHAPES, "repeats": 5, "patience": 4.0, "pools": 64, "prepare": "auto"}
SIZES: dict[str, dict[str, Any]] = {
    # "patience": seconds that a measurement may take; "giants": include those that need much memory
    "smoke": {"shapes": SHAPES[:1], "repeats": 2, "patience": 0.5, "pools": 4, "prepare": "never"},
    "small": SMALL,
    "large": SMALL | {"patience": np.inf},
    "huge": SMALL | {"patience": np.inf, "giants": True},
}


def run(options: Options) -> None:
    """Time every method on every pool, print and write the table, draw four action sets of Plots."""
    size = SIZES[options.size]
    if options.figure:
        print(figure_only(size, options.out))
    elif not on_one_thread():
        rerun_on_one_thread(options)
    else:
        for words in time_all(options, size):
            print(words, flush=True)
