"""Comparison of action sets: four kinds of candidates, five ways to choose among the same ones, one oracle (T3).

Kinds of candidates: the default (half of them personalised), none personalised, macro actions (three edits at once),
half of them macro actions. Ways to choose 16 of the 64 default candidates: G-optimal design (the default), design over
unit lengths, longest displacements, uniform choice, largest weights of a design over all. The same two policies,
one-step optimistic and uniform, use every set from the same texts for the same users. A score of 0 is the uniform
policy with the designed set; 1 is the common oracle, beam search among all 64 default candidates.

Every set is tried on two tasks: the default one and `plan`. The size `reference` takes the grammar as the language
model, so that hundreds of episodes take minutes.
"""

from __future__ import annotations

from benchmarks.experiments.t3_action_sets.page import write_page
from benchmarks.experiments.t3_action_sets.sizes import SIZES, methods, sets_of
from benchmarks.running import Cell, Options, environments, grid, run_cells


def cells(options: Options) -> list[Cell]:
    """Two policies with every action set of every task, and the oracle among all candidates."""
    size = SIZES[options.size]
    usual = {name: size[name] for name in ("seeds", "episodes", "num_envs")}
    found: list[Cell] = []
    for name, env_id, kwargs in environments(options):
        for task in size["tasks"]:
            place = (f"{name}-{task}", env_id, kwargs | {"task": task, "language_model": size["language_model"]})
            found += grid([place], methods(task, size), **usual)
    return found


def run(options: Options) -> None:
    """Run the cells, measure the coverage of the sets, write and print the page."""
    run_cells(cells(options), options)
    tasks = SIZES[options.size]["tasks"]
    sets = {f"{name}-{task}": sets_of(task) for name, _, _ in environments(options) for task in tasks}
    print(write_page(options.out, sets))
