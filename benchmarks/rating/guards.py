"""What stands between the pages and the internet: headers, limits on rates and sizes, and the keys of forms."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST = 32_768  # bytes of a form
SLOWEST = 15.0  # seconds for a form to arrive
FIELDS = 64  # of a form
KNOWN = 10_000  # senders that a limiter remembers

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Robots-Tag": "noindex, nofollow",
}


class SecurityHeaders:
    """Adds the headers to every response, errors included.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Limiter:
    """Limits how often each sender may ask: so many at once, and so many a second after that.

    Args:
        burst: Requests at once.
        rate: Requests a second.
        clock: Tells the time in seconds.
    """

    def __init__(self, burst: int, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._rate, self._clock = burst, rate, clock
        self._left: MutableMapping[str, tuple[float, float]] = {}

    def check(self, sender: str) -> None:
        """Count a request.

        Raises:
            HTTPException: 429, if there were too many.
        """
        now = self._clock()
        left, at = self._left.pop(sender, (float(self._burst), now))
        left = min(float(self._burst), left + (now - at) * self._rate)
        allowed = left >= 1.0
        self._left[sender] = (left - allowed, now)
        if len(self._left) > KNOWN:  # the one that has been silent for the longest time
            del self._left[next(iter(self._left))]
        if not allowed:
            wait = str(int((1.0 - left) / self._rate) + 1)
            raise HTTPException(429, "Too many requests: please wait a moment.", {"Retry-After": wait})


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form; of a repeated field the last value.

    Raises:
        HTTPException: The body is no form, too large, or took too long to arrive.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415, "Expected a form.")
    body = b""
    try:
        async with asyncio.timeout(SLOWEST):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST:
                    raise HTTPException(413, "The form is too large.")
        fields: dict[str, Any] = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=FIELDS)
    except TimeoutError as error:
        raise HTTPException(408, "The form took too long to arrive.") from error
    except ValueError as error:
        raise HTTPException(400, "The form cannot be read.") from error
    return {name: values[-1] for name, values in fields.items()}


def form_key(token: str) -> str:
    """The key that every form of a rater carries: other sites, and other raters in the same browser, do not have it."""
    return hmac.new(token.encode(), b"form", hashlib.sha256).hexdigest()


def check_key(token: str, fields: dict[str, str]) -> None:
    """Check the key of a form.

    Raises:
        HTTPException: 403, if it is another one.
    """
    if not hmac.compare_digest(form_key(token).encode(), fields.get("key", "").encode()):
        raise HTTPException(403, "This form belongs to another invitation: please open your own link again.")
