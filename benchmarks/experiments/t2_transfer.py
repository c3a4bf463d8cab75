"""Agents trained with one language model and tested with another of other grammar, size and training seed (T2).

Encoder, reward and action sets are the same in both: the prompts' effects are those foreseen for the default model. On
Plots, and on MovieLens where ``--data`` is given. How far the two lie apart is reported as total variation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from baselines.reference import REFERENCES
from benchmarks.scores import write_page
from benchmarks.suite import Cell, Options, run_cells, worlds
from benchmarks.transfer import distances, more

MODELS = {"plain": "embedded", "pitch": "embedded:pitch"}
SMALL = {"seeds": 2, "steps": 4_480, "recorded": 64, "episodes": 64, "num_envs": 64, "cases": 32, "samples": 16}
SIZES: dict[str, dict[str, Any]] = {
    "smoke": {"seeds": 1, "steps": 20, "recorded": 2, "episodes": 2, "num_envs": 2, "cases": 2, "samples": 2},
    "small": SMALL,
    "reference": SMALL | {"seeds": 5, "episodes": 128, "cases": 64, "samples": 32},
}
LEARNERS: dict[str, Any] = {"ppo": ("ppo", {}), "eagle-g_optimal": ("eagle", {"reference": "g_optimal"})}


def cells(options: Options) -> list[Cell]:
    """A whole seed at a time, in each environment the reference policies, its own learners and those of the other."""
    size = SIZES[options.size]
    return [
        cell
        for seed in range(size["seeds"])
        for name, env_id, kwargs in worlds(options)
        for cell in of_seed(name, env_id, kwargs | {"effects_model": MODELS["plain"]}, seed, size)
    ]


def of_seed(name: str, env_id: str, kwargs: dict[str, Any], seed: int, size: dict[str, Any]) -> Iterator[Cell]:
    """The cells of a seed on one catalog."""
    there = {model: kwargs | {"language_model": spec} for model, spec in MODELS.items()}
    common: dict[str, Any] = {"env_id": env_id, "seed": seed} | {key: size[key] for key in ("episodes", "num_envs")}
    for model, arguments in there.items():
        here: dict[str, Any] = common | {"environment": f"{name}-{model}", "env_kwargs": arguments}
        yield from (Cell(agent=policy, **here) for policy in REFERENCES)
        for method, (agent, own) in LEARNERS.items():
            training, recorded = own | {"total_timesteps": size["steps"]}, size["recorded"] if agent == "eagle" else 0
            yield Cell(agent=agent, label=f"{method}-{model}", training=training, recorded=recorded, **here)
    for home, model in (("plain", "pitch"), ("pitch", "plain")):
        here = common | {"environment": f"{name}-{model}", "env_kwargs": there[home], "test_env_kwargs": there[model]}
        for method, (agent, _) in LEARNERS.items():
            yield Cell(agent=agent, label=f"{method}-{home}", agent_of=f"{name}-{home}-{method}-{home}-{seed}", **here)


def run(options: Options) -> None:
    """Do the cells, measure how far the environments lie apart, write and print the report."""
    run_cells(cells(options), options)
    size = SIZES[options.size]
    apart = distances(worlds(options), list(MODELS.values()), size["cases"], size["samples"])
    print(write_page(options.out, more=lambda found, where: more(found, where, list(MODELS), list(LEARNERS), apart)))
