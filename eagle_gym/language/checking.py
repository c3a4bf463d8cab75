"""Was an edit carried out? A question to a language model that acts as a judge."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from eagle_gym.errors import ConfigurationError, LanguageModelError
from eagle_gym.language.model import Completion, LanguageModel
from eagle_gym.language.prompts import Prompt

# The word alone, or followed by a stop or a comma: "No longer …" says neither.
_WORD: Final = re.compile(r"""\W*(yes|no)["'*)]*\s*(?:[.,;:!-]|$)""", re.IGNORECASE)


def edits_done(
    model: LanguageModel, texts: Sequence[str], edits: Sequence[str], rewrites: Sequence[str], *, seed: int = 0
) -> list[bool]:
    """Ask a language model whether rewrites carry out edits, greedily, in one batched call.

    Args:
        model: Any language model of free text. It need not be the one that wrote the rewrites.
        texts: [B] Texts before the edit.
        edits: [B] What was asked for.
        rewrites: [B] Texts after the edit.
        seed: Of all rows; servers may want one though nothing is drawn.

    Returns:
        [B] True where the model says yes.

    Raises:
        ConfigurationError: The model speaks plot English only, or its prompts have no task `"check"`.
        LanguageModelError: A row was answered by neither yes nor no, or not at all; `answered` has the other rows.
    """
    if model.language != "free":
        raise ConfigurationError(
            f"expected a general language model as the judge of edits, got {model.name!r}, which speaks plot English "
            "only: name one such as 'transformers:PATH' or 'openai:MODEL@URL'"
        )
    rows = zip(texts, edits, rewrites, strict=True)
    prompts = [Prompt("check", text=text, edit=edit, rewrite=rewrite) for text, edit, rewrite in rows]
    try:
        answers = dict(enumerate(model.generate(prompts, [seed] * len(prompts), temperature=0.0)))
    except LanguageModelError as error:
        error.answered = _readable(error.answered)
        raise
    readable = _readable(answers)
    for row, answer in answers.items():
        if row not in readable:
            failure = LanguageModelError(
                f"expected yes or no from {model.name!r} to whether {prompts[row].edit!r} was carried out, got "
                f"{answer.text[:80]!r}: take prompts with examples (prompts='few_shot'), or a larger model"
            )
            failure.answered = readable
            raise failure
    return [says_yes(answers[row].text) is True for row in range(len(prompts))]


def says_yes(answer: str) -> bool | None:
    """Whether an answer says yes; None where it says neither yes nor no."""
    found = _WORD.match(answer)
    return None if found is None else found[1].lower() == "yes"


def _readable(answers: dict[int, Completion]) -> dict[int, Completion]:
    return {row: answer for row, answer in answers.items() if says_yes(answer.text) is not None}
