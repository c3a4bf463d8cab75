"""A connection to a server: the official client, and an event loop in a thread of its own that serves it."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncIterator, Coroutine
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from eagle_gym.errors import ConfigurationError, PreparationError
from eagle_gym.language.endpoint import Endpoint
from eagle_gym.language.responses import MAX_BODY

if TYPE_CHECKING:
    from openai import AsyncOpenAI

COMPRESSION = 2**6  # honest JSON is compressed less than that

T = TypeVar("T")


def make_client(endpoint: Endpoint, key: str) -> AsyncOpenAI:
    """The official client, for one server.

    Raises:
        ConfigurationError: The address is malformed.
        PreparationError: The package `openai` is not installed.
    """
    try:
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient
    except ImportError as error:
        raise PreparationError("openai:MODEL@URL needs the package openai: pip install 'eagle_gym[serve]'") from error
    try:
        return AsyncOpenAI(
            api_key=key or "none",  # the client insists on a key; servers of one's own ask for none
            base_url=endpoint.url,
            timeout=endpoint.timeout,
            max_retries=endpoint.retries,
            default_headers={"Accept-Encoding": "identity"},
            http_client=DefaultAsyncHttpxClient(event_hooks={"response": [_bound]}),
        )
    except Exception as error:
        if type(error).__name__ != "InvalidURL":  # of httpx or httpx2, as the client's version has it
            raise
        raise ConfigurationError(f"{endpoint.url!r} is no URL that a client can ask") from None


async def _bound(response: Any) -> None:  # noqa: ANN401  # of httpx or httpx2
    """Cut a response's body off behind the most bytes that anyone will read."""
    base = next(kind for kind in type(response.stream).__mro__ if kind.__name__ == "AsyncByteStream")
    compressed = response.headers.get("content-encoding", "identity").lower() != "identity"
    most = MAX_BODY // COMPRESSION if compressed else MAX_BODY
    response.stream = _bounded(base)(response.stream, most)


@cache
def _bounded(base: Any) -> Any:  # noqa: ANN401  # a class of httpx or httpx2
    class BoundedStream(base):  # type: ignore[misc]
        """A stream that ends after a given number of bytes; the client only reads instances of its own base class."""

        def __init__(self, stream: Any, most: int) -> None:  # noqa: ANN401
            self._stream, self._left = stream, most + 1

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for chunk in self._stream:
                yield chunk[: self._left]
                self._left -= len(chunk)
                if self._left <= 0:
                    return

        async def aclose(self) -> None:
            await self._stream.aclose()

    return BoundedStream


class Connection:
    """A client and the loop that serves it, both of the process that made them: threads do not survive a fork."""

    def __init__(self, client: AsyncOpenAI, concurrency: int) -> None:
        self.client, self.loop, self.slots = client, EventLoop(), asyncio.Semaphore(concurrency)
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


def _keep(connection: Connection) -> None:
    """Nothing is done at exit: it is registered to hold the connection until then."""


class EventLoop:
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
