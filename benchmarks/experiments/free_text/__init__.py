"""Reference policies, PPO and EAGLE where a general language model rewrites free text; needs MovieLens (`--data`).

The environments are MovieLens with `texts="free"`, an invented catalog of products in Amazon's format, and Plots in
plot English with the same settings. The language model is `"smollm2"`, in this process. With `--language-model`, such
as `openai:smollm2@URL` of a llama.cpp server with the same model, the uniform policy and the trained PPO are also
tested through that one. Pools are kept for each item and effects are the edits' own words, so a step costs one rewrite.

ELM does not take part: it would have to train a decoder of free text. The optimistic policy is greedy for one step on
what the edits' words are expected to add.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.experiments.free_text.costs import measure
from benchmarks.experiments.free_text.page import write_page
from benchmarks.experiments.free_text.served import adopt_pools
from benchmarks.products import write_products
from benchmarks.running import Cell, Options, grid, run_cells

USUAL: dict[str, Any] = {"pool": 16, "actions": 8, "effects": "words"}
FREE: dict[str, Any] = {"language_model": "smollm2"}
SIZES: dict[str, dict[str, Any]] = {
    "smoke": {"seeds": 1, "episodes": 2, "num_envs": 2, "steps": 10, "recorded": 1, "env_kwargs": {"horizon": 2}},
    "small": {"seeds": 3, "episodes": 8, "num_envs": 8, "steps": 80, "recorded": 8},
    "reference": {"seeds": 3, "episodes": 64, "num_envs": 32, "steps": 2_560, "recorded": 32},
}
PRODUCTS, USERS = 40, 80  # of the invented catalog
LEAST_RATINGS = 150  # of a film: leaves 43 of ml-latest-small, so that pools are soon made


def methods(size: dict[str, Any]) -> list[dict[str, Any]]:
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


def environments(options: Options) -> list[tuple[str, str, dict[str, Any]]]:
    """Films and products in free text, then films in plot English."""
    usual = USUAL | SIZES[options.size].get("env_kwargs", {})
    kept = {name: str(options.out.resolve() / f"pools-{name}.jsonl") for name in ("movielens", "products")}
    films = {"root": str(options.data), "texts": "free", "min_ratings": LEAST_RATINGS}
    products = {"root": str(options.out.resolve() / "products")}
    return [
        ("movielens", "EagleGym/MovieLens-v0", films | FREE | usual | {"pools": kept["movielens"]}),
        ("products", "EagleGym/Amazon-v0", products | FREE | usual | {"pools": kept["products"]}),
        ("plots", "EagleGym/Plots-v0", {**usual, "personalised": 0.0}),
    ]


def cells(options: Options) -> list[Cell]:
    """Every method with every seed, and the uniform policy and PPO through the other language model."""
    size = SIZES[options.size]
    usual = {name: size[name] for name in ("seeds", "episodes", "num_envs")}
    found = grid(environments(options), methods(size), **usual)
    return [*found, *through(options, found)] if options.language_model else found


def through(options: Options, found: list[Cell]) -> Iterator[Cell]:
    """The same episodes of the uniform policy and of PPO through `--language-model`."""
    for cell in found:
        if cell.environment in ("movielens", "products") and cell.method in ("uniform", "ppo"):
            pools = str(Path(str(cell.env_kwargs["pools"])).with_suffix(".served.jsonl"))
            other = {"language_model": options.language_model, "pools": pools}
            agent_of = cell.name if cell.learns else ""
            yield replace(cell, environment=f"{cell.environment}-served", test_env_kwargs=other, agent_of=agent_of)


def run(options: Options) -> None:
    """Write the products, run the cells, measure the parts of a step, and write and print the page."""
    if options.data is None:
        options.out.mkdir(parents=True, exist_ok=True)
        text = "not run: --data MOVIELENS_FOLDER not given"
        (options.out / "REPORT.md").write_text(f"{text}\n")
        print(text)
        return
    if not options.report_only:
        write_catalog(options.out / "products")
        for name, env_id, kwargs in environments(options):
            if options.language_model and name != "plots":
                adopt_pools(env_id, kwargs, options.language_model)
        run_cells(cells(options), options)
        measure(environments(options), SIZES[options.size]["num_envs"], options.out)
    else:
        run_cells(cells(options), options)
    print(write_page(options.out))


def write_catalog(folder: Path) -> None:
    """Write the invented products, unless they are there."""
    if not (folder / "Invented.jsonl.gz").exists():
        write_products(folder, PRODUCTS, USERS)
