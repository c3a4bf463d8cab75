"""Faults of the file system, which the superuser that runs tests in a container would not meet."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest


def forbid(monkeypatch: pytest.MonkeyPatch, name: str, code: int = errno.EACCES, *, writing: bool = False) -> None:
    """Let every attempt to open a file, or to list a folder, of this name fail."""

    def failing(method: str) -> Any:
        original = getattr(Path, method)

        def call(path: Path, *args: Any, **named: Any) -> Any:
            mode = str(named.get("mode", args[0] if args else "r"))
            if path.name == name and (not writing or method == "write_bytes" or "w" in mode):
                raise OSError(code, os.strerror(code), str(path))
            return original(path, *args, **named)

        return call

    for method in ("open", "iterdir", "write_bytes"):
        monkeypatch.setattr(Path, method, failing(method))
