"""The tasks: named presets of arguments, in one table from which ids, defaults and documentation are derived.

A task asks for a different skill of an agent. It sets only arguments of the table `BASE`, and an argument that is given
explicitly wins over it. The table holds strings and numbers only, so that `import eagle_gym` stays light.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

# What the default task sets. Other tasks change some of these arguments and no others.
BASE: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "action_features": "edit",
        "taste": "shown",
        "order": "match",
        "actions": 16,
        "pool": 64,
        "personalised": 0.5,
        "horizon": 5,
        "affinity": "personal",
        "interests": 1,
        "drift_penalty": 0.0,
        "edit_cost": 0.0,
    }
)


@dataclass(frozen=True)
class Task:
    """One preset.

    Attributes:
        name: Value of the argument `task`.
        about: What the task asks of an agent, for people.
        title: What its ids add to the catalog's, as in `EagleGym/PlotsEasy-v0`.
        changes: The arguments in which it differs from `BASE`.
        utility: Further keyword arguments of the package's own utility, over which `utility_kwargs` wins.
    """

    name: str
    about: str
    title: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    utility: Mapping[str, Any] = field(default_factory=dict)

    @property
    def arguments(self) -> dict[str, Any]:
        """Every argument that the task sets."""
        return {**BASE, **self.changes}


TASKS: Final[Mapping[str, Task]] = MappingProxyType(
    {
        task.name: task
        for task in (
            Task("default", "learn what edits do, and for whom"),
            Task(
                "easy",
                "take the best of the expected effects, which are shown: for debugging agents",
                "Easy",
                {"action_features": "effect", "affinity": "absolute"},
            ),
            Task(
                "plan",
                "walk towards interests from where greed feels none: effects and interests are shown",
                "Plan",
                {
                    **{"action_features": "effect", "order": "pool", "personalised": 0.0},
                    **{"affinity": "absolute", "interests": 6},
                },
                {"weight": 0.0, "width": 0.9, "kernel": "compact"},
            ),
            Task(
                "hidden",
                "infer a hidden taste from rewards, then serve it",
                "Hidden",
                {"taste": "hidden", "order": "pool", "personalised": 0.0, "horizon": 10},
            ),
        )
    }
)


def values_by_task(argument: str) -> dict[str, Any]:
    """The values of an argument by task: the default task's, and those of the tasks that differ from it."""
    usual = BASE[argument]
    found = {name: task.arguments[argument] for name, task in TASKS.items()}
    return {name: value for name, value in found.items() if name == "default" or value != usual}
