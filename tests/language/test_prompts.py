from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eagle_gym.errors import ConfigurationError, PreparationError
from eagle_gym.language.prompts import (
    BUILT_IN,
    Prompt,
    control_text,
    load_prompts,
    well_formed,
)
from eagle_gym.language.prompts.prompt_set import FIELDS, OPTIONAL

ANY_TEXT = st.text(st.characters(), min_size=1).filter(str.strip)  # lone surrogates included
GENERAL = [name for name in BUILT_IN if name != "control"]


def phrased(name: str, prompt: Prompt) -> str:
    """The whole of what a model is asked, as one string."""
    found = load_prompts(name)
    if found.format == "chat":
        return "\n".join(message.text for message in found.messages(prompt))
    return found.text(prompt) if found.format == "plain" else control_text(prompt)


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
    with pytest.raises(ConfigurationError, match=r"the task 'rate', got 'control' .* name a general language model"):
        control_text(Prompt("rate", "A film.", profile="Likes robots."))


@settings(max_examples=100, derandomize=True)
@given(ANY_TEXT, ANY_TEXT)
def test_any_unicode_can_be_phrased(text: str, edit: str):
    for name in BUILT_IN:
        phrased(name, Prompt("rewrite", text, edit)).encode("utf-8")


@settings(max_examples=100, derandomize=True)
@given(st.text())
def test_well_formed_text_is_left_alone(text: str):
    assert well_formed(text) == text


def test_lone_surrogates_are_replaced_and_pairs_joined():
    assert well_formed("a\ud800b\udc00") == "a\ufffdb\ufffd"
    assert well_formed("\ud83d\ude00") == "\U0001f600"


@pytest.mark.parametrize("name", GENERAL)
@pytest.mark.parametrize(
    "prompt",
    [
        Prompt("rewrite", "A {film}.", "add a robot"),
        Prompt("propose", "A film."),
        Prompt("propose", "A film.", "", "Likes robots."),
        Prompt("propose", "A film.", count=7),
        Prompt("propose", "A film.", profile="Likes robots.", count=7),
        Prompt("write", "tone: dark"),
        Prompt("rate", "A film.", profile="Likes robots."),
    ],
)
def test_general_prompts_carry_every_field(name: str, prompt: Prompt):
    count = str(prompt.count) if prompt.count > 1 else ""
    assert all(part in phrased(name, prompt) for part in (prompt.text, prompt.edit, prompt.profile, count))


def test_a_set_without_lists_asks_for_one_edit():
    own = {task: {"user": "".join(f"{{{field}}}" for field in fields)} for task, fields in FIELDS.items()}
    found = load_prompts({task: own[task] for task in FIELDS if task not in OPTIONAL})
    asked = Prompt("propose", "A film.", profile="Likes robots.", count=7)
    assert found.messages(asked) == [("user", "A film.Likes robots.")]
    assert load_prompts(own).messages(asked) == [("user", "A film.Likes robots.7")]


@pytest.mark.parametrize(("task", "count"), [("propose", 0), ("rewrite", 2)])
def test_only_proposals_are_counted(task: str, count: int):
    with pytest.raises(ConfigurationError, match=f"expected count=1, or more with the task 'propose', got {count}"):
        Prompt(task, "A film.", "Add a robot.", count=count)


def test_chats_hold_rules_examples_and_request_in_order():
    found = load_prompts(
        {
            "based_on": "chat",
            "rewrite": {
                "system": "Rewrite the {noun}.",
                "user": "{text} / {edit} / {noun}",
                "examples": [{"text": "A dog.", "edit": "Make it a cat.", "answer": "A cat."}],
            },
            "noun": "product",
        }
    )
    assert [tuple(message) for message in found.messages(Prompt("rewrite", "A hat.", "Make it red."))] == [
        ("system", "Rewrite the product."),
        ("user", "A dog. / Make it a cat. / product"),
        ("assistant", "A cat."),
        ("user", "A hat. / Make it red. / product"),
    ]
    proposed = found.messages(Prompt("propose", "A hat."))[0].text
    assert proposed == load_prompts("chat").messages(Prompt("propose", "A hat."))[0].text.replace(
        "description", "product"
    )


def test_a_set_may_be_based_on_one_that_is_based_on_another():
    found = load_prompts({"based_on": "chat_few_shot", "noun": "product"})
    asked = found.messages(Prompt("rewrite", "A hat.", "Make it red."))
    assert [message.role for message in asked] == ["system", *["user", "assistant"] * 2, "user"]
    assert asked[0].text.startswith("You rewrite products.")
    assert asked[1].text.startswith("Description: A young baker")
    assert asked[-1] == load_prompts("chat").messages(Prompt("rewrite", "A hat.", "Make it red."))[-1]


def test_products_have_a_noun_and_examples_of_their_own():
    for name in GENERAL:
        usual, film, product = (load_prompts(name, about) for about in (None, "film", "product"))
        assert film.fingerprint == usual.fingerprint != product.fingerprint
        asked = Prompt("rewrite", "A hat.", "Make it red.")
        words = product.messages(asked) if product.format == "chat" else [("", product.text(asked))]
        assert "product description" in words[0][1]
        assert not any("lighthouse" in text or "chess" in text for _, text in words), "examples are not about films"
    few, listed = load_prompts("few_shot", "product"), Prompt("propose", "A hat.", profile="Likes red.", count=9)
    assert few.text(listed).endswith("Description: A hat.\nUser: Likes red.\n9 different edits:")
    assert all(not task.examples or "scarf" in str(task.examples) for task in few.tasks.values())


