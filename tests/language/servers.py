"""A server on loopback that answers as a test plans."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def chat(text: str | None = "A film.", finish_reason: str = "stop", **more: object) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 70, "completion_tokens": 3, "total_tokens": 73}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    return json.dumps({**body, **more}).encode()


def written(text: str = "A film.", finish_reason: str = "stop") -> bytes:
    """As `chat`, for `/completions`."""
    return chat(choices=[{"index": 0, "text": text, "finish_reason": finish_reason}])


class Server:
    """A server on loopback that answers each request as a plan says, then with a good answer."""

    def __init__(self) -> None:
        self.plan: list[Callable[[BaseHTTPRequestHandler], None]] = []
        self.requests: list[dict] = []
        self.headers: list[dict] = []
        self.ports: list[int] = []  # of the connections that the requests used
        self.busiest = self.busy = 0
        self.lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.request_body = body
                with server.lock:
                    server.requests.append(body)
                    server.headers.append({name.lower(): value for name, value in self.headers.items()})
                    server.ports.append(self.client_address[1])
                    server.busy += 1
                    server.busiest = max(server.busiest, server.busy)
                    act = server.plan.pop(0) if server.plan else answer(chat())
                try:
                    act(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True  # the client has given up, as it should
                finally:
                    with server.lock:
                        server.busy -= 1

            def log_message(self, *arguments: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}/v1"

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


def answer(body: bytes, status: int = 200, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return act


def refuse(status: int, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    return answer(json.dumps({"error": {"message": f"no {status}"}}).encode(), status, **headers)
