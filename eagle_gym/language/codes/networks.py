"""The networks of a code model: causal blocks, gated layers, the world model and the policy over codes.

Shapes: B rows, T positions, D the width of the base model's hidden states, N codes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache, LlamaConfig, LlamaModel

HEAD = 32  # width of an attention head, where it divides D


class Blocks(nn.Module):
    """Causal Llama blocks over vectors instead of tokens.

    Args:
        width: D.
        layers: Number of blocks.
    """

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        heads = max(1, width // HEAD) if width % HEAD == 0 else 1
        config = LlamaConfig(
            vocab_size=1,
            hidden_size=width,
            intermediate_size=8 * width // 3,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=heads,
            attn_implementation="sdpa",
            bos_token_id=None,
            eos_token_id=None,
        )
        self.model: Any = LlamaModel(config)
        del self.model.embed_tokens  # it reads vectors

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        """`[B, T, D]` to `[B, T, D]`; position t sees positions up to t, and those in the cache."""
        hidden: Tensor = self.model(
            inputs_embeds=x, past_key_values=cache, use_cache=cache is not None
        ).last_hidden_state
        return hidden


class CodeHead(nn.Module):
    """Causal blocks and a head over the codes: the policy, and the inverse dynamics model.

    Args:
        width: D.
        layers: Number of blocks.
        codes: N.
    """

    def __init__(self, width: int, layers: int, codes: int) -> None:
        super().__init__()
        self.blocks = Blocks(width, layers)
        self.head = nn.Linear(width, codes)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        """Scores of the codes, `[B, T, N]`."""
        scores: Tensor = self.head(self.blocks(x, cache))
        return scores


class GatedLayer(nn.Module):
    """A gated multilayer perceptron; it starts as 0, so that what it is added to starts unchanged."""

    def __init__(self, inputs: int, inner: int, outputs: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(inputs)
        self.gate, self.up = (nn.Linear(inputs, inner, bias=False) for _ in range(2))
        self.down = nn.Linear(inner, outputs, bias=False)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: Tensor) -> Tensor:
        """`[..., inputs]` to `[..., outputs]`."""
        x = self.norm(x)
        y: Tensor = self.down(nn.functional.silu(self.gate(x)) * self.up(x))
        return y


class WorldModel(nn.Module):
    """Merges the hidden state and the code's vector into the hidden state from which the next token is read.

    Args:
        width: D.
        inner: Width inside the gated layers.
    """

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.merge, self.refine = GatedLayer(2 * width, inner, width), GatedLayer(width, inner, width)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """Hidden states and vectors of codes, both `[..., D]`, to `[..., D]`."""
        y = x + self.merge(torch.cat([x, code], dim=-1))
        merged: Tensor = y + self.refine(y)
        return merged
