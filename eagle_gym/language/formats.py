"""Prompt formats: how each kind of local model is asked, in token ids, and how its answers are read.

The embedded model reads control tokens. A general model reads chat messages or a plain text to be continued, as the
prompt set says.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from tokenizers import Tokenizer

from eagle_gym.language import decode
from eagle_gym.language.answers import Answer, until_stop, without_markers
from eagle_gym.language.lists import read_completion
from eagle_gym.language.model import Language
from eagle_gym.language.prompts import (
    CONTROL_TOKENS,
    END,
    PAD,
    Prompt,
    PromptSet,
    harmless,
    well_formed,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CONTROL_MAX_TOKENS = 160  # a plot-English text has about 55
GENERAL_MAX_TOKENS = 512
TOKENISED = 8192  # texts and edits whose tokens are remembered


class PromptFormat(Protocol):
    """How prompts become token ids, and token ids answers.

    Attributes:
        ending: Which tokens end an answer.
        default_max_tokens: Longest answer where nobody says otherwise.
        language: What the model writes.
        repeatable: Whether equal prompts have equal token ids.
        prompts: The words in which the model is asked.
    """

    ending: decode.Ending
    default_max_tokens: int
    language: Language
    repeatable: bool
    prompts: PromptSet

    def encode(self, prompt: Prompt) -> tuple[list[int], int]:
        """Token ids of a prompt, and how many of the first are likely to begin other prompts too."""
        ...

    def source(self, prompt: Prompt) -> list[int]:
        """Token ids that the answer is likely to repeat; empty unless the prompt asks for a rewrite."""
        ...

    def encode_answer(self, text: str) -> list[int]:
        """Token ids of an answer, its end token included."""
        ...

    def read(self, tokens: Sequence[int], prompt: Prompt | None = None, *, finished: bool = True) -> Answer:
        """The text in generated tokens, or why there is none.

        Args:
            tokens: The generated tokens.
            prompt: What was asked.
            finished: Whether the model ended the answer itself; of a list that it did not, the last edit is dropped.
        """
        ...

    def has_stop(self, tokens: Sequence[int]) -> bool:
        """Whether generated tokens hold a stop string, so that the answer before it is whole."""
        ...


class ControlFormat:
    """Prompts in control tokens, for the embedded model and others trained on its format.

    Args:
        tokenizer: Knows the control tokens.
        prompts: A set of the format `"control"`.
    """

    default_max_tokens = CONTROL_MAX_TOKENS
    language: Language = "plot_english"
    repeatable = True

    def __init__(self, tokenizer: Tokenizer, prompts: PromptSet) -> None:
        self._tokenizer, self.prompts = tokenizer, prompts
        # What a text says is text: "<|end|>" inside a description is seven characters, not a command.
        tokenizer.encode_special_tokens = True
        # Edits recur, and so does a text whose candidates are tried.
        self._plain = lru_cache(TOKENISED)(partial(_plain_tokens, tokenizer))
        known: dict[str, int] = tokenizer.get_vocab(with_added_tokens=True)
        self._ids = {token: known[token] for token in CONTROL_TOKENS}
        self.ending = decode.Ending(frozenset((self._ids[END], self._ids[PAD])))

    def encode(self, prompt: Prompt) -> tuple[list[int], int]:
        """Token ids of a prompt; its first segment, the state's text, can be shared."""
        segments = [[self._ids[control], *self._plain(text)] for control, text in self.prompts.segments(prompt)]
        return list(chain.from_iterable(segments)), len(segments[0])

    def source(self, prompt: Prompt) -> list[int]:
        """Token ids of the text with its end, and of the edit."""
        if prompt.task != "rewrite":
            return []
        return [*self.encode_answer(prompt.text), *self._plain(well_formed(prompt.edit))]

    def encode_answer(self, text: str) -> list[int]:
        """Token ids of an answer, its end token included."""
        return [*self._plain(well_formed(text)), self._ids[END]]

    def read(self, tokens: Sequence[int], prompt: Prompt | None = None, *, finished: bool = True) -> Answer:
        """The text that generated tokens spell, as it is."""
        return Answer(self._tokenizer.decode(list(tokens), skip_special_tokens=True).strip())

    def has_stop(self, tokens: Sequence[int]) -> bool:
        """False: the end token ends an answer."""
        return False


