"""Every method under one budget of environment steps: ELM, supervised, EAGLE, SB3, search and reference policies (T1).

On Plots, and on MovieLens where ``--data`` is given. Recorded episodes and warm starts count towards the budget. Search
is dear: it meets the first episodes of each seed alone, and is compared over these. EAGLE and supervised are small
networks on latent observations; those that read text, language models, belong to ``--size full``. Supervised agents
sample their actions, as the policy does that they imitate; other trained agents take the most probable one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from baselines.reference import FIXED, REFERENCES
from benchmarks.methods import imitators, users
from benchmarks.reporting.targets import eagle_targets
from benchmarks.scores import write_page
from benchmarks.suite import Cell, Options, grid, run_cells, worlds

LEARNERS = ("ppo", "ppo-stock", "a2c", "dqn", "maskable_ppo", "recurrent_ppo")
SEARCH = ("lookahead", "mcts", "best_of_n", "profile")
SMALL = {"seeds": 2, "episodes": 64, "num_envs": 64, "steps": 4_480, "recorded": 64, "searched": 16, "budget": 320}
LARGE = SMALL | {"episodes": 128, "steps": 8_960, "recorded": 128, "searched": 64}
TINY = {"seeds": 1, "episodes": 2, "num_envs": 2, "steps": 20, "recorded": 2, "searched": 2, "budget": 5}
QUICK = {"adapter_steps": 150, "joint_steps": 150}  # ELM
HASTY = {"adapter_steps": 1, "joint_steps": 1, "starts": 1, "ascent_steps": 1, "decodes": 4, "max_tokens": 8}
SIZES: dict[str, dict[str, Any]] = {  # "reads": updates of the language models that read text, by reference policy
    "smoke": {**TINY, "elm": HASTY, "reads": {"g_optimal": 1}},
    "small": {**SMALL, "elm": QUICK, "reads": {}},
    "reference": {**SMALL, "seeds": 5, "episodes": 128, "elm": {}, "reads": {}},
    "full": {**LARGE, "seeds": 10, "elm": {}, "reads": dict.fromkeys(REFERENCES, 400)},
}


def methods(size: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What differs between the cells of a seed, in the order in which they are done."""
    steps, few = size["steps"], {"episodes": size["searched"]}
    yield from ({"agent": name} for name in FIXED)
    yield {"agent": f"beam:budget={2 * size['budget']},width=8", "label": "beam", **few}
    yield from imitators(steps, size["recorded"], half=True)
    yield from ({"agent": name, "training": {"total_timesteps": steps}} for name in LEARNERS)
    yield {"agent": "vas", "training": {"reference": "uniform"}, "recorded": steps // 5}
    yield {"agent": "elm", "training": size["elm"]}
    yield from ({"agent": f"{name}:budget={size['budget']}", "label": name, **few} for name in SEARCH[:-1])
    yield {"agent": SEARCH[-1]}
    yield from users(size["reads"], steps, size["recorded"])


def cells(options: Options) -> list[Cell]:
    """Every method with every seed."""
    size = SIZES[options.size]
    usual = {name: size[name] for name in ("seeds", "episodes", "num_envs")}
    return grid(worlds(options), list(methods(size)), **usual)


def run(options: Options) -> None:
    """Do the cells, write and print the report."""
    run_cells(cells(options), options)
    print(write_page(options.out, [*eagle_targets(), *eagle_targets("reads-")]))
