"""Against a real server that this project did not write (`transformers serve`), and against one that misbehaves."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import multiprocessing
import os
import socket
import sys
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from benchmarks.experiments.throughput.serving import transformers_serve
from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.spaces import FreeText
from eagle_gym.errors import ConfigurationError, LanguageModelError, PreparationError
from eagle_gym.language import Prompt, connection, load_language_model, responses
from eagle_gym.language import openai as backend
from eagle_gym.language.embedded import weights_path
from tests.fake_worlds import make_tiny_world
from tests.language.non_answers import NON_ANSWERS, PROMPT_EDIT, PROMPT_TEXT
from tests.language.servers import Server, answer, chat, refuse, written
from tests.language.tiny import WORDS

pytest.importorskip("openai", reason="the extra 'serve' is not installed")

PROMPTS = [Prompt("rewrite", text, "add a robot") for text in WORDS]


def hang(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(1.0)


def cut(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(30):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.1)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's pauses between attempts, shortened; no key from the surroundings."""
    import openai._base_client as client

    monkeypatch.setattr(client, "INITIAL_RETRY_DELAY", 0.02)
    monkeypatch.setattr(client, "MAX_RETRY_DELAY", 0.05)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def model(server: Server) -> Iterator[backend.OpenAIModel]:
    model = load_language_model(f"openai:m@{server.url}?timeout=0.5&retries=2&concurrency=4", max_new_tokens=50)
    assert isinstance(model, backend.OpenAIModel)
    yield model
    model.close()


def test_answers_keep_their_order_and_usage_counts(server: Server, model: backend.OpenAIModel):
    def echo(handler: BaseHTTPRequestHandler) -> None:
        seed = server.requests[-1]["seed"]
        answer(chat(f"Film {seed}."))(handler)

    for _ in range(3):
        server.plan = [echo]
        seed = len(server.requests)
        assert model.generate(PROMPTS[:1], [seed])[0].text == f"Film {seed}."
    assert (model.usage.calls, model.usage.prompt_tokens, model.usage.completion_tokens) == (3, 210, 9)
    assert model.usage.seconds > 0


def test_a_request_says_what_is_asked(server: Server, model: backend.OpenAIModel):
    model.generate(PROMPTS[:1], [2**63 - 1], temperature=0.5)
    request = server.requests[0]
    assert "Edit: add a robot" in request["messages"][1]["content"]
    assert (request["model"], request["temperature"], request["max_tokens"]) == ("m", 0.5, 50)
    assert 0 <= request["seed"] < 2**31


def test_concurrency_is_bounded_and_used(server: Server, model: backend.OpenAIModel):
    def slow(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.05)
        answer(chat())(handler)

    server.plan = [slow] * 16
    assert len(model.generate(PROMPTS * 4, range(16))) == 16
    assert 2 <= server.busiest <= 4


