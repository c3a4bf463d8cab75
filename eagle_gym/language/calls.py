"""Listening to a language model: every generation it makes, with token ids and log-probabilities where it has them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from eagle_gym.errors import ConfigurationError
from eagle_gym.language.model import Call, Usage


@contextmanager
def record_calls(usage: Usage) -> Iterator[list[Call]]:
    """Collect every call of a model, repeated draws included, in the order in which they are answered.

    Meanwhile a model in this process computes the log-probabilities of its tokens, which takes another pass over them,
    and a server is asked for them. The grammar has no tokens.

    Args:
        usage: The model's, or that of an environment: `env.unwrapped.usage`.

    Yields:
        A list that grows with every call.

    Raises:
        ConfigurationError: Somebody listens already.
    """
    if usage.listener is not None:
        raise ConfigurationError("expected a model whose calls nobody records, got one that is recorded: finish that")
    calls: list[Call] = []
    usage.listener = calls.extend
    try:
        yield calls
    finally:
        usage.listener = None
