"""What a committed reference run may hold: few kinds of files, none large, no pretty-printed megabytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.running.files import REFERENCE, write_json

KINDS = {".md", ".png", ".parquet", ".json"}
FILE, FOLDER = 1_500_000, 5_000_000  # bytes at most
SHORT = 50_000  # bytes of a JSON file that people may read; larger ones have one line
FOLDERS = sorted(path for path in REFERENCE.iterdir() if path.is_dir())


def faults(folder: Path) -> list[str]:
    """What a reference run should not hold."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    found = [f"{path.name}: not of the kinds {sorted(KINDS)}" for path in files if path.suffix not in KINDS]
    found += [f"{path.name}: above {FILE:,} bytes" for path in files if path.stat().st_size > FILE]
    found += [
        f"{path.name}: write it with `compact=True`"
        for path in files
        if path.suffix == ".json" and path.stat().st_size > SHORT and path.read_text().count("\n") > 1
    ]
    return found + [f"above {FOLDER:,} bytes in all"] * (sum(path.stat().st_size for path in files) > FOLDER)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_reference_runs_are_small(folder: Path) -> None:
    assert faults(folder) == []


def test_faults_are_found(tmp_path: Path) -> None:
    numbers = {"curve": list(range(20_000))}
    write_json(numbers, tmp_path / "compact.json", compact=True)
    assert faults(tmp_path) == []
    write_json(numbers, tmp_path / "pretty.json")
    (tmp_path / "large.parquet").write_bytes(bytes(FILE + 1))
    (tmp_path / "episodes.csv").write_text("1")
    assert [fault.split(":")[0] for fault in faults(tmp_path)] == ["episodes.csv", "large.parquet", "pretty.json"]
