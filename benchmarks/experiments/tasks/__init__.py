"""Does each task need each of its parts? Every preset, with each part taken away in turn.

On Plots and, with `--data`, on MovieLens, with the grammar as the language model, so that hundreds of episodes and a
strong oracle take minutes. A score of 0 is the uniform policy, 1 is beam search. The rows of a preset: policies that
know nothing, no user, or everything one step ahead; search; the same policies with random and with the longest edits
in place of the designed ones; and agents that learn, at several budgets of environment steps. On the hidden task, an
agent with memory stands next to its twin without, and next to one that is shown the taste.

The page ends with what a preset is wanted to show, and whether it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.experiments.tasks.page import write_page
from benchmarks.running import Cell, Options, environments, grid, run_cells

TASKS = ("default", "easy", "plan", "hidden")
FEW = ("no_op", "uniform", "user_blind", "optimistic")
MANY = 100_000  # environment steps
SETS: Mapping[str, str] = {"random": "uniform", "longest": "longest"}
COMPARED = ("default", "plan")  # presets whose action sets are compared with others
LEARNERS: Mapping[str, tuple[str, ...]] = {
    "default": ("ppo", "ppo-stock", "eagle"),
    "easy": ("ppo",),
    "plan": ("ppo",),
    "hidden": ("ppo", "recurrent_ppo"),
}
USUAL: dict[str, Any] = {
    "seeds": 2,
    "episodes": 256,
    "num_envs": 64,
    "budget": 1_280,
    "steps": (5_120, 20_480, 102_400),
    "recorded": 256,
    "language_model": "grammar",
}
TINY = {"seeds": 1, "episodes": 2, "num_envs": 2, "budget": 20, "steps": (20,), "recorded": 2}
SIZES: dict[str, dict[str, Any]] = {
    "smoke": USUAL | TINY,
    "small": USUAL | {"seeds": 1, "steps": (5_120, 20_480)},
    "reference": USUAL,
    "embedded": USUAL | {"episodes": 64, "budget": 640, "steps": (5_120, 20_480), "language_model": "embedded"},
}


def methods(task: str, size: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The methods of a preset: fields of `Cell` in which its cells differ."""
    search = [
        {"agent": f"lookahead:budget={size['budget'] // 2}", "label": "lookahead"},
        {"agent": f"beam:budget={size['budget']},width=8,levels=10", "label": "beam"},
    ]
    policies = [*({"agent": name} for name in FEW), *search]
    yield from policies
    for name, selection in SETS.items() if task in COMPARED else ():
        yield from (
            {**policy, "setting": name, "env_kwargs": {"selection": selection}}
            for policy in policies
            if policy["agent"] == "optimistic" or policy.get("label") == "beam"
        )
    for steps in size["steps"]:
        for name in LEARNERS[task]:
            yield learner(name, steps, size)
        if task == "hidden":
            yield learner("ppo", steps, size) | {"setting": "shown", "env_kwargs": {"taste": "shown"}}


def learner(name: str, steps: int, size: Mapping[str, Any]) -> dict[str, Any]:
    """An agent that learns from so many environment steps; many are taken in larger batches, which saves time."""
    own: dict[str, Any] = {"num_envs": 4 * size["num_envs"]} if steps >= MANY else {}
    if name == "eagle":
        own = {"recorded": size["recorded"]}
    return {"agent": name, "label": f"{name}-{steps}", "training": {"total_timesteps": steps}, **own}


def cells(options: Options) -> list[Cell]:
    """Every method of every preset with every seed."""
    size = SIZES[options.size]
    found: list[Cell] = []
    for task in TASKS:
        places = [
            (f"{name}-{task}", env_id, {**kwargs, "task": task, "language_model": size["language_model"]})
            for name, env_id, kwargs in environments(options)
        ]
        usual = {name: size[name] for name in ("seeds", "episodes", "num_envs")}
        found += grid(places, list(methods(task, size)), **usual)
    # An interrupted run is a smaller run: what learns comes last, and most steps last of all.
    return sorted(found, key=lambda cell: (cell.seed, cell.training.get("total_timesteps", 0)))


def run(options: Options) -> None:
    """Run the cells, write and print the page."""
    run_cells(cells(options), options)
    print(write_page(options.out, [name for name, _, _ in environments(options)], TASKS, SIZES[options.size]["steps"]))
