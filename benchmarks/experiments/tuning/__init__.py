"""Which settings do learners get in T1? The same four trials for each, on train users.

On Plots, the default task, with the grammar as the language model. Every learner gets its defaults, a step size three
times as large, one three times as small, and one change of its own, such as more exploration. Trials have the steps
that T1 gives on this task, and are tested on episodes of train users and train items: no test user is met. Their seeds
begin at 1,000 and are in no other table. The settings with the largest mean gain are chosen; `tuning.json` holds all
trials, and T1 reads it. EAGLE is a small network on latent observations.

A second table says what half of T1's budget costs EAGLE, and which of its parts does: the imitation that it starts
with, the step sizes that fall to 0, or the KL.
"""

from __future__ import annotations

from typing import Any

from benchmarks.experiments.tuning.page import write_page
from benchmarks.experiments.tuning.trials import ablations, trials
from benchmarks.running import Cell, Options, grid, run_cells

FIRST_SEED = 1_000
USUAL: dict[str, Any] = {
    **{"seeds": 2, "episodes": 128, "num_envs": 64, "steps": 5_120, "recorded": 128},
    **{"half": 2_560, "imitated": 64, "ablated": 3},
}
SIZES: dict[str, dict[str, Any]] = {
    "smoke": {"seeds": 1, "episodes": 2, "num_envs": 2, "steps": 20, "recorded": 2}
    | {"half": 20, "imitated": 2, "ablated": 1},
    "small": USUAL | {"seeds": 1, "ablated": 1},
    "reference": USUAL,
}


def cells(options: Options) -> list[Cell]:
    """Every trial of every learner, then the parts of EAGLE."""
    size = SIZES[options.size]
    place = ("plots", "EagleGym/Plots-v0", {"task": "default", "language_model": "grammar"})
    usual = {"episodes": size["episodes"], "num_envs": size["num_envs"], "first_seed": FIRST_SEED}
    found = grid([place], list(trials(size["steps"], size["recorded"])), seeds=size["seeds"], **usual)
    return found + grid([place], list(ablations(size["half"], size["imitated"])), seeds=size["ablated"], **usual)


def run(options: Options) -> None:
    """Run the cells, write and print the page."""
    run_cells(cells(options), options)
    print(write_page(options.out))
