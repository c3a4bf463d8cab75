"""llama.cpp's server with a GGUF file, on loopback, from the package `xllamacpp`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from eagle_gym.errors import PreparationError
from eagle_gym.language.editor.smollm2 import base_file

SLOTS: Final = 4  # requests that it answers at once
PROGRAM: Final = """
import sys, xllamacpp
settings = xllamacpp.CommonParams()
settings.model.path, settings.hostnames, settings.port = sys.argv[1], ["127.0.0.1"], int(sys.argv[3])
settings.n_parallel, settings.n_ctx = int(sys.argv[2]), 2048 * int(sys.argv[2])
settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1  # more of them spin on a busy machine
server = xllamacpp.Server(settings)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@contextmanager
def llama_cpp(file: Path | None = None, port: int = 0, prompts: str = "few_shot") -> Iterator[str]:
    """Run the server; yields its spec as a language model, and stops it on exit.

    Args:
        file: The GGUF file; None takes SmolLM2-135M-Instruct.
        port: Where it listens; 0 takes a free port.
        prompts: The words in which it is asked.

    Raises:
        PreparationError: A package is not installed, or the server did not start.
    """
    if find_spec("xllamacpp") is None:
        raise PreparationError("expected the package xllamacpp, got none: pip install -r benchmarks/models.txt")
    command = [sys.executable, "-c", PROGRAM, str(file or base_file()), str(SLOTS), str(port)]
    with subprocess.Popen(
        command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            if not address:
                raise PreparationError("expected llama.cpp's server to start, got no address: try the tests of it")
            yield f"openai:smollm2@{address}/v1?timeout=600&prompts={prompts}"
        finally:
            process.terminate()
