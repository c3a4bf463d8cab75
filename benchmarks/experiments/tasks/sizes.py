"""How much each size of the experiment does."""

from __future__ import annotations

from typing import Any

TASKS = ("default", "easy", "plan", "hidden")
USUAL: dict[str, Any] = {
    "seeds": 2,
    "tasks": TASKS,
    "episodes": 256,
    "searched": None,  # episodes of searches; None for all
    "num_envs": 64,
    "budget": 1_280,
    "steps": (5_120, 20_480, 102_400),
    "learners": None,  # by catalog and preset; None for those of `methods`, with the budgets above
    "compared": ("default", "plan"),  # presets whose action sets are compared with others
    "shown": True,  # whether an agent on the hidden task has a twin that is shown the taste
    "recorded": 256,
    "language_model": "grammar",
}
TINY = {"seeds": 1, "episodes": 2, "num_envs": 2, "budget": 20, "steps": (20,), "recorded": 2}
REFERENCE = USUAL | {"tasks": ("default", "plan", "hidden"), "episodes": 128, "budget": 480}
SIZES: dict[str, dict[str, Any]] = {
    "smoke": USUAL | TINY,
    "small": USUAL | {"seeds": 1, "steps": (5_120, 20_480)},
    "reference": REFERENCE,
    "full": USUAL,
    "more": REFERENCE  # what the reference run left out
    | {
        **{"seeds": 1, "tasks": ("default", "easy"), "compared": ()},
        "learners": {
            "plots-default": {"eagle": (102_400,), "ppo": (102_400,)},
            "plots-easy": {"ppo": (5_120, 20_480)},
            "movielens-default": {"ppo-stock": (20_480,), "ppo": (20_480,)},
        },
    },
    "embedded": REFERENCE  # a call of this model takes 15 times as long
    | {
        **{"seeds": 1, "episodes": 64, "searched": 32, "budget": 240, "steps": (5_120, 20_480), "shown": False},
        "learners": {
            **{f"plots-{task}": {"ppo": (5_120, 20_480)} for task in ("default", "plan")},
            "plots-hidden": {"ppo": (5_120, 20_480), "recurrent_ppo": (5_120, 20_480)},
        },
        "language_model": "embedded",
    },
}
