"""Language models of your own: `"python:MODULE:FACTORY"` names a function that makes one."""

from __future__ import annotations

from eagle_gym.errors import ConfigurationError
from eagle_gym.factories import find_factory
from eagle_gym.language.model import LanguageModel


def make_own_model(target: str) -> LanguageModel:
    """The model that a factory makes.

    Args:
        target: `"MODULE:FACTORY"`. The factory is called without arguments.

    Raises:
        ConfigurationError: The target has another form, the factory cannot be found, or what it makes is not a
            `LanguageModel`.
    """
    model = find_factory(target, "language model")()
    if not isinstance(model, LanguageModel):
        raise ConfigurationError(
            f"expected 'python:{target}' to make a LanguageModel, got {type(model).__name__}: it needs name, "
            "fingerprint, language, deterministic, usage, generate, score and close"
        )
    return model
