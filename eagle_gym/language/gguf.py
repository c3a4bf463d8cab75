"""GGUF files, converted once into a folder in the Hugging Face layout and kept in the cache.

The quantised weights are expanded into float32, exactly, since models compute in the number format that they are opened
with. So a converted model takes 4 bytes a parameter on disk. A server such as llama.cpp's computes with the quantised
weights themselves: large models are better opened through one.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from platformdirs import user_cache_path

from eagle_gym.cache import prepared
from eagle_gym.errors import PreparationError

MAGIC: Final = b"GGUF"
MARKER: Final = "converted-from-gguf.txt"  # names the file; there if and only if the conversion is complete
FORMAT: Final = 2  # changes with the way in which files are converted


def is_converted(folder: Path) -> bool:
    """Whether a folder holds a converted GGUF file."""
    return (folder / MARKER).is_file()


def original_name(folder: Path) -> str | None:
    """Name of the GGUF file that a folder was converted from; None for any other folder."""
    return (folder / MARKER).read_text(encoding="utf-8").strip() if is_converted(folder) else None


def converted(file: Path, cache_dir: str | None) -> Path:
    """The folder of a GGUF file's model, converted now if it is not in the cache.

    Args:
        file: The GGUF file.
        cache_dir: Folder of the cache; None takes the platform's.

    Raises:
        PreparationError: The file is broken or of an unknown kind, the package `gguf` is not installed, or the cache
            cannot be written.
    """
    root = Path(cache_dir).expanduser() if cache_dir else user_cache_path("eagle_gym")
    folder = root / "gguf" / f"{file.stem}-{_digest(file)}"
    return prepared(folder, MARKER, Path, lambda: _make(file), prepare="auto", absent="")


def _digest(file: Path) -> str:
    """A hash of the file and of the way in which it is converted.

    Raises:
        PreparationError: The file cannot be read, or is no GGUF file.
    """
    try:
        with file.open("rb") as opened:
            begin = opened.read(len(MAGIC))
            opened.seek(0)
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise PreparationError(f"expected to read {file}, got an error: {error}") from error
    if begin != MAGIC:
        raise PreparationError(f"expected a GGUF file at {file}, got one that begins with {begin!r}: download it again")
    return f"{digest[:24]}-{FORMAT}"


def _make(file: Path) -> Callable[[Path], None]:
    """Load a GGUF file and return what saves it in a folder."""
    return saving(*load_gguf(file), MARKER, f"{file.name}\n")


def load_gguf(file: Path) -> tuple[Any, Any]:
    """A model in float32 and its tokenizer, from a GGUF file.

    Raises:
        PreparationError: The file is broken or of an unknown kind, or the package `gguf` is not installed.
    """
    if find_spec("gguf") is None:
        raise PreparationError(
            "expected the package gguf, which reads GGUF files, got none: pip install 'eagle_gym[gguf]'"
        )
    try:
        return _load(file)
    except (OSError, ValueError, KeyError, IndexError, TypeError, RuntimeError, ImportError, struct.error) as error:
        raise PreparationError(
            f"expected a whole GGUF file of a causal language model that transformers knows at {file}, got an error "
            f"({type(error).__name__}: {error}): download it again, or serve it with llama.cpp and name "
            "'openai:MODEL@URL'"
        ) from error


def saving(model: Any, tokenizer: Any, marker: str, text: str) -> Callable[[Path], None]:  # noqa: ANN401
    """What saves a model in a folder; the file `marker` is written last.

    The version of transformers is left out, so that a model has one fingerprint whichever version converted it.
    """

    def save(folder: Path) -> None:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        for path in folder.glob("*config.json"):
            values = json.loads(path.read_text(encoding="utf-8"))
            values.pop("transformers_version", None)
            path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        (folder / marker).write_text(text, encoding="utf-8")

    return save


def _load(file: Path) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source: dict[str, Any] = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    model = AutoModelForCausalLM.from_pretrained(
        **source, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32, trust_remote_code=False
    )
    return model, AutoTokenizer.from_pretrained(**source, trust_remote_code=False)
