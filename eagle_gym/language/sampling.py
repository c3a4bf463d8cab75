"""Random numbers of generations: each row has its own generator, and failed rows are drawn again with derived seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from eagle_gym.errors import CutOffError, LanguageModelError
from eagle_gym.language.model import Completion, Usage
from eagle_gym.language.prompts import Prompt

ATTEMPTS = 3

Drawn = TypeVar("Drawn")
Draw = Callable[[Sequence[Prompt], Sequence[int]], list[Completion]]


def row_uniforms(seeds: Sequence[int], count: int) -> np.ndarray:
    """Uniform draws in [0, 1), float64 `[B, count]`; row i comes from `Philox(seeds[i])` only."""
    draws = np.empty((len(seeds), count))
    for row, seed in zip(draws, seeds, strict=True):
        np.random.Generator(np.random.Philox(int(seed))).random(out=row)
    return draws


def derived_seed(seed: int, attempt: int) -> int:
    """The seed (63 bits) of a further attempt at the generation that has `seed`."""
    state = np.random.SeedSequence(int(seed), spawn_key=(attempt,)).generate_state(1, np.uint64)
    return int(state[0]) >> 1


def draw_until_finished(
    draw: Draw, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float, usage: Usage
) -> list[Completion]:
    """Draw every row, and draw rows without a finished text again with derived seeds.

    At temperature 0 there is one attempt, since another draw cannot differ.

    Raises:
        CutOffError: Rows have no finished text after the last attempt, since they reach the limit of tokens.
        LanguageModelError: A row has no text after the last attempt, or a budget allows no further attempt.
    """
    attempts = ATTEMPTS if temperature > 0 else 1

    def again(rows: Sequence[int], attempt: int) -> list[Completion]:
        usage.begin_again(len(rows))
        asked = [prompts[row] for row in rows]
        try:
            drawn = draw(asked, [derived_seed(seeds[row], attempt) for row in rows])
            usage.tell(asked, [seeds[row] for row in rows], temperature, drawn, attempt=attempt)
            return drawn
        except LanguageModelError as error:
            error.answered = {rows[at]: completion for at, completion in error.answered.items()}
            raise

    completions: list[Completion] = []
    try:
        completions = draw(prompts, seeds)
        usage.tell(prompts, seeds, temperature, completions)
        completions = draw_again(completions, is_finished, again, range(1, attempts))
        unfinished = {row: said for row, said in enumerate(completions) if not is_finished(said)}
        if unfinished:
            raise _failure(prompts, unfinished, attempts)
    except LanguageModelError as error:
        answered = dict(enumerate(completions)) | error.answered
        error.answered = {row: completion for row, completion in answered.items() if is_finished(completion)}
        raise
    return completions


def draw_again(
    first: Sequence[Drawn],
    is_good: Callable[[Drawn], bool],
    draw: Callable[[Sequence[int], int], list[Drawn]],
    attempts: Iterable[int],
) -> list[Drawn]:
    """Draw rows that are not good again, until all are good or no attempt is left.

    Args:
        first: [B] first draws, such as completions.
        is_good: Whether a draw may stay.
        draw: Draws some rows again in one call, given the rows and the number of the attempt.
        attempts: The numbers of the attempts.

    Returns:
        [B] draws.
    """
    result = list(first)
    for attempt in attempts:
        rows = [row for row, drawn in enumerate(result) if not is_good(drawn)]
        if not rows:
            break
        for row, drawn in zip(rows, draw(rows, attempt), strict=True):
            result[row] = drawn
    return result


def is_finished(completion: Completion) -> bool:
    """Whether the model ended the text itself and wrote something."""
    return completion.finish_reason == "stop" and bool(completion.text)


def _failure(prompts: Sequence[Prompt], unfinished: dict[int, Completion], attempts: int) -> LanguageModelError:
    """The error of rows without a finished text: of those without any text, if there are such."""
    empty = {row: said for row, said in unfinished.items() if said.finish_reason != "length"}
    row, said = next(iter((empty or unfinished).items()))
    message = _complaint(prompts[row], said, attempts)
    if empty:
        return LanguageModelError(message)
    error = CutOffError(message)
    error.cut = unfinished
    return error


def _complaint(prompt: Prompt, completion: Completion, attempts: int) -> str:
    tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    asked = f"{prompt.task} prompt {prompt.edit or prompt.text[:80]!r}"
    if completion.finish_reason == "length":
        told = f", it was {completion.problem}" if completion.problem else ""
        return (
            f"the answer to the {asked} was still cut off at {completion.completion_tokens} tokens after {tries} "
            f"(the prompt has {completion.prompt_tokens}{told}); raise max_new_tokens, or shorten the text where the "
            "context is full"
        )
    return f"the answer to the {asked} was still no text after {tries}: {completion.problem or 'it was empty'}"
