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

from typing import Any

from benchmarks.experiments.t3_action_sets.page import write_page
from benchmarks.running import Cell, Options, environments, grid, run_cells

SETS: dict[str, dict[str, Any]] = {
    "designed": {},
    "not-personalised": {"personalised": 0.0},
    "macro": {"macro": 1.0},
    "combined": {"macro": 0.5},
    "unit-length": {"selection": "g_optimal_unit"},
    "longest": {"selection": "longest"},
    "random": {"selection": "uniform"},
    "top-weight": {"selection": "top_weight"},
}
REDUNDANT = {"plan": ("not-personalised",)}  # sets that are the designed one of a task
SMALL: dict[str, Any] = {
    **{"seeds": 2, "tasks": ("default", "plan"), "episodes": 64, "num_envs": 64, "searched": 16, "budget": 640},
    **{"language_model": "embedded", "env_kwargs": {}},
}
TINY = {"effects": "rollout", "rollout_samples": 1, "pool": 12, "actions": 3, "horizon": 1}
SIZES = {
    "smoke": SMALL
    | {"seeds": 1, "episodes": 2, "num_envs": 2, "searched": 2, "budget": 12}
    | {"tasks": ("default",), "env_kwargs": TINY},
    "small": SMALL,
    "reference": SMALL | {"seeds": 2, "episodes": 256, "searched": 128, "language_model": "grammar"},
    "full": SMALL | {"seeds": 10, "episodes": 256, "searched": 64},
}


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


def methods(task: str, size: dict[str, Any]) -> list[dict[str, Any]]:
    """The methods of a task: fields of `Cell` in which its cells differ."""
    usual = size["env_kwargs"]
    every = {"setting": "every", "env_kwargs": usual | {"actions": usual.get("pool", 64)}, "label": "beam"}
    return [
        *(
            {"agent": agent, "setting": name, "env_kwargs": usual | SETS[name]}
            for name in sets_of(task)
            for agent in ("optimistic", "uniform")
        ),
        every | {"agent": f"beam:budget={size['budget']},width=8", "episodes": size["searched"]},
    ]


def sets_of(task: str) -> list[str]:
    """The action sets that differ from one another in a task."""
    return [name for name in SETS if name not in REDUNDANT.get(task, ())]


def run(options: Options) -> None:
    """Run the cells, measure the coverage of the sets, write and print the page."""
    run_cells(cells(options), options)
    tasks = SIZES[options.size]["tasks"]
    sets = {f"{name}-{task}": sets_of(task) for name, _, _ in environments(options) for task in tasks}
    print(write_page(options.out, sets))
