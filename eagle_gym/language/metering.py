"""Prices and budgets: a language model that counts its costs and raises an error when a budget is exhausted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from eagle_gym.errors import ConfigurationError, LanguageModelError
from eagle_gym.language.model import Completion, LanguageModel, Usage, UsageSnapshot
from eagle_gym.language.prompts import Prompt


@dataclass(frozen=True, slots=True)
class Limits:
    """Budgets and prices.

    Attributes:
        max_calls: Limit of generations, including those drawn again. A batch that would exceed it is refused.
        max_tokens: Limit of prompt and generated tokens. A batch that begins below the limit is finished, the next one
            is refused.
        max_cost: Limit of US dollars, with the same rule.
        prompt_price: US dollars per million prompt tokens.
        completion_price: US dollars per million generated tokens.

    Raises:
        ConfigurationError: A negative number, or a max_cost without prices.
    """

    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    prompt_price: float = 0.0
    completion_price: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not value >= 0:
                raise ConfigurationError(f"{field.name} must not be negative, got {value!r}")
        if self.max_cost is not None and not self.prompt_price + self.completion_price:
            raise ConfigurationError("max_cost needs prompt_price or completion_price (US dollars per million tokens)")

    @property
    def idle(self) -> bool:
        """Whether there is neither a limit nor a price."""
        return self == Limits()

    def cost(self, used: UsageSnapshot) -> float:
        """Price of the tokens used, in US dollars."""
        return (used.prompt_tokens * self.prompt_price + used.completion_tokens * self.completion_price) / 1e6


class MeteredModel:
    """A model with budgets and prices (see `LanguageModel`)."""

    def __init__(self, inner: LanguageModel, limits: Limits) -> None:
        self.inner, self.limits = inner, limits
        self.name, self.fingerprint, self.language = inner.name, inner.fingerprint, inner.language
        self.deterministic = inner.deterministic
        self._charged = inner.usage.snapshot()
        inner.usage.guard = self._allow  # rows that are drawn again are asked within a call

    @property
    def usage(self) -> Usage:
        """The inner model's count, with costs."""
        return self.inner.usage

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
    ) -> list[Completion]:
        """Answer all prompts in one batched call, unless that would exceed a limit; see the protocol.

        Raises:
            LanguageModelError: A budget is exhausted.
        """
        self._allow(len(prompts))
        try:
            return self.inner.generate(prompts, seeds, temperature=temperature)
        finally:
            self._charge()

    def score(self, prompt: Prompt, continuations: Sequence[str]) -> np.ndarray:
        """Log-probabilities of each continuation; each continuation counts as one call."""
        self._allow(len(continuations))
        try:
            return self.inner.score(prompt, continuations)
        finally:
            self._charge()

    def load(self) -> tuple[Any, Any]:
        """The inner model's `(model, tokenizer)`, where it lives in this process."""
        return load_inner(self.inner)

    def close(self) -> None:
        """Close the inner model."""
        self.inner.close()

    def _allow(self, calls: int) -> None:
        self._charge()
        used, limits = self.usage.snapshot(), self.limits
        tokens = used.prompt_tokens + used.completion_tokens
        if limits.max_calls is not None and used.calls + calls > limits.max_calls:
            self._stop(f"max_calls={limits.max_calls} allows no {calls} more calls after {used.calls}")
        if calls and limits.max_tokens is not None and tokens >= limits.max_tokens:
            self._stop(f"max_tokens={limits.max_tokens} is used up ({tokens} tokens)")
        if calls and limits.max_cost is not None and used.cost >= limits.max_cost:
            self._stop(f"max_cost={limits.max_cost} is used up (${used.cost:.4f})")

    def _stop(self, reason: str) -> None:
        raise LanguageModelError(f"the budget of {self.name!r} stops here: {reason}")

    def _charge(self) -> None:
        """Add the price of the tokens used since the last charge."""
        used = self.usage.snapshot()
        self.usage.cost += self.limits.cost(used - self._charged)
        self._charged = used


def load_inner(model: LanguageModel) -> tuple[Any, Any]:
    """`(model, tokenizer)` of a model in this process.

    Raises:
        ConfigurationError: The model is not in this process.
    """
    load = getattr(model, "load", None)
    if load is None:
        raise ConfigurationError(f"{model.name!r} is not in this process, so its weights cannot be loaded")
    pair: tuple[Any, Any] = load()
    return pair
