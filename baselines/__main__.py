"""Record, train and evaluate agents from a terminal: ``python -m baselines record``, ``train`` and ``evaluate``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from baselines import registry
from baselines.evaluate import FIRST_SEED, evaluate, make_envs
from baselines.reference import FIXED, REFERENCES
from eagle_gym.errors import ConfigurationError, EagleError

USUAL = """examples:
  python -m baselines train ppo --env EagleGym/Plots-v0 --out runs/ppo
  python -m baselines settings ppo
  python -m baselines evaluate uniform optimistic g_optimal runs/ppo

python -m baselines COMMAND --help says more.
"""
RECORD = """examples:
  python -m baselines record --env EagleGym/Plots-v0 --out runs/data
  python -m baselines record --env EagleGym/MovieLens-v0 --kwargs '{"root": "ml-latest-small"}' --out runs/data

Whole episodes of train users, one Minari dataset for each reference policy. What is there already is not done again.
"""
TRAIN = """examples:
  python -m baselines train eagle --env EagleGym/Plots-v0 --out runs/eagle --set kl_weight=0.1
  python -m baselines train ppo --env EagleGym/Plots-v0 --out runs/ppo
  python -m baselines train ppo --env EagleGym/MovieLens-v0 --kwargs '{"root": "ml-latest-small"}' --out runs/ml
  python -m baselines train ppo --out runs/ppo --set steps=20480 --set learning_rate=5e-4 --resume

A run is a folder of JSON and safetensors. Train on the train split (the default), evaluate on the test split.
"""
EVALUATE = """examples:
  python -m baselines evaluate uniform optimistic g_optimal runs/ppo
  python -m baselines evaluate runs/ppo --env EagleGym/Plots-v0 --episodes 256 --rows runs/ppo/test.json
  python -m baselines evaluate lookahead beam:budget=640,width=8 mcts best_of_n profile --episodes 32

Every agent meets the same episodes: users, texts and seeds. Gains are in catalog standard deviations of utility.
Trained agents take their most probable action, as in the experiments of benchmarks; --sample lets them sample.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except EagleError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    about = "Train and evaluate agents for eagle_gym."
    top = argparse.ArgumentParser(prog="python -m baselines", description=about, epilog=USUAL, formatter_class=raw)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    data = commands.add_parser("record", help="record the reference policies", epilog=RECORD, formatter_class=raw)
    add_environment(data, num_envs=64)
    data.add_argument("--out", type=Path, required=True, help="root of the datasets")
    data.add_argument("--episodes", type=int, default=128, help="of each policy (default: %(default)s)")
    data.add_argument("--seed", type=int, default=0, help="of the episodes (default: %(default)s)")
    data.set_defaults(run=run_record)
    train = commands.add_parser("train", help="train an agent", epilog=TRAIN, formatter_class=raw)
    learners = "; ".join(f"{name}: {learner.summary}" for name, learner in registry.LEARNERS.items())
    train.add_argument("name", choices=registry.LEARNERS, metavar="NAME", help=learners)
    add_environment(train, num_envs=64)
    train.add_argument("--out", type=Path, required=True, help="folder of the run")
    train.add_argument("--resume", action="store_true", help="go on from the folder's checkpoint, if there is one")
    train.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a hyperparameter, as often as you like; python -m baselines settings NAME lists them",
    )
    train.set_defaults(run=run_train)
    settings = commands.add_parser("settings", help="list the hyperparameters of a learner or a method")
    names = [*registry.LEARNERS, *registry.METHODS]
    settings.add_argument("name", choices=names, metavar="NAME", help=", ".join(names))
    settings.set_defaults(run=run_settings)
    test = commands.add_parser("evaluate", help="evaluate agents on test users", epilog=EVALUATE, formatter_class=raw)
    test.add_argument(
        "agents", nargs="+", help=f"folders of trained agents, or any of {', '.join(FIXED + tuple(registry.METHODS))}"
    )
    add_environment(test, num_envs=32)
    test.add_argument("--split", choices=["train", "test"], default="test", help="whose episodes (default: test users)")
    test.add_argument("--episodes", type=int, default=128, help="episodes of each agent (default: %(default)s)")
    test.add_argument("--first-seed", type=int, default=FIRST_SEED, help="seed of the first (default: %(default)s)")
    test.add_argument(
        "--sample",
        action="store_true",
        help="let trained agents sample their actions (default: they take the most probable one; "
        "policies that need no training always do as they are defined)",
    )
    test.add_argument("--rows", type=Path, help="write every episode to this JSON file")
    test.set_defaults(run=run_evaluate)
    return top


