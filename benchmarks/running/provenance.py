"""Versions, code and machine behind a run."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.running.files import ROOT

PACKAGES = (
    *("eagle_gym", "gymnasium", "stable_baselines3", "torch", "transformers", "ctranslate2"),
    *("numpy", "scipy", "cvxpy", "pandas", "pyarrow"),
)


def circumstances() -> dict[str, Any]:
    """Versions, commit, command and machine."""
    return {
        "versions": {"python": platform.python_version()} | {name: package_version(name) for name in PACKAGES},
        "commit": commit(),
        "command": " ".join(Path(part).name if i == 0 else part for i, part in enumerate(sys.argv)),
        "machine": {"system": platform.platform(), "processor": processor(), "cores": os.cpu_count()},
    }


def package_version(name: str) -> str | None:
    """Version of a package, None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def commits(headers: Iterable[Mapping[str, Any]]) -> list[str]:
    """The commits that some `run.json` name, shortened; `+` marks a checkout with uncommitted changes."""
    named = (str(header.get("commit")) for header in headers)
    return list(dict.fromkeys(f"{one[:10]}{'+' if one.endswith('+') else ''}" for one in named))


def commit() -> str | None:
    """The checkout's commit, with `+` if tracked files differ from it; None outside a checkout."""
    head, changed = git("rev-parse", "HEAD"), git("status", "--porcelain", "--untracked-files=no")
    return head and head + ("+" if changed else "")


def git(*arguments: str) -> str | None:
    """The output of a git command, None if it fails."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def processor() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
