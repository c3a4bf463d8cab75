"""How far the grammar is from the embedded model: `python -m benchmarks.experiments.t2_transfer.grammar --help`.

Prints the total variation between their answers, and the gains of five policies in both environments, on the same
episodes (users, start items and seeds).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from baselines.agent import Agent
from baselines.evaluate import evaluate, make_envs
from baselines.reference import make_reference
from baselines.search import Lookahead, LookaheadConfig
from benchmarks.experiments.t2_transfer.distance import describe, measure
from benchmarks.stats import Keyed, bootstrap, paired_difference
from eagle_gym.envs.opening import make_world

MODELS: Final = ("embedded", "grammar")
ENV_ID: Final = "EagleGym/Plots-v0"


def policies(calls: int) -> Mapping[str, Callable[[Any, np.random.Generator], Agent]]:
    """Makers of the policies by name; `calls` is what lookahead may imagine in an episode."""
    return {
        "no-op": lambda envs, rng: make_reference("no_op", envs.unwrapped, rng),
        "uniform": lambda envs, rng: make_reference("uniform", envs.unwrapped, rng),
        "user-blind greedy": lambda envs, rng: make_reference("user_blind", envs.unwrapped, rng),
        "greedy": lambda envs, rng: make_reference("optimistic", envs.unwrapped, rng),
        f"lookahead, {calls} calls": lambda envs, rng: Lookahead(envs, LookaheadConfig(calls), rng),
    }


def gains(model: str, episodes: int, calls: int) -> dict[str, Keyed]:
    """The gain of every policy in every episode of one language model's environment."""
    found: dict[str, Keyed] = {}
    envs = make_envs(ENV_ID, min(episodes, 64), language_model=model, split="test")
    for name, make in policies(calls).items():
        rows = evaluate(make(envs, np.random.default_rng(0)), envs, method=name, episodes=episodes).rows
        found[name] = [(row.seed, row.episode, row.user, row.gain) for row in rows]
    envs.close()
    return found


def table(here: Mapping[str, Keyed], there: Mapping[str, Keyed]) -> str:
    """Gains in both environments and their paired difference, with 95 % intervals, as a table."""
    rng = np.random.default_rng(0)
    lines = [f"| policy | {MODELS[0]} | {MODELS[1]} | difference |", "|---|---|---|---|"]
    for name, one in here.items():
        both = [
            bootstrap([row[3] for row in rows], [row[0] for row in rows], [row[2] for row in rows], rng)
            for rows in (one, there[name])
        ]
        lines.append(f"| {name} | {both[0]} | {both[1]} | {paired_difference(there[name], one, rng)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.experiments.t2_transfer.grammar", description=__doc__)
    parser.add_argument("--cases", type=int, default=64, help="pairs of a text and an edit (%(default)s)")
    parser.add_argument("--samples", type=int, default=24, help="answers of each model to each pair (%(default)s)")
    parser.add_argument("--episodes", type=int, default=64, help="of each policy (%(default)s)")
    parser.add_argument("--calls", type=int, default=80, help="that lookahead imagines in an episode (%(default)s)")
    options = parser.parse_args(arguments)
    worlds = [make_world(split="test", language_model=model, effects_model=MODELS[0]) for model in MODELS]
    print(describe(measure(*worlds, cases=options.cases, samples=options.samples, seed=0), *MODELS))
    print(flush=True)
    found = [gains(model, options.episodes, options.calls) for model in MODELS]
    print(f"Gains over {options.episodes} test episodes:\n\n{table(*found)}")


if __name__ == "__main__":
    main()
