"""Listening to models: which calls are heard, and that token ids and log-probabilities are those that were drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym.errors import ConfigurationError, LanguageModelError
from eagle_gym.language import Completion, Prompt, Usage, load_language_model
from eagle_gym.language.calls import record_calls
from eagle_gym.language.model import Tokens
from eagle_gym.language.responses import read_tokens
from eagle_gym.language.rewriting import rewrite, seeds_of
from eagle_gym.language.sampling import draw_until_finished
from eagle_gym.language.transformers import TransformersModel
from tests.language.servers import Server, answer, chat, written
from tests.language.tiny import WORDS

PROMPTS = [Prompt("rewrite", text, "add a robot") for text in WORDS]


def test_listeners_hear_every_draw_and_only_while_they_listen() -> None:
    usage, prompts = Usage(), [Prompt("rewrite", "a", "b"), Prompt("rewrite", "c", "d")]
    answers = iter([[Completion("", 1, 1, "stop"), Completion("x", 1, 1, "stop")], [Completion("y", 1, 1, "stop")]] * 2)

    def draw(prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[Completion]:
        return next(answers)

    with record_calls(usage) as calls:
        draw_until_finished(draw, prompts, [3, 4], temperature=1.0, usage=usage)
        with pytest.raises(ConfigurationError, match="recorded"), record_calls(usage):
            pass
    heard = [(call.prompt, call.seed, call.attempt, call.completion.text) for call in calls]
    assert heard == [(prompts[0], 3, 0, ""), (prompts[1], 4, 0, "x"), (prompts[0], 3, 1, "y")]
    draw_until_finished(draw, prompts, [3, 4], temperature=1.0, usage=usage)
    assert len(calls) == 3


@pytest.mark.parametrize("kind", ["control", "plain", "chat"])
def test_tokens_have_the_log_probabilities_of_the_model(kind: str, request: pytest.FixtureRequest) -> None:
    """Against the logits of transformers' own model, for the lean loop and for `generate`."""
    model = load_language_model(f"transformers:{request.getfixturevalue(f'{kind}_folder')}", max_new_tokens=12)
    assert isinstance(model, TransformersModel)
    with record_calls(model.usage) as calls, suppress(LanguageModelError):  # most answers of random weights do not end
        model.generate(PROMPTS, range(len(PROMPTS)), temperature=1.3)
    assert len(calls) > len(PROMPTS)
    hugging_face, _ = model.load()
    for call in calls:
        tokens = call.completion.tokens
        assert tokens is not None
        assert tokens.prompt is not None
        assert tokens.completion is not None
        assert tokens.log_probabilities is not None
        assert list(tokens.prompt) == model.prompt_format.encode(call.prompt)[0]
        read, _ = model.prompt_format.read(tokens.completion, call.prompt)
        assert read == call.completion.text
        with torch.inference_mode():
            logits = hugging_face(torch.tensor([[*tokens.prompt, *tokens.completion]])).logits[0]
        logs = torch.log_softmax(logits[len(tokens.prompt) - 1 : -1].double(), dim=-1)
        expected = logs.gather(1, torch.tensor(tokens.completion)[:, None])[:, 0]
        np.testing.assert_allclose(tokens.log_probabilities, expected, rtol=1e-4, atol=1e-5)


def test_the_end_that_was_drawn_is_a_token(control_folder: Path) -> None:
    model = load_language_model(f"transformers:{control_folder}")
    with record_calls(model.usage) as calls:
        model.generate(PROMPTS, range(len(PROMPTS)))
    assert isinstance(model, TransformersModel)
    for call in calls:
        tokens = call.completion.tokens
        assert tokens is not None
        assert tokens.completion is not None
        assert len(tokens.completion) == call.completion.completion_tokens
        ended = tokens.completion[-1] in model.decoder.ending.stop  # type: ignore[attr-defined]
        assert ended == (call.completion.finish_reason == "stop")


def test_texts_are_the_same_whether_somebody_listens_or_not(control_folder: Path) -> None:
    model = load_language_model(f"transformers:{control_folder}")
    texts = [found.text for found in model.generate(PROMPTS, range(len(PROMPTS)))]
    with record_calls(model.usage):
        assert [found.text for found in model.generate(PROMPTS, range(len(PROMPTS)))] == texts


