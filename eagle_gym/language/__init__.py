"""Language models: one small protocol, and the backends that implement it.

Importing this package is cheap: torch and transformers are imported when a model is opened.
"""

from __future__ import annotations

from eagle_gym.language.checking import edits_done
from eagle_gym.language.loading import load_language_model
from eagle_gym.language.model import (
    Completion,
    LanguageModel,
    LocalLanguageModel,
    Usage,
    UsageSnapshot,
)
from eagle_gym.language.prompts import Prompt

__all__ = [
    "Completion",
    "LanguageModel",
    "LocalLanguageModel",
    "Prompt",
    "Usage",
    "UsageSnapshot",
    "edits_done",
    "load_language_model",
]
