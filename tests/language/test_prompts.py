from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eagle_gym.errors import ConfigurationError
from eagle_gym.language.prompts import (
    Prompt,
    chat_messages,
    control_text,
    plain_instructions,
    well_formed,
)

ANY_TEXT = st.text(st.characters(), min_size=1).filter(str.strip)  # lone surrogates included


def test_control_text_is_the_format_the_embedded_model_was_trained_on():
    assert control_text(Prompt("rewrite", "A film.", "add a robot")) == "<|text|>A film.<|edit|>add a robot<|rewrite|>"
    assert control_text(Prompt("propose", "A film.")) == "<|text|>A film.<|propose|>"
    assert (
        control_text(Prompt("propose", "A film.", profile="Likes robots."))
        == "<|text|>A film.<|user|>Likes robots.<|propose|>"
    )
    assert control_text(Prompt("write", "genre: Drama")) == "<|attributes|>genre: Drama<|write|>"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sing", "A film."), "unknown task 'sing'"),
        (("rewrite", "A film."), "non-empty edit"),
        (("rewrite", " ", "add a robot"), "non-empty text"),
        (("write", ""), "non-empty text"),
        (("rate", "A film."), "a rate prompt needs a non-empty profile"),
        (("rewrite", "A film.", None), "must be a string, got NoneType"),
    ],
)
def test_bad_prompts_are_refused(arguments: tuple, message: str):
    with pytest.raises(ConfigurationError, match=message):
        Prompt(*arguments)


def test_the_embedded_model_is_no_judge():
    with pytest.raises(ConfigurationError, match="the embedded model rates no texts"):
        control_text(Prompt("rate", "A film.", profile="Likes robots."))


@settings(max_examples=100, derandomize=True)
@given(ANY_TEXT, ANY_TEXT)
def test_any_unicode_can_be_phrased(text: str, edit: str):
    prompt = Prompt("rewrite", text, edit)
    for phrased in (control_text(prompt), plain_instructions(prompt), chat_messages(prompt)[1]["content"]):
        phrased.encode("utf-8")


@settings(max_examples=100, derandomize=True)
@given(st.text())
def test_well_formed_text_is_left_alone(text: str):
    assert well_formed(text) == text


def test_lone_surrogates_are_replaced_and_pairs_joined():
    assert well_formed("a\ud800b\udc00") == "a\ufffdb\ufffd"
    assert well_formed("\ud83d\ude00") == "\U0001f600"


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt("rewrite", "A film.", "add a robot"),
        Prompt("propose", "A film.", "", "Likes robots."),
        Prompt("write", "tone: dark"),
        Prompt("rate", "A film.", profile="Likes robots."),
    ],
)
def test_general_formats_carry_every_field(prompt: Prompt):
    for phrased in (plain_instructions(prompt), chat_messages(prompt)[-1]["content"]):
        assert all(part in phrased for part in (prompt.text, prompt.edit, prompt.profile))
