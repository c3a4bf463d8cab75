"""Asking a language model whether edits were carried out."""

from __future__ import annotations

import pytest

from eagle_gym.errors import ConfigurationError, LanguageModelError
from eagle_gym.language import Completion, edits_done, load_language_model
from eagle_gym.language.checking import says_yes
from eagle_gym.language.prompts import BUILT_IN, Prompt, load_prompts
from tests.language.tiny import Saying

TEXT, EDIT, AFTER = "A film about a nurse.", "Add a robot.", "A film about a nurse and a robot."


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        *(("Yes", True), ("yes.", True), ("**Yes**", True), ('"Yes."', True), ("Yes, there is a robot.", True)),
        *(("no", False), ("No: the text is the same.", False), ("No - it is missing", False), ("NO!", False)),
        *(("No longer is she a nurse.", None), ("Yes and no.", None), ("Nobody knows.", None), ("Yesterday", None)),
        *(("I would say yes.", None), ("", None), ("8", None), ("Not quite.", None), ("yes/no", None)),
    ],
)
def test_yes_and_no_are_read_strictly(answer: str, expected: bool | None) -> None:
    assert says_yes(answer) is expected


def test_rows_are_judged_in_order() -> None:
    model = Saying(["Yes.", "no"])
    assert edits_done(model, [TEXT, TEXT], [EDIT, EDIT], [AFTER, TEXT], seed=3) == [True, False]
    assert model.asked == [(Prompt("check", text=TEXT, edit=EDIT, rewrite=each), 3) for each in (AFTER, TEXT)]


def test_an_answer_that_is_neither_is_an_error_that_keeps_the_others() -> None:
    model = Saying(["Yes.", "Well, it depends.", "no"])
    with pytest.raises(LanguageModelError, match=r"yes or no from 'scripted' .* got 'Well, it depends") as told:
        edits_done(model, [TEXT] * 3, [EDIT] * 3, [AFTER, AFTER, TEXT])
    assert {row: answer.text for row, answer in told.value.answered.items()} == {0: "Yes.", 2: "no"}


def test_a_failed_call_keeps_only_what_can_be_read() -> None:
    class Failing(Saying):
        def generate(self, prompts, seeds, *, temperature=1.0):
            error = LanguageModelError("no answer")
            error.answered = {0: Completion("yes", 9, 1, "stop"), 2: Completion("Hm.", 9, 1, "stop")}
            raise error

    with pytest.raises(LanguageModelError, match="no answer") as told:
        edits_done(Failing([]), [TEXT] * 3, [EDIT] * 3, [AFTER] * 3)
    assert [*told.value.answered] == [0]


@pytest.mark.parametrize("spec", ["embedded", "grammar"])
def test_models_of_plot_english_judge_nothing(spec: str) -> None:
    model = load_language_model(spec)
    with pytest.raises(ConfigurationError, match="expected a general language model as the judge of edits"):
        edits_done(model, [TEXT], [EDIT], [AFTER])
    with pytest.raises(ConfigurationError, match=r"'check'|judges no texts"):
        model.generate([Prompt("check", text=TEXT, edit=EDIT, rewrite=AFTER)], [0])


@pytest.mark.parametrize("about", [None, "film", "product"])
@pytest.mark.parametrize("name", [name for name in BUILT_IN if name != "control"])
def test_built_in_prompts_ask_with_all_that_matters(name: str, about: str | None) -> None:
    prompts = load_prompts(name, about)
    asked = prompts.text(Prompt("check", text=TEXT, edit=EDIT, rewrite=AFTER))
    assert all(part in asked for part in (TEXT, EDIT, AFTER))
    assert asked.index(TEXT) < asked.index(EDIT) < asked.rindex(AFTER)
    answers = [example.answer for example in prompts.tasks["check"].examples]
    assert sorted(answers) == ["no", "no", "yes", "yes"] * (name in ("few_shot", "chat_few_shot")) or answers == []


def test_a_check_needs_a_rewrite() -> None:
    with pytest.raises(ConfigurationError, match="a check prompt needs a non-empty rewrite"):
        Prompt("check", text=TEXT, edit=EDIT)
