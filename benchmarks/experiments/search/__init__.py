"""What do more calls buy? Lookahead, beam search, MCTS and best-of-N, from 16 to 1,024 imagined rewrites an episode.

On Plots with the grammar as the language model, so that hundreds of episodes take minutes. All methods play the same
episodes of test users. Policies that imagine nothing have rows in the table; uniform and privileged greedy are drawn as
lines. None of the methods learns, so the two seeds are two sets of episodes. The page draws gain against calls, and
names the strongest method at the largest budget, which is the oracle of normalised scores.
"""

from __future__ import annotations

from typing import Any

from benchmarks.experiments.search.page import STILL, write_page
from benchmarks.running import Cell, Options, grid, run_cells

SEARCHES = ("lookahead", "beam", "mcts", "best_of_n")
SETTINGS = {"beam": ",width=8"}
USUAL: dict[str, Any] = {
    **{"seeds": 2, "tasks": ("default",), "episodes": 128, "num_envs": 64, "calls": (16, 64, 256, 1_024)},
    "language_model": "grammar",
}
SIZES: dict[str, dict[str, Any]] = {
    "smoke": USUAL | {"seeds": 1, "episodes": 2, "num_envs": 2, "calls": (16, 32)},
    "small": USUAL | {"seeds": 1, "episodes": 64, "calls": (16, 64, 256)},
    "medium": USUAL | {"calls": (16, 64, 256)},
    "reference": USUAL,
    "full": USUAL | {"tasks": ("default", "plan"), "calls": (16, 32, 64, 128, 256, 512, 1_024)},
}


def cells(options: Options) -> list[Cell]:
    """Every search with every budget; an interrupted run lacks the largest budgets."""
    size = SIZES[options.size]
    kept = {"language_model": size["language_model"]}
    places = [(f"plots-{task}", "EagleGym/Plots-v0", kept | {"task": task}) for task in size["tasks"]]
    methods: list[dict[str, Any]] = [{"agent": name} for name in STILL]
    for calls in size["calls"]:
        methods += [
            {"agent": f"{name}:budget={calls}{SETTINGS.get(name, '')}", "label": f"{name}-{calls}"} for name in SEARCHES
        ]
    found = grid(places, methods, **{name: size[name] for name in ("seeds", "episodes", "num_envs")})
    return sorted(found, key=lambda cell: int(number) if (number := cell.method.rpartition("-")[2]).isdigit() else 0)


def run(options: Options) -> None:
    """Run the cells, write and print the page, draw the curves."""
    run_cells(cells(options), options)
    size = SIZES[options.size]
    print(write_page(options.out, [f"plots-{task}" for task in size["tasks"]], list(SEARCHES), size["calls"]))
