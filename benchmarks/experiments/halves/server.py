"""llama.cpp's server with SmolLM2, on loopback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

from eagle_gym.errors import PreparationError
from eagle_gym.language.editor.smollm2 import base_file

SLOTS: Final = 4  # requests that it answers at once
PROGRAM: Final = """
import sys, xllamacpp
settings = xllamacpp.CommonParams()
settings.model.path, settings.hostnames, settings.port = sys.argv[1], ["127.0.0.1"], 0
settings.n_parallel, settings.n_ctx = int(sys.argv[2]), 2048 * int(sys.argv[2])
settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1  # more of them spin on a busy machine
server = xllamacpp.Server(settings)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@contextmanager
def llama_cpp() -> Iterator[str]:
    """Run the server at a free port; yields its spec as a language model, and stops it on exit.

    Raises:
        PreparationError: A package is not installed, or the server did not start.
    """
    if find_spec("xllamacpp") is None:
        raise PreparationError("expected the package xllamacpp, got none: pip install -r benchmarks/models.txt")
    command = [sys.executable, "-c", PROGRAM, str(base_file()), str(SLOTS)]
    with subprocess.Popen(
        command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            if not address:
                raise PreparationError("expected llama.cpp's server to start, got no address: try the tests of it")
            yield f"openai:smollm2@{address}/v1?timeout=600&prompts=few_shot"
        finally:
            process.terminate()
