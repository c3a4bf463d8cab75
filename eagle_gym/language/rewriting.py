"""Rewriting texts, as environments do when an edit is chosen and as estimates of effects have to imitate.

If a model of plot English writes a text that does not parse, it is asked again, a few times. Drawing until a text
parses samples from the model's distribution, conditional on parsing. For some texts and edits the model hardly ever
writes plot English. Its last answer then counts although it does not parse. Each row has its own seeds, so its text
does not depend on other rows.

A model of plot English never sees the tags that a text carries: they are taken off before it is asked and put back onto
its answer. A general model sees the whole text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from eagle_gym import plot_english
from eagle_gym.language import sampling
from eagle_gym.language.model import Completion, Language, LanguageModel
from eagle_gym.language.prompts import Prompt

ATTEMPTS: Final = 8
# The language model itself derives the seeds of attempts below its own limit.
_NUMBERS: Final = range(sampling.ATTEMPTS, sampling.ATTEMPTS + ATTEMPTS - 1)


def seeds_of(seed: int) -> list[int]:
    """The seeds with which a rewrite with this seed may ask the language model, its own first."""
    return [seed, *(sampling.derived_seed(seed, attempt) for attempt in _NUMBERS)]


def rewrite(model: LanguageModel, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float) -> list[str]:
    """Rewrite texts in one batched call, and in further calls those that should be plot English and do not parse.

    Args:
        model: Any language model. A free one is asked once, and so is any at temperature 0, where answers do not vary.
        prompts: [B] rewrites to make.
        seeds: [B] generation seeds.
        temperature: Sampling temperature.

    Returns:
        [B] texts. If the model writes plot English, nearly all of them parse.

    Raises:
        LanguageModelError: A call failed.
    """
    carried = [carried_tags(prompt.text, model.language) for prompt in prompts]
    prompts = [replace(prompt, text=visible(prompt.text, model.language)) for prompt in prompts]

    def again(rows: Sequence[int], attempt: int) -> list[Completion]:
        model.usage.retries += len(rows)  # the call checks the budget: recorded answers are free
        fresh = [sampling.derived_seed(seeds[row], attempt) for row in rows]
        return model.generate([prompts[row] for row in rows], fresh, temperature=temperature)

    completions = model.generate(prompts, seeds, temperature=temperature)
    if model.language == "plot_english" and temperature > 0:
        completions = sampling.draw_again(completions, _parses, again, _NUMBERS)
    return [
        plot_english.with_tags(completion.text, tags) for completion, tags in zip(completions, carried, strict=True)
    ]


def visible(text: str, language: Language) -> str:
    """What a language model sees of a text: one of plot English does not see the tags that the text carries."""
    return plot_english.split_tags(text)[0] if language == "plot_english" else text


def carried_tags(text: str, language: Language) -> tuple[str, ...]:
    """The tags that a language model does not see of a text, and that rewrites therefore keep."""
    return plot_english.split_tags(text)[1] if language == "plot_english" else ()


def _parses(completion: Completion) -> bool:
    return plot_english.parses(completion.text)
