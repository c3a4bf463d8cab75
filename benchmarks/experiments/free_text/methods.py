"""The environments and the agents of the experiment on free text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from benchmarks.experiments.free_text.served import adopt_pools
from benchmarks.experiments.free_text.strangers import WORDS
from benchmarks.pools import make_pools
from benchmarks.products import write_products
from benchmarks.running import Cell, Options, grid, opened

FREE: Final[dict[str, Any]] = {"language_model": "smollm2", "dtype": "bfloat16"}
USERS: Final = 80  # of the invented catalog
POOLS: Final = "pools-cost.json"
DIM: Final = 4  # of its latent space: pools are small, and a design needs more edits than dimensions
Place = tuple[str, str, dict[str, Any]]
"""Short name, id and arguments of an environment."""


def methods(size: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Policies without training, PPO and EAGLE; both learn for as many steps."""
    steps = size["steps"]
    horizon = size["horizon"]
    return [
        *({"agent": name} for name in ("uniform", "optimistic", "user_blind", "no_op", "first")),
        {"agent": "ppo", "training": {"total_timesteps": steps, "n_steps": horizon}},
        {"agent": "eagle", "training": {"reference": "uniform", "total_timesteps": steps}},
    ]


def environments(options: Options, size: Mapping[str, Any]) -> list[Place]:
    """Films and products in free text, films also read by other encoders than the default; films in plot English."""
    folder, kept = options.out.resolve() / "products", str(options.out.resolve() / "pools-products.jsonl")
    if not (folder / "meta_Invented.jsonl.gz").exists():
        write_products(folder, size["products"], USERS)
    usual = {"horizon": size["horizon"], "effects": "words", **size["env_kwargs"]}
    films = {"root": str(options.data), "texts": "free", "candidates": "lexicon", **size["films"]}
    products = {"root": str(folder), "pools": kept, "pool": size["pool"], "actions": size["actions"], "dim": DIM}
    read = {WORDS: {}, **{encoder: {"encoder": encoder} for encoder in size["readers"]}}
    return [
        *(
            (f"movielens-{name}" if own else "movielens", "EagleGym/MovieLens-v0", usual | FREE | films | own)
            for name, own in read.items()
        ),
        ("products", "EagleGym/Amazon-v0", FREE | products | usual),
        ("plots", "EagleGym/Plots-v0", {"horizon": size["horizon"], "effects": "words"}),
    ]


def cells(options: Options, size: Mapping[str, Any]) -> list[Cell]:
    """Every method with every seed, and the uniform policy and PPO through the other language model."""
    usual = {name: size[name] for name in ("seeds", "episodes", "num_envs")}
    found = grid(environments(options, size), methods(size), **usual)
    return [*found, *through(options, found)] if options.language_model else found


def through(options: Options, found: list[Cell]) -> Iterator[Cell]:
    """The same episodes of the uniform policy and of PPO through `--language-model`."""
    for cell in found:
        if "language_model" in cell.env_kwargs and cell.method in ("uniform", "ppo"):
            other = {"language_model": options.language_model}
            if "pools" in cell.env_kwargs:
                other["pools"] = str(Path(str(cell.env_kwargs["pools"])).with_suffix(".served.jsonl"))
            agent_of = cell.name if cell.learns else ""
            yield replace(cell, environment=f"{cell.environment}-served", test_env_kwargs=other, agent_of=agent_of)


@contextmanager
def kept_open(places: Sequence[Place], options: Options) -> Iterator[None]:
    """Make the pools, and keep the environments open, so that a model is loaded once for all cells of a process."""
    with ExitStack() as stack:
        for _, env_id, kwargs in () if options.report_only else places:
            stack.enter_context(opened(env_id, 1, **kwargs))
            if "pools" in kwargs:
                make_pools(env_id, kwargs, options.out / POOLS)
                if options.language_model:
                    adopt_pools(env_id, kwargs, options.language_model)
        yield
