"""Pools of edits, made before the cells of an experiment, so that no cell pays for what others use too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from baselines.evaluate import Cost, CostMeter
from benchmarks.reporting.document import aligned
from benchmarks.running import opened
from benchmarks.running.files import read_json, write_json
from benchmarks.running.runs import read_cost, total

BATCH: Final = 5  # items between two notes of the cost


def make_pools(env_id: str, kwargs: Mapping[str, Any], cost: Path) -> None:
    """Make the pools that an environment's file lacks, and add what they cost to `cost`.

    Args:
        env_id: Id of the environment.
        kwargs: Its arguments, `pools` among them.
        cost: A JSON file with the number of `pools` and their `cost`.
    """
    with opened(env_id, 1, **kwargs) as envs:
        world = envs.unwrapped.world
        pools, texts = world.resources.action_sets.candidates, world.catalog.texts
        for begin in range(0, len(texts), BATCH):
            meter = CostMeter(envs.unwrapped.usage)
            made = pools.make(texts[begin : begin + BATCH])
            if made:
                nothing: dict[str, Any] = {"pools": 0, "cost": asdict(Cost())}
                before = read_json(cost) if cost.exists() else nothing
                spent = total([read_cost(before["cost"]), meter.cost()])
                write_json({"pools": before["pools"] + made, "cost": asdict(spent)}, cost)


def pools_table(found: Mapping[str, Any]) -> str:
    """What the pools of products cost; cells do not pay for it."""
    cost = found["cost"]
    numbers = [str(found["pools"]), f"{cost['calls']:,}", f"{cost['completion_tokens']:,}", f"{cost['seconds']:.0f}"]
    return aligned(["environment", "pools", "calls", "tokens written", "seconds"], [["products", *numbers]])
