"""Methods that several experiments compare, as rows for :func:`benchmarks.suite.grid`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from baselines.reference import REFERENCES


def imitators(steps: int, recorded: int, *, half: bool = False) -> Iterator[dict[str, Any]]:
    """Supervised and EAGLE agents with each reference policy: small networks on latent observations.

    Supervised agents sample their actions, as the policy does that they imitate.

    Args:
        steps: EAGLE's budget of environment steps.
        recorded: Episodes of the reference policy that both learn from.
        half: Whether EAGLE with half of the budget is a method too.
    """
    for ref in REFERENCES:
        eagle: dict[str, Any] = {"agent": "eagle", "recorded": recorded}
        imitator = {"label": f"supervised-{ref}", "training": {"reference": ref, "total_timesteps": 1}, "sample": True}
        yield eagle | imitator
        yield eagle | {"label": f"eagle-{ref}", "training": {"reference": ref, "total_timesteps": steps}}
        if half:
            yield eagle | {"label": f"eagle-{ref}-half", "training": {"reference": ref, "total_timesteps": steps // 2}}


def users(updates: Mapping[str, int], steps: int, recorded: int) -> Iterator[dict[str, Any]]:
    """Supervised and EAGLE agents that read text: language models.

    Args:
        updates: Of the supervised agent, by reference policy.
        steps: EAGLE's budget of environment steps.
        recorded: Episodes of the reference policy that the supervised agent learns from.
    """
    for ref, count in updates.items():
        own: dict[str, Any] = {"reference": ref, "training_steps": count}
        yield {"agent": "supervised", "label": f"reads-{ref}", "training": own, "sample": True, "recorded": recorded}
        own = {"policy": "language", "reference": ref, "total_timesteps": steps}
        yield {"agent": "eagle", "label": f"eagle-reads-{ref}", "training": own, "begins_as": f"reads-{ref}"}
