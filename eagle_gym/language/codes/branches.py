"""Many continuations of each prompt in one pass of the base model: what every code would lead to.

All branches of a row share the keys and values of its prompt, so a pass reads those once instead of once for each
branch. A token sees its prompt and the earlier tokens of its own branch.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from eagle_gym.language.codes.model import Reader

NOBODY = -1  # the branch of a place that is left empty


class Branches:
    """Continues each row of a reader along some branches; the reader stays as it is.

    Args:
        reader: Has read B prompts.
        count: N, the branches of each.

    Attributes:
        hidden: `[R, D]` hidden states of the last tokens; R is B * N at the start, with the branches of a row next to
            each other.
    """

    def __init__(self, reader: Reader, count: int) -> None:
        self._base, self._cache = reader.base, copy.deepcopy(reader.cache)
        self._prompt = reader.mask.bool()  # [B, L]
        self._read = torch.empty(len(self._prompt), 0, dtype=torch.long, device=self._prompt.device)  # whose tokens
        self._row = torch.arange(len(self._prompt), device=self._prompt.device).repeat_interleave(count)
        self._branch = torch.arange(len(self._row), device=self._prompt.device)
        self._length = 0
        self.hidden = reader.hidden.repeat_interleave(count, dim=0)

    def keep(self, branches: Tensor) -> None:
        """Go on with some branches only, `[R]` in ascending order."""
        rows, self._row = self._row[branches].unique(return_inverse=True)
        self._branch, self.hidden = self._branch[branches], self.hidden[branches]
        if len(rows) < len(self._prompt):
            self._cache.batch_select_indices(rows)
            self._prompt, self._read = self._prompt[rows], self._read[rows]

    def add(self, tokens: Tensor) -> None:
        """Read a token `[R]` of each branch."""
        counts = self._row.bincount(minlength=len(self._prompt))
        place = torch.arange(len(tokens), device=tokens.device) - (counts.cumsum(0) - counts)[self._row]
        ids = tokens.new_zeros(len(self._prompt), int(counts.max()))
        ids[self._row, place] = tokens
        whose = torch.full_like(ids, NOBODY)
        whose[self._row, place] = self._branch
        self._read = torch.cat([self._read, whose], dim=1)
        found = self._base.base_model(
            input_ids=ids,
            attention_mask=self._seen(whose),
            position_ids=(self._prompt.sum(dim=1, keepdim=True) + self._length).expand_as(ids),
            past_key_values=self._cache,
            use_cache=True,
        )
        self._length += 1
        self.hidden = found.last_hidden_state[self._row, place]

    def _seen(self, whose: Tensor) -> Tensor:
        """What each branch `[B, M]` sees, `[B, 1, M, L]` of bool: the prompt, and its own tokens."""
        prompt = self._prompt[:, None].expand(-1, whose.shape[1], -1)
        return torch.cat([prompt, whose[:, :, None] == self._read[:, None]], dim=2)[:, None]
