"""How often a step of a batch gives another text than the same step of its environment run singly."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import binomtest
from tqdm import tqdm

from benchmarks.experiments.throughput import parts, plain
from benchmarks.experiments.throughput.bench import APART, Bench, TableRow
from benchmarks.experiments.throughput.page import Findings
from eagle_gym.envs.world import World

MODES: dict[str, dict[str, Any]] = {
    "float32": {},
    "float32, batch_invariant": {"batch_invariant": True},
    "bfloat16": {"dtype": "bfloat16"},
}


def exactness(bench: Bench, found: Findings) -> None:
    """Compare batch and single environments in every mode."""
    rows: list[TableRow] = []
    for name, kwargs in MODES.items():
        count = bench.size.others if kwargs else bench.size.texts
        model = plain.open_model(bench.device, **kwargs)
        world = parts.variant(bench.world, model=model, action_sets=parts.fresh_sets(bench.world))
        steps, differ, apart = repeated_singly(bench, world, count)
        rows.append({"mode": name, "steps": steps, "different texts": differ, "share": differ / steps,
                     "upper bound (95 %)": proportion(differ, steps)[1],
                     "largest reward difference": apart})  # fmt: skip
    found.table("Steps of the batch repeated by single environments", rows)
    share, span = rows[0]["share"], proportion(rows[0]["different texts"], rows[0]["steps"])
    found.check("share of steps with another text than the single run", [share], 1e-4, at_most=True, span=span)
    apart = rows[0]["largest reward difference"]
    found.check("largest reward difference of equal texts", [apart], 1e-5, at_most=True)


def proportion(count: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share (Clopper and Pearson)."""
    interval = binomtest(count, trials).proportion_ci(method="exact")
    return float(interval.low), float(interval.high)


def repeated_singly(bench: Bench, world: World, count: int) -> tuple[int, int, float]:
    """Repeat at least `count` steps of the batch in a single environment.

    Returns:
        The number of steps, how many give another text, and the largest difference of the rewards of equal texts.
    """
    batch = parts.vector_envs(world, bench.size.num_envs)
    (single,) = parts.single_envs(parts.variant(world, action_sets=parts.fresh_sets(world)), 1)
    steps = differ = 0
    apart = 0.0
    with tqdm(total=count, desc="single steps", unit="step", leave=False, disable=None) as bar:
        while steps < count:
            rng = np.random.default_rng(steps)
            batch.reset(seed=9 * APART + steps)
            for _ in range(bench.size.steps):
                before, actions = batch.get_state(), parts.offered(batch.action_masks(), rng)
                result = batch.transition(actions)
                for snapshot, action, after, reward in zip(before, actions, result.states, result.rewards, strict=True):
                    single.set_state(snapshot)
                    single_reward = float(single.step(int(action))[1])
                    same = single.state.text == after.text
                    differ += not same
                    apart = max(apart, abs(single_reward - float(reward))) if same else apart
                steps += len(before)
                bar.update(len(before))
    return steps, differ, apart
