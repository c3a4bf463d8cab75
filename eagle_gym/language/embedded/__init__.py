"""The plot-English models: small Llamas trained by this package's own script on its own grammar's text.

`plain` is the default environment; `pitch` is a second one, of another grammar, size and training seed.
"""

from __future__ import annotations

from pathlib import Path

from eagle_gym.errors import ConfigurationError

MODELS = ("plain", "pitch")


def weights_path(name: str = "plain") -> Path:
    """The folder that holds a model's config, weights and tokenizer.

    Raises:
        ConfigurationError: There is no model of that name.
    """
    if name not in MODELS:
        raise ConfigurationError(f"no embedded model {name!r}; there are {', '.join(MODELS)}")
    return Path(__file__).parent / "weights" / name
