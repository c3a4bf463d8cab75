"""The environments and the agents of the experiment on free text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.running import Cell, Options, grid

USUAL: dict[str, Any] = {"pool": 16, "actions": 8, "effects": "words"}
FREE: dict[str, Any] = {"language_model": "smollm2"}
LEAST_RATINGS = 150  # of a film: leaves 43 of ml-latest-small, so that pools are soon made


def methods(size: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Policies without training, PPO and EAGLE."""
    steps, per_env = size["steps"], max(1, size["steps"] // size["num_envs"] // 2)
    return [
        *({"agent": name} for name in ("no_op", "uniform", "optimistic")),
        {"agent": "ppo", "training": {"total_timesteps": steps, "n_steps": per_env}},
        {
            "agent": "eagle",
            "recorded": size["recorded"],
            "training": {"reference": "uniform", "total_timesteps": steps},
        },
    ]


def environments(options: Options, size: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Films and products in free text, then films in plot English."""
    usual = USUAL | size.get("env_kwargs", {})
    kept = {name: str(options.out.resolve() / f"pools-{name}.jsonl") for name in ("movielens", "products")}
    films = {"root": str(options.data), "texts": "free", "min_ratings": LEAST_RATINGS}
    products = {"root": str(options.out.resolve() / "products")}
    return [
        ("movielens", "EagleGym/MovieLens-v0", films | FREE | usual | {"pools": kept["movielens"]}),
        ("products", "EagleGym/Amazon-v0", products | FREE | usual | {"pools": kept["products"]}),
        ("plots", "EagleGym/Plots-v0", {**usual, "personalised": 0.0}),
    ]


def cells(options: Options, size: Mapping[str, Any]) -> list[Cell]:
    """Every method with every seed, and the uniform policy and PPO through the other language model."""
    usual = {name: size[name] for name in ("seeds", "episodes", "num_envs")}
    found = grid(environments(options, size), methods(size), **usual)
    return [*found, *through(options, found)] if options.language_model else found


def through(options: Options, found: list[Cell]) -> Iterator[Cell]:
    """The same episodes of the uniform policy and of PPO through `--language-model`."""
    for cell in found:
        if cell.environment in ("movielens", "products") and cell.method in ("uniform", "ppo"):
            pools = str(Path(str(cell.env_kwargs["pools"])).with_suffix(".served.jsonl"))
            other = {"language_model": options.language_model, "pools": pools}
            agent_of = cell.name if cell.learns else ""
            yield replace(cell, environment=f"{cell.environment}-served", test_env_kwargs=other, agent_of=agent_of)
