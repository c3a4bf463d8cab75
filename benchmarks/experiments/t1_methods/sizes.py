"""How much each size of the experiment does."""

from __future__ import annotations

from typing import Any

from baselines.reference import REFERENCES
from benchmarks.running.grid import BRIEF

USUAL: dict[str, Any] = {
    **{"seeds": 2, "beside": 2, "rest": 2, "episodes": 64, "num_envs": 64, "recorded": 64},
    **{"searched": 16, "budget": 320, "oracle": 640},
    "steps": {"default": 4_480, "plan": 4_480},
    "elsewhere": {"default": 4_480},
    "learners": ("ppo", "ppo-stock", "a2c"),
    "elm": {"adapter_steps": 150, "joint_steps": 150},
    **{"elm_seeds": 1, "elm_episodes": 64, "vas": False, "cola": None, "reads": {}},
    "language_model": "grammar",
}
"""`seeds` are those of Plots' default task, `beside` those of other environments, `rest` those of the methods that only
Plots' default task has; `searched` episodes are played by each search, with `budget` calls, and by the oracle, with
`oracle` calls; `steps` are those of learners on each task of Plots, `elsewhere` those on other catalogs; `vas` adds
value-augmented sampling; `cola` are hyperparameters of CoLA, None for no such cells; `reads` are updates of the
language models that read text, by reference policy.
"""
TINY: dict[str, Any] = {
    **{"seeds": 1, "beside": 1, "rest": 1, "episodes": 2, "num_envs": 2, "recorded": 2},
    **{"searched": 2, "budget": 5, "oracle": 10},
    **{"steps": {"default": 20, "plan": 20}, "elsewhere": {"default": 20}, "elm_episodes": 2},
    "elm": {"adapter_steps": 1, "joint_steps": 1, "starts": 1, "ascent_steps": 1, "decodes": 4, "max_tokens": 8},
    **{"vas": True, "cola": BRIEF, "reads": {"g_optimal": 1}},
}
SIZES: dict[str, dict[str, Any]] = {
    "smoke": USUAL | TINY,
    "small": USUAL,
    "reference": USUAL
    | {
        **{"seeds": 5, "beside": 3, "rest": 3, "episodes": 128, "searched": 48},
        "steps": {"default": 5_120, "plan": 2_560, "easy": 2_560},
        "elsewhere": {"default": 2_560},
        **{"elm_episodes": 48},
    },
    "full": USUAL
    | {
        **{"seeds": 10, "beside": 10, "rest": 10, "episodes": 128, "recorded": 128, "searched": 64},
        "steps": {"default": 20_480, "plan": 20_480, "easy": 10_240},
        "elsewhere": {"default": 20_480, "plan": 20_480, "easy": 10_240},
        "learners": ("ppo", "ppo-stock", "a2c", "dqn", "maskable_ppo", "recurrent_ppo"),
        **{"elm": {}, "elm_seeds": 10, "elm_episodes": 128, "vas": True, "cola": {}},
        **{"reads": dict.fromkeys(REFERENCES, 400), "language_model": "embedded"},
    },
}
