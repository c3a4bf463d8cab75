"""Writing answers under codes, or token by token, in one batched loop.

Each row draws from its own uniform numbers, so its answer does not depend on the other rows of its batch, except for
the rounding of logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache

from eagle_gym.language.codes.model import CodeModel, Codes, Reader, Written, room
from eagle_gym.language.decode import sample_tokens

Floats = NDArray[np.float64]
KEPT = 0.75  # finished rows are left out once so few of the others remain


class Chooser(Protocol):
    """Chooses the next token of each row."""

    def choose(self, x: Tensor, rows: NDArray[np.int64], step: int) -> tuple[Tensor, Tensor]:
        """Tokens `[B]` and codes `[B]` (-1 for none) from hidden states `[B, D]` of some rows."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Go on with some rows only."""
        ...


class ByCodes:
    """The policy draws codes, and the world model turns them into tokens.

    Args:
        model: The code model.
        uniforms: `[B, T]` uniform numbers in [0, 1), one for each code; None for the policy's most probable codes.
        temperature: Temperature of the policy.
        forced: `[B, T]` codes to take instead, -1 where the policy chooses; None for none.
    """

    def __init__(
        self, model: CodeModel, uniforms: Floats | None, *, temperature: float = 1.0, forced: Codes | None = None
    ) -> None:
        self._model, self._temperature, self._cache = model, temperature, DynamicCache()
        self._uniforms, self._forced = uniforms, forced
        self._held: Tensor | None = None

    def choose(self, x: Tensor, rows: NDArray[np.int64], step: int) -> tuple[Tensor, Tensor]:
        """As in `Chooser`; a code is held for `every` tokens."""
        scores = self._model.policy(x[:, None], self._cache)[:, 0].float()
        if self._held is None or step % self._model.settings.every == 0:
            self._held = self._draw(scores, rows, step)
        return self._model.tokens_under(x, self._held), self._held

    def _draw(self, scores: Tensor, rows: NDArray[np.int64], step: int) -> Tensor:
        if self._uniforms is None:
            codes = scores.argmax(dim=-1)
        else:
            draws = torch.as_tensor(self._uniforms[rows, step], device=scores.device)
            codes = sample_tokens(scores, draws, self._temperature)
        if self._forced is None or step >= self._forced.shape[1]:
            return codes
        given = torch.as_tensor(self._forced[rows, step], device=scores.device)
        return torch.where(given >= 0, given, codes)

    def keep(self, rows: Tensor) -> None:
        """As in `Chooser`."""
        self._cache.batch_select_indices(rows)
        if self._held is not None:
            self._held = self._held[rows]


class ByTokens:
    """The base model draws tokens, without codes.

    Args:
        base: A causal language model of `transformers`.
        uniforms: `[B, T]` uniform numbers in [0, 1).
        temperature: Temperature of the tokens.
    """

    def __init__(self, base: Any, uniforms: Floats, *, temperature: float = 1.0) -> None:  # noqa: ANN401
        self._base, self._uniforms, self._temperature = base, uniforms, temperature

    def choose(self, x: Tensor, rows: NDArray[np.int64], step: int) -> tuple[Tensor, Tensor]:
        """As in `Chooser`."""
        logits = self._base.get_output_embeddings()(x).float()
        draws = torch.as_tensor(self._uniforms[rows, step], device=x.device)
        tokens = sample_tokens(logits, draws, self._temperature)
        return tokens, torch.full_like(tokens, -1)

    def keep(self, rows: Tensor) -> None:
        """As in `Chooser`: it remembers nothing."""


@torch.no_grad()
def write(
    base: Any,  # noqa: ANN401 - a causal language model of transformers
    prompts: Sequence[Sequence[int]],
    chooser: Chooser,
    stop: Sequence[int],
    max_tokens: int,
) -> list[Written]:
    """Write an answer to each prompt.

    Args:
        base: A causal language model of `transformers`.
        prompts: Token ids of B prompts.
        chooser: Chooses the tokens.
        stop: Tokens that end an answer.
        max_tokens: Longest answer; shorter where the base model's context ends before.

    Returns:
        `[B]` answers.

    Raises:
        LanguageModelError: A prompt fills the base model's context.
    """
    max_tokens = min(max_tokens, room(base, prompts))
    reader = Reader(base, prompts, stop[0])
    rows, going = np.arange(len(prompts)), np.ones(len(prompts), np.bool_)
    steps: list[tuple[NDArray[np.int64], Tensor, Tensor, Tensor]] = []
    for step in range(max_tokens):
        tokens, codes = chooser.choose(reader.hidden, rows, step)
        alive = torch.as_tensor(np.flatnonzero(going), device=tokens.device)
        steps.append((rows[going], tokens[alive], codes[alive], reader.hidden[alive]))
        going &= ~np.isin(tokens.cpu().numpy(), stop)
        if not going.any() or step + 1 == max_tokens:
            break
        if going.mean() <= KEPT:  # finished rows cost time, and so does leaving them out
            left = torch.as_tensor(np.flatnonzero(going), device=tokens.device)
            reader.keep(left)
            chooser.keep(left)
            rows, tokens, going = rows[going], tokens[left], going[going]
        reader.add(tokens)
    return _gathered(steps, len(prompts), stop)


def _gathered(
    steps: Sequence[tuple[NDArray[np.int64], Tensor, Tensor, Tensor]], count: int, stop: Sequence[int]
) -> list[Written]:
    tokens: list[list[int]] = [[] for _ in range(count)]
    codes: list[list[int]] = [[] for _ in range(count)]
    hidden: list[list[Tensor]] = [[] for _ in range(count)]
    for rows, said, chosen, x in steps:
        for place, (row, token, code) in enumerate(zip(rows, said.tolist(), chosen.tolist(), strict=True)):
            tokens[row].append(token)
            codes[row].append(code)
            hidden[row].append(x[place])
    return [
        Written(said, said[-1] in stop, np.array(chosen), torch.stack(x), len(said))
        for said, chosen, x in zip(tokens, codes, hidden, strict=True)
    ]
