from __future__ import annotations

from benchmarks.wordings.measure import Case, judge, load_cases, measure
from eagle_gym.errors import LanguageModelError
from eagle_gym.language import Completion
from tests.language.tiny import ScriptedModel

CASE = Case("The nurse sails to Rome.", "Make the nurse a pilot.", ("pilot",), ("nurse",), ("nurse",))


def test_answers_are_judged_by_their_words():
    edited, copied = judge(CASE, "The pilot sails to Rome."), judge(CASE, "the nurse sails to  Rome")
    assert (edited.followed, edited.copied, edited.kept) == (True, False, 1.0)
    assert (copied.followed, copied.copied, copied.kept) == (False, True, 1.0)
    both = judge(CASE, "The nurse and the pilot sail.")
    assert (both.followed, both.kept) == (False, 0.25)
    assert judge(CASE, None).failed


def test_every_case_can_be_followed_and_is_not_yet():
    cases = load_cases()
    assert len(cases) == 24
    for case in cases:
        assert not judge(case, case.text).followed
        assert judge(case, case.text).copied
        words = set(case.text.lower().replace(",", " ").replace(".", " ").split())
        assert set(case.out) <= words, "an edit replaces words of the text"
        assert judge(case, " ".join([*(words - set(case.out)), *case.has])).followed


def test_rows_without_an_answer_count_as_failed():
    class Half(ScriptedModel):
        """Answers the even rows."""

        def generate(self, prompts, seeds, *, temperature=1.0):
            error = LanguageModelError("cut off")
            error.answered = {row: Completion("A pilot.", 1, 1, "stop") for row in range(0, len(prompts), 2)}
            raise error

    row = measure(Half(), [CASE] * 4)
    assert (row.cases, row.followed, row.failed, row.kept) == (4, 2, 2, 0.0)