def add_environment(command: argparse.ArgumentParser, num_envs: int) -> None:
    """Arguments that say where an agent acts."""
    command.add_argument("--env", default="EagleGym/Plots-v0", help="id of the environment (default: %(default)s)")
    command.add_argument("--kwargs", type=json_object, default={}, help="its further arguments, as a JSON object")
    command.add_argument("--num-envs", type=int, default=num_envs, help="copies in a batch (default: %(default)s)")


def json_object(text: str) -> dict[str, Any]:
    """A JSON object, for argparse."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def environment_kwargs(options: argparse.Namespace, **own: str) -> dict[str, Any]:
    """What ``--kwargs`` says, and what the command itself sets.

    Raises:
        ConfigurationError: ``--kwargs`` holds something that has an option of its own.
    """
    homes = {"id": "--env", "env_id": "--env", "num_envs": "--num-envs"} | {name: f"--{name}" for name in own}
    for name in options.kwargs:
        if name in homes:
            raise ConfigurationError(f"--kwargs holds {name!r}, which is given by {homes[name]}")
    given: dict[str, Any] = options.kwargs
    return own | given


def run_record(options: argparse.Namespace) -> None:
    """``record``: play the reference policies on train users and write what happened."""
    from baselines.dataset import RecordConfig, record

    num_envs = min(options.num_envs, options.episodes)
    episodes = -(-options.episodes // num_envs) * num_envs
    envs = make_envs(options.env, num_envs, **({"split": "train"} | environment_kwargs(options)))
    try:
        record(envs, options.out, RecordConfig(episodes=episodes, seed=options.seed))
    finally:
        envs.close()
    print(f"{episodes} episodes of each of {', '.join(REFERENCES)}: {options.out}")


def run_train(options: argparse.Namespace) -> None:
    """``train``: make the environment, train, say where the agent is."""
    settings = dict(registry.read_setting(options.name, text) for text in options.set)
    envs = make_envs(options.env, options.num_envs, **({"split": "train"} | environment_kwargs(options)))
    try:
        agent = registry.train(options.name, envs, settings, folder=options.out, resume=options.resume)
    finally:
        envs.close()
    print(f"trained for {agent.steps} steps; the agent is in {options.out}")
    print(f"evaluate it: python -m baselines evaluate {options.out} --env {options.env}")


def run_settings(options: argparse.Namespace) -> None:
    """``settings``: a line for each hyperparameter."""
    for name, value in registry.hyperparameters(options.name).items():
        print(f"{name}={value}")


def run_evaluate(options: argparse.Namespace) -> None:
    """``evaluate``: the same episodes for each agent, one line each."""
    num_envs = min(options.num_envs, options.episodes)
    episodes = -(-options.episodes // num_envs) * num_envs
    envs = make_envs(options.env, num_envs, **environment_kwargs(options, split=options.split))
    rows: list[dict[str, Any]] = []
    try:
        print(f"{'agent':<24}{'episodes':>9}{'mean gain':>11}{'std. error':>12}{'model calls':>13}")
        for name in options.agents:
            agent = registry.make(name, envs, np.random.default_rng(0))
            with tqdm(desc=name, unit="step", leave=False) as bar:
                done = evaluate(
                    agent,
                    envs,
                    method=name,
                    episodes=episodes,
                    first_seed=options.first_seed,
                    deterministic=registry.is_learnt(name) and not options.sample,
                    bar=bar,
                )
            gains = np.array([row.gain for row in done.rows])
            error = gains.std(ddof=1) / len(gains) ** 0.5 if len(gains) > 1 else float("nan")
            print(f"{name:<24}{len(gains):>9}{gains.mean():>11.3f}{error:>12.3f}{done.cost.calls:>13}")
            rows += [asdict(row) for row in done.rows]
    finally:
        envs.close()
    if options.rows:
        options.rows.parent.mkdir(parents=True, exist_ok=True)
        options.rows.write_text(json.dumps(rows, indent=1, ensure_ascii=False))
        print(f"episodes: {options.rows}")


if __name__ == "__main__":
    sys.exit(main())
