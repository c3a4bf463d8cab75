"""``python -m eagle_gym``: prepare, play, check and look at environments from a terminal."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from eagle_gym.errors import ConfigurationError, EagleError
from eagle_gym.registration import IDS

if TYPE_CHECKING:
    from eagle_gym.envs.eagle import EagleEnv

DESCRIPTION = "Language models as Gymnasium environments: prepare, play, check and look at them."
EXAMPLES = """\
examples:
  python -m eagle_gym play                                    you are the agent, in the embedded world
  python -m eagle_gym info EagleGym/Plots-v0                  spaces, catalog, model, how good the latent space is
  python -m eagle_gym prepare EagleGym/MovieLens-v0 root=path/to/ml-latest-small
  python -m eagle_gym check EagleGym/Plots-v0 horizon=3 actions=8

Arguments of an environment are given as name=value, the value as JSON (horizon=3, reward=terminal,
utility_kwargs='{"weight": 0.5}'); an unknown name is answered with the list of those there are.
"""
PLAY_HELP = "number of a prompt, Enter for the design's heaviest, r to reset, q to quit"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 where it went well, 1 where the environment is at fault, 2 where the arguments are."""
    options = parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except EagleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m eagle_gym",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(required=True, metavar="command")
    for name, function, text in (
        ("prepare", prepare, "make what first use needs (latent space, surrogate), with progress, and cache it"),
        ("play", play, "play an episode: read the text, choose an edit, see what the model makes of it"),
        ("check", check, "run Gymnasium's and Stable-Baselines3's checkers, warnings as errors, and our own"),
        ("info", info, "print spaces, catalog, language model, and the quality of latent space and surrogate"),
    ):
        _add_command(commands, name, function, text)
    return top


def _add_command(commands: Any, name: str, function: Callable[[argparse.Namespace], int], text: str) -> None:  # noqa: ANN401
    command = commands.add_parser(
        name, help=text, description=text, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.set_defaults(command=function)
    command.add_argument(
        "id",
        nargs="?",
        default="EagleGym/Plots-v0",
        help=f"an environment's id: {', '.join(IDS)} (default: %(default)s)",
    )
    command.add_argument("arguments", nargs="*", metavar="name=value", help="arguments of the environment")
    if name == "play":
        command.add_argument("--seed", type=int, default=None, help="seed of the episode (default: a random one)")
        command.add_argument("--user", default=None, help="id of the reader (default: drawn)")
        command.add_argument("--entity", default=None, help="id of the start entity (default: drawn)")
        command.add_argument("--text", default=None, help="a start text of your own (default: the entity's)")


def keywords(pairs: Sequence[str]) -> dict[str, Any]:
    """``name=value`` pairs as keywords; a value that is no JSON is a string.

    Raises:
        ConfigurationError: a pair without "=".
    """
    result: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"arguments of an environment are given as name=value, got {pair!r}")
        try:
            result[name] = json.loads(value)
        except ValueError:
            result[name] = {"None": None, "True": True, "False": False}.get(value, value)
    return result


def open_env(options: argparse.Namespace, **extra: Any) -> EagleEnv:  # noqa: ANN401
    """The environment that the command line names, without Gymnasium's wrappers.

    Raises:
        ConfigurationError: an unknown id.
    """
    import gymnasium as gym

    import eagle_gym
    from eagle_gym.envs.eagle import EagleEnv

    gym.register_envs(eagle_gym)
    pairs = options.arguments
    if "=" in options.id:  # arguments without an id
        options.id, pairs = "EagleGym/Plots-v0", [options.id, *pairs]
        options.arguments = pairs
    if options.id not in IDS:
        from eagle_gym.envs.settings import suggest

        raise ConfigurationError(f"there is no environment {options.id!r}{suggest(options.id, list(IDS))}")
    env = gym.make(options.id, **keywords(pairs), **extra).unwrapped
    assert isinstance(env, EagleEnv)
    return env


