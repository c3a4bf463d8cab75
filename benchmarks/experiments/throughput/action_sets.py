"""Surrogate action sets against those of rollouts: what a step costs, and how well the sets cover."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.experiments.throughput import parts
from benchmarks.experiments.throughput.bench import APART, Bench, TableRow, propose, ratio
from benchmarks.experiments.throughput.page import Findings
from eagle_gym import design
from eagle_gym.actions.effects import Effects, Rollout

Floats = NDArray[np.float64]
TRUTH = "true displacements"


def surrogate_and_rollouts(bench: Bench, found: Findings) -> None:
    """Time a step with each kind of effects; measure the coverage of their sets on the true displacements."""
    world, samples = bench.world, bench.size.samples
    rollout = Rollout(world.model, world.space, samples=samples)
    slow, fast = f"rollout, {samples} samples", "surrogate"
    effects = {fast: world.resources.action_sets.effects, slow: rollout}
    took: dict[str, list[float]] = {name: [] for name in effects}
    for repeat in range(bench.size.repeats):
        for name, effect in effects.items():
            sets = parts.fresh_sets(world, effects=effect)
            envs = parts.vector_envs(parts.variant(world, action_sets=sets), bench.size.rolling)
            took[name].append(parts.batched_cycle(envs, 4 * APART + 100 * repeat, 1))
    found.samples.update({f"a reset and a step, {name}, s": values for name, values in took.items()})
    found.check("steps/s, surrogate ÷ rollout action sets", ratio(took, slow, fast), 20.0)
    truth = f"true displacements (means of {bench.size.truth} rollouts per candidate)"
    found.table(f"C on {truth}, median of {bench.size.states} states", factors(bench, effects))


def factors(bench: Bench, effects: Mapping[str, Effects]) -> list[TableRow]:
    """Medians of C on the true displacements, for the sets that each estimate of them chooses."""
    world, k = bench.world, bench.world.settings.actions
    states = parts.start_states(world, bench.size.states, 5 * APART)
    pool = propose(world, states, world.settings.pool)

    def displacements(effect: Effects, seed: int) -> list[Floats]:
        z = np.stack([state.z for state in states])
        ahead = effect.expected([state.text for state in states], pool, z, [seed + i for i in range(len(states))])
        return [rows - state.z for rows, state in zip(ahead, states, strict=True)]

    truth = displacements(Rollout(world.model, world.space, samples=bench.size.truth), APART)
    estimates = {name: displacements(effect, 0) for name, effect in effects.items()} | {TRUTH: truth}
    chosen = {name: [weighted_set(rows, k) for rows in found] for name, found in estimates.items()}
    rng = np.random.default_rng(0)
    chosen["chance"] = [(rng.permutation(len(rows))[:k], np.full(k, 1 / k)) for rows in truth]
    own = {name: [factor(rows, *sets[i]) for i, rows in enumerate(truth)] for name, sets in chosen.items()}
    best = {name: [factor(rows, sets[i][0]) for i, rows in enumerate(truth)] for name, sets in chosen.items()}
    return [
        {"chosen by": name, "C": median(own[name]), "C ÷ C of the true set": median(ratio(own, name, TRUTH)),
         "C, optimal weights on the set": median(best[name])}
        for name in chosen
    ]  # fmt: skip


def weighted_set(features: Floats, k: int) -> tuple[NDArray[np.int64], Floats]:
    """The rows of the set that a design selects, and its weights on them."""
    selection = design.select(features, k)
    return selection.indices, selection.weights


def factor(pool: Floats, chosen: NDArray[np.integer[Any]], weights: Floats | None = None) -> float:
    """C of a set on its pool; infinite where the set does not span the pool.

    Args:
        pool: `[K, n]`.
        chosen: Rows of the set, `[k]`.
        weights: Weights on the set, `[k]`; None for those of an optimal design on it.
    """
    spread = np.zeros(len(pool))
    spread[chosen] = design.solve(pool[chosen]).weights if weights is None else weights
    return 1.0 + design.leverages(pool, spread)[1]
