"""Prompts: what a language model is asked, and how each kind of model is asked.

Four tasks: `rewrite` a text as an edit says, `propose` an edit for a text (and a user's profile),
`write` a text from an attribute listing, `rate` a text for a user's profile (as a judge; the embedded model does
not). The embedded model reads *control tokens*; general models read *chat messages* where they have a chat template and
*plain instructions* where they have none (see `answers` for how their answers are read).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from eagle_gym.errors import ConfigurationError

Task = Literal["rewrite", "propose", "write", "rate"]

_NEEDED = {"rewrite": ("edit",), "rate": ("profile",)}  # in addition to the text

TEXT, EDIT, REWRITE, USER = "<|text|>", "<|edit|>", "<|rewrite|>", "<|user|>"
PROPOSE, ATTRIBUTES, WRITE = "<|propose|>", "<|attributes|>", "<|write|>"
PAD, END = "<|pad|>", "<|end|>"
CONTROL_TOKENS = (PAD, END, TEXT, EDIT, REWRITE, USER, PROPOSE, ATTRIBUTES, WRITE)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One thing to ask.

    Attributes:
        task: `"rewrite"`, `"propose"`, `"write"` or `"rate"`.
        text: The description to work on; for `"write"` the attribute listing.
        edit: What to change (`"rewrite"` only).
        profile: A sentence about the user that a proposal or a rating is for (`"rate"`, and optionally `"propose"`).

    Raises:
        ConfigurationError: The task is unknown, a field is not a string, or a field that the task needs is empty.
    """

    task: Task
    text: str = ""
    edit: str = ""
    profile: str = ""

    def __post_init__(self) -> None:
        if self.task not in get_args(Task):
            raise ConfigurationError(f"unknown task {self.task!r}: expected one of {', '.join(get_args(Task))}")
        for name in ("text", "edit", "profile"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise ConfigurationError(f"Prompt.{name} must be a string, got {type(value).__name__}")
        for name in ("text", *_NEEDED.get(self.task, ())):
            if not getattr(self, name).strip():
                raise ConfigurationError(f"a {self.task} prompt needs a non-empty {name}")


def well_formed(text: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot encode, replaced by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def harmless(text: str, tokens: Iterable[str]) -> str:
    """The text with spaces inside special tokens, so that no text acts as a command."""
    for token in tokens:
        if len(token) > 1:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def control_segments(prompt: Prompt) -> tuple[tuple[str, str], ...]:
    """The prompt for the embedded model, as pairs of a control token and the text that follows it.

    The first pair holds the state's text, so prompts about one text share their beginning.

    Raises:
        ConfigurationError: The embedded model does not know the task.
    """
    text = well_formed(prompt.text)
    if prompt.task == "rate":
        raise ConfigurationError("the embedded model rates no texts: name a general language model as the judge")
    if prompt.task == "write":
        return (ATTRIBUTES, text), (WRITE, "")
    if prompt.task == "rewrite":
        return (TEXT, text), (EDIT, well_formed(prompt.edit)), (REWRITE, "")
    user = ((USER, well_formed(prompt.profile)),) if prompt.profile else ()
    return (TEXT, text), *user, (PROPOSE, "")


def control_text(prompt: Prompt) -> str:
    """The control-token prompt as one string, in the format that the embedded model was trained on."""
    return "".join(token + text for token, text in control_segments(prompt))


_RULES = {
    "rewrite": "You rewrite descriptions. Apply the requested edit and change nothing else. "
    "Answer with the rewritten description only, in one paragraph.",
    "propose": "You propose edits to descriptions. Answer with one short instruction that says how to change the "
    "description, and nothing else.",
    "write": "You write descriptions. Write one description that has all the listed attributes and no others. "
    "Answer with the description only, in one paragraph.",
    "rate": "You judge descriptions for one user. Say how much this user would like what is described, as a whole "
    "number from 1 (not at all) to 10 (very much). Answer with the number alone.",
}
_HEADINGS = {
    "rewrite": "Rewritten description:",
    "propose": "Instruction:",
    "write": "Description:",
    "rate": "Number:",
}


def chat_messages(prompt: Prompt) -> list[dict[str, str]]:
    """The prompt as chat messages (system and user) for an instruction-tuned model."""
    return [{"role": "system", "content": _RULES[prompt.task]}, {"role": "user", "content": _request(prompt)}]


def fold_system(messages: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The same messages for a model without a system role: the user's message begins with the instructions."""
    return [{"role": "user", "content": "\n\n".join(message["content"] for message in messages)}]


def plain_instructions(prompt: Prompt) -> str:
    """The prompt as a text to be continued, for a model without a chat template."""
    return f"{_RULES[prompt.task]}\n\n{_request(prompt)}\n\n{_HEADINGS[prompt.task]}"


def _request(prompt: Prompt) -> str:
    text = well_formed(prompt.text)
    if prompt.task == "write":
        return f"Attributes: {text}"
    if prompt.task == "rewrite":
        return f"Description: {text}\n\nEdit: {well_formed(prompt.edit)}"
    profile = f"\n\nThe user: {well_formed(prompt.profile)}" if prompt.profile else ""
    if prompt.task == "rate":
        return f"Description: {text}{profile}\n\nHow much would this user like it, from 1 to 10?"
    aim = " that this user would enjoy" if prompt.profile else ""
    return f"Description: {text}{profile}\n\nPropose one edit{aim}."
