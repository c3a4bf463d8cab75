"""How much each size of the experiment does."""

from __future__ import annotations

from typing import Any

from baselines.reference import REFERENCES
from benchmarks.experiments.latent_actions.sizes import SMALL
from benchmarks.running.grid import BRIEF

USUAL: dict[str, Any] = {
    **{"seeds": 2, "seeds_elsewhere": 2, "seeds_of_extras": 2, "episodes": 64, "num_envs": 64, "recorded": 64},
    **{"searched": 16, "budget": 320, "oracle": 640},
    "steps": {"default": 4_480, "plan": 4_480},
    "steps_elsewhere": {"default": 4_480},
    "learners": ("ppo", "ppo-stock", "a2c"),
    "elm": {"adapter_steps": 150, "joint_steps": 150},
    **{"seeds_of_elm": 1, "elm_episodes": 64, "seeds_of_cola": 2, "seeds_of_grpo_tokens": 2},
    **{"vas": False, "cola": None, "reads": {}},
    "language_model": "grammar",
}
"""The keys are:

- `seeds`, `seeds_elsewhere`, `seeds_of_extras`: number of seeds on the default task of Plots; in the other
  environments; and of methods that only the default task of Plots has. `seeds_of_elm`, `seeds_of_cola` and
  `seeds_of_grpo_tokens` are those of the slow ones among them.
- `steps`, `steps_elsewhere`: environment steps of every learner, by task of Plots and by task of other catalogs.
- `searched`, `budget`, `oracle`: episodes that a search plays, and calls of a search and of the oracle in each of them.
- `vas`: whether value-augmented sampling takes part. `cola`: hyperparameters of CoLA and of GRPO over
  tokens, by their names; None for no such cells.
- `reads`: updates of the language models that read text, by reference policy.
"""
TINY: dict[str, Any] = {
    **{"seeds": 1, "seeds_elsewhere": 1, "seeds_of_extras": 1, "episodes": 2, "num_envs": 2, "recorded": 2},
    **{"seeds_of_cola": 1, "seeds_of_grpo_tokens": 1},
    **{"searched": 2, "budget": 5, "oracle": 10},
    **{"steps": {"default": 20, "plan": 20}, "steps_elsewhere": {"default": 20}, "elm_episodes": 2},
    "elm": {"adapter_steps": 1, "joint_steps": 1, "starts": 1, "ascent_steps": 1, "decodes": 4, "max_tokens": 8},
    **{"vas": True, "cola": {"cola": BRIEF, "grpo_tokens": BRIEF}, "reads": {"g_optimal": 1}},
}
WRITERS: dict[str, dict[str, Any]] = {
    name: SMALL["training"] | {"codes": 16, "rl_steps": SMALL["rl_steps"], "rl_learning_rate": SMALL[rate]}
    for name, rate in {"cola": "codes_rate", "grpo_tokens": "tokens_rate"}.items()
}
"""CoLA and GRPO over tokens, with the step sizes that were chosen in the trials of `latent_actions`."""
SIZES: dict[str, dict[str, Any]] = {
    "smoke": USUAL | TINY,
    "small": USUAL,
    "reference": USUAL
    | {
        **{"seeds": 10, "seeds_elsewhere": 10, "seeds_of_extras": 10, "episodes": 128, "searched": 48},
        "steps": {"default": 5_120, "plan": 2_560, "easy": 2_560},
        "steps_elsewhere": {"default": 5_120, "plan": 2_560, "easy": 2_560},
        **{"elm": {}, "elm_episodes": 48, "seeds_of_elm": 3, "seeds_of_cola": 3, "seeds_of_grpo_tokens": 3},
        "cola": WRITERS,
    },
    "full": USUAL
    | {
        **{"seeds": 10, "seeds_elsewhere": 10, "seeds_of_extras": 10, "episodes": 128, "recorded": 128, "searched": 64},
        "steps": {"default": 20_480, "plan": 20_480, "easy": 10_240},
        "steps_elsewhere": {"default": 20_480, "plan": 20_480, "easy": 10_240},
        "learners": ("ppo", "ppo-stock", "a2c", "dqn", "maskable_ppo", "recurrent_ppo"),
        **{"elm": {}, "elm_episodes": 128, "seeds_of_elm": 10, "seeds_of_cola": 10, "seeds_of_grpo_tokens": 10},
        **{"vas": True, "cola": {"cola": {}, "grpo_tokens": {}}},
        **{"reads": dict.fromkeys(REFERENCES, 400), "language_model": "embedded"},
    },
}
