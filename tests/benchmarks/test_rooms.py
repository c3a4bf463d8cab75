"""Rooms of the benchmarks: few at the top, and each imports only from those on its left."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import benchmarks

TOP = Path(benchmarks.__file__).parent
ORDER = ("stats", "running", "judging", "reporting", "rating", "experiments", "__main__")


def used(path: Path) -> Iterator[str]:
    """Rooms of the benchmarks that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{name}" for name in names]
        yield from (name.split(".")[1] for name in names if name.startswith("benchmarks."))


@pytest.mark.parametrize("path", sorted(TOP.rglob("*.py")), ids=lambda path: str(path.relative_to(TOP)))
def test_a_room_imports_only_from_its_left(path: Path) -> None:
    room = path.relative_to(TOP).parts[0].removesuffix(".py")
    if room in ORDER:
        right = set(ORDER[ORDER.index(room) + 1 :])
        assert not right & set(used(path))


def test_no_file_of_a_room_is_long() -> None:
    lengths = {
        str(path.relative_to(TOP)): len(path.read_text().splitlines())
        for room in ("running", "judging", "reporting", "rating")
        for path in (TOP / room).glob("*.py")
    }
    assert {name: count for name, count in lengths.items() if count > 300} == {}
