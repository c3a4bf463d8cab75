from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from eagle_gym.errors import ConfigurationError
from eagle_gym.language.endpoint import Endpoint, Manners, context_cure

HOST = "openai:m@http://host/v1"


def test_options_stand_in_the_url():
    kwargs, extra = quote(json.dumps({"enable_thinking": False})), quote(json.dumps({"top_k": 5}))
    endpoint = Endpoint.from_spec(
        f"{HOST}?system_role=false&token_limit=max_completion_tokens&omit=seed,temperature"
        f"&chat_template_kwargs={kwargs}&reasoning_effort=low&extra_body={extra}"
    )
    assert endpoint.url == "http://host/v1"
    assert endpoint.manners == Manners(False, "max_completion_tokens", frozenset({"seed", "temperature"}))
    assert endpoint.extra_body == {
        "chat_template_kwargs": {"enable_thinking": False},
        "reasoning_effort": "low",
        "top_k": 5,
    }


def test_what_decides_answers_decides_the_identity():
    plain = Endpoint.from_spec(HOST)
    assert plain.identity == "m@http://host/v1"
    assert Endpoint.from_spec(f"{HOST}?timeout=5&retries=1&concurrency=2").identity == plain.identity
    others = ["omit=seed", "system_role=false", "reasoning_effort=low", "reasoning_effort=high"]
    assert len({plain.identity, *(Endpoint.from_spec(f"{HOST}?{option}").identity for option in others)}) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("timeout=inf", "timeout must be positive and finite"),
        ("timeout=nan", "timeout must be positive and finite"),
        ("timeout=0", "timeout must be positive"),
        ("retries=-1", "retries must be at least 0"),
        ("retries=1e9", "not a number"),
        ("extra_body=[1]", "expected a JSON object as extra_body"),
        ("extra_body=" + "[" * 5000, "expected a JSON object as extra_body"),
        ('extra_body={"messages":[]}', "extra_body cannot set 'messages'"),
        ('extra_body={"stream":true}', "extra_body cannot set 'stream'"),
        ("system_role=no", "unknown system_role 'no': expected true, false"),
        ("token_limit=most", "unknown token_limit 'most'"),
        ("omit=model", "unknown omit 'model'"),
        ("reasoning_effort=", "expected a word as reasoning_effort"),
        ("reasoning_effort=low#x", "write # as %23"),
    ],
)
def test_invalid_options_say_why(options: str, message: str):
    with pytest.raises(ConfigurationError, match=message):
        Endpoint.from_spec(f"{HOST}?{options}")


@pytest.mark.parametrize(
    ("complaint", "manners"),
    [
        ("System role not supported", Manners(system_role=False)),
        ("Jinja Exception: Conversation roles must alternate user/assistant/user", Manners(system_role=False)),
        ("Only user and assistant roles are supported!", Manners(system_role=False)),
        (
            "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.",
            Manners(token_limit="max_completion_tokens"),
        ),
        ("Unsupported parameter: 'seed'", Manners(omit=frozenset({"seed"}))),
        ("[{'loc': ['body', 'seed'], 'msg': 'Extra inputs are not permitted'}]", Manners(omit=frozenset({"seed"}))),
        ("'temperature' does not support 0.7 with this model", Manners(omit=frozenset({"temperature"}))),
        ("temperature must be between 0 and 2", Manners()),
        ("temperature 1.5 is not allowed: it must be between 0 and 1", Manners()),
        ("temperature 1.5 is not allowed", Manners()),
        ("Unsupported value: 'temperature' is at most 1", Manners()),
        ("seed 5 is not permitted: the maximum is 4", Manners()),
        ("seed: a value > 2**31 is not supported, expected a value less than 2**31", Manners()),
        ("field 'top_q' is unknown; the seed was 5", Manners()),
        ("the system prompt is too long", Manners()),
        ("the system message holds 9000 tokens", Manners()),
        ("the system prompt exceeds what is supported", Manners()),
        ("The system role is not supported: the first message must be from the user", Manners(system_role=False)),
        ("Developer instruction is not enabled for models/gemma-3", Manners(system_role=False)),
        ("the request exceeds the available context size", Manners()),
        ("model not found", Manners()),
    ],
)
def test_complaints_correct_manners(complaint: str, manners: Manners):
    assert Manners().corrected(complaint) == manners
    assert manners.corrected(complaint) == manners, "no complaint corrects twice"


@pytest.mark.parametrize(
    ("complaint", "many"),
    [
        ("request (363 tokens) exceeds the available context size (256 tokens), try increasing it", 107),
        ("The input (5000 tokens) is longer than the model's context length (4096 tokens).", 904),
        ("This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4488 in the "
         "messages, 512 in the completion). Please reduce the length of the messages or completion.", 904),
        ("This model's maximum context length is 8192 tokens. However, your messages resulted in 8200 tokens.", 8),
        ("the request exceeds the available context size", None),
        ("context_length_exceeded", None),
    ],
)  # fmt: skip
def test_a_prompt_beyond_a_servers_context_names_the_cure(complaint: str, many: int | None):
    cure = context_cure(complaint)
    assert "start the server with a longer context" in cure
    assert cure.startswith(": shorten" if many is None else f": {many} tokens too many; shorten")


@pytest.mark.parametrize("complaint", ["model not found", "temperature 1.5 is not allowed: it must be below 1", ""])
def test_other_complaints_have_no_such_cure(complaint: str):
    assert context_cure(complaint) == ""


def test_an_error_may_name_the_field_and_say_why_in_its_code():
    assert Manners().corrected("Bad.", "seed", "unsupported_parameter") == Manners(omit=frozenset({"seed"}))
    assert Manners().corrected("Bad.", "seed", "invalid_value") == Manners()
    assert Manners().corrected("At most 1.", "temperature", "unsupported_value") == Manners()
