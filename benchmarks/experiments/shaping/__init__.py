"""Does shaping the reward narrow the gap between reward and judge? PPO and EAGLE with and without PAR, and its rivals.

On Plots with the grammar as the language model. Agents are trained on shaped rewards (`eagle_gym.envs.shaping`) and
tested on the plain ones. The references of a shape are returns of the uniform policy. The judge is the users' true
taste, which no training sees: how much more the user likes the last text than the first, less the same for the mean of
other test users, since the rewarded affinity is personal too. Every budget of environment steps is a training of its
own. EAGLE is a small network on latent observations.
"""

from __future__ import annotations

from typing import Any

from benchmarks.experiments.shaping.methods import AGENTS, RIVALS, methods
from benchmarks.experiments.shaping.page import write_page
from benchmarks.running import Cell, Options, grid, run_cells

USUAL: dict[str, Any] = {"seeds": 3, "episodes": 128, "num_envs": 64, "references": 64}
SIZES: dict[str, dict[str, Any]] = {
    "smoke": USUAL | {"seeds": 1, "episodes": 2, "num_envs": 2, "references": 2, "steps": (10,), "rivals": 10},
    "small": USUAL | {"steps": (1_280, 2_560, 5_120), "rivals": 2_560},
    "medium": USUAL | {"steps": (1_280, 2_560, 5_120, 20_480), "rivals": 2_560},
    "reference": USUAL | {"steps": (5_120, 20_480, 102_400), "rivals": 20_480},
}


def cells(options: Options) -> list[Cell]:
    """Every method with every seed; an interrupted run lacks the largest budgets."""
    size = SIZES[options.size]
    place = ("plots", "EagleGym/Plots-v0", {"language_model": "grammar"})
    usual = {name: size[name] for name in ("seeds", "episodes", "num_envs")}
    found = grid([place], list(methods(size)), **usual)
    rivals = {f"{name}-{shape}" for name in AGENTS for shape in RIVALS}

    def order(cell: Cell) -> tuple[int, bool]:
        return cell.training.get("total_timesteps", 0), cell.method.rpartition("-")[0] in rivals

    return sorted(found, key=order)


def run(options: Options) -> None:
    """Run the cells, write and print the page."""
    run_cells(cells(options), options)
    print(write_page(options.out))
