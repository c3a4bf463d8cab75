"""Models behind an OpenAI-compatible server (vLLM, SGLang, TGI, llama.cpp, Ollama, a hosted API).

The spec is `openai:MODEL@URL`, for example `openai:Qwen/Qwen2.5-7B-Instruct@http://localhost:8000/v1`. Options
stand in the URL's query, joined by `&`; in their values `@` is written `%40` and `#` `%23`.

- `prompts`: the built-in prompt set in whose words the model is asked, where the argument `prompts` is not given.
  `chat` (default) asks `/chat/completions`; `few_shot`, `plain` and `control` ask `/completions` with a text to be
  continued or with the embedded model's control tokens.
- `concurrency` (32): requests under way at once. The server batches them: one server feeds many environments.
- `timeout` (60): seconds that a request may wait for the connection and for each piece of the answer.
- `retries` (5): how often a refused request is sent again. A request that is answered a byte at a time is given up,
  its retries included, after `(timeout + 120) * (retries + 1)` seconds.
- `extra_body`: a JSON object with further fields of every request. `chat_template_kwargs` (a JSON object, such as
  `{"enable_thinking":false}`) and `reasoning_effort` (a word, such as `low`) set the fields of these names.
- `system_role=false`: put the instructions at the beginning of the user's message.
- `token_limit=max_completion_tokens`: limit answers under this name instead of `max_tokens`.
- `omit`: `seed`, `temperature` or `logprobs`, joined by commas: leave these fields out.
- `structured=false`: ask for lists of edits in words only. Otherwise `response_format` asks for JSON, too.

The last four are tried without being asked for where a server says that it does not support a field or the system
role; a warning in the log says so. A value that a server refuses is an error. Without `temperature` the server samples
as it likes.

Requests refused with 408, 409, 429 or 5xx, and dropped connections, are sent again by the official client, after the
time that `Retry-After` names or with jittered exponential back-off. The key comes from `OPENAI_API_KEY` and is
never shown; where a server puts it into a text, it is masked there.

Every answer counts as used, unusable ones included, whether or not the rest of the batch succeeds: a budget stops a run
that pays for failures. Where the server does not state tokens, or states absurd numbers, they are estimated from bytes,
rather too many than too few. One failed row fails its batch: no further row is asked then, and requests under way have
`timeout` seconds to be answered and counted.

A model that was opened before a fork opens connections of its own in the child, and counts there what the child uses.

While somebody listens to a model's calls (`calls.record_calls`), requests ask for log-probabilities. Token ids are read
where a server tells them: llama.cpp does, vLLM does with `extra_body={"return_token_ids":true}`.

Each request carries its row's seed, but a server may ignore it, and numbers depend on what it computes together: such a
model is not deterministic. Record it (`record=PATH`) where a run must be repeatable.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np

from eagle_gym.errors import ConfigurationError, LanguageModelError
from eagle_gym.language.answers import Answer, until_stop
from eagle_gym.language.connection import Connection, make_client
from eagle_gym.language.endpoint import Endpoint, Manners, context_cure, list_format
from eagle_gym.language.lists import read_completion
from eagle_gym.language.model import Completion, FinishReason, Language, Tokens, Usage, check_request
from eagle_gym.language.prompts import (
    CONTROL_TOKENS,
    END,
    Prompt,
    PromptSet,
    PromptSource,
    fold_system,
    harmless,
    load_prompts,
)
from eagle_gym.language.responses import (
    Reply,
    TokenCount,
    UnreadableResponse,
    count_tokens,
    decode_body,
    estimate_tokens,
    read_reply,
    read_tokens,
)
from eagle_gym.language.sampling import draw_until_finished

MAX_NEW_TOKENS: Final = 512
LONGEST_WAIT = 120.0  # seconds between two attempts: what the client grants a Retry-After
UNREADABLE_ATTEMPTS: Final = 3  # how often a request is made whose answer is no completion
COMPLAINTS: Final = (400, 415, 422, 500, 501)  # statuses with which servers refuse what they do not know
PLAIN_WORD: Final = 12  # letters up to which a key may be a word that texts use

# Servers have words of their own for what ended a text.
_ENDED: Final[dict[object, FinishReason]] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "eos_token": "stop",
    "eos": "stop",
    "length": "length",
}
_log = logging.getLogger(__name__)


class OpenAIModel:
    """A model behind an OpenAI-compatible server (see `LanguageModel`).

    Args:
        spec: `openai:MODEL@URL`.
        max_new_tokens: Longest generation; None takes 512.
        prompts: The words in which it is asked; None takes those that the spec names.
        about: What the texts describe, for nouns and examples; None where nobody knows.

    Raises:
        ConfigurationError: The spec or the prompts are invalid, or both name prompts.
        PreparationError: The package `openai` is not installed.
    """

    deterministic = False
    concurrent = True  # several threads may ask at once

    def __init__(
        self,
        spec: str,
        *,
        max_new_tokens: int | None = None,
        prompts: PromptSource | None = None,
        about: str | None = None,
    ) -> None:
        self.endpoint = Endpoint.from_spec(spec)
        self.name = spec
        self.prompts = _chosen_prompts(self.endpoint, prompts, about)
        self.language: Language = "plot_english" if self.prompts.format == "control" else "free"
        identity = f"{self.endpoint.identity}&{self.prompts.fingerprint}"
        self.fingerprint = hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()
        self.usage = Usage()
        self._max_new_tokens = max_new_tokens or MAX_NEW_TOKENS
        self._manners = self.endpoint.manners
        self._key = os.environ.get("OPENAI_API_KEY", "")
        self._connection: Connection | None = self._connect()

    def __repr__(self) -> str:
        return f"OpenAIModel({self.name!r})"

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
    ) -> list[Completion]:
        """Answer all prompts, at most `concurrency` at a time; see the protocol."""
        check_request(prompts, seeds, temperature)

        def draw(prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[Completion]:
            began = time.perf_counter()
            batch = _Call(self._open(), temperature)
            try:
                return batch.connection.loop.run(self._ask_all(prompts, seeds, batch))
            except LanguageModelError as error:
                error.answered = dict(batch.completions)
                raise
            finally:
                self._count(batch, time.perf_counter() - began)

        if not prompts:
            return []
        return draw_until_finished(draw, prompts, seeds, temperature=temperature, usage=self.usage)

    def score(self, prompt: Prompt, continuations: Sequence[str]) -> np.ndarray:
        """Not offered: servers disagree on whether and how they give log-probabilities of a given text.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError(f"{self.name!r} cannot score texts: use a model in this process (transformers:PATH)")

    def close(self) -> None:
        """Close the connections and end the thread that served them; after a fork, only this process's own."""
        self._release()
        self._connection = None

    def _connect(self) -> Connection:
        connection = Connection(make_client(self.endpoint, self._key), self.endpoint.concurrency)
        # Also where nobody calls close: no thread or socket outlives the handle or the program.
        self._release = weakref.finalize(self, connection.close)
        return connection

    def _open(self) -> Connection:
        if self._connection is None:
            raise LanguageModelError(f"the language model {self.name!r} is closed; open it again")
        if self._connection.foreign:
            self._connection = self._connect()
        return self._connection

    def _count(self, batch: _Call, seconds: float) -> None:
        """Count what was answered, in the caller's thread: the loop's serves other callers, who count too."""
        answered = tuple(batch.answered)  # an interrupted call's loop may still add one
        read, wrote = sum(count.prompt for count in answered), sum(count.completion for count in answered)
        self.usage.count(len(answered), read, wrote, seconds=seconds)

    async def _ask_all(self, prompts: Sequence[Prompt], seeds: Sequence[int], batch: _Call) -> list[Completion]:
        tasks = [
            asyncio.ensure_future(self._ask(row, prompt, int(seed), batch))
            for row, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True))
        ]
        try:
            return await asyncio.gather(*tasks)
        except LanguageModelError:
            # The server may charge for what is under way even if nobody listens: listen, and count it.
            await asyncio.wait(tasks, timeout=self.endpoint.timeout)
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, row: int, prompt: Prompt, seed: int, batch: _Call) -> Completion:
        async with batch.connection.slots:
            try:
                batch.completions[row] = await self._answer(prompt, seed, batch)
                return batch.completions[row]
            except LanguageModelError:
                batch.failed = True  # before another row takes the slot: do not pay for what was not asked yet
                raise

    async def _answer(self, prompt: Prompt, seed: int, batch: _Call) -> Completion:
        """One answer; one that cannot be read is asked for again.

        Raises:
            LanguageModelError: The server refused, could not be reached, or sent nothing that can be read; or another
                row of the batch had failed.
        """
        problem = ""
        for _ in range(UNREADABLE_ATTEMPTS):
            if batch.failed:
                raise LanguageModelError(problem or "another row of the batch failed")
            request, response = await self._send(prompt, seed, batch)
            try:
                return self._read(response, request, prompt, batch)
            except UnreadableResponse as error:
                problem = self._redact(str(error))
        raise LanguageModelError(
            f"{self.name!r} sent no completion in {UNREADABLE_ATTEMPTS} attempts but, the last time, {problem}"
        )

    async def _send(self, prompt: Prompt, seed: int, batch: _Call) -> tuple[dict[str, Any], Any]:
        """Send a request, and send it otherwise where the server says how it wants to be asked.

        Returns:
            The request, and the HTTP response.

        Raises:
            LanguageModelError: The server refused or could not be reached.
        """
        from openai import OpenAIError

        while True:
            manners = self._manners
            request = self._request(prompt, seed, batch.temperature, manners)
            # Errors are raised outside the except clauses: the causes may quote the key.
            try:
                return request, await self._post(request, batch)
            except OpenAIError as error:
                failure = self._explain(error)
                corrected = _corrected(self._manners, error)  # another row may have learned meanwhile
            except TimeoutError:
                raise LanguageModelError(f"{self.name!r} did not answer in time") from None
            if corrected == manners or batch.failed:
                raise LanguageModelError(failure)
            self._learn(corrected)

    async def _post(self, request: dict[str, Any], batch: _Call) -> Any:  # noqa: ANN401  # of httpx or httpx2
        client = batch.connection.client
        fields = {name: value for name, value in request.items() if name not in ("model", "messages", "prompt")}
        # The client's timeout is per read; a server that sends a byte now and then is held to this one.
        async with asyncio.timeout((self.endpoint.timeout + LONGEST_WAIT) * (self.endpoint.retries + 1)):
            if self.prompts.format == "chat":
                chat = client.chat.completions.with_raw_response
                chatted = await chat.create(model=request["model"], messages=request["messages"], extra_body=fields)
                return chatted.http_response
            plain = client.completions.with_raw_response
            continued = await plain.create(model=request["model"], prompt=request["prompt"], extra_body=fields)
            return continued.http_response

    def _request(self, prompt: Prompt, seed: int, temperature: float, manners: Manners) -> dict[str, Any]:
        """The body of a request."""
        fields: dict[str, Any] = {
            "temperature": temperature,
            manners.token_limit: self._max_new_tokens,
            "seed": seed % 2**31,  # some servers hold seeds in 32 bits
        }
        if self.usage.listener is not None:
            fields["logprobs"] = True if self.prompts.format == "chat" else 1
        asked = {name: value for name, value in fields.items() if name not in manners.omit}
        if manners.structured and self._may_structure(prompt):
            asked["response_format"] = list_format(prompt.count)
        return {"model": self.endpoint.model, **self._asked(prompt, manners), **asked, **self.endpoint.extra_body}

    def _may_structure(self, prompt: Prompt) -> bool:
        """Whether a list may be asked for as JSON: not where examples show a numbered one."""
        return prompt.asks_for_list and self.prompts.format == "chat" and not self.prompts.shows_examples(prompt)

    def _asked(self, prompt: Prompt, manners: Manners) -> dict[str, Any]:
        if self.prompts.format == "chat":
            messages = self.prompts.messages(prompt)
            messages = messages if manners.system_role else fold_system(messages)
            return {"messages": [{"role": message.role, "content": message.text} for message in messages]}
        if self.prompts.format == "control":
            segments = self.prompts.segments(prompt, partial(harmless, tokens=CONTROL_TOKENS))
            return {"prompt": "".join(control + text for control, text in segments), "stop": [END]}
        return {"prompt": self.prompts.text(prompt), "stop": list(self.prompts.stop)}

    def _learn(self, manners: Manners) -> None:
        """Ask otherwise from now on."""
        if manners != self._manners:
            _log.warning("%s refuses what it was sent; from now on it is asked with %s", self.name, manners)
            self._manners = manners

    def _read(self, response: Any, request: dict[str, Any], prompt: Prompt, batch: _Call) -> Completion:  # noqa: ANN401
        """The completion in a response, which is counted in any case.

        Raises:
            UnreadableResponse: The response is no completion.
            LanguageModelError: The server ended the text for a reason that leaves none.
        """
        asked = len(json.dumps(request.get("messages", request.get("prompt")), ensure_ascii=False).encode())
        count = TokenCount(estimate_tokens(asked), 0)
        try:
            found = decode_body(response.content, response.headers.get("content-type", ""))
            count = count_tokens(found, asked=asked, written=0, limit=self._max_new_tokens)
            reply = read_reply(found, chat=self.prompts.format == "chat")
            written = len(reply.text.encode("utf-8", "replace")) + reply.reasoning
            count = count_tokens(found, asked=asked, written=written, limit=self._max_new_tokens)
        finally:
            batch.answered.append(count)
        return self._completion(reply, count, prompt, None if self.usage.listener is None else read_tokens(found))

    def _completion(self, reply: Reply, count: TokenCount, prompt: Prompt, tokens: Tokens | None = None) -> Completion:
        text = self._masked(reply.text)
        if self.prompts.format == "control":
            text, end, _ = text.partition(END)
            answer, reason = Answer(text.strip()), "stop" if end else self._reason(reply, count)
        else:
            text, whole = until_stop(text, self.prompts.stop)  # where the server did not
            reason = "stop" if whole else self._reason(reply, count)
            read = partial(read_completion, text, prompt, finished=reason == "stop")
            answer = read() if text.strip() else Answer("", reply.remark)
            reason = "stop" if prompt.asks_for_list else reason  # a list is read without the edit that was cut
        problem = None if answer.problem is None else self._redact(answer.problem)
        return Completion(answer.text, count.prompt, count.completion, reason, problem, tokens)

    def _reason(self, reply: Reply, count: TokenCount) -> FinishReason:
        """Why a text ended; where the server does not say, a text below the limit of tokens has ended by itself.

        Raises:
            LanguageModelError: Nobody knows, or something but the model ended the text.
        """
        if reply.finish_reason in (None, ""):
            if count.stated and count.completion < self._max_new_tokens:
                return "stop"
            raise LanguageModelError(
                f"{self.name!r} gave no finish_reason (it was {reply.finish_reason!r}), and its count of tokens does "
                "not tell whether the text is whole: expected 'stop' or 'length'"
            )
        reason = _ENDED.get(reply.finish_reason) if isinstance(reply.finish_reason, str) else None
        if reason is None:
            given = self._redact(repr(reply.finish_reason))[:80]
            raise LanguageModelError(
                f"{self.name!r} ended a text with finish_reason {given}: expected one of {', '.join(map(str, _ENDED))}"
            )
        return reason

    def _explain(self, error: Exception) -> str:
        """What went wrong with a request, after how many attempts."""
        status = getattr(error, "status_code", None)
        what = f"status {status}" if status is not None else type(error).__name__
        headers = getattr(getattr(error, "request", None), "headers", {})
        attempts = int(headers.get("x-stainless-retry-count", 0)) + 1
        after = f" after {attempts} attempts" if attempts > 1 else ""
        wait = getattr(getattr(error, "response", None), "headers", {}).get("retry-after", "")
        asks = f"; it asks clients to wait {wait[:20]} s" if wait.isdigit() and int(wait) > LONGEST_WAIT else ""
        said = str(error)
        cure = context_cure(said) if status in (*COMPLAINTS, 413) else ""
        return f"{self.name!r} failed{after} ({what}){asks}: {self._redact(said)}{cure}"

    def _redact(self, text: str) -> str:
        return (text.replace(self._key, "***") if self._key else text)[:500]

    def _masked(self, text: str) -> str:
        """A model's text without the key, unless the key is a word that texts may use."""
        is_word = self._key.isalpha() and len(self._key) < PLAIN_WORD
        return text if not self._key or is_word else text.replace(self._key, "***")


@dataclass(slots=True)
class _Call:
    """Rows that are asked together, and what the server has answered so far."""

    connection: Connection
    temperature: float
    answered: list[TokenCount] = field(default_factory=list)  # one per answer
    completions: dict[int, Completion] = field(default_factory=dict)  # by row
    failed: bool = False


def _corrected(manners: Manners, error: Exception) -> Manners:
    """The manners that a refusal asks for; equal ones where it asks for none."""
    if getattr(error, "status_code", None) not in COMPLAINTS:
        return manners
    named = [getattr(error, name, None) for name in ("param", "code")]
    return manners.corrected(str(error), *(value if isinstance(value, str) else None for value in named))


def _chosen_prompts(endpoint: Endpoint, prompts: PromptSource | None, about: str | None) -> PromptSet:
    if prompts is not None and endpoint.prompts is not None:
        raise ConfigurationError(
            f"expected prompts in the URL or as an argument, got both ({endpoint.prompts!r} in the URL): leave one out"
        )
    return load_prompts(prompts or endpoint.prompts or "chat", about)
