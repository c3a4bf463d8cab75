"""Free texts that a model writes to be trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eagle_gym.language import Completion, Prompt
from eagle_gym.language.editor.sample import is_usable, listing, shortened, write_overviews
from tests.language.tiny import ScriptedModel

GOOD = (
    "Anna, a nurse in Paris, finds an old diary under the floor of her flat. As she reads on, she begins to suspect "
    "that its author is still alive, and that he knows where she works."
)


def test_usable_texts() -> None:
    assert is_usable(GOOD)
    assert not is_usable("Too short.")
    assert not is_usable(f"{GOOD} I hope that you like this description.")
    assert not is_usable("and then " * 20 + "the end of it all.")


def test_only_whole_sentences_are_kept() -> None:
    assert shortened(f"{GOOD} But when the") == GOOD
    assert shortened("# Title") == ""


class Writer(ScriptedModel):
    """Writes the same usable text for half of the prompts, and unusable ones for the others."""

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
    ) -> list[Completion]:
        assert all(prompt.task == "write" for prompt in prompts)
        return [Completion(GOOD if seed % 2 else "Sure!", 10, 5, "stop") for seed in seeds]


def test_usable_texts_are_written_once(tmp_path: Path) -> None:
    path = tmp_path / "texts" / "overviews.txt"
    model: Any = Writer()
    assert write_overviews(model, 20, 0, path) == 1
    assert path.read_text() == f"{GOOD}\n"


def test_listings_differ() -> None:
    rng = np.random.default_rng(0)
    assert len({listing(rng) for _ in range(20)}) == 20
