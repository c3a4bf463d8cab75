"""Models behind an OpenAI-compatible server (vLLM, SGLang, TGI, llama.cpp, Ollama, a hosted API).

The spec is ``openai:MODEL@URL``, for example ``openai:Qwen/Qwen2.5-7B-Instruct@http://localhost:8000/v1``. Options
stand in the URL's query: ``?phrasing=chat|plain|control&concurrency=64&timeout=120&retries=6``.

- ``phrasing``: ``chat`` (default) asks ``/chat/completions``; ``plain`` and ``control`` ask ``/completions`` with
  instructions to be continued or with the embedded model's control tokens.
- ``concurrency``: requests under way at once. The server batches them: one server feeds many environments.
- ``timeout``: seconds that a request may wait for the connection and for each piece of the answer; ``retries``: how
  often it is sent again. A request that is answered a byte at a time is given up, its retries included, after
  ``(timeout + 120) * (retries + 1)`` seconds.

Requests refused with 408, 409, 429 or 5xx, and dropped connections, are sent again by the official client, after the
time that ``Retry-After`` names or with jittered exponential back-off. The key comes from ``OPENAI_API_KEY`` and is
never shown.

Whatever the server answers counts as used, unusable texts included and whether or not the rest of the batch succeeds:
a budget stops a run that pays for failures. One failed row fails its batch. No further row is asked then; requests
under way have ``timeout`` seconds to be answered and counted.

A model that was opened before a fork opens connections of its own in the child, and counts there what the child uses.

Requests say ``max_tokens``, ``temperature`` and ``seed``; hosted models that refuse one of these (reasoning models that
take ``max_completion_tokens`` alone) cannot be asked.

Each request carries its row's seed, but a server may ignore it and its batches shift its numbers: such a model is not
deterministic. Record it (``record=PATH``) where a run must be repeatable.
"""

from __future__ import annotations

import asyncio
import atexit
import hashlib
import json
import os
import re
import threading
import time
import weakref
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

import numpy as np

from eagle_gym.errors import ConfigurationError, LanguageModelError, PreparationError
from eagle_gym.language.model import Completion, FinishReason, Language, Usage, check_request, masked
from eagle_gym.language.prompts import (
    CONTROL_TOKENS,
    END,
    Prompt,
    chat_messages,
    clean_answer,
    control_segments,
    harmless,
    plain_instructions,
)
from eagle_gym.language.sampling import draw_until_finished

if TYPE_CHECKING:
    from openai import AsyncOpenAI

MAX_NEW_TOKENS = 512
LONGEST_WAIT = 120.0  # seconds between two attempts: what the client grants a Retry-After
MALFORMED_ATTEMPTS = 3  # how often a request is made whose answer is no completion

Phrasing = Literal["chat", "plain", "control"]
T = TypeVar("T")

