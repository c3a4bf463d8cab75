"""Parts of a run are measured once."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.experiments.space import parts
from benchmarks.experiments.space.parts import Parts


def test_a_part_is_measured_once_by_one_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = iter(range(9))

    def part(commit: str | None, fresh: bool = False) -> object:
        monkeypatch.setattr(parts, "commit", lambda: commit)
        return Parts(tmp_path, fresh).part("films, free text", lambda: {"gain": next(measured)})

    assert part("abc") == part("abc") == {"gain": 0}
    assert part("def") == {"gain": 1}
    assert part("def", fresh=True) == part("def") == {"gain": 2}
    assert part("abc+") == {"gain": 3}, "uncommitted changes may change a part"
    assert part("abc+") == {"gain": 4}
