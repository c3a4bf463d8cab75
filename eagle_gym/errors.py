"""The errors that eagle_gym raises.

Each says what was expected, what it got and what to do. None is ever turned into a reward.

- EagleError
    - ConfigurationError   an invalid argument or combination
        - ArgumentError    the same, of an environment's constructor; also a TypeError
        - NotShownError    an attribute that this task does not show; also an AttributeError
    - CatalogError         bad data: names the file, the row and the value
    - TextError            a text or edit outside plot English
    - LanguageModelError   a model call that failed or came back empty
        - CutOffError      answers that reached the limit of tokens at every attempt
    - DesignError          features that have no design, or a solver that could not be certified
    - PreparationError     an artefact (latent space, surrogate, weights) is absent, broken or does not match
    - EpisodeError         a call out of order: step before reset, an action outside the action set
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class EagleError(Exception):
    """Base of every error that eagle_gym raises itself."""


class ConfigurationError(EagleError, ValueError):
    """An invalid argument or combination of arguments."""


class ArgumentError(ConfigurationError, TypeError):
    """An argument of an environment's constructor is unknown, missing or invalid.

    Libraries probe constructors with arguments of their own and try again after a TypeError, so this is one.
    """


class NotShownError(ConfigurationError, AttributeError):
    """An attribute of an environment whose task does not show it.

    `hasattr` is False for such an attribute, so this is an AttributeError.
    """


class CatalogError(EagleError, ValueError):
    """Bad data; the message names the file, the row and the value."""


class TextError(EagleError, ValueError):
    """A text or an edit outside plot English, or of the wrong kind."""


class LanguageModelError(EagleError, RuntimeError):
    """A model call that failed, came back empty or was cut off, after its retries.

    Attributes:
        answered: completions of other rows of the same call, by row; a recording keeps them.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.answered: dict[int, Any] = {}


class CutOffError(LanguageModelError):
    """Answers that reached the limit of tokens at every attempt, in a call in which nothing else went wrong.

    Attributes:
        cut: the last answers of the rows that were cut off, by row.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.cut: dict[int, Any] = {}


class DesignError(EagleError, ValueError):
    """Features for which no design exists, or a design that could not be certified."""


class PreparationError(EagleError, RuntimeError):
    """An artefact (latent space, surrogate, weights) is absent, broken or does not match."""


class PreparationWarning(UserWarning):
    """An artefact was prepared, but not quite as asked for."""


class EpisodeError(EagleError, RuntimeError):
    """A call out of order: `step` before `reset`, or an action outside the action set."""


def suggest(word: object, known: Iterable[str]) -> str:
    """End an error message with the known words that are close to `word`.

    Returns:
        `"; did you mean 'x'?"`, or an empty string if no known word is close.
    """
    near = difflib.get_close_matches(str(word), list(known), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
