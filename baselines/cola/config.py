"""Hyperparameters of CoLA, all stages in one flat dataclass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from baselines.config import check_above, check_at_least, check_choice, check_finite, check_integers
from eagle_gym.errors import ConfigurationError
from eagle_gym.language.codes import CodeSettings


@dataclass(frozen=True)
class CoLAConfig:
    """Hyperparameters of CoLA and of its rival, GRPO over tokens.

    Names follow the paper: inverse dynamics model, language world model, policy, codebook, action guidance.
    """

    acts: Literal["codes", "tokens"] = "codes"
    """What RL acts on: codes (CoLA), or the base model's own tokens; tokens skip stages 1 to 3."""
    model: str = "embedded"
    """The base model: "embedded" or "transformers:PATH_OR_NAME"."""
    prompt_set: str = ""
    """Words in which the base model is asked: a built-in prompt set or a TOML file; "" takes what it understands."""
    codes: int = 16
    """N, the size of the codebook; 64 in the paper."""
    every: int = 1
    """Tokens for which a code holds; 1 in the paper."""
    layers: int = 1
    """Causal blocks of the inverse dynamics model, and of the policy."""
    inner: int = 320
    """Width inside the two gated layers of the language world model."""
    pairs: int = 6_000
    """Prompts with answers of the training stream that stages 1 to 3 go through, again and again."""
    gumbel_temperature: float = 2.0
    """Temperature of the straight-through Gumbel-softmax."""
    entropy_weight: float = 1e-3
    """Weight of the bonus on the entropy of the code's probabilities at a position, in nats."""
    marginal_weight: float = 0.0
    """Weight of a bonus on the entropy of the codes' mean probabilities, against collapse; ours, 0 in the paper."""
    batch_size: int = 64
    """Answers in an update of stages 1 to 3."""
    dynamics_steps: int = 400
    """Stage 1, updates of inverse dynamics model, codebook and language world model."""
    policy_steps: int = 300
    """Stage 2, updates of the policy towards the inverse dynamics model's most likely code."""
    guidance_steps: int = 0
    """Stage 3, updates of base model and output layer under action guidance; the same number again for the policy."""
    learning_rate: float = 2e-3
    """AdamW's step size in stages 1 and 2; it falls linearly to 0."""
    guidance_learning_rate: float = 1e-4
    """AdamW's step size in stage 3."""
    rl_steps: int = 40
    """Stage 4, updates of GRPO."""
    prompts: int = 4
    """States in an update of stage 4."""
    group_size: int = 16
    """Answers to each of them."""
    rl_epochs: int = 2
    """Passes over the answers of an update."""
    rl_learning_rate: float = 3e-4
    """AdamW's step size in stage 4."""
    clip_range: float = 0.2
    """How far a probability ratio may move in one update."""
    kl_weight: float = 0.01
    """Weight of the KL to the start policy in the reward, over codes or over tokens, in utility per nat."""
    search: int = 0
    """Stage 5: complete answers that Monte-Carlo tree search over codes tries for each text; 0 for no search."""
    q_steps: int = 200
    """Updates of the two Q functions over codes, where there is a search."""
    temperature: float = 1.0
    """Temperature of codes or tokens when it writes; 0 takes the most probable ones."""
    max_tokens: int = 120
    """Longest answer, in tokens."""
    max_grad_norm: float = 1.0
    """Norm to which gradients are clipped."""
    seed: int = 0
    """Seed of weights, training stream, states and draws."""
    device: str = "cpu"
    """Device of all models."""

    def __post_init__(self) -> None:
        check_choice(self, "acts", ("codes", "tokens"))
        check_integers(self)
        check_finite(self, "gumbel_temperature", "entropy_weight", "marginal_weight", "kl_weight", "temperature")
        check_finite(self, "learning_rate", "guidance_learning_rate", "rl_learning_rate", "clip_range")
        if self.max_grad_norm != math.inf:
            check_finite(self, "max_grad_norm")
        check_at_least(self, 1, "every", "layers", "inner", "pairs", "batch_size", "prompts", "rl_epochs", "max_tokens")
        check_at_least(self, 2, "codes", "group_size")
        check_at_least(self, 0, *(f"{name}_steps" for name in ("dynamics", "policy", "guidance", "rl", "q")))
        check_at_least(self, 0, "entropy_weight", "marginal_weight", "kl_weight", "temperature", "search", "seed")
        check_above(self, 0, "gumbel_temperature", "learning_rate", "guidance_learning_rate", "rl_learning_rate")
        check_above(self, 0, "clip_range", "max_grad_norm")
        self._check_stages()

    def _check_stages(self) -> None:
        if self.guidance_steps and self.batch_size < 2:
            raise ConfigurationError(
                f"batch_size: expected at least 2 with guidance_steps={self.guidance_steps}, got {self.batch_size}: "
                "an update of stage 3 takes half of it"
            )
        if self.search and self.acts == "tokens":
            raise ConfigurationError(
                f"search: expected 0 with acts='tokens', got {self.search}: no codes are trained that it could try; "
                "choose acts='codes'"
            )
        if self.search and not self.q_steps:
            raise ConfigurationError(
                f"q_steps: expected at least 1 with search={self.search}, got 0: train the Q functions"
            )

    @property
    def sizes(self) -> CodeSettings:
        """Sizes of the code model."""
        return CodeSettings(self.model, self.codes, self.every, self.layers, self.inner, self.prompt_set)
