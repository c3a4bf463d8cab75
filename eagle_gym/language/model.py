"""The seam between eagle_gym and any language model: what a model is asked for and what it answers.

A *generation* is one sampled text for one prompt. Each has a seed of its own, so that what a row of a batch says
depends on that row alone. A generation that fails, comes back empty or is cut off is drawn again with seeds derived
from its own; when that does not help, `LanguageModelError` is raised. No half-finished text
leaves this room.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from eagle_gym.errors import ConfigurationError

if TYPE_CHECKING:
    import numpy as np

    from eagle_gym.language.prompts import Prompt

FinishReason = Literal["stop", "length"]
Language = Literal["plot_english", "free"]


@dataclass(frozen=True, slots=True)
class Completion:
    """One generated text.

    Attributes:
        text: What the model wrote, without special tokens and surrounding space. `generate` returns no empty one.
        prompt_tokens: Tokens the prompt took.
        completion_tokens: Tokens generated, the end token included.
        finish_reason: `"stop"` when the model ended the text itself, `"length"` when the token limit did.
        problem: Why the answer holds no text; None where it does.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: FinishReason
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class UsageSnapshot:
    """A `Usage` at one moment; two of them subtract.

    Attributes:
        calls: Generations asked of the model, repeated ones included.
        prompt_tokens: Tokens read.
        completion_tokens: Tokens written.
        seconds: Wall-clock time spent in the model.
        retries: Generations that were drawn again because they came back empty, cut off or, where plot English was
            asked for, outside it.
        cost: Price of the tokens in US dollars, 0 where no price is known.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    retries: int = 0
    cost: float = 0.0

    def __sub__(self, other: UsageSnapshot) -> UsageSnapshot:
        return UsageSnapshot(*(getattr(self, name) - getattr(other, name) for name in self.__slots__))


@dataclass(slots=True)
class Usage:
    """What a model has been used for since it was opened: a running count, with the attributes of a snapshot.

    Attributes:
        guard: Is told of so many generations before a model draws rows again within a call, and raises where a budget
            does not allow them.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    retries: int = 0
    cost: float = 0.0
    guard: Callable[[int], None] | None = field(default=None, repr=False, compare=False)

    def begin_again(self, rows: int) -> None:
        """Count rows that a model is to draw again within a call.

        Raises:
            LanguageModelError: A budget does not allow it.
        """
        if self.guard is not None:
            self.guard(rows)
        self.retries += rows

    def add(self, completions: Sequence[Completion], *, seconds: float = 0.0, cost: float = 0.0) -> None:
        """Count the generations of one batched call."""
        self.calls += len(completions)
        self.prompt_tokens += sum(completion.prompt_tokens for completion in completions)
        self.completion_tokens += sum(completion.completion_tokens for completion in completions)
        self.seconds += seconds
        self.cost += cost

    def snapshot(self) -> UsageSnapshot:
        """The counts as they stand now, frozen."""
        return UsageSnapshot(*(getattr(self, name) for name in UsageSnapshot.__slots__))


@runtime_checkable
class LanguageModel(Protocol):
    """A frozen language model that answers prompts."""

    @property
    def name(self) -> str:
        """The spec it was opened with, for people and for records."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash that changes when weights or tokenizer change (for a remote model: its name and address)."""
        ...

    @property
    def language(self) -> Language:
        """What it writes: `"plot_english"` if it was trained on that alone, `"free"` text otherwise."""
        ...

    @property
    def deterministic(self) -> bool:
        """Whether equal prompts, seeds and temperature promise equal texts whatever else is in the batch."""
        ...

    @property
    def usage(self) -> Usage:
        """Running count of calls, tokens and time."""
        ...

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
    ) -> list[Completion]:
        """Answer all prompts in one batched call.

        Args:
            prompts: What to ask, one per row.
            seeds: One non-negative integer per row; row i is sampled with a generator made from `seeds[i]` alone.
            temperature: Sampling temperature; 0 takes the likeliest token.

        Returns:
            One finished, non-empty completion per prompt, in order.

        Raises:
            ConfigurationError: The arguments do not fit together.
            LanguageModelError: A row failed, or stayed empty or cut off after its retries.
        """
        ...

    def score(self, prompt: Prompt, continuations: Sequence[str]) -> np.ndarray:
        """Log-probabilities (nats, float64 `[C]`) of each continuation, its end included, as the prompt's answer."""
        ...

    def close(self) -> None:
        """Give back what this handle opened. A closed model answers no more."""
        ...


@runtime_checkable
class LocalLanguageModel(LanguageModel, Protocol):
    """A language model whose weights live in this process."""

    def load(self) -> tuple[Any, Any]:
        """A fresh `(model, tokenizer)` pair of `transformers`, the caller's to keep and to train."""
        ...


def check_request(prompts: Sequence[Prompt], seeds: Sequence[int], temperature: float) -> None:
    """Raise ConfigurationError unless there is one non-negative seed per prompt and a temperature that can be."""
    if len(prompts) != len(seeds):
        raise ConfigurationError(f"expected one seed per prompt, got {len(prompts)} prompts and {len(seeds)} seeds")
    if any(seed < 0 for seed in seeds):
        raise ConfigurationError(f"seeds must be non-negative integers, got {min(seeds)}")
    if not 0.0 <= temperature < float("inf"):
        raise ConfigurationError(f"temperature must be a finite number >= 0, got {temperature!r}")


def masked(spec: str) -> str:
    """The spec without what stands before its last @, some of which may be a password, and without a URL's query."""
    return re.sub(r"\?.*", "?***", re.sub(r"^(\w+:)?.*@", r"\1***@", spec, flags=re.DOTALL), flags=re.DOTALL)
