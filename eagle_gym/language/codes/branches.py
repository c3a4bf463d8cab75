"""Many continuations of each prompt in one pass of the base model: what every code would lead to.

All branches of a row share the keys and values of its prompt, and branches that begin alike those of their common
tokens. So a pass reads a prompt once instead of once for each branch, and writes each beginning once.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from eagle_gym.language.codes.model import Reader


class Branches:
    """Continues the rows of a reader along a tree; the reader stays as it is.

    Args:
        reader: Has read B prompts.

    Attributes:
        hidden: `[R, D]` hidden states of the last tokens of the branches; at the start there is one for each row.
    """

    def __init__(self, reader: Reader) -> None:
        self._base, self._cache = reader.base, copy.deepcopy(reader.cache)
        self._prompt = reader.mask.bool()  # [B, L]
        self._row = torch.arange(len(self._prompt), device=self._prompt.device)  # [R]
        self._seen = self._prompt[:, :0]  # [R, K] which tokens read since then belong to a branch
        self._length = 0
        self.hidden = reader.hidden

    def keep(self, branches: Tensor) -> None:
        """Go on with some branches, `[R]` in ascending order; one that is named twice parts in two."""
        rows, self._row = self._row[branches].unique(return_inverse=True)  # type: ignore[no-untyped-call]
        self._seen, self.hidden = self._seen[branches], self.hidden[branches]
        if len(rows) < len(self._prompt):
            self._cache.batch_select_indices(rows)
            self._prompt = self._prompt[rows]

    def add(self, tokens: Tensor) -> None:
        """Read a token `[R]` of each branch."""
        counts = self._row.bincount(minlength=len(self._prompt))
        most = int(counts.max())
        place = torch.arange(len(tokens), device=tokens.device) - (counts.cumsum(0) - counts)[self._row]
        ids = tokens.new_zeros(len(self._prompt), most)
        ids[self._row, place] = tokens
        self._seen = torch.cat([self._seen, torch.nn.functional.one_hot(place, most).bool()], dim=1)
        found = self._base.base_model(
            input_ids=ids,
            attention_mask=self._mask(place, most),
            position_ids=(self._prompt.sum(dim=1, keepdim=True) + self._length).expand_as(ids),
            past_key_values=self._cache,
            use_cache=True,
        )
        self._length += 1
        self.hidden = found.last_hidden_state[self._row, place]

    def _mask(self, place: Tensor, most: int) -> Tensor:
        """What each place sees, `[B, 1, M, L + K]` of bool: its prompt and its branch; an empty place, the prompt."""
        rows, length = self._prompt.shape
        mask = torch.zeros(rows, most, length + self._seen.shape[1], dtype=torch.bool, device=place.device)
        mask[:, :, :length] = self._prompt[:, None]
        mask[self._row, place, length:] = self._seen
        return mask[:, None]
