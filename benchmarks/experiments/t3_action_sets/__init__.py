"""Comparison of action sets: four kinds of candidates, five ways to choose among the same ones, one oracle (T3).

Kinds of candidates: the default (half of them personalised), none personalised, macro actions (three edits at once),
half of them macro actions. Ways to choose 16 of the 64 default candidates: G-optimal design (the default), design over
unit lengths, longest displacements, uniform choice, largest weights of a design over all. The same two policies,
one-step optimistic and uniform, use every set from the same texts for the same users. A score of 0 is the uniform
policy with the default set; 1 is the common oracle, beam search among all 64 default candidates.
"""

from __future__ import annotations

from typing import Any

from benchmarks.experiments.t3_action_sets.page import write_page
from benchmarks.running import Cell, Options, environments, grid, run_cells

SETS: dict[str, dict[str, Any]] = {
    "default": {},
    "not-personalised": {"personalised": 0.0},
    "macro": {"macro": 1.0},
    "combined": {"macro": 0.5},
    "unit-length": {"selection": "g_optimal_unit"},
    "longest": {"selection": "longest"},
    "random": {"selection": "uniform"},
    "top-weight": {"selection": "top_weight"},
}
SMALL: dict[str, Any] = {"seeds": 2, "episodes": 64, "num_envs": 64, "searched": 16, "budget": 640, "env_kwargs": {}}
TINY = {"effects": "rollout", "rollout_samples": 1, "pool": 12, "actions": 3, "horizon": 1}
SIZES = {
    "smoke": SMALL | {"seeds": 1, "episodes": 2, "num_envs": 2, "searched": 2, "budget": 12, "env_kwargs": TINY},
    "small": SMALL,
    "reference": SMALL | {"seeds": 5, "episodes": 128, "searched": 32},
    "full": SMALL | {"seeds": 10, "episodes": 256, "searched": 64},
}


def cells(options: Options) -> list[Cell]:
    """Two policies with every action set, and the oracle among all candidates."""
    size = SIZES[options.size]
    usual = size["env_kwargs"]
    methods = [
        {"agent": agent, "setting": name, "env_kwargs": usual | kwargs}
        for name, kwargs in SETS.items()
        for agent in ("optimistic", "uniform")
    ]
    every = {"setting": "every", "env_kwargs": usual | {"actions": usual.get("pool", 64)}, "label": "beam"}
    methods.append(every | {"agent": f"beam:budget={size['budget']},width=8", "episodes": size["searched"]})
    return grid(environments(options), methods, **{name: size[name] for name in ("seeds", "episodes", "num_envs")})


def run(options: Options) -> None:
    """Run the cells, measure the coverage of the sets, write and print the page."""
    run_cells(cells(options), options)
    print(write_page(options.out, [name for name, _, _ in environments(options)], list(SETS)))
