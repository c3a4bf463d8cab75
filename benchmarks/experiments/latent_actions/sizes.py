"""Sizes of the experiment on latent actions."""

from __future__ import annotations

from typing import Any

TRAINING: dict[str, Any] = {  # of `CoLAConfig`; the same for every number of codes
    "pairs": 800,
    "batch_size": 48,
    "dynamics_steps": 150,
    "policy_steps": 100,
    "prompts": 2,
    "rl_epochs": 1,
}
SMALL: dict[str, Any] = {
    "seeds": 3,
    "codes": (16, 4, 64),
    "training": TRAINING,
    "guidance_steps": 60,
    "rl_steps": 16,
    "long_steps": 48,
    "codes_rate": 3e-3,  # chosen in the trials of this size, as is the next
    "tokens_rate": 1e-3,
    "trial_rates": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    "trial_seed": 100,
    "trial_tested": 192,
    "held_out": 192,
    "texts": 10,
    "samples": 6,
    "tested": 48,
    "searched": 6,
    "simulations": 8,
    "q_steps": 200,
}
TINY_TRAINING = TRAINING | {
    "pairs": 16, "batch_size": 8, "dynamics_steps": 2, "policy_steps": 2, "prompts": 1, "group_size": 2,
    "max_tokens": 24,
}  # fmt: skip
TINY = {
    "seeds": 1, "codes": (4,), "training": TINY_TRAINING, "guidance_steps": 1, "rl_steps": 1, "long_steps": 1,
    "trial_rates": (1e-4, 1e-3), "trial_tested": 2, "held_out": 8, "texts": 2, "samples": 2,
    "tested": 2, "searched": 1, "simulations": 2, "q_steps": 2,
}  # fmt: skip
LONG = {"pairs": 8_000, "batch_size": 64, "dynamics_steps": 1_000, "policy_steps": 600, "prompts": 4}
SIZES: dict[str, dict[str, Any]] = {
    "smoke": SMALL | TINY,
    "small": SMALL,
    "reference": SMALL
    | {"training": TRAINING | LONG, "guidance_steps": 300}
    | {"rl_steps": 100, "long_steps": 400, "texts": 64, "samples": 8, "tested": 128}
    | {"searched": 32},
}
