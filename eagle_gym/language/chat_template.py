"""A tokenizer's chat template, checked with sentinels when a model is opened.

Templates are programs that others wrote: some drop the system message, some drop a message that is a string, some cut
it, some escape it, some print the time, some fail. A model whose prompt lacks the text to rewrite answers all the same,
and nobody would notice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from jinja2 import TemplateError

from eagle_gym.errors import LanguageModelError, PreparationError
from eagle_gym.language.answers import opens_reasoning
from eagle_gym.language.prompts import Message, fold_system

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TODAY: Final = datetime(2024, 7, 26)  # what templates that ask for the date are told; the default of Llama 3's
_FAILURES: Final = (TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
_TIME_FORMAT: Final = re.compile(r"""(['"])([^'"{}]*%[^'"{}]*)\1""")
_FILLING: Final = "Many words stand here, so that a template that cuts its messages is found out. " * 20
_MARKUP: Final = "Texts have <b>markup</b>, R&D, \"quotes\", 'others', an ü and a 灯, which no template should escape."


@dataclass(frozen=True, slots=True)
class MessageLayout:
    """How messages are handed to a template.

    Attributes:
        system_role: Whether the instructions stand in a system message; otherwise the user's message begins with them.
        parts: Whether a message's content is a list of parts; otherwise it is a string.
    """

    system_role: bool
    parts: bool


LAYOUTS: Final = tuple(MessageLayout(role, parts) for role in (True, False) for parts in (False, True))


def _sentinel(role: str) -> str:
    return f"The {role} begins here.\n\n{_FILLING}\n\n{_MARKUP}\n\nThe {role} ends here."


class ChatTemplate:
    """Renders messages as the prompt of a chat model.

    Args:
        tokenizer: Has the template.
        name: The model's, for messages.
        examples: Whether prompts hold examples, as turns before the request.

    Attributes:
        repeatable: Whether equal messages give equal prompts.
        opens_reasoning: Whether prompts end inside reasoning, which the answer then has to close.

    Raises:
        PreparationError: The template fails, or changes or loses the user's text.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, name: str, *, examples: bool = False) -> None:
        self._tokenizer, self._name = tokenizer, name
        roles = ("system", "user", "assistant", "user") if examples else ("system", "user")
        self._trial = [Message(role, _sentinel(f"{role} ({turn})")) for turn, role in enumerate(roles)]
        self._template = self._pinned_template()
        self._layout = self._find_layout()
        first, second = (self.render(self._trial) for _ in range(2))
        self.repeatable = first == second
        self.opens_reasoning = opens_reasoning(first.rpartition(self._trial[-1].text)[2])

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt.

        Args:
            messages: The instructions, examples as turns of user and assistant, and the request.

        Raises:
            LanguageModelError: The template fails on these messages.
        """
        try:
            return self._apply(self._layout, messages)
        except _FAILURES as error:
            raise LanguageModelError(f"the chat template of {self._name!r} fails on a prompt: {error!r}") from error

    def _pinned_template(self) -> str:
        """The template's text, its clock stopped."""
        try:
            template: str = self._tokenizer.get_chat_template()
        except _FAILURES as error:
            raise PreparationError(f"{self._name!r} has no chat template for plain chats: {error}") from error
        if "strftime_now" not in template:
            return template
        formats = {literal for _, literal in _TIME_FORMAT.findall(template)}
        told = json.dumps({literal: TODAY.strftime(literal) for literal in sorted(formats)})
        default = json.dumps(TODAY.strftime("%d %b %Y"))
        # The empty expression keeps a line break with which the template may begin.
        body = f"{{{{ {told}.get(format, {default}) }}}}"
        return f"{{% macro strftime_now(format) %}}{body}{{% endmacro %}}{{{{ '' }}}}{template}"

    def _find_layout(self) -> MessageLayout:
        """The first layout in which the template keeps all messages."""
        problem = "it changes or loses the user's text"
        for layout in LAYOUTS:
            try:
                prompt = self._apply(layout, self._trial)
            except _FAILURES as error:
                problem = f"it fails with {error!r}"
                continue
            if all(message.text in prompt for message in self._trial):
                return layout
            problem = "it changes or loses the user's text"
        raise PreparationError(
            f"the chat template of {self._name!r} cannot be used, {problem}: expected a template that renders a system "
            "and a user message; repair chat_template.jinja, or remove it and name prompts='few_shot'"
        )

    def _apply(self, layout: MessageLayout, messages: Sequence[Message]) -> str:
        turns = messages if layout.system_role else fold_system(messages)
        rendered = [
            {"role": turn.role, "content": [{"type": "text", "text": turn.text}] if layout.parts else turn.text}
            for turn in turns
        ]
        # A template that knows how to switch reasoning off does so; others ignore the argument.
        text: str = self._tokenizer.apply_chat_template(
            rendered,
            chat_template=self._template,
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
        )
        return text
