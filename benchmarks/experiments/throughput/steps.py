"""Where the time of a step goes, and how it grows with environments, actions, candidates and the catalog."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

from benchmarks.experiments.throughput import parts
from benchmarks.experiments.throughput.bench import APART, Bench, TableRow
from benchmarks.experiments.throughput.figure import ACTIONS, CATALOG, ENVS, MEMORY, OUTSIDE, POOL, STEPS, UTILITY_TIME
from benchmarks.experiments.throughput.page import Findings
from benchmarks.experiments.throughput.parts import Clock
from eagle_gym.envs.world import World
from eagle_gym.latent.nearest import ExactIndex, FaissIndex

GENERATION, UTILITY, STEP = "generation", "utility", "ms per step"
NEAREST = 10  # neighbours whose recall is measured
QUERIES = 1000  # points whose neighbours are sought


def shares(bench: Bench, found: Findings) -> None:
    """Where the time of a step goes, and the utility's share with a larger catalog."""
    rows, found_shares = dissect(bench, bench.world, 6 * APART, repeats=bench.size.repeats)
    found.table(f"Time of a step of {bench.size.num_envs} environments, by part", rows)
    found.check("share of a step outside generation", outside(found_shares), 0.15, at_most=True)
    large, _ = parts.over_items(bench.world, bench.size.catalog, np.random.default_rng(0))
    _, of_large = dissect(bench, large, 7 * APART, repeats=bench.size.repeats)
    found.check(f"share of a step in the utility, {bench.size.catalog:,} items", of_large[UTILITY], 0.05, at_most=True)


def outside(found: Mapping[str, Sequence[float]]) -> list[float]:
    """Shares of a step for everything but generation."""
    return [1.0 - share for share in found[GENERATION]]


def dissect(
    bench: Bench, world: World, seed: int, *, num_envs: int = 0, repeats: int = 0
) -> tuple[list[TableRow], dict[str, list[float]]]:
    """Time the parts of a step; the cache of action sets is empty at the start of each repeat.

    Returns:
        Milliseconds and share of a step by part, medians over the repeats; and the shares of each repeat, by part.
    """
    count, steps = num_envs or bench.size.num_envs, bench.size.steps
    found: dict[str, list[float]] = {}
    totals = []
    for repeat in range(repeats or bench.size.again):
        clock = Clock()
        envs = parts.vector_envs(parts.watched(world, clock), count)
        total = parts.batched_cycle(envs, seed + 1000 * repeat, steps)
        totals.append(1000 * total / steps)
        for name, value in by_part(clock, total).items():
            found.setdefault(name, []).append(value / total)
    share = {name: median(values) for name, values in found.items()}
    rows = [{"part": name, STEP: share[name] * median(totals), "share": share[name]} for name in share]
    rows.append({"part": "total", STEP: median(totals), "share": 1.0})
    return rows, found


def by_part(clock: Clock, total: float) -> dict[str, float]:
    """Seconds by part; the design is the time of the action sets less that of candidates and effects."""
    took = dict(clock.seconds)
    took["design"] = took.pop("action sets") - took["candidates"] - took["effects"]
    order = (GENERATION, "encoder", UTILITY, "candidates", "effects", "design")
    return {name: took[name] for name in order} | {"other": total - sum(took[name] for name in order)}


def curves(bench: Bench, found: Findings) -> None:
    """The cost of a step by the number of environments, of actions and of candidates."""
    world, size = bench.world, bench.size
    rows = []
    for count in size.envs:
        table, found_shares = dissect(bench, world, 10 * APART, num_envs=count)
        step = table[-1][STEP]
        rows.append({ENVS: count, STEPS: 1000 * count / step, STEP: step,
                     "share outside generation": median(outside(found_shares)),
                     MEMORY: memory(bench, num_envs=count)})  # fmt: skip
    found.table("Number of environments", rows)
    k, pool = world.settings.actions, world.settings.pool
    rows = [{ACTIONS: count} | cost_of_sets(bench, count, pool) for count in size.actions]
    found.table(f"Number of actions, from a pool of {pool} candidates", rows)
    rows = [{POOL: count} | cost_of_sets(bench, k, count) for count in size.pools]
    found.table(f"Size of the pool, {k} actions", rows)


def cost_of_sets(bench: Bench, k: int, pool: int) -> TableRow:
    """The cost of a step of the batch, with `k` actions from a pool of `pool` candidates."""
    rows, found_shares = dissect(bench, parts.with_sets(bench.world, k, pool), 11 * APART)
    step = rows[-1][STEP]
    return {OUTSIDE: median(outside(found_shares)) * step, STEP: step, MEMORY: memory(bench, actions=k, pool=pool)}


def memory(bench: Bench, **changed: int) -> float | None:
    """Peak memory in MiB of a process that opens the batch and takes a step; None where memory is not measured."""
    settings, size = bench.world.settings, bench.size
    usual = {"num_envs": size.num_envs, "actions": settings.actions, "pool": settings.pool}
    return parts.peak_alone(bench.device, **(usual | changed)) if size.memory else None


def catalog_sizes(bench: Bench, found: Findings) -> None:
    """The cost of a step by the size of the catalog; Gaussian items replace the catalog's own."""
    rows = []
    for count in bench.size.items:
        world, took = parts.over_items(bench.world, count, np.random.default_rng(1))
        table, found_shares = dissect(bench, world, 12 * APART)
        share = median(found_shares[UTILITY])
        rows.append({CATALOG: count, UTILITY_TIME: share * table[-1][STEP], "share": share,
                     "s to build": took, MEMORY: memory(bench, items=count)})  # fmt: skip
    found.table("Size of the catalog (only the utility depends on it)", rows)


def recall(bench: Bench, found: Findings) -> None:
    """The share of the nearest items that FAISS finds, and its time, against exact search."""
    rng = np.random.default_rng(2)
    items, z = rng.normal(size=(bench.size.recall, 8)), rng.normal(size=(QUERIES, 8))
    rows: list[TableRow] = []
    exact: NDArray[np.int64] | None = None
    for name, make in (("exact, k-d tree", ExactIndex), ("FAISS, cells", FaissIndex)):
        begin = time.perf_counter()
        index = make(items)
        made = time.perf_counter()
        nearest = index.query(z, NEAREST)[1]
        end = time.perf_counter()
        exact = nearest if exact is None else exact
        share = np.mean([len({*one} & {*other}) for one, other in zip(exact, nearest, strict=True)]) / NEAREST
        rows.append({"index": name, f"recall of {NEAREST}": float(share), "ms per point": 1000 * (end - made) / QUERIES,
                     "s to build": made - begin})  # fmt: skip
    found.table(f"Nearest of {len(items):,} Gaussian items in 8 dimensions", rows)
