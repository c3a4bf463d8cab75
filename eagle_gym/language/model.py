"""The interface between eagle_gym and language models: what a model is asked and what it answers.

A *generation* is one sampled text for one prompt. Each has its own seed, so a row's text does not depend on the other
rows of its batch. A generation that holds no text or is cut off is drawn again, with seeds derived from its own. If
that does not help, `LanguageModelError` is raised, of the kind `CutOffError` where texts were cut off. No unfinished
text leaves this package.
"""

from __future__ import annotations

import re
import threading
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
class Tokens:
    """The tokens of one generation, as the model itself read and drew them: nothing is tokenised a second time.

    Attributes:
        prompt: Token ids of the prompt; None where a server does not tell them.
        completion: Token ids that were drawn, an end token included; None where a server does not tell them.
        log_probabilities: Natural logarithm of each drawn token's probability under softmax(logits). The sampling
            temperature is not applied.
        pieces: Text of each drawn token, from servers only.
    """

    prompt: tuple[int, ...] | None = None
    completion: tuple[int, ...] | None = None
    log_probabilities: tuple[float, ...] | None = None
    pieces: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """One generated text.

    Attributes:
        text: What the model wrote, without special tokens and surrounding space. `generate` returns no empty one.
        prompt_tokens: Tokens the prompt took.
        completion_tokens: Tokens generated, the end token included.
        finish_reason: `"stop"` when the model ended the text itself, `"length"` when the token limit did.
        problem: Why the answer holds no text; None where it does.
        tokens: The tokens, while somebody listens to the model's calls (see `calls.record_calls`) and where the model
            has them; otherwise None.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: FinishReason
    problem: str | None = None
    tokens: Tokens | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One generation as it was asked and answered.

    Attributes:
        prompt: What was asked.
        seed: The seed that the caller of `generate` gave.
        attempt: 0 for the first draw with this seed, 1 and more for draws with seeds derived from it.
        temperature: Sampling temperature.
        completion: The answer.
        recorded: Whether the answer is from a recording, and so cost nothing.
    """

    prompt: Prompt
    seed: int
    attempt: int
    temperature: float
    completion: Completion
    recorded: bool = False


@dataclass(frozen=True, slots=True)
class UsageSnapshot:
    """A `Usage` at one moment; two of them subtract.

    Attributes:
        calls: Generations asked of the model, repeated ones included.
        prompt_tokens: Tokens read.
        completion_tokens: Tokens written.
        seconds: Wall-clock time spent in the model.
        retries: Generations that were drawn again because they held no text, were cut off, or were not plot English
            where it was expected.
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
        guard: Called with the number of rows before a model draws rows again within a call. It raises
            `LanguageModelError` if a budget does not allow them.
        listener: Is told every call while it is set (see `calls.record_calls`). Models that have token ids and
            log-probabilities then add them to their completions.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    retries: int = 0
    cost: float = 0.0
    guard: Callable[[int], None] | None = field(default=None, repr=False, compare=False)
    listener: Callable[[Sequence[Call]], None] | None = field(default=None, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def begin_again(self, rows: int) -> None:
        """Count rows that a model is about to draw again within a call.

        Raises:
            LanguageModelError: A budget does not allow them.
        """
        if self.guard is not None:
            self.guard(rows)
        with self._lock:
            self.retries += rows

    def add(self, completions: Sequence[Completion], *, seconds: float = 0.0, cost: float = 0.0) -> None:
        """Count the generations of one batched call."""
        read = sum(completion.prompt_tokens for completion in completions)
        wrote = sum(completion.completion_tokens for completion in completions)
        self.count(len(completions), read, wrote, seconds=seconds, cost=cost)

    def count(
        self, calls: int, prompt_tokens: int, completion_tokens: int, *, seconds: float = 0.0, cost: float = 0.0
    ) -> None:
        """Add to the counts; several threads may do so."""
        with self._lock:
            self.calls += calls
            self.prompt_tokens += prompt_tokens
            self.completion_tokens += completion_tokens
            self.seconds += seconds
            self.cost += cost

    def tell(
        self,
        prompts: Sequence[Prompt],
        seeds: Sequence[int],
        temperature: float,
        completions: Sequence[Completion],
        *,
        attempt: int = 0,
        recorded: bool = False,
    ) -> None:
        """Tell the listener, if there is one, what was asked and answered. Every model does so after each draw."""
        if self.listener is not None:
            rows = zip(prompts, seeds, completions, strict=True)
            self.listener([Call(asked, int(s), attempt, temperature, said, recorded) for asked, s, said in rows])

    def snapshot(self) -> UsageSnapshot:
        """The counts as they stand now, frozen."""
        return UsageSnapshot(*(getattr(self, name) for name in UsageSnapshot.__slots__))


@runtime_checkable
class LanguageModel(Protocol):
    """A frozen language model that answers prompts."""

    @property
    def name(self) -> str:
        """The spec that the model was opened with."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash of weights and tokenizer; for a remote model, of its name, address and options."""
        ...

    @property
    def language(self) -> Language:
        """What it writes: `"plot_english"` if it was trained only on plot English, otherwise `"free"` text."""
        ...

    @property
    def deterministic(self) -> bool:
        """Whether a prompt, a seed and a temperature determine the text, independently of the rest of the batch."""
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
            seeds: One non-negative integer per row; row i is sampled with a generator made from `seeds[i]`.
            temperature: Sampling temperature; 0 takes the most likely token.

        Returns:
            One finished, non-empty completion per prompt, in order.

        Raises:
            ConfigurationError: The arguments do not match.
            CutOffError: Rows still reached the limit of tokens after their retries.
            LanguageModelError: A row failed, or still held no text after its retries.
        """
        ...

    def score(self, prompt: Prompt, continuations: Sequence[str]) -> np.ndarray:
        """Log-probabilities (nats, float64 `[C]`) of each continuation, its end included, as the prompt's answer."""
        ...

    def close(self) -> None:
        """Release what this handle opened. A closed model raises `LanguageModelError` when it is asked."""
        ...


@runtime_checkable
class LocalLanguageModel(LanguageModel, Protocol):
    """A language model whose weights live in this process."""

    def load(self) -> tuple[Any, Any]:
        """A fresh `(model, tokenizer)` pair of `transformers`, the caller's to keep and to train."""
        ...


def check_request(prompts: Sequence[Prompt], seeds: Sequence[int], temperature: float) -> None:
    """Raise ConfigurationError unless there is one non-negative seed per prompt and a valid temperature."""
    if len(prompts) != len(seeds):
        raise ConfigurationError(f"expected one seed per prompt, got {len(prompts)} prompts and {len(seeds)} seeds")
    if any(seed < 0 for seed in seeds):
        raise ConfigurationError(f"seeds must be non-negative integers, got {min(seeds)}")
    if not 0.0 <= temperature < float("inf"):
        raise ConfigurationError(f"temperature must be a finite number >= 0, got {temperature!r}")


def masked(spec: str) -> str:
    """The spec without its URL's query and without all that precedes its last @, which may contain a password."""
    return re.sub(r"\?.*", "?***", re.sub(r"^(\w+:)?.*@", r"\1***@", spec, flags=re.DOTALL), flags=re.DOTALL)
