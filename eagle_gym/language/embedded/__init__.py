"""The plot-English model: a small Llama trained by this package's own script on its own grammar's text."""

from __future__ import annotations

from pathlib import Path


def weights_path() -> Path:
    """The folder that holds the model's config, weights and tokenizer."""
    return Path(__file__).parent / "weights"
