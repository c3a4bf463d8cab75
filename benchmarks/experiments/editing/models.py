"""Language models by spec, with the words in which they are asked and their number format behind a question mark.

`plain` is SmolLM2 as its package brings it, which `smollm2` is tuned from: `plain?prompts=few_shot&dtype=bfloat16`.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl

from eagle_gym.errors import ConfigurationError
from eagle_gym.language import LanguageModel, load_language_model
from eagle_gym.language.editor.smollm2 import base_file

PLAIN: Final = "plain"
OPTIONS: Final = ("prompts", "dtype")


def open_model(spec: str, *, device: str, max_new_tokens: int) -> LanguageModel:
    """Open a language model.

    Args:
        spec: `plain`, or as `load_language_model` takes it; a model in this process may have options.
        device: Of a model in this process.
        max_new_tokens: Longest generation.

    Raises:
        ConfigurationError: An option is unknown or invalid.
        PreparationError: The model is not installed.
    """
    name, options = parsed(spec)
    found = f"transformers:{base_file()}" if name == PLAIN else name
    return load_language_model(found, device=device, max_new_tokens=max_new_tokens, **options)


def parsed(spec: str) -> tuple[str, dict[str, Any]]:
    """The model, and its options; a server's options belong to its address and stay there.

    Raises:
        ConfigurationError: An option is unknown.
    """
    if "@" in spec:
        return spec, {}
    name, _, query = spec.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = ", ".join(option for option in options if option not in OPTIONS)
    if unknown:
        raise ConfigurationError(f"expected the options {' and '.join(OPTIONS)} of {name!r}, got {unknown}")
    return name, options


def public(spec: str) -> str:
    """A spec without a server's address."""
    model, at, address = spec.partition("@")
    prompts = [part for part in address.partition("?")[2].split("&") if part.startswith("prompts=")]
    return "?".join([model, *prompts]) if at else spec
