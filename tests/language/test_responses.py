from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eagle_gym.language.responses import (
    MAX_BODY,
    OVERHEAD,
    UnreadableResponse,
    count_tokens,
    decode_body,
    read_reply,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "text", "finish_reason", "usage", "error", "refusal"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def choice(**message: object) -> dict:
    return {"choices": [{"message": message, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b"<html>Login</html>", "text/html", "an HTML page .*Login.* ends in /v1"),
        (b"<!DOCTYPE html>", "application/json", "an HTML page"),
        (b'data: {"choices": []}\n\n', "text/event-stream", "a stream of events"),
        (b'data: {"choices": []}\n\n', "application/json", "a stream of events"),
        (b"", "", "an empty body"),
        (b"hello", "text/plain", "not JSON .*hello"),
        (b'{"a": "\xe9"}', "", "not JSON .*UnicodeDecodeError"),
        (b'{"a": ' + b"9" * 5000 + b"}", "", "not JSON"),
        (b"[" * 200_000, "", "nested too deeply"),
        (b"[1]", "", "no object but a list"),
        (b" " * (MAX_BODY + 1), "", "a body of more than"),
    ],
)
def test_bodies_that_hold_no_object_are_named(body: bytes, kind: str, message: str):
    with pytest.raises(UnreadableResponse, match=message):
        decode_body(body, kind)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"error": {"message": "overloaded", "code": 502}}, r"HTTP status 200: overloaded \(code 502\)"),
        ({"choices": None, "error": "busy"}, "HTTP status 200: busy"),
        ({"object": "error", "message": "no such model"}, "no such model"),
        ({"detail": "Not authenticated"}, "Not authenticated"),
        ({"choices": {"0": {}}}, "no list of choices but an object"),
        ({"id": 1}, "no list of choices but null in a response with the fields id"),
        ({"choices": []}, "an empty list of choices"),
        ({"choices": ["A film."]}, "a choice that is no object but a string"),
        ({"choices": [{"message": "A film."}]}, "whose message is no object but a string"),
    ],
)
def test_objects_that_are_no_completions_are_named(found: dict, message: str):
    with pytest.raises(UnreadableResponse, match=message):
        read_reply(found, chat=True)


def test_parts_that_are_text_are_joined():
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": "A dark "},
        {"type": "output_text", "text": "film."},
        {"type": "image_url", "image_url": "x"},
        7,
    ]
    assert read_reply(choice(content=parts), chat=True).text == "A dark film."


@pytest.mark.parametrize(
    ("message", "remark"),
    [
        ({"content": None, "reasoning_content": "Hm. Dark?"}, "9 characters of reasoning in the field 'reasoning_c"),
        ({"content": "", "reasoning": "Hm."}, "'reasoning'"),
        ({"content": None, "refusal": "I cannot."}, "a refusal: 'I cannot.'"),
        ({"tool_calls": [{}]}, "a tool call"),
    ],
)
def test_what_stands_in_the_place_of_a_text_is_named(message: dict, remark: str):
    assert remark in str(read_reply(choice(**message), chat=True).remark)


@settings(max_examples=300, derandomize=True)
@given(JSON, st.booleans())
def test_any_json_is_read_or_refused(found: object, chat: bool):
    with contextlib.suppress(UnreadableResponse):
        assert isinstance(read_reply(decode_body(json.dumps(found).encode()), chat=chat).text, str)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 50, "completion_tokens": 20}, (50, 20)),
        ({"prompt_tokens": 50.0, "completion_tokens": "20"}, (50, 20)),
        (None, (100, 20)),
        ("many", (100, 20)),
        ({"prompt_tokens": -1, "completion_tokens": -1}, (100, 20)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, (100, 20)),
        ({"prompt_tokens": 10**9, "completion_tokens": 10**9}, (100, 20)),
        ({"prompt_tokens": float("inf"), "completion_tokens": True}, (100, 20)),
        ({"prompt_tokens": OVERHEAD}, (OVERHEAD, 20)),
        ({"prompt_tokens": 8, "completion_tokens": 1}, (100, 1)),
        ({"prompt_tokens": 9, "completion_tokens": 1}, (9, 1)),
    ],
)
def test_tokens_that_no_one_counts_are_estimated(usage: object, expected: tuple[int, int]):
    count = count_tokens({"usage": usage}, asked=300, written=60, limit=512)
    assert (count.prompt, count.completion) == expected


def test_absurdly_few_tokens_are_estimated():
    usage = {"prompt_tokens": 1, "completion_tokens": 1}
    count = count_tokens({"usage": usage}, asked=2400, written=2400, limit=1000)
    assert (count.prompt, count.completion, count.stated) == (800, 800, False)
