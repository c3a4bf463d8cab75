"""Text encoders behind an OpenAI-compatible server: `openai:MODEL@URL`.

Options stand in the URL's query, as for language models: `concurrency` (requests under way at once), `timeout`,
`retries`, `extra_body` (a JSON object with further fields of every request, such as `{"dimensions":256}`). The key
comes from `OPENAI_API_KEY` and is never shown.

A server may change the model behind a name, and its numbers depend on what it computes together: such an encoder is not
deterministic. What it has answered is kept, so a text is asked for once.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import weakref
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np

from eagle_gym.errors import ConfigurationError, PreparationError
from eagle_gym.language.connection import Connection, make_client
from eagle_gym.language.endpoint import Endpoint, Manners
from eagle_gym.language.responses import UnreadableResponse, decode_body
from eagle_gym.latent.text_encoders.encoder import Vectors

ROWS: Final = 64  # texts of one request


class ServedEncoder:
    """A text encoder behind a server; see `TextEncoder`.

    Args:
        spec: `openai:MODEL@URL`.

    Raises:
        ConfigurationError: The spec is invalid, or has an option that is of no use to encoders.
        PreparationError: The package `openai` is not installed.
    """

    deterministic = False

    def __init__(self, spec: str) -> None:
        self.name = spec
        self.endpoint = Endpoint.from_spec(spec)
        if self.endpoint.prompts is not None or self.endpoint.manners != Manners():
            raise ConfigurationError(
                f"expected the options concurrency, timeout, retries and extra_body for the text encoder {spec!r}, got "
                "options of a language model: leave them out"
            )
        self.fingerprint = hashlib.blake2b(self.endpoint.identity.encode(), digest_size=16).hexdigest()
        self._key = os.environ.get("OPENAI_API_KEY", "")
        self._connection = self._connect()

    @cached_property
    def dim(self) -> int:
        """Length of the vectors, which one short text is sent to learn."""
        return int(self.encode(["a"]).shape[1])

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts, `ROWS` a request; see the protocol.

        Raises:
            PreparationError: The server refused, could not be reached, or sent something else than as many finite
                vectors of one length as it was sent texts.
        """
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        parts = [list(texts[begin : begin + ROWS]) for begin in range(0, len(texts), ROWS)]
        if self._connection.foreign:  # another process made it, of which this one is a fork
            self._connection = self._connect()
        blocks = self._connection.loop.run(self._ask_all(parts, self._connection))
        widths = sorted({block.shape[1] for block in blocks})
        if len(widths) > 1:
            raise PreparationError(
                f"expected vectors of one length from {self.name!r}, got lengths {widths}: its model is not one encoder"
            )
        return np.concatenate(blocks)

    def _connect(self) -> Connection:
        connection = Connection(make_client(self.endpoint, self._key), self.endpoint.concurrency)
        weakref.finalize(self, connection.close)  # no thread or socket outlives the encoder
        return connection

    async def _ask_all(self, parts: Sequence[list[str]], connection: Connection) -> list[Vectors]:
        tasks = [asyncio.ensure_future(self._ask(part, connection)) for part in parts]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, texts: list[str], connection: Connection) -> Vectors:
        from openai import OpenAIError

        fields = {"encoding_format": "float", **self.endpoint.extra_body}
        async with connection.slots:
            try:
                response = await connection.client.embeddings.with_raw_response.create(
                    model=self.endpoint.model, input=texts, extra_body=fields
                )
            except OpenAIError as error:
                status = getattr(error, "status_code", None)
                what = f"status {status}" if status is not None else type(error).__name__
                failure = f"the text encoder {self.name!r} failed ({what}): {self._redacted(str(error))}"
                raise PreparationError(failure) from None  # the cause may quote the key
        body, kind = response.http_response.content, response.http_response.headers.get("content-type", "")
        try:
            return read_vectors(decode_body(body, kind), len(texts))
        except UnreadableResponse as error:
            raise PreparationError(f"{self.name!r} sent no vectors: {self._redacted(str(error))}") from None

    def _redacted(self, text: str) -> str:
        return (text.replace(self._key, "***") if self._key else text)[:500]


def read_vectors(found: dict[str, Any], count: int) -> Vectors:
    """The vectors in a response, in the order of the texts.

    Args:
        found: The response.
        count: How many texts were sent.

    Raises:
        UnreadableResponse: There are more or fewer, or they are no vectors of one length.
    """
    data = found.get("data")
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise UnreadableResponse(
            f"expected a list 'data', got {', '.join(sorted(found))[:100] or 'nothing'}: does this server offer "
            "/embeddings, and is the model a text encoder?"
        )
    if len(data) != count:
        raise UnreadableResponse(
            f"expected {count} vectors, got {len(data)}: lower the server's load or name another server"
        )
    numbers = [row.get("index", place) for place, row in enumerate(data)]
    if sorted(map(str, numbers)) != sorted(map(str, range(count))):
        raise UnreadableResponse(f"expected each index from 0 to {count - 1} once, got {str(numbers)[:80]}")
    ordered = [row.get("embedding") for _, row in sorted(zip(map(int, numbers), data, strict=True), key=lambda r: r[0])]
    try:
        vectors = np.array(ordered, np.float32)
    except (TypeError, ValueError):
        vectors = np.zeros(0, np.float32)
    if vectors.ndim != 2 or not vectors.shape[1] or not np.isfinite(vectors).all():
        raise UnreadableResponse("expected vectors of one length and finite numbers, got others")
    return vectors
