"""The code on docs/rollouts.md runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = re.findall(r"```python\n(.*?)```", (DOCS / "rollouts.md").read_text(encoding="utf-8"), re.DOTALL)


def test_the_page_has_code() -> None:
    assert len(BLOCKS) == 3


@pytest.mark.parametrize("code", BLOCKS, ids=range(len(BLOCKS)))
def test_the_code_of_the_page_runs(code: str, tmp_path: Path) -> None:
    exec(compile(code, "docs/rollouts.md", "exec"), {"path": tmp_path / "rollouts.jsonl"})
