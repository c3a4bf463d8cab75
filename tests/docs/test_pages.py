"""What pages say in tables that are written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from eagle_gym.registration import IDS
from eagle_gym.tasks import TASKS, Task

PAGE = (Path(__file__).parents[2] / "docs" / "environments.md").read_text(encoding="utf-8")


def row(task: Task) -> str:
    """The row of a task in the table of tasks: the default task sets everything, the others what they change."""
    sets = {**(task.changes or task.arguments), **({"utility_kwargs": dict(task.utility)} if task.utility else {})}
    values = ", ".join(f"`{name}={value!r}`" for name, value in sets.items())
    return f"| `{task.name}` | `EagleGym/Plots{task.title}-v0` | {task.about} | {values} |"


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_the_page_says_what_a_task_sets(task: Task) -> None:
    assert f"EagleGym/Plots{task.title}-v0" in IDS
    assert row(task) in PAGE.splitlines(), f"docs/environments.md: the row of the task {task.name!r} is\n{row(task)}"
