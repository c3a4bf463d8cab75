"""The plot-English models: small Llamas, trained by this package's own script on text of its own grammar.

`plain` is the default; `pitch` has another grammar, size and training seed.
"""

from __future__ import annotations

from pathlib import Path

from eagle_gym.errors import ConfigurationError

MODELS = ("plain", "pitch")


def weights_path(name: str = "plain") -> Path:
    """The folder that holds a model's config, weights and tokenizer.

    Raises:
        ConfigurationError: No model has that name.
    """
    if name not in MODELS:
        raise ConfigurationError(f"no embedded model {name!r}: expected one of {', '.join(MODELS)}")
    return Path(__file__).parent / "weights" / name