FAULTS = {
    "408": refuse(408),
    "429": refuse(429),
    "429 with Retry-After": refuse(429, Retry_After="0.05"),
    "500": refuse(500),
    "503": refuse(503),
    "hang": hang,
    "cut connection": cut,
    "no choices": answer(chat(choices=[])),
    "truncated JSON": answer(chat()[:-20]),
    "not JSON": answer(b"<html>"),
    "null choices": answer(chat(choices=None)),
    "empty text": answer(chat("")),
    "no text": answer(chat(None)),
    "cut off": answer(chat("A fil", "length")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_passing_fault_is_overcome(server: Server, model: backend.OpenAIModel, fault: str):
    server.plan = [FAULTS[fault]]
    assert [completion.text for completion in model.generate(PROMPTS[:1], [0])] == ["A film."]
    assert len(server.requests) == 2


@pytest.mark.parametrize("fault", FAULTS)
def test_a_lasting_fault_is_a_typed_error_after_three_attempts(server: Server, model: backend.OpenAIModel, fault: str):
    server.plan = [FAULTS[fault]] * 20
    with pytest.raises(LanguageModelError):
        model.generate(PROMPTS[:1], [0])
    assert len(server.requests) == 3


def test_retry_after_is_waited_for(server: Server, model: backend.OpenAIModel):
    """Longer than the client's own pause, which these tests hold below 0.05 s."""
    server.plan = [refuse(429, Retry_After="0.4")]
    began = time.monotonic()
    model.generate(PROMPTS[:1], [0])
    assert time.monotonic() - began >= 0.4


def test_a_new_attempt_at_an_empty_text_has_a_new_seed(server: Server, model: backend.OpenAIModel):
    server.plan = [answer(chat(""))]
    model.generate(PROMPTS[:1], [0])
    assert server.requests[0]["seed"] != server.requests[1]["seed"]
    assert model.usage.retries == 1


def test_a_prompt_beyond_the_context_says_by_how_much(server: Server, model: backend.OpenAIModel):
    said = "request (363 tokens) exceeds the available context size (256 tokens), try increasing it"
    server.plan = [answer(json.dumps({"error": {"message": said, "type": "exceed_context_size_error"}}).encode(), 400)]
    with pytest.raises(LanguageModelError, match=r"363 tokens.* 107 tokens too many; shorten the text"):
        model.generate(PROMPTS[:1], [0])
    assert len(server.requests) == 1, "it would be refused again"


@pytest.mark.parametrize(("fault", "message"), [(refuse(400), "status 400.*no 400"), (refuse(404), "status 404")])
def test_a_refusal_for_good_is_not_repeated(server: Server, model: backend.OpenAIModel, fault: Callable, message: str):
    server.plan = [fault]
    with pytest.raises(LanguageModelError, match=message):
        model.generate(PROMPTS[:1], [0])
    assert len(server.requests) == 1


def test_a_filtered_text_is_an_error(server: Server, model: backend.OpenAIModel):
    server.plan = [answer(chat("A", "content_filter"))]
    with pytest.raises(LanguageModelError, match="finish_reason 'content_filter'"):
        model.generate(PROMPTS[:1], [0])


ESTIMATED = 285  # a third of the bytes of three prompts
UNUSABLE = {
    "content_filter": (answer(chat("A", "content_filter")), 1, 70),
    "empty text": (answer(chat("")), 3, 210),
    "cut off": (answer(chat("A fil", "length")), 3, 210),
    "no choices": (answer(chat(choices=[])), 3, 210),
    "truncated JSON": (answer(chat()[:-20]), 3, ESTIMATED),
    "no usage": (answer(chat(choices=[], usage=None)), 3, ESTIMATED),
    "odd usage": (answer(chat(choices=[], usage={"prompt_tokens": "many"})), 3, ESTIMATED),
    "negative usage": (answer(chat(choices=[], usage={"prompt_tokens": -5})), 3, ESTIMATED),
    "absurd usage": (answer(chat(choices=[], usage={"prompt_tokens": 10**12})), 3, ESTIMATED),
    "503": (refuse(503), 0, 0),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_unusable_answers_count_once_each(server: Server, model: backend.OpenAIModel, kind: str):
    fault, calls, tokens = UNUSABLE[kind]
    server.plan = [fault] * 20
    with pytest.raises(LanguageModelError):
        model.generate(PROMPTS[:1], [0])
    assert (model.usage.calls, model.usage.prompt_tokens) == (calls, tokens)
    assert model.usage.seconds > 0


def eighth_is_filtered(server: Server) -> None:
    """The next eight rows: the first seven are answered well, the last to be asked is not."""
    server.plan = [answer(chat())] * 7 + [answer(chat("A", "content_filter"))]


def test_a_budget_stops_calls_that_fail(server: Server):
    model = load_language_model(
        f"openai:m@{server.url}?retries=0", max_calls=16, prompt_price=1e4, completion_price=1e4
    )
    for _ in range(2):
        eighth_is_filtered(server)
        with pytest.raises(LanguageModelError, match="content_filter"):
            model.generate(PROMPTS * 2, range(8))
    assert (model.usage.calls, model.usage.prompt_tokens, model.usage.completion_tokens) == (16, 1120, 48)
    assert model.usage.cost == pytest.approx(11.68)
    with pytest.raises(LanguageModelError, match="max_calls=16 allows no 8 more calls after 16"):
        model.generate(PROMPTS * 2, range(8))
    model.close()
    assert len(server.requests) == 16


def test_a_recording_keeps_what_was_paid_for_where_a_row_failed(server: Server, tmp_path: Path):
    spec, path = f"openai:m@{server.url}?retries=0", str(tmp_path / "calls.jsonl")
    model = load_language_model(spec, record=path)
    eighth_is_filtered(server)
    with pytest.raises(LanguageModelError, match="content_filter"):
        model.generate(PROMPTS * 2, range(8))
    server.plan = [answer(chat())]
    assert len(model.generate(PROMPTS * 2, range(8))) == 8
    model.close()
    assert (model.usage.calls, len(server.requests)) == (9, 9)


def test_a_refusal_that_is_not_sent_again_does_not_speak_of_retries(server: Server, model: backend.OpenAIModel):
    server.plan = [refuse(401)]
    with pytest.raises(LanguageModelError, match=r"failed \(status 401\)"):
        model.generate(PROMPTS[:1], [0])
    assert len(server.requests) == 1


def test_answers_under_way_when_a_row_fails_are_counted(server: Server, model: backend.OpenAIModel):
    def slow(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.2)
        answer(chat())(handler)

    server.plan = [slow] * 3 + [refuse(400)]
    with pytest.raises(LanguageModelError, match="status 400"):
        model.generate(PROMPTS * 4, range(16))
    assert (len(server.requests), model.usage.calls) == (4, 3)


def test_answers_under_way_are_not_waited_for_without_end(server: Server, model: backend.OpenAIModel):
    began = time.monotonic()
    server.plan = [drip] * 3 + [refuse(400)]  # a drip lasts 3 s, the model's timeout is 0.5 s
    with pytest.raises(LanguageModelError, match="status 400"):
        model.generate(PROMPTS, range(4))
    assert time.monotonic() - began < 2
    assert model.usage.calls == 0


@pytest.mark.parametrize("reason", ["stop", "stop_sequence", "eos_token"])
@pytest.mark.parametrize("prompts", ["chat", "few_shot", "control"])
def test_however_a_server_says_that_a_text_ended(server: Server, prompts: str, reason: str):
    server.plan = [answer(chat("A film.", reason) if prompts == "chat" else written("A film.", reason))]
    model = load_language_model(f"openai:m@{server.url}?prompts={prompts}")
    assert model.generate(PROMPTS[:1], [0])[0].finish_reason == "stop"
    model.close()
    assert len(server.requests) == 1


def test_one_failed_row_fails_the_call_and_stops_the_others(server: Server, model: backend.OpenAIModel):
    server.plan = [refuse(400)]
    with pytest.raises(LanguageModelError):
        model.generate(PROMPTS * 25, range(100))
    assert len(server.requests) < 100
    assert model.generate(PROMPTS[:1], [0])  # and the model still answers


def test_a_server_that_drips_is_given_up(server: Server, model: backend.OpenAIModel, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(backend, "LONGEST_WAIT", -0.4)  # leaves 0.1 s an attempt
    server.plan = [drip]
    with pytest.raises(LanguageModelError, match="did not answer in time"):
        model.generate(PROMPTS[:1], [0])


def test_nobody_there_is_a_typed_error():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    model = load_language_model(f"openai:m@http://127.0.0.1:{port}/v1?retries=1")
    with pytest.raises(LanguageModelError, match="APIConnectionError"):
        model.generate(PROMPTS[:1], [0])
    model.close()
    model.close()
    with pytest.raises(LanguageModelError, match="closed"):
        model.generate(PROMPTS[:1], [0])


def test_the_key_is_sent_and_never_shown(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-123")
    path = tmp_path / "calls.jsonl"
    model = load_language_model(f"openai:m@{server.url}?retries=0", record=str(path))
    model.generate(PROMPTS[:1], [0])
    assert server.headers[0]["authorization"] == "Bearer sk-secret-123"
    server.plan = [answer(b'{"error": {"message": "bad key sk-secret-123"}}', 401)]
    with pytest.raises(LanguageModelError, match=r"status 401.*bad key \*\*\*") as caught:
        model.generate(PROMPTS[:1], [1])
    chain = [caught.value, caught.value.__cause__, caught.value.__context__]
    shown = [*map(str, chain), repr(model.inner), model.name, model.fingerprint, path.read_text()]
    assert not any("secret" in text for text in shown)
    model.close()


def test_the_key_stays_out_of_the_logs(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-123")
    model = load_language_model(f"openai:m@{server.url}?retries=1")
    server.plan = [refuse(429)]
    with caplog.at_level(logging.DEBUG):
        model.generate(PROMPTS[:1], [0])
    model.close()
    assert caplog.records, "client and transport do log"
    assert "secret" not in caplog.text


@pytest.fixture
def fork() -> Iterator[Callable[[Callable[[], object]], object]]:
    """Does something in a forked process and gives what it returned; fails where that does not end."""
    context, started = multiprocessing.get_context("fork"), []

    def run(act: Callable[[], object]) -> object:
        receiving, sending = context.Pipe(duplex=False)
        process = context.Process(target=lambda: sending.send(act()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks where there are threads
            process.start()
        started.append(process)
        assert receiving.poll(20), "the forked process hangs"
        said = receiving.recv()
        process.join(20)
        assert process.exitcode == 0
        return said

    yield run
    for process in started:
        process.kill()
        process.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_model_opened_before_a_fork_answers_on_both_sides(server: Server, model: backend.OpenAIModel, fork: Callable):
    def child() -> tuple[list[str], int]:
        said = [completion.text for completion in model.generate(PROMPTS, range(4))]
        model.close()
        model.close()
        return said, model.usage.calls

    model.generate(PROMPTS[:1], [0])
    assert fork(child) == (["A film."] * 4, 5)
    model.generate(PROMPTS[:1], [0])
    assert server.ports[0] == server.ports[-1] not in server.ports[1:-1], "each side keeps to its own connections"
    assert model.usage.calls == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_can_close_or_drop_what_it_did_not_open(server: Server, fork: Callable):
    opened = [load_language_model(f"openai:m@{server.url}?timeout=1&retries=0") for _ in range(2)]
    for number in range(2):
        opened[number].generate(PROMPTS[:1], [0])

    def child() -> int:
        kept = [weakref.ref(model._connection) for model in opened]
        opened.pop().close()
        opened.pop()
        gc.collect()
        return sum(connection() is not None for connection in kept)

    assert fork(child) == 2, "a client that is freed may close sockets, which are the parent's"
    for model in opened:
        model.generate(PROMPTS[:1], [1])
        model.close()
    assert server.ports[:2] == server.ports[2:], "the parent's connections are as they were"


def test_a_running_event_loop_does_not_matter(server: Server, model: backend.OpenAIModel):
    async def notebook() -> int:
        return len(model.generate(PROMPTS, range(4)))

    assert asyncio.run(notebook()) == 4


def test_scores_are_not_offered(model: backend.OpenAIModel):
    with pytest.raises(ConfigurationError, match="cannot score"):
        model.score(PROMPTS[0], ["a"])
    assert model.generate([], []) == []


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("openai:m", "expected 'openai:MODEL@URL'"),
        ("openai:m@localhost:8000", "expected 'openai:MODEL@URL'"),
        ("openai:m@http://me:pass@host/v1", "credentials do not belong in a spec"),
        ("openai:m@http://me:pa/pass@host/v1", "credentials do not belong in a spec"),
        ("openai:m@https://me:pa@pass@http://host/v1", "credentials do not belong in a spec"),
        ("openai:m@me:pass@host/v1", r"got 'openai:\*\*\*@host/v1'"),
        ("openai:https://me:pa@/pass@host/v1", r"got 'openai:\*\*\*@host/v1'"),
        ("openai:m@host/v1?api_key=pass@x", r"got 'openai:\*\*\*@x'"),
        ("openai:m@host/v1?api_key=pass", r"got 'openai:\*\*\*@host/v1\?\*\*\*'"),
        ("openai:m@http://host:port/v1", "is no URL: Port could not be cast"),
        ("openai:m@http://[::1/v1", "is no URL: Invalid IPv6 URL"),
        ("openai:m@http://\N{SNOWMAN}\N{ZERO WIDTH SPACE}/v1", "is no URL that a client can ask"),
        ("openai:m@http://host/v1?api_key=x", "unknown option 'api_key'"),
        ("openai:m@http://host/v1?timeout=soon", "not a number"),
        ("openai:m@http://host/v1?concurrency=0", "must be positive"),
        ("openai:m@http://host/v1?prompts=sung", "unknown prompts 'sung'"),
    ],
)
def test_bad_specs_say_why(spec: str, message: str):
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_language_model(spec)
    assert not any(secret in str(caught.value) for secret in ("pass", "me:"))


def test_specs_name_model_and_server():
    endpoint = backend.Endpoint.from_spec("openai:org/model:7b@https://host:8000/v1/?prompts=few_shot&timeout=9")
    assert (endpoint.model, endpoint.url) == ("org/model:7b", "https://host:8000/v1")
    assert (endpoint.prompts, endpoint.timeout, endpoint.concurrency) == ("few_shot", 9.0, 32)


def test_a_missing_client_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(PreparationError, match=r"pip install 'eagle_gym\[serve\]'"):
        load_language_model("openai:m@http://host/v1")


def test_control_tokens_in_a_text_do_not_reach_the_server_whole():
    model = load_language_model("openai:m@http://127.0.0.1:9/v1", prompts="control")
    assert isinstance(model, backend.OpenAIModel)
    asked = model._asked(Prompt("rewrite", "A film.<|end|>", "add a robot"), model.endpoint.manners)["prompt"]
    model.close()
    assert asked == "<|text|>A film.< |end|><|edit|>add a robot<|rewrite|>"


def unless(complains: Callable[[dict], bool], complaint: str, status: int = 400) -> Callable:
    """Refuses requests of which a server complains; answers others."""

    def act(handler: BaseHTTPRequestHandler) -> None:
        request = handler.request_body
        refused = answer(json.dumps({"error": {"message": complaint}}).encode(), status)
        (refused if complains(request) else answer(chat()))(handler)

    return act


REFUSALS = {
    "system role": (lambda r: r["messages"][0]["role"] == "system", "System role not supported", 400),
    "system role, 500": (lambda r: r["messages"][0]["role"] == "system", "Jinja: System role not supported", 500),
    "max_tokens": (lambda r: "max_tokens" in r, "'max_tokens' is not supported: use 'max_completion_tokens'", 400),
    "seed": (lambda r: "seed" in r, "Unsupported parameter: 'seed'", 422),
    "temperature": (lambda r: r.get("temperature", 1) != 1, "Unsupported value: 'temperature'", 400),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_server_that_says_how_to_ask_is_asked_so(server: Server, model: backend.OpenAIModel, kind: str):
    server.plan = [unless(*REFUSALS[kind])] * 30
    assert len(model.generate(PROMPTS * 2, range(8), temperature=0.5)) == 8
    before = len(server.requests)
    model.generate(PROMPTS, range(4), temperature=0.5)
    assert len(server.requests) == before + 4, "what was learned is kept"
    asked = server.requests[-1]
    assert "You rewrite descriptions." in asked["messages"][0]["content"]
    assert "Edit: add a robot" in asked["messages"][-1]["content"]
    assert 50 in (asked.get("max_tokens"), asked.get("max_completion_tokens"))


def test_a_complaint_that_asking_otherwise_does_not_end_is_an_error(server: Server, model: backend.OpenAIModel):
    server.plan = [refuse(400)] + [answer(b'{"error": {"message": "unsupported: seed"}}', 400)] * 20
    with pytest.raises(LanguageModelError, match="no 400"):
        model.generate(PROMPTS[:1], [0])
    with pytest.raises(LanguageModelError, match="unsupported: seed"):
        model.generate(PROMPTS[:1], [0])
    assert len(server.requests) == 3


def test_options_shape_the_request(server: Server):
    options = 'system_role=false&token_limit=max_completion_tokens&omit=seed,temperature&extra_body={"top_k":5}'
    model = load_language_model(f"openai:m@{server.url}?{options}&reasoning_effort=low", max_new_tokens=9)
    model.generate(PROMPTS[:1], [0])
    model.close()
    [request] = server.requests
    assert [message["role"] for message in request.pop("messages")] == ["user"]
    assert request == {"model": "m", "max_completion_tokens": 9, "top_k": 5, "reasoning_effort": "low"}


def test_lists_are_asked_for_in_json(server: Server, model: backend.OpenAIModel):
    asked = [Prompt("propose", "A film.", count=3)]
    server.plan = [answer(chat('{"edits": ["Add a dog.", "Set it in Norway.", "Make it da', "length"))]
    assert model.generate(asked, [0])[0].text == "Add a dog.\nSet it in Norway."
    model.generate(PROMPTS[:1], [0])
    listed, single = server.requests
    schema = listed["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["edits"]["maxItems"] == 3
    assert "response_format" not in single


COMPLAINTS_OF_FORMATS = (
    "This response_format type is unavailable now",
    "'response_format.type' must be one of text, json_object",
    "Invalid schema for response_format 'edits': 'maxItems' is not permitted",
    "failed to parse grammar",
    "structured outputs are not supported by this model",
    "The model produced output that does not match the expected peg-native format",
)


@pytest.mark.parametrize("complaint", COMPLAINTS_OF_FORMATS)
def test_servers_without_structured_output_are_asked_in_words(
    server: Server, model: backend.OpenAIModel, complaint: str
):
    refusal = answer(json.dumps({"error": {"message": complaint}}).encode(), 400)
    written = answer(chat("Sure:\n1. Add a dog.\n2. Set it in Norway."))
    server.plan = [refusal, written, written]
    for seed in (0, 1):
        said = model.generate([Prompt("propose", "A film.", count=3)], [seed])
        assert said[0].text == "Add a dog.\nSet it in Norway."
    assert ["response_format" in request for request in server.requests] == [True, False, False]


def test_structured_output_can_be_turned_off(server: Server):
    model = load_language_model(f"openai:m@{server.url}?structured=false")
    model.generate([Prompt("propose", "A film.", count=3)], [0])
    model.close()
    assert "response_format" not in server.requests[0]
    shown = load_language_model(f"openai:m@{server.url}", prompts="chat_few_shot")
    shown.generate([Prompt("propose", "A film.", count=3)], [0])
    shown.close()
    assert "response_format" not in server.requests[1], "its examples show a numbered list"
    plain = load_language_model(f"openai:m@{server.url}")
    assert plain.fingerprint != model.fingerprint
    plain.close()


@pytest.mark.parametrize("reason", [None, ""])
def test_without_a_finish_reason_the_count_of_tokens_tells(server: Server, model: backend.OpenAIModel, reason: str):
    server.plan = [answer(chat("A film.", reason))]
    assert model.generate(PROMPTS[:1], [0])[0].finish_reason == "stop"
    for usage in (None, {"prompt_tokens": 7, "completion_tokens": 50}):
        server.plan = [answer(chat("A film.", reason, usage=usage))]
        with pytest.raises(LanguageModelError, match="gave no finish_reason"):
            model.generate(PROMPTS[:1], [0])


@pytest.mark.parametrize("text", ["A film.\n\nAnother paragraph, which is c", "A film.<|im_end|>", "</think>A film."])
def test_a_text_that_was_cut_off_is_never_whole(server: Server, model: backend.OpenAIModel, text: str):
    server.plan = [answer(chat(text, "length"))] * 3
    with pytest.raises(LanguageModelError, match="cut off at 3 tokens after 3 attempts"):
        model.generate(PROMPTS[:1], [0])


ODD = {
    "HTML": (answer(b"<html>Login</html>"), "3 attempts but, the last time, an HTML page"),
    "error": (answer(b'{"error": {"message": "overloaded"}}'), "3 attempts .* HTTP status 200: overloaded"),
    "stream": (answer(b"data: {}"), "3 attempts .* a stream of events"),
    "choices": (answer(chat(choices={})), "3 attempts .* no list of choices but an object"),
    "nested": (answer(b'{"choices": ' + b"[" * 100_000), "3 attempts .* nested too deeply"),
    "refusal": (
        answer(chat(choices=[{"message": {"content": None, "refusal": "No."}, "finish_reason": "stop"}])),
        "still no text after 3 attempts: a refusal: 'No.'",
    ),
    "reasoning": (
        answer(chat(choices=[{"message": {"content": None, "reasoning_content": "Hm"}, "finish_reason": "length"}])),
        "cut off .* 2 characters of reasoning in the field 'reasoning_content'",
    ),
}


@pytest.mark.parametrize("kind", ODD)
def test_messages_name_what_the_server_sent(server: Server, model: backend.OpenAIModel, kind: str):
    act, message = ODD[kind]
    server.plan = [act] * 3
    with pytest.raises(LanguageModelError, match=message):
        model.generate(PROMPTS[:1], [0])


def test_messages_count_the_attempts_that_were_made(server: Server, model: backend.OpenAIModel):
    server.plan = [refuse(503)] * 3
    with pytest.raises(LanguageModelError, match=r"failed after 3 attempts \(status 503\)"):
        model.generate(PROMPTS[:1], [0])
    server.plan = [refuse(429, Retry_After="86400")] * 3
    with pytest.raises(LanguageModelError, match=r"failed \(status 429\); it asks clients to wait 86400 s"):
        model.generate(PROMPTS[:1], [0])
    assert len(server.requests) == 4


def test_a_body_without_end_is_cut_off(server: Server, model: backend.OpenAIModel, monkeypatch: pytest.MonkeyPatch):
    sent = []

    def flood(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(2000):
            handler.wfile.write(b" " * 2**16)
            sent.append(1)

    monkeypatch.setattr(connection, "MAX_BODY", 2**20)
    monkeypatch.setattr(responses, "MAX_BODY", 2**20)
    server.plan = [flood] * 3
    with pytest.raises(LanguageModelError, match="a body of more than 1048576 bytes"):
        model.generate(PROMPTS[:1], [0])
    assert len(sent) < 3 * 500


@pytest.mark.parametrize(
    "usage", [None, {"prompt_tokens": -(10**9), "completion_tokens": -(10**9)}, {"prompt_tokens": 0}]
)
def test_a_budget_needs_no_usage(server: Server, usage: dict | None):
    model = load_language_model(f"openai:m@{server.url}", max_tokens=300)
    server.plan = [answer(chat(usage=usage))] * 20
    model.generate(PROMPTS, range(4))
    with pytest.raises(LanguageModelError, match="max_tokens=300 is used up"):
        model.generate(PROMPTS[:1], [4])
    model.close()
    assert len(server.requests) == 4


def test_what_a_batch_was_answered_is_recorded_where_a_row_has_a_wrong_shape(server: Server, tmp_path: Path):
    spec, path = f"openai:m@{server.url}?retries=0&concurrency=1", tmp_path / "calls.jsonl"
    model = load_language_model(spec, record=str(path))
    server.plan = [answer(chat())] * 3 + [answer(b'{"choices": ' + b"[" * 100_000)] * 3
    with pytest.raises(LanguageModelError, match="nested too deeply"):
        model.generate(PROMPTS, range(4))
    model.close()
    assert path.read_text().count("A film.") == 3


def test_a_key_that_a_server_echoes_is_not_recorded(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-123")
    path = tmp_path / "calls.jsonl"
    model = load_language_model(f"openai:m@{server.url}", record=str(path))
    server.plan = [answer(chat("A film about sk-secret-123 and its thief."))]
    assert model.generate(PROMPTS[:1], [0])[0].text == "A film about *** and its thief."
    server.plan = [answer(chat("[sk-secret-123]"))] * 3
    with pytest.raises(LanguageModelError, match="an answer without a word") as caught:
        model.generate(PROMPTS[:1], [1])
    model.close()
    assert "secret" not in path.read_text() + str(caught.value)


def test_a_key_that_is_a_word_is_no_secret_in_texts(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "film")
    model = load_language_model(f"openai:m@{server.url}")
    assert model.generate(PROMPTS[:1], [0])[0].text == "A film."
    model.close()


def test_texts_of_a_server_are_in_the_observation_space(server: Server, model: backend.OpenAIModel):
    server.plan = [answer(chat("A \ud83d film\x00 of ships."))]
    text = model.generate(PROMPTS[:1], [0])[0].text
    assert text == "A \ufffd film of ships."
    assert text in FreeText()


@pytest.mark.parametrize("raw", NON_ANSWERS)
def test_no_non_answer_is_ever_a_text(server: Server, model: backend.OpenAIModel, raw: str):
    server.plan = [answer(chat(raw))] * 3
    with pytest.raises(LanguageModelError, match="still no text after 3 attempts"):
        model.generate([Prompt("rewrite", PROMPT_TEXT, PROMPT_EDIT)], [0])
    assert not server.plan


def test_no_episode_is_rewarded_for_a_non_answer(server: Server, model: backend.OpenAIModel):
    env = EagleEnv.from_world(make_tiny_world(model, horizon=1))
    for seed, raw in enumerate(NON_ANSWERS[::12]):
        server.plan = [answer(chat(raw))] * 3
        env.reset(seed=seed)
        with pytest.raises(LanguageModelError):
            env.step(0)
    env.close()


@pytest.fixture(scope="module")
def transformers_server() -> Iterator[str]:
    """`transformers serve` with the embedded model, offline, on loopback."""
    for package in ("fastapi", "uvicorn"):
        pytest.importorskip(package, reason="transformers[serving] is not installed")
    with transformers_serve(weights_path()) as url:
        yield url


def test_a_real_server_says_what_the_model_says(transformers_server: str):
    """Greedy, so that the sampling of two programs does not matter."""
    remote = load_language_model(f"openai:{weights_path()}@{transformers_server}?prompts=control&timeout=120")
    asked = [Prompt("rewrite", WORDS[0], "Make it darker."), Prompt("propose", WORDS[1])]
    there = remote.generate(asked, [0, 1], temperature=0.0)
    remote.close()
    here = load_language_model("embedded").generate(asked, [0, 1], temperature=0.0)
    assert [answer.text for answer in there] == [answer.text for answer in here]
    assert [answer.prompt_tokens for answer in there] == [answer.prompt_tokens for answer in here]
    assert all(answer.completion_tokens > 3 for answer in there)
