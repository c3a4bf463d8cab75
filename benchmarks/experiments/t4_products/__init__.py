"""Reference policies and EAGLE on products (T4): Amazon reviews (`--data`), or invented ones (`benchmarks.products`).

The language model is `"smollm2"`, or another general one (`--language-model`). It also proposes the edits, once for
each product and before the cells (`pools-cost.json` says what that took). Effects are the edits' own words, so a step
costs one rewrite. Judges read the texts later (`python -m benchmarks judge`, then this again with `--report-only`).
"""

from __future__ import annotations

from typing import Any

from baselines.reference import REFERENCES
from benchmarks.experiments.t4_products.page import POOLS, section
from benchmarks.pools import make_pools
from benchmarks.products import write_products
from benchmarks.reporting.build import write_page
from benchmarks.reporting.targets import eagle_targets
from benchmarks.running import Cell, Options, grid, imitators, run_cells

USUAL = {"candidates": "model", "actions": 8, "pool": 16, "horizon": 3, "effects": "words"}
FEW = USUAL | {"actions": 6, "pool": 9, "dim": 4}  # a design needs more edits than dimensions
TINY = USUAL | {"actions": 3, "pool": 4, "dim": 3, "horizon": 1, "placebo": "allow"}
SIZES: dict[str, dict[str, Any]] = {
    "smoke": {"seeds": 1, "episodes": 2, "num_envs": 2, "steps": 4, "recorded": 2, "env_kwargs": TINY},
    "small": {"seeds": 3, "episodes": 8, "num_envs": 8, "steps": 96, "recorded": 8, "env_kwargs": FEW},
    "reference": {"seeds": 5, "episodes": 128, "num_envs": 64, "steps": 4_480, "recorded": 64, "env_kwargs": USUAL},
}
PRODUCTS, USERS = 60, 240  # of the invented catalog: with 80 users, a second opinion predicts no rating
WITHOUT = (*REFERENCES, "user_blind", "no_op", "first")  # policies without training
MODEL = {"language_model": "smollm2", "dtype": "bfloat16"}


def cells(options: Options) -> list[Cell]:
    """Reference policies, and EAGLE and supervised with each of them, with every seed."""
    size = SIZES[options.size]
    methods = [*({"agent": name} for name in WITHOUT), *imitators(size["steps"], size["recorded"])]
    root = options.data or options.out.resolve() / "products"
    model = {"language_model": options.language_model} if options.language_model else MODEL
    kept = {"root": str(root), "pools": str(options.out.resolve() / "pools.jsonl")}
    where = [("amazon", "EagleGym/Amazon-v0", size["env_kwargs"] | model | kept)]
    return grid(where, methods, **{name: size[name] for name in ("seeds", "episodes", "num_envs")})


def run(options: Options) -> None:
    """Write the products where no others are given, run the cells, write and print the page."""
    folder = options.out / "products"
    if options.data is None and not folder.exists():
        write_products(folder, PRODUCTS, USERS)
    planned = cells(options)
    if not options.report_only:
        make_pools(planned[0].env_id, planned[0].env_kwargs, options.out / POOLS)
    print(write_page(run_cells(planned, options), eagle_targets(), section))
