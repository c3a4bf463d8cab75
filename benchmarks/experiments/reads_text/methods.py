"""The methods of the experiment, each learner with both ways to choose: sampling, and the most probable action."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.experiments.tuning.trials import chosen
from benchmarks.running import imitators, language_agents

FIXED = ("uniform", "first", "user_blind", "optimistic", "g_optimal")
SAMPLED, BEST = "sampled", "argmax"
"""Suffixes of methods that choose in another way than their cells of training are tested with."""


def methods(size: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The methods of a seed: fields of `Cell` that differ from the defaults."""
    yield from ({"agent": name} for name in FIXED)
    learners = [
        *imitators(size["steps"], size["recorded"], chosen=chosen()),
        *language_agents(size["reads"], size["steps"], size["recorded"]),
    ]
    yield from learners
    yield from (twin(method) for method in learners if not is_still(method))


def is_still(method: Mapping[str, Any]) -> bool:
    """Whether it imitates the uniform policy: the most probable of equally probable actions says nothing."""
    return bool(method.get("sample")) and method["training"]["reference"] == "uniform"


def twin(method: Mapping[str, Any]) -> dict[str, Any]:
    """The same trained agent, which samples where the other takes the most probable action, and the reverse."""
    samples = bool(method.get("sample"))
    return {
        "agent": method["agent"],
        "training": method["training"],
        "agent_of": method["label"],
        "label": f"{method['label']}-{BEST if samples else SAMPLED}",
        "sample": not samples,
    }


def named(agent: str, *, samples: bool) -> str:
    """The method of an agent that samples, or takes the most probable action.

    Args:
        agent: `"reads-uniform"`, `"eagle-g_optimal"`, ...
        samples: Whether it samples. Imitators usually do, and EAGLE usually does not.
    """
    usual = not agent.startswith("eagle")
    return agent if samples == usual else f"{agent}-{SAMPLED if samples else BEST}"


def agent_of(method: str) -> str:
    """The agent of a method: the reverse of `named`."""
    return method.removesuffix(f"-{SAMPLED}").removesuffix(f"-{BEST}")
