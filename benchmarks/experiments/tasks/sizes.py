"""How much each size of the experiment does."""

from __future__ import annotations

from typing import Any

TASKS = ("default", "easy", "plan", "hidden")
USUAL: dict[str, Any] = {
    "seeds": 2,
    "tasks": TASKS,
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
    "reference": USUAL | {"tasks": ("default", "plan", "hidden"), "episodes": 128, "budget": 480},
    "full": USUAL,
    "embedded": USUAL
    | {
        **{"tasks": ("default", "plan"), "seeds": 1, "episodes": 64, "budget": 320, "steps": (5_120,)},
        "language_model": "embedded",
    },
}
