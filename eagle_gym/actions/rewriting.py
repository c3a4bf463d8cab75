"""Rewriting: what environments do when an edit is chosen, and what estimates of effects have to imitate.

A language model of plot English whose text left the language is asked again, as it is for an empty or cut-off one.
Drawing until a text parses samples its own distribution given that it parses. Each row has seeds of its own, so that
its text depends on no other row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from eagle_gym import plot_english
from eagle_gym.actions.seeding import stable_seed
from eagle_gym.errors import LanguageModelError, TextError
from eagle_gym.language import sampling
from eagle_gym.language.model import Completion, LanguageModel
from eagle_gym.language.prompts import Prompt

# Even where one draw in four leaves the language, one row in four billion fails.
ATTEMPTS: Final = 16
# The language model itself derives the seeds of attempts below its own limit.
_NUMBERS: Final = range(sampling.ATTEMPTS, sampling.ATTEMPTS + ATTEMPTS - 1)


def rewrite(model: LanguageModel, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float) -> list[str]:
    """[B] texts: ``rewrite_strictly`` where the model writes plot English, else whatever it writes."""
    if model.speech == "plot_english":
        return rewrite_strictly(model, prompts, seeds, temperature=temperature)
    return [answer.text for answer in model.generate(prompts, seeds, temperature=temperature)]


def rewrite_strictly(
    model: LanguageModel, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float
) -> list[str]:
    """Texts that parse, in one batched call for all and further ones for those rows that do not parse yet.

    At temperature 0 a second draw could not differ. It is made at temperature 1, with seeds from text and instruction
    alone, so that the transition stays a function of these.

    Args:
        model: writes plot English, mostly.
        prompts: [B] rewrites to make.
        seeds: [B] generation seeds.
        temperature: of the rewriting.

    Returns:
        [B] texts in plot English.

    Raises:
        LanguageModelError: a call failed, or a row still left the language after the last attempt.
    """

    def again(rows: Sequence[int], attempt: int) -> list[Completion]:
        asked = [prompts[row] for row in rows]
        if temperature > 0:
            fresh = [sampling.derived_seed(seeds[row], attempt) for row in rows]
            return model.generate(asked, fresh, temperature=temperature)
        fresh = [stable_seed(prompt.text, prompt.instruction, attempt) for prompt in asked]
        return model.generate(asked, fresh, temperature=1.0)

    first = model.generate(prompts, seeds, temperature=temperature)
    completions = sampling.draw_again(first, _parses, again, _NUMBERS, model.usage)
    for prompt, completion in zip(prompts, completions, strict=True):
        if not _parses(completion):
            raise LanguageModelError(
                f"{model.name!r} left plot English in each of {ATTEMPTS} answers to {prompt.instruction!r} for the "
                f"text {prompt.text!r}; the last was {completion.text!r}"
            )
    return [completion.text for completion in completions]


def _parses(completion: Completion) -> bool:
    try:
        plot_english.parse(completion.text)
    except TextError:
        return False
    return True
