"""The training stream: prompts and answers of plot English, and the base model's hidden states at the answers.

Half of the pairs are rewrites as an edit asks, the other half edits for a user, since CoLA writes both. The base model
is frozen in stages 1 and 2, so its hidden states are computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eagle_gym.errors import ConfigurationError
from eagle_gym.language.codes.model import context_of
from eagle_gym.language.embedded.examples import Manner, example
from eagle_gym.language.formats import PromptFormat

IGNORED = -100  # a target that the loss leaves out
READ = 128  # sequences that the base model reads at a time
MANNER = Manner(first_outcome=0.65, taken=0.15)  # as in the last stage of the embedded model's own training

Pair = tuple[list[int], list[int]]  # token ids of a prompt and of its answer


def draw_pairs(form: PromptFormat, count: int, seed: int) -> list[Pair]:
    """Draw prompts with their answers; a fixed seed gives a fixed list."""
    rng = np.random.default_rng([seed, 11])
    pairs: list[Pair] = []
    for number in range(count):
        drawn = example(rng, MANNER, ("rewrite", "personal")[number % 2])
        pairs.append((form.encode(drawn.prompt)[0], form.encode_answer(drawn.answer)))
    return [pairs[int(row)] for row in rng.permutation(count)]


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers of a batch, padded on the right.

    Attributes:
        hidden: `[B, T + 1, D]` hidden states from the prompt's last token to the answer's last.
        tokens: `[B, T]` the answers, `IGNORED` after the end.
    """

    hidden: Tensor
    tokens: Tensor

    @property
    def inside(self) -> Tensor:
        """`[B, T]` True where there is a token."""
        return self.tokens != IGNORED


def sequences(pairs: Sequence[Pair]) -> Tensor:
    """Prompts with their answers, padded on the right, `[B, L]`."""
    longest = max(len(asked) + len(said) for asked, said in pairs)
    ids = torch.zeros(len(pairs), longest, dtype=torch.long)
    for row, (asked, said) in zip(ids, pairs, strict=True):
        row[: len(asked) + len(said)] = torch.tensor([*asked, *said])
    return ids


def at_answers(hidden: Tensor, pairs: Sequence[Pair]) -> Answers:
    """Hidden states `[B, L, D]` of whole sequences, cut down to the positions of the answers."""
    longest = max(len(said) for _, said in pairs)
    first = torch.tensor([len(asked) - 1 for asked, _ in pairs], device=hidden.device)
    places = first[:, None] + torch.arange(longest + 1, device=hidden.device)
    places = places.clamp_max(hidden.shape[1] - 1)
    tokens = torch.full((len(pairs), longest), IGNORED)
    for row, (_, said) in zip(tokens, pairs, strict=True):
        row[: len(said)] = torch.tensor(said)
    rows = torch.arange(len(pairs), device=hidden.device)[:, None]
    return Answers(hidden[rows, places], tokens.to(hidden.device))


class Stream:
    """Pairs with the base model's hidden states at their answers.

    Args:
        model: The code model whose base reads them.
        pairs: The pairs; those that its context cannot hold are left out.

    Raises:
        ConfigurationError: It can hold none.
    """

    def __init__(self, model: Any, pairs: Sequence[Pair]) -> None:  # noqa: ANN401 - a CodeModel
        context = context_of(model.base)
        self.pairs = [(asked, said) for asked, said in pairs if len(asked) + len(said) <= context]
        if not self.pairs:
            raise ConfigurationError(
                f"expected pairs of the training stream that fit in the base model's context of {context} tokens, got "
                "none: take prompts without examples (prompt_set='plain'), or a model with a longer context"
            )
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}
        order = sorted(range(len(self.pairs)), key=lambda row: sum(map(len, self.pairs[row])))
        for start in range(0, len(order), READ):
            rows = order[start : start + READ]
            part = [self.pairs[row] for row in rows]
            with torch.no_grad():
                found = at_answers(model.hidden_states(sequences(part).to(model.device)), part)
            for row, (_, said), x, tokens in zip(rows, part, found.hidden, found.tokens, strict=True):
                self._kept[row] = x[: len(said) + 1].clone(), tokens[: len(said)].clone()

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, rows: Sequence[int]) -> Answers:
        """The answers of some pairs."""
        chosen = [self._kept[row] for row in rows]
        hidden = torch.nn.utils.rnn.pad_sequence([x for x, _ in chosen], batch_first=True)
        tokens = torch.nn.utils.rnn.pad_sequence([t for _, t in chosen], batch_first=True, padding_value=IGNORED)
        return Answers(hidden, tokens)

    def rows(self, size: int, seed: int, step: int) -> list[int]:
        """The rows of an update, drawn from (seed, step); they have similar lengths, to pad less."""
        rng = np.random.default_rng([seed, 12, step])
        drawn = rng.choice(len(self), min(len(self), 4 * size), replace=False)
        ordered = drawn[np.argsort([len(self.pairs[row][1]) for row in drawn], kind="stable")]
        start = size * int(rng.integers(max(1, len(ordered) // size)))
        return [int(row) for row in ordered[start : start + size]]
