"""Knobs of a task, tried on train users: `python -m benchmarks.experiments.tasks.scan FILE`.

Each line of the file is a JSON object of arguments, such as `{"task": "plan", "actions": 6}`. For each, the program
prints mean gains of policies that need no training: uniform, greedy on expected utilities and beam search, with
designed, random and longest action sets. A preset needs planning if greedy gains little of what beam search gains
*with the same action sets*, and it needs the design if both gain more with designed sets.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from baselines import registry
from baselines.evaluate import evaluate, make_envs
from eagle_gym.errors import EagleError

Gains = NDArray[np.float64]  # [episodes]

DESIGNED: Final = "designed"
OTHERS: Final = ("uniform", "longest")  # selections of action sets
POLICIES: Final = ("uniform", "optimistic", "beam")
FIRST: Final = 3_000_000  # seeds of train episodes that no other measurement uses
CATALOG: Final = "EagleGym/Plots-v0"


def gains(env_id: str, policy: str, episodes: int, **kwargs: Any) -> Gains:  # noqa: ANN401
    """Gains of a policy, [episodes]."""
    envs = make_envs(env_id, episodes, split="train", language_model="grammar", **kwargs)
    agent = registry.make(policy, envs, np.random.default_rng(0))
    found = evaluate(agent, envs, method=policy, episodes=episodes, first_seed=FIRST)
    return np.array([row.gain for row in found.rows])


def line(env_id: str, arguments: Mapping[str, Any], episodes: int, budget: int) -> str:
    """One row of the table: means by selection and policy, and greedy's share of its own beam."""
    specs = {policy: policy for policy in POLICIES} | {"beam": f"beam:budget={budget},width=8,levels=10"}
    sets = {DESIGNED: {}, **{name: {"selection": name} for name in OTHERS}}
    found = {
        name: [gains(env_id, spec, episodes, **{**arguments, **own}) for spec in specs.values()]
        for name, own in sets.items()
    }
    cells = [share(*columns) for columns in found.values()]
    cells += [difference(found[DESIGNED][row], found["uniform"][row]) for row in (1, 2)]
    return " | ".join([*cells, json.dumps(arguments)])


def share(low: Gains, greedy: Gains, beam: Gains) -> str:
    """Mean gains of uniform, greedy and beam search, and how much of the beam's gain greedy has."""
    means = [float(gains.mean()) for gains in (low, greedy, beam)]
    part = (means[1] - means[0]) / (means[2] - means[0])
    return " ".join(f"{mean:6.2f}" for mean in (*means, part))


def difference(one: Gains, other: Gains) -> str:
    """Mean difference of paired gains, with half of its 95 % interval."""
    less = one - other
    return f"{less.mean():5.2f} ± {1.96 * less.std() / np.sqrt(len(less)):.2f}"


def main(argv: list[str] | None = None) -> int:
    """Print a row for each line of the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.experiments.tasks.scan", description=__doc__)
    parser.add_argument("file", type=Path, help="a JSON object of arguments on each line")
    parser.add_argument("--env", default=CATALOG, help="id of the environment")
    parser.add_argument("--episodes", type=int, default=64, help="train episodes of each policy")
    parser.add_argument("--budget", type=int, default=640, help="imagined rewrites of beam search in an episode")
    options = parser.parse_args(argv)
    groups = " | ".join(f"{name}: uniform, greedy, beam, share" for name in (DESIGNED, "random", "longest"))
    print(f"{groups} | designed minus random: greedy | beam | arguments", flush=True)
    for text in options.file.read_text().splitlines():
        if text.strip():
            try:
                print(line(options.env, json.loads(text), options.episodes, options.budget), flush=True)
            except EagleError as error:
                print(f"{error} | {text}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
