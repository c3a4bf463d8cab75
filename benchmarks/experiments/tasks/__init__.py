"""Does each task need its parts? Every preset, with and without knowledge of the user, search, memory and design.

On Plots and, with `--data`, on MovieLens, with the grammar as the language model, so that hundreds of episodes and a
strong oracle take minutes. A score of 0 is the uniform policy, 1 is beam search. The rows of a preset: policies that
know nothing, no user, or everything one step ahead; search; the same policies with random and with the longest edits
in place of the designed ones; and agents that learn, at several budgets of environment steps. On the hidden task, an
agent with memory stands next to its twin without, next to one that is shown the taste, and next to LinUCB, which learns
within an episode.

The page ends with what a preset is wanted to show, and whether it does.
"""

from __future__ import annotations

from benchmarks.experiments.tasks.methods import methods, presets
from benchmarks.experiments.tasks.page import write_page
from benchmarks.experiments.tasks.sizes import SIZES
from benchmarks.running import Cell, Options, environments, grid, run_cells


def cells(options: Options) -> list[Cell]:
    """Every method of every preset with every seed."""
    size = SIZES[options.size]
    usual = {name: size[name] for name in ("seeds", "episodes", "num_envs")}
    found: list[Cell] = []
    for name, env_id, kwargs in environments(options):
        for task in presets(name, size):
            arguments = {**kwargs, "task": task, "language_model": size["language_model"]}
            found += grid([(f"{name}-{task}", env_id, arguments)], list(methods(name, task, size)), **usual)
    # The page of an interrupted run lacks the hidden task, whose episodes are long, and those who learn most.
    return sorted(
        found,
        key=lambda cell: ("hidden" in cell.environment, cell.training.get("total_timesteps", 0), cell.seed),
    )


def run(options: Options) -> None:
    """Run the cells, write and print the page."""
    run_cells(cells(options), options)
    print(write_page(options.out, [name for name, _, _ in environments(options)], SIZES[options.size]))
