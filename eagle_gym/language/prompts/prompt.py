"""A prompt: what a language model is asked, whatever the words.

Five tasks: `rewrite` a text as an edit says, `propose` an edit or a list of edits for a text (and a user's profile),
`write` a text from an attribute listing, and two for judges (the embedded model is none): `rate` a text for a user's
profile, and `check` whether a rewrite carries out an edit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from eagle_gym.errors import ConfigurationError

Task = Literal["rewrite", "propose", "write", "rate", "check"]

_NEEDED = {"rewrite": ("edit",), "rate": ("profile",), "check": ("edit", "rewrite")}  # in addition to the text


@dataclass(frozen=True, slots=True)
class Prompt:
    """One thing to ask.

    Attributes:
        task: `"rewrite"`, `"propose"`, `"write"`, `"rate"` or `"check"`.
        text: The description to work on; for `"write"` the attribute listing.
        edit: What to change (`"rewrite"` and `"check"`).
        profile: A sentence about the user that a proposal or a rating is for (`"rate"`, and optionally `"propose"`).
        rewrite: The text after the edit (`"check"` only).
        count: How many edits to propose (`"propose"` only). The answer to a prompt for several holds one a line.

    Raises:
        ConfigurationError: The task is unknown, a field is not a string, a field that the task needs is empty, or the
            count is below 1 or above 1 where nothing is proposed.
    """

    task: Task
    text: str = ""
    edit: str = ""
    profile: str = ""
    count: int = 1
    rewrite: str = ""

    def __post_init__(self) -> None:
        if self.task not in get_args(Task):
            raise ConfigurationError(f"unknown task {self.task!r}: expected one of {', '.join(get_args(Task))}")
        for name in ("text", "edit", "profile", "rewrite"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise ConfigurationError(f"Prompt.{name} must be a string, got {type(value).__name__}")
        for name in ("text", *_NEEDED.get(self.task, ())):
            if not getattr(self, name).strip():
                raise ConfigurationError(f"a {self.task} prompt needs a non-empty {name}")
        if self.count < 1 or (self.count > 1 and self.task != "propose"):
            raise ConfigurationError(f"expected count=1, or more with the task 'propose', got {self.count}")

    @property
    def asks_for_list(self) -> bool:
        """Whether the answer is a list of edits, one a line."""
        return self.count > 1


def well_formed(text: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot encode, replaced by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def harmless(text: str, tokens: Iterable[str]) -> str:
    """The text with spaces inside special tokens, so that no text acts as a command."""
    for token in tokens:
        if len(token) > 1:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text
