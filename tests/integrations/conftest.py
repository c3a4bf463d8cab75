"""A chat model behind a server on loopback that answers as a test scripts."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "chat_models.md"
Policy = Callable[[list[dict[str, str]]], str]


def shown_code(section: str, url: str) -> str:
    """The Python block in a section of the page on chat models, with the address of a real server in it."""
    text = PAGE.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert "http://localhost:8000" in code
    return str(code).replace("http://localhost:8000/v1", url).replace("http://localhost:8000", url)


@contextmanager
def serve(policy: Policy) -> Iterator[str]:
    """The address of a server of chat completions whose answers are what `policy` says to the messages."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            message = {"role": "assistant", "content": policy(asked["messages"])}
            body = {
                **{"id": "1", "object": "chat.completion", "created": 1, "model": asked["model"]},
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 70, "completion_tokens": 3, "total_tokens": 73},
            }
            sent = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def said() -> dict[int, str]:
    """What the scripted policy says in each turn, 0 first; `"0"` where nothing is planned."""
    return {}


@pytest.fixture
def url(said: dict[int, str]) -> Iterator[str]:
    """The address of the scripted policy."""

    def policy(messages: list[dict[str, str]]) -> str:
        return said.get(sum(message["role"] == "assistant" for message in messages), "0")

    with serve(policy) as address:
        yield address