def test_what_a_set_says_wins_over_its_base_and_what_it_says_about_products_over_both():
    own = {"based_on": "few_shot", "noun": "advertisement", "about": {"product": {"propose": {"system": "Sell."}}}}
    film, product = (load_prompts(own, about).text(Prompt("propose", "A hat.")) for about in ("film", "product"))
    assert film.startswith("For each advertisement, one short edit")
    assert "lighthouse" in film
    assert product.startswith("Sell.")
    assert "scarf" in product
    rewritten = load_prompts(own, "product").text(Prompt("rewrite", "A hat.", "Make it red."))
    assert rewritten.startswith("Each advertisement is rewritten")


def test_plain_prompts_end_where_the_answer_begins():
    asked = phrased("few_shot", Prompt("rewrite", "A hat.", "Make it red."))
    assert asked.endswith("Description: A hat.\nEdit: Make it red.\nRewritten description:")
    assert asked.count("Rewritten description:") > 1, "there are examples"


def test_fields_are_cleaned_and_the_set_is_not():
    found = load_prompts({"based_on": "chat", "rewrite": {"user": "#{text}# {edit}"}})
    asked = found.messages(Prompt("rewrite", "A #hat.", "b"), lambda text: text.replace("#", "-"))[-1]
    assert asked.text == "#A -hat.# b"


def test_a_file_says_the_same_as_a_dict(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text('based_on = "chat"\nnoun = "product"\n[rewrite]\nuser = "{edit}: {text} {{}}"\n')
    mine = load_prompts(str(path))
    assert mine.messages(Prompt("rewrite", "A hat.", "Make it red."))[-1].text == "Make it red.: A hat. {}"
    given = {"based_on": "chat", "noun": "product", "rewrite": {"user": "{edit}: {text} {{}}"}}
    assert mine.fingerprint == load_prompts(given).fingerprint
    prints = {load_prompts(name).fingerprint for name in BUILT_IN} | {mine.fingerprint}
    assert len(prints) == len(BUILT_IN) + 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"nuon": "film"}, "expected one of based_on, .* in the file, got 'nuon'; did you mean 'noun'"),
        ({"rewrite": {"usr": "{text}{edit}"}}, r"expected one of system, user, examples in \[rewrite\], got 'usr'"),
        ({"rewrite": {"user": "{text} {edt}"}}, "expected one of text, edit, noun as a field of rewrite.user, got edt"),
        ({"rewrite": {"user": "{text!r} {edit}"}}, "got text!r; did you mean 'text'"),
        ({"rewrite": {"user": "{text.upper} {edit}"}}, "got text.upper"),
        ({"rewrite": {"user": "{} {text} {edit}"}}, "expected one of text, edit, noun as a field"),
        ({"rewrite": {"user": "{text}"}}, r"expected the field \{edit\} in rewrite.user, got none"),
        ({"rewrite": {"user": "{text {edit}"}}, "got a single brace .* write {{ and }} for braces"),
        ({"rewrite": {"system": "Rewrite {text}."}}, "expected one of noun as a field of rewrite.system, got text"),
        ({"rewrite": {"user": 3}}, "expected rewrite.user to be a string, got int"),
        ({"rewrite": "Rewrite it."}, "expected rewrite to be a table, got str"),
        ({"rewrite": {"examples": "A dog."}}, "expected rewrite.examples to be a list of tables, got str"),
        ({"rewrite": {"examples": ["A dog."]}}, r"expected rewrite.examples\[0\] to be a table, got str"),
        ({"rewrite": {"examples": [{"text": "A dog.", "answer": "A cat."}]}}, r"expected .*\[0\].edit, got none"),
        ({"rewrite": {"examples": [{"test": "A dog."}]}}, "got 'test'; did you mean 'text'"),
        ({"noun": 3}, "expected noun to be a string, got int"),
        ({"stop": "\n"}, "expected stop to be a list of non-empty strings"),
        ({"stop": [""]}, "expected stop to be a list of non-empty strings"),
        ({"format": "song"}, "expected format to be one of chat, plain, control, got 'song'"),
        ({"format": "control"}, "expected nothing but control tokens and fields in rewrite, got"),
        ({"based_on": "chatt"}, "expected based_on to be one of .*, got 'chatt'; did you mean 'chat'"),
        ({"based_on": ["chat"]}, "expected based_on to be one of"),
        ({"about": {"song": {}}}, r"expected one of film, product in \[about\], got 'song'"),
        ({"about": {"product": {"nuon": "x"}}}, r"in \[about.product\], got 'nuon'; did you mean 'noun'"),
        ({"about": {"product": "x"}}, r"expected about to hold tables such as \[about.product\]"),
        ({"about": "product"}, r"expected about to hold tables such as \[about.product\]"),
        ({"propose_list": {"user": "{text}"}}, r"expected the field \{count\} in propose_list.user, got none"),
    ],
)
def test_what_a_set_may_not_say(content: dict, message: str):
    with pytest.raises(ConfigurationError, match=message):
        load_prompts({"based_on": "chat", **content})


def test_missing_tasks_are_named():
    with pytest.raises(ConfigurationError, match=r"got none for propose, propose_for_user, write: add \[propose\]"):
        load_prompts({"rewrite": {"user": "{text} {edit}"}})
    with pytest.raises(ConfigurationError, match=r"expected rewrite\.user, got none"):
        load_prompts({task: {} for task in ("rewrite", "propose", "propose_for_user", "write")})


def test_files_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(PreparationError, match="the path of a TOML file, got 'fewshot'; did you mean 'few_shot'"):
        load_prompts("fewshot")
    (tmp_path / "broken.toml").write_text("rewrite = [")
    with pytest.raises(PreparationError, match=r"broken.toml to be a readable TOML file, got an error"):
        load_prompts(str(tmp_path / "broken.toml"))
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(PreparationError, match="to be a readable TOML file"):
        load_prompts(str(tmp_path / "bytes.toml"))
