"""The methods that the experiment on shaped rewards compares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

AGENTS = ("ppo", "eagle")
RIVALS = ("log_sigmoid", "min_max", "clip")


def methods(size: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The methods of a seed: fields of `Cell`."""
    yield from ({"agent": name} for name in ("uniform", "optimistic"))
    for steps in size["steps"]:
        for name in AGENTS:
            yield from (learner(name, shape, steps, size) for shape in ("", "par"))
    for name in AGENTS:
        yield from (learner(name, shape, size["rivals"], size) for shape in RIVALS)


def learner(name: str, shape: str, steps: int, size: Mapping[str, Any]) -> dict[str, Any]:
    """An agent that learns from so many environment steps with shaped rewards."""
    training = {"total_timesteps": steps, "shaping": shape, "references": size["references"]}
    return {"agent": name, "label": f"{name}-{shape or 'plain'}-{steps}", "training": training}
