"""Lists of edits in raw answers: numbered lists and JSON, read strictly."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym.language.lists import read_completion, read_list
from eagle_gym.language.prompts import Prompt

ASKED = Prompt("propose", "A woman drives home.", count=3)
WORDS = st.lists(st.sampled_from(["Add", "a dog", "Norway", "2. floor", "the 1990s", "robots"]), min_size=2, max_size=5)
MADE = st.lists(WORDS.map(lambda words: "Set " + " ".join(words) + "."), min_size=2, max_size=20)


def found(raw: str, **keywords: object) -> list[str]:
    return read_list(raw, ASKED, **keywords).text.split("\n")


@pytest.mark.parametrize(
    "raw",
    [
        "1. Set it in Norway.\n2. Add a dog.\n3. Make it darker.",
        "1) Set it in Norway.\n2) Add a dog.\n3) Make it darker.",
        "Sure! Here are three edits:\n\n1. Set it in Norway.\n\n2. Add a dog.\n\n3. Make it darker.\n\nEnjoy!",
        "1. Set it in Norway. 2. Add a dog. 3. Make it darker.",
        "**1.** Set it in Norway.\n**2.** Add a dog.\n**3.** Make it darker.",
        '1. "Set it in Norway."\n2. "Add a dog."\n3. "Make it darker."',
        "<think>1. A 2. B</think>\n1. Set it in Norway.\n2. Add a dog.\n3. Make it darker.<|im_end|>",
        '["Set it in Norway.", "Add a dog.", "Make it darker."]',
        '{"edits": ["Set it in Norway.", "Add a dog.", "Make it darker."]}',
        '```json\n{"edits": [\n"Set it in Norway.",\n"Add a dog.",\n"Make it darker."\n]}\n```',
        "1. Set it in Norway.\n   It is cold there.\n2. Add a dog.\n3. Make it darker.",
    ],
)
def test_lists_are_found(raw: str) -> None:
    assert found(raw) == ["Set it in Norway.", "Add a dog.", "Make it darker."]


@pytest.mark.parametrize(
    "raw",
    [
        "Set it in Norway.",
        "Set it in Norway.\nAdd a dog.",
        "2. Set it in Norway.\n3. Add a dog.",
        "- Set it in Norway.\n- Add a dog.",
        "I would set it in Norway, or in the 1990s.",
        "[]",
    ],
)
def test_what_is_no_list_is_one_line(raw: str) -> None:
    assert "\n" not in read_list(raw, ASKED).text


def test_nothing_is_no_answer() -> None:
    for raw in ("", "<|im_end|>", "<think>1. Add a dog."):
        answer = read_list(raw, ASKED)
        assert not answer.text
        assert answer.problem


def test_remarks_in_a_list_are_no_edits() -> None:
    assert found("1. Add a dog.\n2. N/A\n3. Set it in Norway.\n4. Let me know if you need more edits!") == [
        "Add a dog.",
        "Set it in Norway.",
    ]


def test_an_edit_that_was_cut_is_dropped() -> None:
    assert found("1. Add a dog.\n2. Set it in Norway.\n3. Make it da", finished=False) == [
        "Add a dog.",
        "Set it in Norway.",
    ]
    assert found('{"edits": ["Add a dog.", "Set it in Norway.", "Make it da', finished=False) == [
        "Add a dog.",
        "Set it in Norway.",
    ]


@given(MADE)
def test_what_was_written_is_read(edits: list[str]) -> None:
    lines = "\n".join(f"{number}. {edit}" for number, edit in enumerate(edits, 1))
    coded = json.dumps({"edits": edits})
    assert found(coded) == edits
    if not any("2. floor" in edit for edit in edits):  # an edit that holds the next number is split there
        assert found(lines) == edits


@given(st.text(max_size=300))
def test_any_answer_is_read(raw: str) -> None:
    for finished in (True, False):
        answer = read_list(raw, ASKED, finished=finished)
        assert bool(answer.text) != bool(answer.problem)


def test_single_proposals_are_read_as_before() -> None:
    assert read_completion("1. Add a dog.\n2. Set it in Norway.", Prompt("propose", "A film.")).text == (
        "Add a dog. 2. Set it in Norway."
    )
