"""Functions that a user names as `"MODULE:FACTORY"`: utilities and language models of one's own."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, cast

from eagle_gym.errors import ConfigurationError


def find_factory(spec: str, what: str) -> Callable[..., Any]:
    """The function that a spec names.

    Args:
        spec: `"MODULE:FACTORY"`.
        what: What the factory makes, for messages, such as "utility".

    Raises:
        ConfigurationError: The spec has another form, or there is no such module or function.
    """
    module, colon, name = spec.partition(":")
    if not (module and colon and name):
        raise ConfigurationError(f"expected the {what} as 'module:factory', such as 'package.mine:make', got {spec!r}")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"the {what} {spec!r} cannot be found: {error}") from error
    return cast(Callable[..., Any], found)