def _plain_tokens(tokenizer: Tokenizer, text: str) -> tuple[int, ...]:
    return tuple(tokenizer.encode(text, add_special_tokens=False).ids) if text else ()


class GeneralFormat:
    """Prompts as chat messages or as a plain text to be continued.

    Args:
        tokenizer: The model's; it has a chat template where the set is of the format `"chat"`.
        prompts: A set of the format `"chat"` or `"plain"`.
        stop: Tokens that end an answer.
        name: The model's name, for messages.

    Raises:
        PreparationError: The chat template cannot be used.
    """

    default_max_tokens = GENERAL_MAX_TOKENS
    language: Language = "free"

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, prompts: PromptSet, stop: frozenset[int], name: str
    ) -> None:
        from eagle_gym.language.chat_template import ChatTemplate

        self._tokenizer, self.prompts = tokenizer, prompts
        added = tokenizer.added_tokens_decoder.values()
        special = {*tokenizer.all_special_tokens, *(str(token) for token in added if token.special)}
        self._special = sorted(special, key=lambda token: (-len(token), token))
        is_chat = prompts.format == "chat"
        self._template = ChatTemplate(tokenizer, name, examples=prompts.has_examples) if is_chat else None
        self.repeatable = self._template is None or self._template.repeatable
        self._end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else min(stop, default=None)
        self.ending = (
            decode.Ending(stop) if is_chat else _text_ending(tokenizer, stop, prompts.stop)
        )

    def encode(self, prompt: Prompt) -> tuple[list[int], int]:
        """Token ids of a prompt; no part of it is shared."""
        if self._template is None:
            return self._tokenizer(self.prompts.text(prompt), split_special_tokens=True)["input_ids"], 0
        asked = self._template.render(self.prompts.messages(prompt, self._harmless))
        return self._tokenizer(asked, add_special_tokens=False)["input_ids"], 0

    def source(self, prompt: Prompt) -> list[int]:
        """Token ids of the text with its end."""
        return self.encode_answer(prompt.text) if prompt.task == "rewrite" else []

    def encode_answer(self, text: str) -> list[int]:
        """Token ids of an answer, its end token included."""
        text = self._harmless(well_formed(text))
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids if self._end is None else [*ids, self._end]

    def read(self, tokens: Sequence[int], prompt: Prompt | None = None, *, finished: bool = True) -> Answer:
        """The text in an answer; markers of reasoning are often special tokens, so these are decoded too."""
        raw, _ = until_stop(self._decode(tokens), self.prompts.stop)
        in_reasoning = self._template is not None and self._template.opens_reasoning
        return read_completion(raw, prompt, finished=finished, in_reasoning=in_reasoning, special=self._special)

    def has_stop(self, tokens: Sequence[int]) -> bool:
        """Whether generated tokens hold a stop string, so that the answer before it is whole."""
        return bool(self.prompts.stop) and until_stop(self._decode(tokens), self.prompts.stop)[1]

    def _decode(self, tokens: Sequence[int]) -> str:
        raw: str = self._tokenizer.decode(list(tokens), skip_special_tokens=False)
        return raw

    def _harmless(self, text: str) -> str:
        """The text changed such that it can neither end a chat turn nor close reasoning."""
        return harmless(without_markers(text), self._special)


def _text_ending(tokenizer: PreTrainedTokenizerBase, stop: frozenset[int], strings: Sequence[str]) -> decode.Ending:
    """The ending of a model that only continues texts: it rarely stops by itself.

    A stop string that is spread over several tokens ends no generation; reading the answer cuts it there.
    """
    words = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
    breaks = frozenset(token for token, word in enumerate(words) if any(string in word for string in strings))
    blank = frozenset(token for token, word in enumerate(words) if not word.strip())
    return decode.Ending(stop, breaks - stop, blank)