def test_recordings_keep_tokens_and_say_that_they_are_recordings(control_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    heard = []
    for spec, keywords in ((f"transformers:{control_folder}", {"record": str(path)}), (f"replay:{path}", {})):
        for _ in range(2):
            model = load_language_model(spec, **keywords)  # type: ignore[arg-type]
            with record_calls(model.usage) as calls:
                answers = model.generate(PROMPTS[:2], [1, 2])
            heard.append((answers, {call.completion for call in calls}, {call.recorded for call in calls}))
    first, again, *replayed = heard
    assert first[0] == again[0] == replayed[0][0] == replayed[1][0]
    assert first[2] == {False}
    assert again[2] == {True}
    assert set(first[0]) <= first[1]
    assert set(again[0]) == again[1] == replayed[0][1]
    assert all(completion.tokens and completion.tokens.completion for completion in again[0])


def test_the_seeds_of_a_rewrite_are_those_that_it_asks_with() -> None:
    model = load_language_model("embedded")
    garbled = Prompt("rewrite", text="This is a drama film.", edit="Turn it into something else entirely.")
    with record_calls(model.usage) as calls:
        rewrite(model, [garbled] * 20, range(20), temperature=4.0)
    model.close()
    assert len(calls) > 20  # some were drawn again
    known = [set(seeds_of(seed)) for seed in range(20)]
    assert all(any(call.seed in seeds for seeds in known) for call in calls)
    assert not set.intersection(*known)


# Servers

CHAT = {"content": [{"token": "A", "logprob": -0.5, "id": 65}, {"token": " film", "logprob": -1, "id": 7}]}


@pytest.mark.parametrize(
    ("choice", "more", "expected"),
    [
        ({"logprobs": CHAT}, {}, Tokens(None, (65, 7), (-0.5, -1.0), ("A", " film"))),
        (
            {"logprobs": {"content": [{"token": "A", "logprob": -0.5}]}},
            {},
            Tokens(None, None, (-0.5,), ("A",)),
        ),
        (
            {"logprobs": {"tokens": ["A"], "token_logprobs": [-0.5]}, "token_ids": [65]},
            {"prompt_token_ids": [1, 2]},
            Tokens((1, 2), (65,), (-0.5,), ("A",)),
        ),
        ({"logprobs": None}, {}, None),
        ({"logprobs": {"content": [{"token": 1, "logprob": None, "id": True}]}}, {}, None),
        ({"logprobs": {"content": "x"}, "token_ids": [1, "2"]}, {"prompt_token_ids": {}}, None),
    ],
)
def test_tokens_of_servers_are_read(choice: dict[str, Any], more: dict[str, Any], expected: Tokens | None) -> None:
    assert read_tokens({"choices": [choice], **more}) == expected


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["content", "tokens", "id"]), inner),
    max_leaves=8,
)


@given(json_values, json_values)
def test_any_json_has_tokens_or_none(told: object, ids: object) -> None:
    found = read_tokens({"choices": [{"logprobs": told, "token_ids": ids}]})
    assert found is None or found != Tokens()


@pytest.mark.parametrize(("prompts", "asked"), [("chat", True), ("plain", 1)])
def test_servers_are_asked_for_log_probabilities_while_somebody_listens(
    prompts: str, asked: object, server: Server
) -> None:
    pytest.importorskip("openai", reason="the extra 'serve' is not installed")
    body = chat if prompts == "chat" else written
    choice = json.loads(body("A film."))["choices"][0]
    server.plan = [answer(chat(choices=[{**choice, "logprobs": CHAT}]))] * 2
    model = load_language_model(f"openai:m@{server.url}?prompts={prompts}")
    with record_calls(model.usage) as calls:
        (heard,) = model.generate(PROMPTS[:1], [1])
    assert heard == calls[0].completion
    assert heard.tokens == Tokens(None, (65, 7), (-0.5, -1.0), ("A", " film"))
    (unheard,) = model.generate(PROMPTS[:1], [1])
    assert unheard.tokens is None
    assert server.requests[0]["logprobs"] is asked or server.requests[0]["logprobs"] == asked
    assert "logprobs" not in server.requests[1]
    model.close()


def test_servers_that_do_not_know_log_probabilities_are_asked_without(server: Server) -> None:
    pytest.importorskip("openai", reason="the extra 'serve' is not installed")
    server.plan = [answer(json.dumps({"error": {"message": "Unsupported: logprobs"}}).encode(), 400)]
    model = load_language_model(f"openai:m@{server.url}?retries=0")
    with record_calls(model.usage) as calls:
        model.generate(PROMPTS[:1], [1])
    assert calls[0].completion.tokens is None
    assert ["logprobs" in request for request in server.requests] == [True, False]
    model.close()
