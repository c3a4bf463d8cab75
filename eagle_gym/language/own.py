"""Language models of your own: `"python:MODULE:FACTORY"` names a function that makes one."""

from __future__ import annotations

import importlib

from eagle_gym.errors import ConfigurationError
from eagle_gym.language.model import LanguageModel


def make_own_model(target: str) -> LanguageModel:
    """The model that a factory makes.

    Args:
        target: `"MODULE:FACTORY"`. The factory is called without arguments.

    Raises:
        ConfigurationError: The target has another form, the factory cannot be found, or what it makes is not a
            `LanguageModel`.
    """
    module, colon, name = target.partition(":")
    if not (module and colon and name):
        raise ConfigurationError(f"expected a language model 'python:MODULE:FACTORY', got 'python:{target}'")
    try:
        factory = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"the language model 'python:{target}' cannot be found: {error}") from error
    model = factory()
    if not isinstance(model, LanguageModel):
        raise ConfigurationError(
            f"expected 'python:{target}' to make a LanguageModel, got {type(model).__name__}: it needs name, "
            "fingerprint, language, deterministic, usage, generate, score and close"
        )
    return model
