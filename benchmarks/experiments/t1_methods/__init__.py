"""Every method under one budget of environment steps: ELM, supervised, EAGLE, SB3, search and reference policies (T1).

On Plots and, with `--data`, on MovieLens. Recorded episodes and warm starts count towards the budget; CoLA and GRPO
over tokens have their own. Search is expensive: it runs only on each seed's first episodes and is compared over these.
EAGLE and supervised agents are small networks on latent observations; those that read text run only in `--size full`.
Supervised agents and writers sample, like the policy that they imitate; other trained agents act greedily.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from baselines.reference import FIXED, REFERENCES
from benchmarks.reporting.build import write_page
from benchmarks.reporting.targets import eagle_targets
from benchmarks.running import Cell, Options, environments, grid, imitators, language_agents, rivals, run_cells
from benchmarks.running.grid import BRIEF, code_writers

LEARNERS = ("ppo", "ppo-stock", "a2c", "dqn", "maskable_ppo", "recurrent_ppo")
SEARCH = ("lookahead", "mcts", "best_of_n")
SMALL = {"seeds": 2, "episodes": 64, "num_envs": 64, "steps": 4_480, "recorded": 64, "searched": 16, "budget": 320}
LARGE = SMALL | {"episodes": 128, "steps": 8_960, "recorded": 128, "searched": 64}
TINY = {"seeds": 1, "episodes": 2, "num_envs": 2, "steps": 20, "recorded": 2, "searched": 2, "budget": 5}
HASTY = {"adapter_steps": 1, "joint_steps": 1, "starts": 1, "ascent_steps": 1, "decodes": 4, "max_tokens": 8}  # ELM
SIZES: dict[str, dict[str, Any]] = {  # "reads": updates of the language models that read text, by reference policy
    "smoke": {**TINY, "elm": HASTY, "cola": BRIEF, "reads": {"g_optimal": 1}},
    "small": {**SMALL, "elm": {"adapter_steps": 150, "joint_steps": 150}, "cola": {"rl_steps": 20}, "reads": {}},
    "reference": {**SMALL, "seeds": 5, "episodes": 128, "elm": {}, "cola": {}, "reads": {}},
    "full": {**LARGE, "seeds": 10, "elm": {}, "cola": {}, "reads": dict.fromkeys(REFERENCES, 400)},
}


def methods(size: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The methods of a seed, in the order in which they run: fields of `Cell` that differ from the defaults."""
    steps, few = size["steps"], {"episodes": size["searched"]}
    yield from ({"agent": name} for name in FIXED)
    yield {"agent": f"beam:budget={2 * size['budget']},width=8", "label": "beam", **few}
    yield from imitators(steps, size["recorded"], half=True)
    yield from ({"agent": name, "training": {"total_timesteps": steps}} for name in LEARNERS)
    yield from rivals(steps, size["recorded"])
    yield {"agent": "vas", "training": {"reference": "uniform"}, "recorded": steps // 5}
    yield from ({"agent": "elm", "training": size["elm"]}, {"agent": "profile"})
    yield from code_writers(size["cola"])
    yield from ({"agent": f"{name}:budget={size['budget']}", "label": name, **few} for name in SEARCH)
    yield from language_agents(size["reads"], steps, size["recorded"])


def cells(options: Options) -> list[Cell]:
    """Every method with every seed."""
    size = SIZES[options.size]
    usual = {name: size[name] for name in ("seeds", "episodes", "num_envs")}
    return grid(environments(options), list(methods(size)), **usual)


def run(options: Options) -> None:
    """Run the cells, write and print the report."""
    found = run_cells(cells(options), options)
    print(write_page(found, [*eagle_targets(), *eagle_targets("reads-")]))
