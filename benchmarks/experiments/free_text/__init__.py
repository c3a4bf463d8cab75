"""Reference policies, PPO and EAGLE where a general language model rewrites free text; needs MovieLens (`--data`).

The environments are MovieLens with `texts="free"`, an invented catalog of products in Amazon's format, and Plots in
plot English with the same settings. The language model is `"smollm2"`, in this process. With `--language-model`, such
as `openai:smollm2@URL` of a llama.cpp server with the same model, the uniform policy and the trained PPO are also
tested through that one. Pools are kept for each item and effects are the edits' own words, so a step costs one rewrite.

ELM does not take part: it would have to train a decoder of free text. The optimistic policy is greedy for one step on
what the edits' words are expected to add.
"""

from __future__ import annotations

from typing import Any

from benchmarks.experiments.free_text import methods
from benchmarks.experiments.free_text.costs import measure
from benchmarks.experiments.free_text.page import write_page
from benchmarks.experiments.free_text.served import adopt_pools
from benchmarks.products import write_products
from benchmarks.running import Cell, Options, run_cells

TINY: dict[str, Any] = {"horizon": 2, "pool": 9, "actions": 4}
SIZES: dict[str, dict[str, Any]] = {
    "smoke": {"seeds": 1, "episodes": 2, "num_envs": 2, "steps": 10, "recorded": 1, "env_kwargs": TINY},
    "small": {"seeds": 3, "episodes": 8, "num_envs": 8, "steps": 80, "recorded": 8},
    "reference": {"seeds": 3, "episodes": 64, "num_envs": 32, "steps": 2_560, "recorded": 32},
}
PRODUCTS, USERS = 40, 80  # of the invented catalog


def cells(options: Options) -> list[Cell]:
    """Every method with every seed, and the uniform policy and PPO through the other language model."""
    return methods.cells(options, SIZES[options.size])


def run(options: Options) -> None:
    """Write the products, run the cells, measure the parts of a step, and write and print the page."""
    if options.data is None:
        options.out.mkdir(parents=True, exist_ok=True)
        text = "not run: --data MOVIELENS_FOLDER not given"
        (options.out / "REPORT.md").write_text(f"{text}\n")
        print(text)
        return
    size = SIZES[options.size]
    places = methods.environments(options, size)
    if not options.report_only:
        if not (options.out / "products" / "Invented.jsonl.gz").exists():
            write_products(options.out / "products", PRODUCTS, USERS)
        for name, env_id, kwargs in places:
            if options.language_model and name != "plots":
                adopt_pools(env_id, kwargs, options.language_model)
        run_cells(cells(options), options)
        measure(places, size["num_envs"], options.out)
    else:
        run_cells(cells(options), options)
    print(write_page(options.out))
