"""The methods that the experiment on tasks compares on each preset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MANY = 100_000  # environment steps
FEW = ("no_op", "uniform", "user_blind", "optimistic")
SETS: Mapping[str, str] = {"random": "uniform", "longest": "longest"}
SOME, ALL = 30_000, 200_000  # most environment steps that an agent is given
LEARNERS: Mapping[str, Mapping[str, int]] = {  # of each preset
    "default": {"ppo-stock": ALL, "ppo": ALL, "eagle": ALL},
    "easy": {"ppo": SOME},
    "plan": {"ppo": ALL},
    "hidden": {"ppo": ALL, "recurrent_ppo": ALL},
}
FEWER: Mapping[str, Mapping[str, int]] = {  # on catalogs other than Plots
    "default": {"ppo": ALL},
    "easy": {},
    "plan": {"ppo": ALL},
    "hidden": {"ppo": SOME, "recurrent_ppo": SOME},
}
PLOTS = "plots"


def presets(catalog: str, size: Mapping[str, Any]) -> list[str]:
    """The presets that a size measures on a catalog."""
    own = size["learners"]
    return [task for task in size["tasks"] if own is None or f"{catalog}-{task}" in own]


def learners(catalog: str, task: str, size: Mapping[str, Any]) -> dict[str, list[int]]:
    """The agents that learn, each with its budgets of steps, ascending."""
    if size["learners"] is not None:
        return {name: sorted(budgets) for name, budgets in size["learners"][f"{catalog}-{task}"].items()}
    limits = (LEARNERS if catalog == PLOTS else FEWER)[task]
    return {name: [number for number in size["steps"] if number <= most] for name, most in limits.items()}


def methods(catalog: str, task: str, size: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The methods of a preset on a catalog: fields of `Cell` in which its cells differ."""
    searched = {"episodes": size["searched"] or size["episodes"]}
    search = [
        {"agent": f"lookahead:budget={size['budget'] // 2}", "label": "lookahead", **searched},
        {"agent": f"beam:budget={size['budget']},width=8,levels=10", "label": "beam", **searched},
    ]
    policies: list[dict[str, Any]] = [*({"agent": name} for name in FEW), *search]
    yield from policies
    if task == "hidden":
        yield {"agent": "linucb"}
    for name, selection in SETS.items() if task in size["compared"] else ():
        yield from (
            {**policy, "setting": name, "env_kwargs": {"selection": selection}}
            for policy in policies
            if policy["agent"] == "optimistic" or policy.get("label") == "beam"
        )
    found = learners(catalog, task, size)
    yield from (learner(name, number, size) for name, steps in found.items() for number in steps)
    if task == "hidden" and catalog == PLOTS and size["shown"]:
        shown = {"setting": "shown", "env_kwargs": {"taste": "shown"}}
        yield from (learner("ppo", number, size) | shown for number in found["ppo"] if number <= SOME)


def learner(name: str, steps: int, size: Mapping[str, Any]) -> dict[str, Any]:
    """An agent that learns from so many environment steps.

    PPO takes many of them in larger batches, which saves time. EAGLE does not: an iteration is one episode of each
    environment, and with larger ones it would have fewer.
    """
    own: dict[str, Any] = {"num_envs": 4 * size["num_envs"]} if steps >= MANY else {}
    if name == "eagle":
        own = {"recorded": size["recorded"]}
    return {"agent": name, "label": f"{name}-{steps}", "training": {"total_timesteps": steps}, **own}