# TGI says in its own words what ended a text.
_ENDED: dict[object, FinishReason] = {"stop": "stop", "stop_sequence": "stop", "eos_token": "stop", "length": "length"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model on a server and how to ask it; what a spec says.

    Raises:
        ConfigurationError: The spec is not ``openai:MODEL@URL``, holds credentials, or has an option that cannot be.
    """

    model: str
    url: str
    phrasing: Phrasing = "chat"
    concurrency: int = 32
    timeout: float = 60.0
    retries: int = 5

    @classmethod
    def from_spec(cls, spec: str) -> Endpoint:
        """Read ``openai:MODEL@URL``."""
        found = re.fullmatch(r"openai:(?P<model>.+?)@(?P<url>https?://.+)", spec)
        if found is None:
            raise ConfigurationError(
                f"expected 'openai:MODEL@URL' such as 'openai:llama@http://localhost:8000/v1', got {masked(spec)!r}"
            )
        parts = _split(found["url"])
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        known = {field.name for field in fields(cls)} - {"model", "url"}
        if unknown := sorted(set(options) - known):
            raise ConfigurationError(f"unknown option {unknown[0]!r} in the URL: expected {', '.join(sorted(known))}")
        url = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
        try:
            numbers = {name: kind(options[name]) for name, kind in _NUMBERS.items() if name in options}
        except ValueError as error:
            raise ConfigurationError(f"an option in the URL is not a number: {error}") from error
        phrasing = options.get("phrasing", "chat")
        if phrasing not in get_args(Phrasing):
            raise ConfigurationError(f"unknown phrasing {phrasing!r}: expected {', '.join(get_args(Phrasing))}")
        endpoint = cls(found["model"], url, phrasing, **numbers)  # type: ignore[arg-type]
        if endpoint.concurrency < 1 or not endpoint.timeout > 0 or endpoint.retries < 0:
            raise ConfigurationError(f"concurrency and timeout must be positive and retries not negative: {numbers}")
        return endpoint


_NUMBERS = {"concurrency": int, "timeout": float, "retries": int}


class OpenAIModel:
    """A model behind an OpenAI-compatible server (see :class:`~eagle_gym.language.model.LanguageModel`).

    Args:
        spec: ``openai:MODEL@URL``.
        max_new_tokens: Longest generation; None takes 512.

    Raises:
        ConfigurationError: The spec cannot be.
        PreparationError: The package ``openai`` is not installed.
    """

    deterministic = False

    def __init__(self, spec: str, *, max_new_tokens: int | None = None) -> None:
        self.endpoint = Endpoint.from_spec(spec)
        self.name = spec
        self.language: Language = "plot_english" if self.endpoint.phrasing == "control" else "free"
        where = f"{self.endpoint.model}@{self.endpoint.url}?{self.endpoint.phrasing}"
        self.fingerprint = hashlib.blake2b(where.encode(), digest_size=16).hexdigest()
        self.usage = Usage()
        self._max_new_tokens = max_new_tokens or MAX_NEW_TOKENS
        self._key = os.environ.get("OPENAI_API_KEY", "")
        self._connection: _Connection | None = self._connect()

    def __repr__(self) -> str:
        return f"OpenAIModel({self.name!r})"

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
    ) -> list[Completion]:
        """Answer all prompts, at most ``concurrency`` at a time; see the protocol."""
        check_request(prompts, seeds, temperature)

        def draw(prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[Completion]:
            began = time.perf_counter()
            batch = _Batch(self._open(), temperature)
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
        """Close the connections and end the thread that served them; after a fork, this process's own alone."""
        self._release()
        self._connection = None

    def _connect(self) -> _Connection:
        try:
            from openai import AsyncOpenAI
        except ImportError as error:
            raise PreparationError(
                "openai:MODEL@URL needs the package openai: pip install 'eagle_gym[serve]'"
            ) from error
        try:
            client = AsyncOpenAI(
                api_key=self._key or "none",  # the client insists on a key; servers of one's own ask for none
                base_url=self.endpoint.url,
                timeout=self.endpoint.timeout,
                max_retries=self.endpoint.retries,
            )
        except Exception as error:
            if type(error).__name__ != "InvalidURL":  # of httpx or httpx2, as the client's version has it
                raise
            raise ConfigurationError(f"{self.endpoint.url!r} is no URL that a client can ask") from None
        connection = _Connection(client, self.endpoint.concurrency)
        # Also where nobody calls close: no thread or socket outlives the handle or the program.
        self._release = weakref.finalize(self, connection.close)
        return connection

    def _open(self) -> _Connection:
        if self._connection is None:
            raise LanguageModelError(f"the language model {self.name!r} is closed; open it again")
        if self._connection.foreign:
            self._connection = self._connect()
        return self._connection

    def _count(self, batch: _Batch, seconds: float) -> None:
        """Count what was answered, in the caller's thread: the loop's serves other callers, who count too."""
        answered = tuple(batch.answered)  # an interrupted call's loop may still add one
        self.usage.calls += len(answered)
        self.usage.prompt_tokens += sum(asked for asked, _ in answered)
        self.usage.completion_tokens += sum(said for _, said in answered)
        self.usage.seconds += seconds

    async def _ask_all(self, prompts: Sequence[Prompt], seeds: Sequence[int], batch: _Batch) -> list[Completion]:
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

    async def _ask(self, row: int, prompt: Prompt, seed: int, batch: _Batch) -> Completion:
        async with batch.connection.slots:
            try:
                batch.completions[row] = await self._answer(prompt, seed, batch)
                return batch.completions[row]
            except LanguageModelError:
                batch.failed = True  # before another row takes the slot: do not pay for what was not asked yet
                raise

    async def _answer(self, prompt: Prompt, seed: int, batch: _Batch) -> Completion:
        """One answer; a malformed one is asked for again.

        Raises:
            LanguageModelError: The server refused, could not be reached, or answered nothing that can be read; or
                another row of the batch had failed.
        """
        from openai import OpenAIError

        # Errors are raised outside the except clauses: the causes may quote the key.
        failure = "another row of the batch failed"
        for _ in range(MALFORMED_ATTEMPTS):
            if batch.failed:
                break
            try:
                response = await self._send(prompt, seed, batch)
                batch.answered.append(_tokens(response))
                return self._read(response)
            except OpenAIError as error:
                failure = self._explain(error)
                break
            except TimeoutError:
                failure = f"{self.name!r} did not answer in time"
                break
            except (json.JSONDecodeError, UnicodeDecodeError) as error:
                batch.answered.append((0, 0))  # an answer, though nobody can tell how long
                failure = self._malformed(error)
            except (ValueError, AttributeError, TypeError, IndexError) as error:
                failure = self._malformed(error)
        raise LanguageModelError(failure)

    async def _send(self, prompt: Prompt, seed: int, batch: _Batch) -> Any:  # noqa: ANN401  # two response types
        common: dict[str, Any] = {
            "model": self.endpoint.model,
            "temperature": batch.temperature,
            "max_tokens": self._max_new_tokens,
            "seed": seed % 2**31,  # some servers hold seeds in 32 bits
        }
        client = batch.connection.client
        # The client's timeout is per read; a server that sends a byte now and then is held to this one.
        async with asyncio.timeout((self.endpoint.timeout + LONGEST_WAIT) * (self.endpoint.retries + 1)):
            if self.endpoint.phrasing == "chat":
                messages: Any = chat_messages(prompt)
                return await client.chat.completions.create(messages=messages, **common)
            if self.endpoint.phrasing == "control":
                return await client.completions.create(prompt=_control(prompt), stop=[END], **common)
            return await client.completions.create(prompt=plain_instructions(prompt), stop=["\n\n"], **common)

    def _read(self, response: Any) -> Completion:  # noqa: ANN401  # two response types, and whatever a server sends
        choice = response.choices[0]
        raw = choice.message.content if self.endpoint.phrasing == "chat" else choice.text
        reason = _ENDED.get(choice.finish_reason)
        if reason is None:
            raise LanguageModelError(f"{self.name!r} ended a text with finish_reason {choice.finish_reason!r}")
        if self.endpoint.phrasing == "control":
            text, whole = (raw or "").partition(END)[0].strip(), END in (raw or "")
        else:
            text, whole = clean_answer(raw or "")
        asked, said = _tokens(response)
        return Completion(text, asked, said, "stop" if whole else reason)

    def _explain(self, error: Exception) -> str:
        status = getattr(error, "status_code", None)
        what = f"status {status}" if status is not None else type(error).__name__
        sent_again = status in (None, 408, 409, 429) or status >= 500
        after = f" after {self.endpoint.retries} retries" if sent_again else ""
        return f"{self.name!r} failed{after} ({what}): {self._redact(str(error))}"

    def _malformed(self, error: Exception) -> str:
        problem = self._redact(f"{type(error).__name__}: {error}")
        return f"{self.name!r} gave {MALFORMED_ATTEMPTS} answers that are no completions ({problem})"

    def _redact(self, text: str) -> str:
        return (text.replace(self._key, "***") if self._key else text)[:500]


@dataclass(slots=True)
class _Batch:
    """Rows that are asked together, and what the server has answered so far."""

    connection: _Connection
    temperature: float
    answered: list[tuple[int, int]] = field(default_factory=list)  # tokens read and written, one pair per answer
    completions: dict[int, Completion] = field(default_factory=dict)  # by row
    failed: bool = False


class _Connection:
    """A client and the loop that serves it, both of the process that made them: threads do not survive a fork."""

    def __init__(self, client: AsyncOpenAI, concurrency: int) -> None:
        self.client, self.loop, self.slots = client, _Loop(), asyncio.Semaphore(concurrency)
        self._process = os.getpid()

    @property
    def foreign(self) -> bool:
        """Whether another process, of which this one is a fork, made it."""
        return self._process != os.getpid()

    def close(self) -> None:
        """Close the client and its loop, or leave them as they are where they are another process's."""
        if self.foreign:
            # Freed, the client might close sockets and a selector that this process shares with the one that uses
            # them. So it is kept for as long as this process lives.
            atexit.register(_keep, self)
            return
        self.loop.run(self.client.close())
        self.loop.close()


def _keep(connection: _Connection) -> None:
    """Nothing is done at exit: it is registered to hold the connection until then."""


class _Loop:
    """An event loop in a thread of its own, so that models can be asked from anywhere, a notebook's loop included."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="eagle_gym.openai", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for the work to be done in the loop's thread."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Let what is closing close, then stop the loop and its thread."""
        self.run(_settle())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _settle() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for _ in range(5):  # a closed transport lets go of its socket some turns later
        await asyncio.sleep(0)


def _split(url: str) -> SplitResult:
    """The parts of a URL.

    Raises:
        ConfigurationError: It holds credentials, or has no host or port that can be.
    """
    if "@" in url:  # anywhere: a password with a slash in it does not stand where a URL has its credentials
        raise ConfigurationError("credentials do not belong in a spec: set the environment variable OPENAI_API_KEY")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises where it is none
    except ValueError as error:
        raise ConfigurationError(f"{url!r} is no URL: {error}") from error
    return parts


def _tokens(response: object) -> tuple[int, int]:
    """Tokens read and written, 0 where the server does not say."""
    used = getattr(response, "usage", None)
    return _whole(getattr(used, "prompt_tokens", 0)), _whole(getattr(used, "completion_tokens", 0))


def _whole(number: Any) -> int:  # noqa: ANN401  # whatever a server sends
    try:
        return int(number)
    except (TypeError, ValueError, OverflowError):
        return 0


def _control(prompt: Prompt) -> str:
    """The control-token prompt, with control tokens inside its texts pulled apart."""
    return "".join(control + harmless(text, CONTROL_TOKENS) for control, text in control_segments(prompt))
