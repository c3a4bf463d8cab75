"""What is served."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from benchmarks.llama_cpp import editor_file
from eagle_gym.errors import ConfigurationError
from eagle_gym.language.editor.smollm2 import base_file

NAMES: Final = ("plain", "tuned")


@dataclass(frozen=True)
class Served:
    """A model, and the words in which it is asked.

    Attributes:
        name: For the page.
        file: Its GGUF file.
        prompts: A built-in prompt set.
    """

    name: str
    file: Path
    prompts: str


def served(folder: Path, only: str = "*") -> Iterator[Served]:
    """The models that a pattern names, of `"plain"` and `"tuned"`, each made when its turn comes.

    Args:
        folder: Where the tuned model's file is written.
        only: The pattern.

    Raises:
        ConfigurationError: It names neither.
        PreparationError: A package is not installed.
    """
    names = [name for name in NAMES if fnmatchcase(name, only)]
    if not names:
        raise ConfigurationError(f"expected --only to match one of {', '.join(NAMES)}, got {only!r}")
    if "plain" in names:
        yield Served("SmolLM2 as it is", base_file(), "few_shot")
    if "tuned" in names:
        yield Served("SmolLM2, tuned", editor_file(folder), "chat")
