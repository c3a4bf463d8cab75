from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eagle_gym.errors import CutOffError, LanguageModelError
from eagle_gym.language import Completion, Prompt, Usage
from eagle_gym.language.sampling import derived_seed, draw_until_finished, row_uniforms

PROMPT = Prompt("rewrite", "A film.", "make it darker")


def test_a_rows_draws_depend_on_its_seed_alone():
    together = row_uniforms([5, 2**63 - 1, 5], 20)
    np.testing.assert_array_equal(together[0], together[2])
    np.testing.assert_array_equal(together[1], row_uniforms([2**63 - 1], 20)[0])
    assert not np.array_equal(together[0], together[1])


def test_more_draws_begin_with_the_same_ones():
    np.testing.assert_array_equal(row_uniforms([3], 10)[0], row_uniforms([3], 40)[0, :10])


@settings(max_examples=30, derandomize=True)
@given(st.integers(0, 2**64), st.integers(1, 5))
def test_derived_seeds_are_stable_63_bit_and_new(seed: int, attempt: int):
    derived = derived_seed(seed, attempt)
    assert derived == derived_seed(seed, attempt)
    assert 0 <= derived < 2**63
    assert len({seed, derived, derived_seed(seed, attempt + 1)}) == 3


class Script:
    """Answers from a table: what a seed says."""

    def __init__(self, answers: dict[int, Completion]) -> None:
        self.answers = answers
        self.asked: list[list[int]] = []

    def __call__(self, prompts, seeds):
        self.asked.append(list(seeds))
        return [self.answers.get(seed, Completion("fine", 1, 1, "stop")) for seed in seeds]


def run(script: Script, seeds: list[int], temperature: float = 1.0) -> tuple[list[Completion], Usage]:
    usage = Usage()
    found = draw_until_finished(script, [PROMPT] * len(seeds), seeds, temperature=temperature, usage=usage)
    return found, usage


def test_only_unfinished_rows_are_drawn_again():
    script = Script({7: Completion("", 1, 1, "stop"), 9: Completion("cut", 1, 4, "length")})
    found, usage = run(script, [1, 7, 9])
    assert [completion.text for completion in found] == ["fine"] * 3
    assert script.asked == [[1, 7, 9], [derived_seed(7, 1), derived_seed(9, 1)]]
    assert usage.retries == 2


EMPTY, CUT = Completion("", 3, 1, "stop"), Completion("cut", 3, 4, "length")


def always(seed: int, answer: Completion) -> dict[int, Completion]:
    return dict.fromkeys((seed, derived_seed(seed, 1), derived_seed(seed, 2)), answer)


@pytest.mark.parametrize(("bad", "message"), [(EMPTY, "empty"), (CUT, "cut off at 4")])
def test_a_row_that_stays_unfinished_is_an_error(bad: Completion, message: str):
    script = Script(always(7, bad))
    with pytest.raises(LanguageModelError, match=message) as caught:
        run(script, [1, 7])
    assert len(script.asked) == 3
    assert [completion.text for completion in caught.value.answered.values()] == ["fine"]
    assert isinstance(caught.value, CutOffError) == (bad is CUT)


def test_rows_that_were_cut_off_are_told_apart_from_those_without_an_answer():
    with pytest.raises(CutOffError) as caught:
        run(Script(always(7, CUT) | always(9, CUT)), [7, 1, 9])
    assert (caught.value.cut, list(caught.value.answered)) == ({0: CUT, 2: CUT}, [1])
    with pytest.raises(LanguageModelError, match="it was empty") as other:
        run(Script(always(7, CUT) | always(9, EMPTY)), [7, 1, 9])
    assert not isinstance(other.value, CutOffError)


def test_greedy_rows_are_not_drawn_again():
    script = Script({7: Completion("", 1, 1, "stop")})
    with pytest.raises(LanguageModelError, match="1 attempt"):
        run(script, [7], temperature=0.0)
    assert script.asked == [[7]]
