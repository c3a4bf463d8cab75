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

from baselines import registry
from baselines.evaluate import evaluate, make_envs
from eagle_gym.errors import EagleError

SELECTIONS: Final = ("g_optimal", "uniform", "longest")
POLICIES: Final = ("uniform", "optimistic", "beam")
FIRST: Final = 3_000_000  # seeds of train episodes that no other measurement uses
CATALOG: Final = "EagleGym/Plots-v0"


def gains(env_id: str, policy: str, episodes: int, **kwargs: Any) -> np.ndarray[Any, Any]:  # noqa: ANN401
    """Gains of a policy, [episodes]."""
    envs = make_envs(env_id, episodes, split="train", language_model="grammar", **kwargs)
    agent = registry.make(policy, envs, np.random.default_rng(0))
    found = evaluate(agent, envs, method=policy, episodes=episodes, first_seed=FIRST)
    return np.array([row.gain for row in found.rows])


def line(env_id: str, arguments: Mapping[str, Any], episodes: int, budget: int) -> str:
    """One row of the table: means by selection and policy, and greedy's share of its own beam."""
    means: dict[tuple[str, str], float] = {}
    errors = {}
    for selection in SELECTIONS:
        for policy in POLICIES:
            spec = f"beam:budget={budget},width=8,levels=10" if policy == "beam" else policy
            found = gains(env_id, spec, episodes, **{"selection": selection, **arguments})
            means[selection, policy] = float(found.mean())
            errors[selection, policy] = found
    cells = []
    for selection in SELECTIONS:
        low, greedy, beam = (means[selection, policy] for policy in POLICIES)
        share = (greedy - low) / (beam - low) if beam > low else float("nan")
        cells.append(f"{low:6.2f} {greedy:6.2f} {beam:6.2f} {share:5.2f}")
    own = errors["g_optimal", "beam"] - errors["uniform", "beam"]
    spread = 1.96 * own.std() / np.sqrt(len(own))
    return " | ".join([*cells, f"{own.mean():5.2f} ± {spread:.2f}", json.dumps(arguments)])


def main(argv: list[str] | None = None) -> int:
    """Print a row for each line of the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.experiments.tasks.scan", description=__doc__)
    parser.add_argument("file", type=Path, help="a JSON object of arguments on each line")
    parser.add_argument("--env", default=CATALOG, help="id of the environment")
    parser.add_argument("--episodes", type=int, default=64, help="train episodes of each policy")
    parser.add_argument("--budget", type=int, default=640, help="imagined rewrites of beam search in an episode")
    options = parser.parse_args(argv)
    groups = " | ".join(f"{name}: uniform, greedy, beam, share" for name in ("designed", "random", "longest"))
    print(f"{groups} | beam, designed minus random | arguments", flush=True)
    for text in options.file.read_text().splitlines():
        if text.strip():
            try:
                print(line(options.env, json.loads(text), options.episodes, options.budget), flush=True)
            except EagleError as error:
                print(f"{error} | {text}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