def prepare(options: argparse.Namespace) -> int:
    """Open the environment once, which makes what is absent."""
    env = open_env(options)
    print(f"{options.id} is prepared.")
    env.close()
    return 0


def info(options: argparse.Namespace) -> int:
    """Print what an environment is made of."""
    env = open_env(options)
    for name, value in facts(env):
        print(f"{name:<34}{value}")
    env.close()
    return 0


def facts(env: EagleEnv) -> Iterator[tuple[str, str]]:
    """Names and values for people."""
    from eagle_gym.envs.settings import Settings

    world = env.world
    catalog, space, parts = world.catalog, world.space, world.resources
    yield "observation space", str(env.observation_space)
    yield "action space", str(env.action_space)
    yield (
        "catalog",
        f"{catalog.name}: {len(catalog.entities):,} entities, {len(catalog.users):,} users, "
        f"{len(catalog.ratings):,} ratings from {catalog.scale[0]:g} to {catalog.scale[1]:g}; {catalog.language}",
    )
    for skipped in catalog.skipped:
        yield "  left out", str(skipped)
    yield "split", f"{len(world.users)} {world.settings.split} users, {len(world.entities)} start entities"
    model = world.model
    yield "language model", f"{model.name} ({model.fingerprint}), deterministic: {model.deterministic}"
    yield "latent space", f"dimension {space.dim}, radius {space.radius:.3f}, fingerprint {space.fingerprint}"
    for name, number in space.quality.items():
        yield f"  {name}", f"{number:.4g}"
    for name, number in parts.surrogate_quality.items():
        yield f"  surrogate {name}", f"{number:.4g}"
    default = Settings().as_kwargs()
    changed = {name: value for name, value in world.settings.as_kwargs().items() if value != default[name]}
    yield "arguments", json.dumps(changed) if changed else "all as by default"


def play(options: argparse.Namespace) -> int:
    """Let a person choose the edits."""
    env = open_env(options, render_mode="ansi")
    start = {name: getattr(options, name) for name in ("user", "entity", "text") if getattr(options, name) is not None}
    env.reset(seed=options.seed, options=start)
    print(env.render())
    over = False
    while (answer := _ask(over)) is not None:
        if answer == "r":
            env.reset(options=start)
            over = False
        elif over:
            continue
        else:
            action = _as_action(env, answer)
            if action is None:
                print(f"({PLAY_HELP})")
                continue
            over = env.step(action)[2]
        print("\n" + "=" * 100 + f"\n{env.render()}")
    env.close()
    return 0


def _ask(over: bool) -> str | None:
    """What the person typed; None to quit."""
    try:
        answer = input("r for another episode, q to quit: " if over else f"{PLAY_HELP}: ").strip().lower()
    except EOFError:
        return None
    return None if answer in ("q", "quit", "exit") else answer


def _as_action(env: EagleEnv, answer: str) -> int | None:
    chosen = env.state.action_set
    if not answer:
        return int(chosen.weights.argmax())
    if answer.isascii() and answer.isdecimal() and int(answer) < len(chosen.mask) and chosen.mask[int(answer)]:
        return int(answer)
    return None


def check(options: argparse.Namespace) -> int:
    """Run every checker on the environment; the first failure is raised by what found it."""
    from eagle_gym.envs.checks import CHECKS

    open_env(options).close()
    arguments = keywords(options.arguments)
    failures = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, function in CHECKS.items():
            problem = _problem(function, options.id, arguments)
            failures += problem is not None
            print(f"{'ok  ' if problem is None else 'FAIL'}  {name}" + ("" if problem is None else f": {problem}"))
    return 1 if failures else 0


def _problem(function: Callable[[str, dict[str, Any]], None], env_id: str, arguments: dict[str, Any]) -> str | None:
    try:
        function(env_id, dict(arguments))
    except Exception as error:  # noqa: BLE001 - a checker may raise anything, and the report goes on
        return f"{type(error).__name__}: {error}"
    return None


if __name__ == "__main__":
    sys.exit(main())
