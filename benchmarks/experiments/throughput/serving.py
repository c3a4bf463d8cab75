"""`transformers serve` on loopback, offline: a server that this project did not write."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from eagle_gym.errors import PreparationError


@contextmanager
def transformers_serve(folder: Path, patience: float = 120.0, grace: float = 30.0) -> Iterator[str]:
    """Run `transformers serve` on loopback, offline; yields its base URL, and stops it on exit.

    Args:
        folder: Folder of the model.
        patience: Seconds that it may take to start.
        grace: Seconds that it may take to stop before it is killed.

    Raises:
        PreparationError: Its packages are not installed, or it did not start.
    """
    program = Path(sys.executable).with_name("transformers")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    try:
        process = subprocess.Popen(
            [str(program), "serve", str(folder), *options],
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError as error:
        raise PreparationError(f"expected {program}, got {error}: pip install 'transformers[serving]'") from error
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", process, patience)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        _end(process, grace)


def _end(process: subprocess.Popen[bytes], grace: float) -> None:
    process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], patience: float) -> None:
    end = time.monotonic() + patience
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(url, timeout=1):
            return
        time.sleep(0.2)
    raise PreparationError(f"expected transformers serve at {url}, got no answer: pip install 'transformers[serving]'")
