from __future__ import annotations

import time
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from eagle_gym.errors import LanguageModelError, PreparationError
from eagle_gym.language.chat_template import TODAY, ChatTemplate
from eagle_gym.language.prompts import Message
from tests.language.tiny import CHAT_TEMPLATE, write_tokenizer

USER_ONLY = "{% for m in messages %}{% if m.role == 'user' %}<user>{{ m.content }}{% endif %}{% endfor %}<assistant>"
PARTS = (
    "{% for m in messages %}<{{ m.role }}>{% for part in m.content %}{% if part.type == 'text' %}{{ part.text }}"
    "{% endif %}{% endfor %}{% endfor %}<assistant>"
)
RAISES = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + CHAT_TEMPLATE
ALTERNATES = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{% endfor %}" + CHAT_TEMPLATE
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    return write_tokenizer(tmp_path_factory.mktemp("template"), control=False)


def made(tokenizer: PreTrainedTokenizerFast, template: str | dict[str, str]) -> ChatTemplate:
    tokenizer.chat_template = template
    return ChatTemplate(tokenizer, "tiny")


@pytest.mark.parametrize(
    ("template", "prompt"),
    [
        (CHAT_TEMPLATE, "<system>Rules.<|end|><user>Request.<|end|><assistant>"),
        ({"default": CHAT_TEMPLATE, "tool_use": "x"}, "<system>Rules.<|end|><user>Request.<|end|><assistant>"),
        (USER_ONLY, "<user>Rules.\n\nRequest.<assistant>"),
        (RAISES, "<user>Rules.\n\nRequest.<|end|><assistant>"),
        (ALTERNATES, "<user>Rules.\n\nRequest.<|end|><assistant>"),
        (PARTS, "<system>Rules.<user>Request.<assistant>"),
        (USER_ONLY.replace("m.content", "m.content[0].text"), "<user>Rules.\n\nRequest.<assistant>"),
    ],
)
def test_prompts_hold_what_was_asked(tokenizer: PreTrainedTokenizerFast, template: str, prompt: str):
    assert made(tokenizer, template).render([Message("system", "Rules."), Message("user", "Request.")]) == prompt


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("Hello.<assistant>", "loses the user's text"),
        ("{% for m in messages %}{{ m.content[:200] }}{% endfor %}", "loses the user's text"),
        ("{% for m in messages %}{{ m.content | e }}{% endfor %}", "loses the user's text"),
        ("{% for m in messages %}{{ m.content | tojson }}{% endfor %}", "loses the user's text"),
        ("{% for m in messages %}{{ m.content | striptags }}{% endfor %}", "loses the user's text"),
        ("{% for m in messages %}{{ m.content | urlencode }}{% endfor %}", "loses the user's text"),
        ("{% for m in messages %}{{ m.content | upper }}{% endfor %}", "loses the user's text"),
        ("{% for m in messages %}{{ m.role.nothing.more }}{% endfor %}", "it fails with UndefinedError"),
        ("{% for m in messages %}{{ m.content }}", "it fails with TemplateSyntaxError"),
        ("{{ messages[5].content + 1 }}", "it fails with UndefinedError"),
        ("{{ 1 / 0 }}", "it fails with ZeroDivisionError"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "it fails with RecursionError"),
        ({"tool_use": CHAT_TEMPLATE}, "no chat template for plain chats"),
    ],
)
def test_templates_that_cannot_be_used_are_refused(tokenizer: PreTrainedTokenizerFast, template: str, message: str):
    with pytest.raises(PreparationError, match=message):
        made(tokenizer, template)


def test_examples_are_turns_and_no_template_may_lose_them(tokenizer: PreTrainedTokenizerFast):
    turns = [Message(role, f"{role} {turn}.") for turn, role in enumerate(("system", "user", "assistant", "user"))]
    tokenizer.chat_template = CHAT_TEMPLATE
    asked = ChatTemplate(tokenizer, "tiny", examples=True).render(turns)
    assert asked == (
        "<system>system 0.<|end|><user>user 1.<|end|><assistant>assistant 2.<|end|><user>user 3.<|end|><assistant>"
    )
    tokenizer.chat_template = RAISES
    asked = ChatTemplate(tokenizer, "tiny", examples=True).render(turns)
    assert asked.startswith("<user>system 0.\n\nuser 1.<|end|><assistant>assistant 2.")
    tokenizer.chat_template = USER_ONLY
    with pytest.raises(PreparationError, match="loses the user's text"):
        ChatTemplate(tokenizer, "tiny", examples=True)


def test_a_template_that_fails_on_one_prompt_is_a_typed_error(tokenizer: PreTrainedTokenizerFast):
    template = made(tokenizer, "{% if 'robot' in messages[1].content %}{{ 1 / 0 }}{% endif %}" + CHAT_TEMPLATE)
    with pytest.raises(LanguageModelError, match="ZeroDivisionError"):
        template.render([Message("system", "Rules."), Message("user", "Add a robot.")])


@pytest.mark.parametrize(
    "clock",
    [
        "{{ strftime_now('%d %b %Y %H:%M:%S') }}",
        '{% set form = "%A, %d.%m.%y" %}{{ strftime_now(form) }}',
        "{% if strftime_now is defined %}{{ strftime_now('%d ' + '%b') }}{% endif %}",
    ],
)
def test_the_clock_stands_still(tokenizer: PreTrainedTokenizerFast, clock: str, monkeypatch: pytest.MonkeyPatch):
    template = made(tokenizer, f"\n{clock}|{CHAT_TEMPLATE}")
    prompt = template.render([Message("system", "Rules."), Message("user", "Request.")])
    assert template.repeatable
    assert time.strftime("%Y") not in prompt
    assert prompt.startswith("\n"), "the template's own beginning is kept"
    assert TODAY.strftime("%b") in prompt or TODAY.strftime("%A") in prompt


def test_a_template_of_chance_is_not_repeatable(tokenizer: PreTrainedTokenizerFast):
    assert made(tokenizer, CHAT_TEMPLATE).repeatable
    assert not made(tokenizer, "{{ range(10**5) | random }}" + CHAT_TEMPLATE).repeatable


def test_a_template_that_opens_reasoning_is_known(tokenizer: PreTrainedTokenizerFast):
    assert not made(tokenizer, CHAT_TEMPLATE).opens_reasoning
    assert made(tokenizer, CHAT_TEMPLATE + "<think>\n").opens_reasoning
    assert made(tokenizer, CHAT_TEMPLATE + "<think>\nOkay,").opens_reasoning
    assert not made(tokenizer, "Say <think> first. " + CHAT_TEMPLATE).opens_reasoning
    switch = "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
    assert not made(tokenizer, CHAT_TEMPLATE + switch).opens_reasoning


def test_templates_reach_the_model(chat_folder: Path):
    """The folder's template is the one that prompts are rendered with."""
    from eagle_gym.language import Prompt, load_language_model

    model = load_language_model(f"transformers:{chat_folder}")
    ids, _ = model.prompt_format.encode(Prompt("rewrite", "A </think> film.", "add a robot"))
    asked = model.load()[1].decode(ids)
    assert "A < /think> film." in asked, "a text cannot close reasoning, and no template cuts it there"
