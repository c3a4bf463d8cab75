"""Action sets that the experiment compares, their methods, and how much each size does."""

from __future__ import annotations

from typing import Any

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
DESIGNED = "designed"  # the set that is compared with the others
REDUNDANT = {"plan": ("not-personalised",)}  # sets that are the designed one of a task
COMPARED = ("optimistic", "uniform")  # policies that use every set
FURTHER = ("user_blind", "no_op", "first")  # policies that use the designed set only
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
    "reference": SMALL | {"seeds": 5, "episodes": 128, "searched": 48, "language_model": "grammar"},
    "full": SMALL | {"seeds": 10, "episodes": 256, "searched": 64},
}


def methods(task: str, size: dict[str, Any]) -> list[dict[str, Any]]:
    """The methods of a task: fields of `Cell` in which its cells differ."""
    usual = size["env_kwargs"]
    every = {"setting": "every", "env_kwargs": usual | {"actions": usual.get("pool", 64)}, "label": "beam"}
    return [
        *(
            {"agent": agent, "setting": name, "env_kwargs": usual | SETS[name]}
            for name in sets_of(task)
            for agent in COMPARED
        ),
        *({"agent": agent, "setting": DESIGNED, "env_kwargs": usual} for agent in FURTHER),
        every | {"agent": f"beam:budget={size['budget']},width=8", "episodes": size["searched"]},
    ]


def sets_of(task: str) -> list[str]:
    """The action sets that differ from one another in a task."""
    return [name for name in SETS if name not in REDUNDANT.get(task, ())]
