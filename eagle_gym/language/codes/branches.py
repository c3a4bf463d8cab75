"""Many continuations of each prompt in one pass of the base model: what every code would lead to.

All branches of a row share the keys and values of its prompt, so a pass reads those once instead of once for each
branch. A token sees its prompt and the earlier tokens of its own branch.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from eagle_gym.language.codes.model import Reader


class Branches:
    """Continues each row of a reader along N branches; the reader stays as it is.

    Args:
        reader: Has read B prompts.
        count: N.

    Attributes:
        hidden: `[B * N, D]` hidden states of the last tokens, with the branches of a row next to each other.
    """

    def __init__(self, reader: Reader, count: int) -> None:
        self._base, self._cache = reader.base, copy.deepcopy(reader.cache)
        self._count, self._prompt = count, reader.mask.bool()
        self._own = torch.eye(count, dtype=torch.bool, device=self._prompt.device)
        self._place = self._prompt.sum(dim=1, keepdim=True)
        self._steps = 0
        self.hidden = reader.hidden.repeat_interleave(count, dim=0)

    def add(self, tokens: Tensor) -> None:
        """Read a token `[B * N]` of each branch."""
        ids = tokens.view(-1, self._count)
        self._steps += 1
        found = self._base.base_model(
            input_ids=ids,
            attention_mask=self._seen(len(ids)),
            position_ids=(self._place + self._steps - 1).expand(-1, self._count),
            past_key_values=self._cache,
            use_cache=True,
        )
        self.hidden = found.last_hidden_state.flatten(0, 1)

    def _seen(self, rows: int) -> Tensor:
        """What each branch sees, `[B, 1, N, L]` of bool: the prompt, then its own token of every step."""
        prompt = self._prompt[:, None].expand(-1, self._count, -1)
        own = self._own.repeat(1, self._steps)[None].expand(rows, -1, -1)
        return torch.cat([prompt, own], dim=2)[:, None]
