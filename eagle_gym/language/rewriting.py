"""Rewriting texts, as environments do when an edit is chosen and as estimates of effects have to imitate.

If a model of plot English writes a text that does not parse, it is asked again, a few times. Drawing until a text
parses samples from the model's distribution, conditional on parsing. For some texts and edits the model hardly ever
writes plot English. Its last answer then counts although it does not parse. Each row has its own seeds, so its text
does not depend on other rows.

An answer that reaches the limit of tokens at every attempt is no failed call: the model was asked and rambled. It is
None here, and the text that should have been rewritten stays. Where all answers of a call are cut off, a warning says
that the limit may be too low. It is no error: what becomes of a row must not depend on other rows or on earlier calls.

A model of plot English never sees the tags that a text carries: they are taken off before it is asked and put back onto
its answer. A general model sees the whole text.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from eagle_gym import plot_english
from eagle_gym.errors import CutOffError
from eagle_gym.language import sampling
from eagle_gym.language.model import Completion, Language, LanguageModel
from eagle_gym.language.prompts import Prompt

ATTEMPTS: Final = 8
# The language model itself derives the seeds of attempts below its own limit.
_NUMBERS: Final = range(sampling.ATTEMPTS, sampling.ATTEMPTS + ATTEMPTS - 1)
ALL_CUT: Final = (
    "every answer of a call was cut off at the limit of tokens, so the texts stay as they are: raise max_new_tokens if "
    "this goes on"
)


def seeds_of(seed: int) -> list[int]:
    """The seeds with which a rewrite with this seed may ask the language model, its own first."""
    return [seed, *(sampling.derived_seed(seed, attempt) for attempt in _NUMBERS)]


def next_texts(
    model: LanguageModel, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float
) -> list[str]:
    """The texts after some rewrites: those of `rewrite`, and the texts before where they are None."""
    texts = rewrite(model, prompts, seeds, temperature=temperature)
    return [prompt.text if text is None else text for prompt, text in zip(prompts, texts, strict=True)]


def rewrite(
    model: LanguageModel, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float
) -> list[str | None]:
    """Rewrite texts in one batched call, and in further calls those that should be plot English and do not parse.

    Args:
        model: Any language model. A free one is asked once, and so is any at temperature 0, where answers do not vary.
        prompts: [B] rewrites to make.
        seeds: [B] generation seeds.
        temperature: Sampling temperature.

    Returns:
        [B] texts, None where every answer was cut off. If the model writes plot English, nearly all texts parse.

    Raises:
        LanguageModelError: A call failed.
    """
    carried = [carried_tags(prompt.text, model.language) for prompt in prompts]
    prompts = [replace(prompt, text=visible(prompt.text, model.language)) for prompt in prompts]

    def again(rows: Sequence[int], attempt: int) -> list[Completion]:
        model.usage.retries += len(rows)  # the call checks the budget: recorded answers are free
        fresh = [sampling.derived_seed(seeds[row], attempt) for row in rows]
        return _ask(model, [prompts[row] for row in rows], fresh, temperature)

    completions = _ask(model, prompts, seeds, temperature)
    if model.language == "plot_english" and temperature > 0:
        completions = sampling.draw_again(completions, _may_stay, again, _NUMBERS)
    return [
        plot_english.with_tags(completion.text, tags) if sampling.is_finished(completion) else None
        for completion, tags in zip(completions, carried, strict=True)
    ]


def _ask(
    model: LanguageModel, prompts: Sequence[Prompt], seeds: Sequence[int], temperature: float
) -> list[Completion]:
    """Answers, some of which may be cut off; warns if all are."""
    try:
        return model.generate(prompts, seeds, temperature=temperature)
    except CutOffError as error:
        if not error.answered:
            warnings.warn(ALL_CUT, RuntimeWarning, stacklevel=3)
        found = {**error.answered, **error.cut}
        return [found[row] for row in range(len(prompts))]


def visible(text: str, language: Language) -> str:
    """What a language model sees of a text: one of plot English does not see the tags that the text carries."""
    return plot_english.split_tags(text)[0] if language == "plot_english" else text


def carried_tags(text: str, language: Language) -> tuple[str, ...]:
    """The tags that a language model does not see of a text, and that rewrites therefore keep."""
    return plot_english.split_tags(text)[1] if language == "plot_english" else ()


def _may_stay(completion: Completion) -> bool:
    """Whether a row is not drawn again: it parses, or it was drawn often enough to see that it rambles."""
    return not sampling.is_finished(completion) or plot_english.parses(completion.text)
