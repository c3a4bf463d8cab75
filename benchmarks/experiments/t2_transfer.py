"""Agents trained with one language model and tested with another of other grammar, size and training seed (T2).

Encoder, reward and action sets are the same in both: the prompts' effects are those foreseen for the default model. On
Plots, and on MovieLens where ``--data`` is given. How far the two lie apart is reported as total variation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from baselines.reference import REFERENCES
from benchmarks.reporting.runs import Run
from benchmarks.scores import write_page
from benchmarks.suite import Cell, Options, run_cells, worlds
from benchmarks.transfer import describe, losses, measure
from eagle_gym.envs.world import make_world

MODELS = {"plain": "embedded", "pitch": "embedded:pitch"}
SMALL = {"seeds": 2, "steps": 4_480, "recorded": 64, "episodes": 64, "num_envs": 64, "cases": 32, "samples": 16}
SIZES: dict[str, dict[str, Any]] = {
    "smoke": {"seeds": 1, "steps": 20, "recorded": 2, "episodes": 2, "num_envs": 2, "cases": 2, "samples": 2},
    "small": SMALL,
    "reference": SMALL | {"seeds": 5, "steps": 8_960, "recorded": 128, "episodes": 128, "cases": 64, "samples": 32},
}
LEARNERS = {"ppo": "ppo", "eagle-g_optimal": "eagle"}


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
        for policy in REFERENCES:
            yield Cell(f"{name}-{model}", agent=policy, env_kwargs=arguments, **common)
        for method, agent in LEARNERS.items():
            training = {"steps": size["steps"]} | ({"reference": "g_optimal"} if agent == "eagle" else {})
            recorded = size["recorded"] if agent == "eagle" else 0
            learnt: dict[str, Any] = {
                "agent": agent,
                "env_kwargs": arguments,
                "training": training,
                "label": f"{method}-{model}",
            }
            yield Cell(f"{name}-{model}", **learnt, recorded=recorded, **common)
    for home, model in (("plain", "pitch"), ("pitch", "plain")):
        for method, agent in LEARNERS.items():
            taken: dict[str, Any] = {"agent": agent, "env_kwargs": there[home], "label": f"{method}-{home}"}
            taken |= {"test_env_kwargs": there[model], "agent_of": f"{name}-{home}-{method}-{home}-{seed}"}
            yield Cell(f"{name}-{model}", **taken, **common)


def run(options: Options) -> None:
    """Do the cells, measure how far the environments lie apart, write and print the report."""
    run_cells(cells(options), options)
    size, said = SIZES[options.size], {}
    for name, _, kwargs in worlds(options):
        arguments = {"catalog": name, "split": "test", "effects_model": MODELS["plain"], **kwargs}
        one, other = (make_world(language_model=spec, **arguments) for spec in MODELS.values())
        said[f"{name}-plain"] = describe(measure(one, other, cases=size["cases"], samples=size["samples"], seed=0))

    def more(found: Run, environment: str) -> str:
        here = environment.rpartition("-")[2]
        (there,) = set(MODELS) - {here}
        trained = {f"{method}-{there}": f"{method}-{here}" for method in LEARNERS}
        return "\n\n".join([losses(found, environment, trained), *([said[environment]] if environment in said else [])])

    print(write_page(options.out, more=more))
