"""Prompts: what a language model is asked, as data.

- `prompt`: a `Prompt` says what is asked: the task, the text, the edit, the user's profile.
- `prompt_set`: a `PromptSet` says in which words, read from a template file or given as a dict.
- `control`: the control tokens of the embedded model.
- `chat.toml`, `chat_few_shot.toml`, `few_shot.toml`, `plain.toml`, `control.toml`: the built-in sets.
"""

from __future__ import annotations

from eagle_gym.language.prompts.control import CONTROL_TOKENS, END, PAD
from eagle_gym.language.prompts.prompt import Prompt, Task, harmless, well_formed
from eagle_gym.language.prompts.prompt_set import (
    BUILT_IN,
    Format,
    Message,
    PromptSet,
    PromptSource,
    control_text,
    fold_system,
    load_prompts,
)

__all__ = [
    "BUILT_IN",
    "CONTROL_TOKENS",
    "END",
    "PAD",
    "Format",
    "Message",
    "Prompt",
    "PromptSet",
    "PromptSource",
    "Task",
    "control_text",
    "fold_system",
    "harmless",
    "load_prompts",
    "well_formed",
]
