"""Agents trained with one language model, tested with others: of different wording and size, and without weights (T2).

The environments share encoder, reward, action sets and expected effects. Learners have default settings, and in
`reference` five seeds and half of the steps of T1. The page reports the distances between the environments.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any

from baselines.reference import FIXED
from benchmarks.experiments.t2_transfer.distance import distances
from benchmarks.experiments.t2_transfer.page import overall, section
from benchmarks.reporting.build import write_page
from benchmarks.reporting.verdicts import write_verdicts
from benchmarks.running import Cell, Options, environments, run_cells

MODELS = {"plain": "embedded", "pitch": "embedded:pitch", "grammar": "grammar"}
SMALL = {"seeds": 2, "steps": 2_560, "recorded": 64, "episodes": 64, "num_envs": 64, "cases": 32, "samples": 16}
SIZES: dict[str, dict[str, Any]] = {
    "smoke": {"seeds": 1, "steps": 20, "recorded": 2, "episodes": 2, "num_envs": 2, "cases": 2, "samples": 2},
    "small": SMALL,
    "reference": SMALL | {"seeds": 5},
}
LEARNERS: dict[str, Any] = {"ppo": ("ppo", {}), "eagle-g_optimal": ("eagle", {"reference": "g_optimal"})}


def cells(options: Options) -> list[Cell]:
    """For each seed and environment: policies without training, its own learners, those of the other environments."""
    size = SIZES[options.size]
    shared = {"effects_model": MODELS["plain"]}
    places = [(name, env_id, kwargs | shared) for name, env_id, kwargs in environments(options)]
    return [cell for seed in range(size["seeds"]) for place in places for cell in of_seed(*place, seed, size)]


def of_seed(name: str, env_id: str, kwargs: dict[str, Any], seed: int, size: dict[str, Any]) -> Iterator[Cell]:
    """The cells of a seed on one catalog."""
    there = {model: kwargs | {"language_model": spec} for model, spec in MODELS.items()}
    common: dict[str, Any] = {"env_id": env_id, "seed": seed} | {key: size[key] for key in ("episodes", "num_envs")}
    for model, arguments in there.items():
        here: dict[str, Any] = common | {"environment": f"{name}-{model}", "env_kwargs": arguments}
        yield from (Cell(agent=policy, **here) for policy in (*FIXED, "first"))
        for method, (agent, own) in LEARNERS.items():
            training, recorded = own | {"total_timesteps": size["steps"]}, size["recorded"] if agent == "eagle" else 0
            yield Cell(agent=agent, label=f"{method}-{model}", training=training, recorded=recorded, **here)
    for home, model in permutations(MODELS, 2):
        here = common | {"environment": f"{name}-{model}", "env_kwargs": there[home], "test_env_kwargs": there[model]}
        for method, (agent, _) in LEARNERS.items():
            yield Cell(agent=agent, label=f"{method}-{home}", agent_of=f"{name}-{home}-{method}-{home}-{seed}", **here)


def run(options: Options) -> None:
    """Run the cells, measure the distances of the environments, write and print the report."""
    found, size, places = run_cells(cells(options), options), SIZES[options.size], environments(options)
    far = distances(places, MODELS, size["cases"], size["samples"])
    write_verdicts({name: overall(found, name, list(MODELS), list(LEARNERS)) for name, _, _ in places}, options.out)
    print(write_page(found, more=lambda run, where: section(run, where, list(MODELS), list(LEARNERS), far)))
