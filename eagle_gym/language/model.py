"""The seam between eagle_gym and any language model: what a model is asked for and what it answers.

A *generation* is one sampled text for one prompt. Each has a seed of its own, so that what a row of a batch says
depends on that row alone. A generation that fails, comes back empty or is cut off is drawn again with seeds derived
from its own; when that does not help, :class:`~eagle_gym.errors.LanguageModelError` is raised. No half-finished text
leaves this room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from eagle_gym.errors import ConfigurationError

if TYPE_CHECKING:
    import numpy as np

    from eagle_gym.language.prompts import Prompt

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Completion:
    """One generated text.

    Attributes:
        text: What the model wrote, stripped of control tokens and surrounding space; never empty.
        prompt_tokens: Tokens the prompt took.
        completion_tokens: Tokens generated, the end token included.
        finish_reason: ``"stop"`` when the model ended the text itself, ``"length"`` when the token limit did.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: FinishReason


@dataclass(frozen=True, slots=True)
class UsageSnapshot:
    """A :class:`Usage` at one moment; two of them subtract.

    Attributes:
        calls: Generations asked of the model, repeated ones included.
        prompt_tokens: Tokens read.
        completion_tokens: Tokens written.
        seconds: Wall-clock time spent in the model.
        retries: Generations that were drawn again because they came back empty or cut off.
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
    """What a model has been used for since it was opened (a running count; attributes as in :class:`UsageSnapshot`)."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    retries: int = 0
    cost: float = 0.0

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
            seeds: One non-negative integer per row; row i is sampled with a generator made from ``seeds[i]`` alone.
            temperature: Sampling temperature; 0 takes the likeliest token.

        Returns:
            One finished, non-empty completion per prompt, in order.

        Raises:
            ConfigurationError: The arguments do not fit together.
            LanguageModelError: A row failed, or stayed empty or cut off after its retries.
        """
        ...

    def score(self, prompt: Prompt, continuations: Sequence[str]) -> np.ndarray:
        """Log-probabilities (nats, float64 ``[C]``) of each continuation, its end included, as the prompt's answer."""
        ...

    def close(self) -> None:
        """Give back what this handle opened. A closed model answers no more."""
        ...


@runtime_checkable
class LocalLanguageModel(LanguageModel, Protocol):
    """A language model whose weights live in this process."""

    def load(self) -> tuple[Any, Any]:
        """A fresh ``(model, tokenizer)`` pair of ``transformers``, the caller's to keep and to train."""
        ...


def check_request(prompts: Sequence[Prompt], seeds: Sequence[int], temperature: float) -> None:
    """Raise ConfigurationError unless there is one non-negative seed per prompt and a temperature that can be."""
    if len(prompts) != len(seeds):
        raise ConfigurationError(f"expected one seed per prompt, got {len(prompts)} prompts and {len(seeds)} seeds")
    if any(seed < 0 for seed in seeds):
        raise ConfigurationError(f"seeds must be non-negative integers, got {min(seeds)}")
    if not 0.0 <= temperature < float("inf"):
        raise ConfigurationError(f"temperature must be a finite number >= 0, got {temperature!r}")


def load_language_model(
    spec: str = "embedded",
    *,
    device: str = "cpu",
    dtype: str = "float32",
    batch_invariant: bool = False,
    max_tokens: int | None = None,
) -> LanguageModel:
    """Open the language model that a spec names.

    Args:
        spec: ``"embedded"`` (the plot-English model of this package) or ``"transformers:PATH_OR_NAME"`` (any causal
            language model in a folder or on the Hugging Face hub).
        device: Where an in-process model runs: ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
        dtype: Its number format: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        batch_invariant: Compute in fixed tiles, so that a row's text is the same whatever shares its batch (slower).
        max_tokens: Longest generation in tokens; None takes the backend's own (160 for plot English, 512 for others).

    Returns:
        A handle. Handles of one process with the same weights, device and dtype share the weights, which are freed when
        the last such handle is closed or collected.

    Raises:
        ConfigurationError: The spec, device or dtype cannot be.
        PreparationError: The weights are absent or broken.
    """
    kind, _, target = spec.partition(":")
    if max_tokens is not None and max_tokens < 1:
        raise ConfigurationError(f"max_tokens must be at least 1, got {max_tokens}")
    if kind == "embedded" and not target:
        from eagle_gym.language.embedded import weights_path

        target = str(weights_path())
    elif kind != "transformers" or not target:
        raise ConfigurationError(
            f"unknown language model {spec!r}: expected 'embedded' or 'transformers:PATH_OR_NAME', "
            "for example 'transformers:Qwen/Qwen2.5-0.5B-Instruct'"
        )
    from eagle_gym.language.transformers import TransformersModel

    return TransformersModel(
        spec, target, device=device, dtype=dtype, batch_invariant=batch_invariant, max_tokens=max_tokens
    )
