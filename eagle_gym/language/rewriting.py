"""Rewriting: what environments do when an edit is chosen, and what estimates of effects have to imitate.

A language model of plot English whose text left the language is asked again, a few times. Drawing until a text parses
samples its own distribution given that it parses. There are texts and edits for which the model hardly ever finds its
way back; its last word then counts, ill-formed as it is: it is an answer, and no failure. Each row has seeds of its
own, so that its text depends on no other row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from eagle_gym import plot_english
from eagle_gym.language import sampling
from eagle_gym.language.model import Completion, LanguageModel
from eagle_gym.language.prompts import Prompt

ATTEMPTS: Final = 8
# The language model itself derives the seeds of attempts below its own limit.
_NUMBERS: Final = range(sampling.ATTEMPTS, sampling.ATTEMPTS + ATTEMPTS - 1)


def rewrite(model: LanguageModel, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float) -> list[str]:
    """Rewritten texts, in one batched call for all and further ones for those that left plot English.

    Args:
        model: Any; what is not to write plot English is never asked again, and greedy decoding has but one answer.
        prompts: [B] rewrites to make.
        seeds: [B] generation seeds.
        temperature: Of the rewriting.

    Returns:
        [B] texts; of a model of plot English nearly all of them parse.

    Raises:
        LanguageModelError: A call failed.
    """

    def again(rows: Sequence[int], attempt: int) -> list[Completion]:
        model.usage.retries += len(rows)  # a budget is asked by the call: answers in a recording are free
        fresh = [sampling.derived_seed(seeds[row], attempt) for row in rows]
        return model.generate([prompts[row] for row in rows], fresh, temperature=temperature)

    completions = model.generate(prompts, seeds, temperature=temperature)
    if model.language == "plot_english" and temperature > 0:
        completions = sampling.draw_again(completions, _parses, again, _NUMBERS)
    return [completion.text for completion in completions]


def _parses(completion: Completion) -> bool:
    return plot_english.parses(completion.text)
