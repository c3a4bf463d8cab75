"""Which settings do learners get in T1? The same four trials for each, on train users.

On Plots, the default task, with the grammar as the language model. Every learner gets its defaults, a step size three
times as large, one three times as small, and one change of its own, such as more exploration. Trials have the steps
that T1 gives on this task, and are tested on episodes of train users and train items: no test user is met. Their seeds
begin at 1,000 and are in no table of T1. The settings with the largest mean gain are chosen; `tuning.json` holds all
trials, and T1 reads it. EAGLE is a small network on latent observations.

An ablation asks why EAGLE falls short of PPO at half of T1's budget: it leaves out the imitation, and makes updates as
short as PPO's. The size `ablated` repeats it without the trials, and its page has the committed ones. After
`python -m benchmarks judge RUN`, `--report-only` writes the page again, with the verdicts by judge.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.experiments.tuning.page import write_page
from benchmarks.experiments.tuning.trials import HALF, ablations, chosen, trials
from benchmarks.running import Cell, Options, grid, run_cells

FIRST_SEED, AFTER_TRIALS = 1_000, 1_002  # of the trials, and of the ablation: no seed chooses and reports
USUAL: dict[str, Any] = {
    **{"seeds": 2, "episodes": 128, "num_envs": 64, "steps": 5_120, "recorded": 128},
    **{"half": 2_560, "imitated": 64, "ablated": 8},
}
SIZES: dict[str, dict[str, Any]] = {
    "smoke": {"seeds": 1, "episodes": 2, "num_envs": 2, "steps": 20, "recorded": 2}
    | {"half": 20, "imitated": 2, "ablated": 1},
    "small": USUAL | {"seeds": 1, "ablated": 1},
    "reference": USUAL,
    "ablated": USUAL | {"seeds": 0},
}


def cells(options: Options) -> list[Cell]:
    """Every trial of every learner."""
    size = SIZES[options.size]
    return placed("plots", trials(size["steps"], size["recorded"]), size, size["seeds"], FIRST_SEED)


def ablated(options: Options) -> list[Cell]:
    """EAGLE with half of T1's budget and with changes, and PPO; all have T1's settings, from the committed trials."""
    size = SIZES[options.size]
    return placed(HALF, ablations(size["half"], size["imitated"], chosen()), size, size["ablated"], AFTER_TRIALS)


def placed(name: str, methods: Iterable[dict[str, Any]], size: dict[str, Any], seeds: int, first: int) -> list[Cell]:
    """Cells on Plots. Trials and ablation have different names, since an unfinished seed is left out by name."""
    place = (name, "EagleGym/Plots-v0", {"task": "default", "language_model": "grammar"})
    usual = {"episodes": size["episodes"], "num_envs": size["num_envs"], "first_seed": first}
    return grid([place], list(methods), seeds=seeds, **usual)


def run(options: Options) -> None:
    """Run the trials and the ablation of EAGLE; write and print the page."""
    run_cells([*cells(options), *ablated(options)], options)
    print(write_page(options.out))
