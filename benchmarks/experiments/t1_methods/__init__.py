"""Every method under one budget of environment steps: ELM, supervised, EAGLE, SB3, search and reference policies (T1).

On Plots and, with `--data`, on MovieLens: all methods on the default task of Plots, the paper's agents and their rivals
on its other tasks and on MovieLens. The language model is the grammar, in `--size full` the embedded one. Recorded
episodes and warm starts count towards the budget. Learners have the settings that the experiment `tuning` chose on
train users. Search is expensive: it runs only on each seed's first episodes and is compared over these.

EAGLE and supervised agents are small networks on latent observations (*latent*); those that are language models and
read text run only in `--size full`. CoLA and GRPO over tokens write texts themselves and have budgets of their own, in
`--size reference` those of the experiment `latent_actions`. Supervised agents and writers sample, like the policy that
they imitate; other trained agents act greedily.
"""

from __future__ import annotations

from benchmarks.experiments.t1_methods.methods import EVERYWHERE, SLOW, everything, main_ones
from benchmarks.experiments.t1_methods.sizes import SIZES
from benchmarks.experiments.tuning.trials import chosen
from benchmarks.reporting.build import write_page
from benchmarks.reporting.targets import eagle_targets
from benchmarks.running import Cell, Options, environments, grid, run_cells


def cells(options: Options) -> list[Cell]:
    """Every method with every seed; first Plots' default task, and there first the methods that all tasks have."""
    size, settings = SIZES[options.size], chosen()
    usual = {name: size[name] for name in ("episodes", "num_envs")}
    found: list[Cell] = []
    for name, env_id, kwargs in environments(options):
        for task, steps in size["steps" if name == "plots" else "steps_elsewhere"].items():
            whole = (name, task) == ("plots", "default")
            methods = (everything if whole else main_ones)(steps, size, settings)
            arguments = {**kwargs, "task": task, "language_model": size["language_model"]}
            seeds = size["seeds" if whole else "seeds_elsewhere"]
            found += grid([(f"{name}-{task}", env_id, arguments)], list(methods), seeds=seeds, **usual)
    return sorted(found, key=order)


def order(cell: Cell) -> tuple[bool, bool, bool, bool, int]:
    """What comes first."""
    slow, elsewhere = cell.agent in SLOW, cell.environment != "plots-default"
    return slow, elsewhere, cell.method not in EVERYWHERE, cell.agent == "elm", cell.seed


def run(options: Options) -> None:
    """Run the cells, write and print the report."""
    found = run_cells(cells(options), options)
    print(write_page(found, [*eagle_targets(), *eagle_targets("reads-")]))
