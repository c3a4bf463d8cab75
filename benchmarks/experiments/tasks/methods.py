"""The methods that the experiment on tasks compares on each preset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MANY = 100_000  # environment steps
FEW = ("no_op", "uniform", "user_blind", "optimistic")
SETS: Mapping[str, str] = {"random": "uniform", "longest": "longest"}
COMPARED = ("default", "plan")  # presets whose action sets are compared with others
LEARNERS: Mapping[str, tuple[str, ...]] = {
    "default": ("ppo", "ppo-stock", "eagle"),
    "easy": ("ppo",),
    "plan": ("ppo",),
    "hidden": ("ppo", "recurrent_ppo"),
}


def methods(task: str, size: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The methods of a preset: fields of `Cell` in which its cells differ."""
    search = [
        {"agent": f"lookahead:budget={size['budget'] // 2}", "label": "lookahead"},
        {"agent": f"beam:budget={size['budget']},width=8,levels=10", "label": "beam"},
    ]
    policies = [*({"agent": name} for name in FEW), *search]
    yield from policies
    if task == "hidden":
        yield {"agent": "linucb"}
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
