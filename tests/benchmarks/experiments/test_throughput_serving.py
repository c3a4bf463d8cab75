from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.experiments.throughput import serving

STUBBORN = """
import signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

signal.signal(signal.SIGTERM, signal.SIG_IGN)
HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Health).serve_forever()
"""


def test_a_server_that_does_not_end_by_itself_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    start, begun = subprocess.Popen, []

    def stubborn(command: list[str], **kwargs: object) -> subprocess.Popen:
        begun.append(start([sys.executable, "-c", STUBBORN, *command], **kwargs))
        return begun[-1]

    monkeypatch.setattr(serving.subprocess, "Popen", stubborn)
    try:
        with serving.transformers_serve(tmp_path, grace=0.2):
            assert begun[0].poll() is None
        assert begun[0].returncode == -signal.SIGKILL
    finally:
        begun[0].kill()
