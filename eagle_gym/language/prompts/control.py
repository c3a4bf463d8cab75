"""The control tokens in which the embedded model is asked."""

from __future__ import annotations

from typing import Final

PAD, END = "<|pad|>", "<|end|>"
# In the order of their numbers in the embedded model's vocabulary.
CONTROL_TOKENS: Final = (
    PAD,
    END,
    "<|text|>",
    "<|edit|>",
    "<|rewrite|>",
    "<|user|>",
    "<|propose|>",
    "<|attributes|>",
    "<|write|>",
)
