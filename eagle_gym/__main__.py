"""`python -m eagle_gym`: list, prepare, play, animate, check and inspect environments from a terminal."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eagle_gym.errors import ConfigurationError, EagleError, suggest
from eagle_gym.registration import ABOUT, IDS
from eagle_gym.terminal import run_command

if TYPE_CHECKING:
    from eagle_gym.envs.eagle import EagleEnv

DESCRIPTION = "Language models as Gymnasium environments: list, prepare, play, animate, check and inspect them."
EXAMPLES = """\
examples:
  python -m eagle_gym list                                    the ids, and what each needs
  python -m eagle_gym play                                    you are the agent, in the embedded world
  python -m eagle_gym animate --seed 3 --out episode.gif      an episode of the greedy policy as an animated picture
  python -m eagle_gym info EagleGym/Plots-v0                  spaces, catalog, model, accuracy of the latent space
  python -m eagle_gym prepare EagleGym/MovieLens-v0 root=path/to/ml-latest-small
  python -m eagle_gym check EagleGym/Plots-v0 horizon=3 actions=8

Arguments of an environment are given as name=value, the value as JSON (horizon=3, reward=terminal,
utility_kwargs='{"weight": 0.5}'). The help of a command, such as play --help, describes them all.
"""
PLAY_INTRODUCTION = """\
You are the agent. Choose edits, and the language model rewrites the text. Aim for a text that this user would love
(affinity) and that resembles nothing in the catalog (novelty). The utility measures both; its gain is the reward."""
PLAY_HELP = "number of an edit, Enter for the one with the largest weight, r for another episode, q to quit"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, 1 for an error, 2 for invalid arguments."""
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
    _add_list(commands)
    for name, function, text in (
        ("prepare", prepare, "make and keep what an environment needs: latent space, surrogate, pools"),
        ("play", play, "play an episode: read the text, choose an edit, see what the model makes of it"),
        ("animate", animate, "draw an episode of the greedy policy as an animated GIF (needs the extra: render)"),
        ("check", check, "run the checkers of Gymnasium and Stable-Baselines3 (warnings are errors) and our own"),
        ("info", info, "print spaces, catalog, language model, and the accuracy of latent space and surrogate"),
    ):
        _add_command(commands, name, function, text)
    return top


def _add_list(commands: Any) -> None:  # noqa: ANN401
    text = "list the ids, with what each is and needs"
    command = commands.add_parser("list", help=text, description=text)
    command.set_defaults(command=list_ids)
    command.add_argument("--json", action="store_true", help="as a JSON object: id -> description, needs, kwargs")


def _add_command(commands: Any, name: str, function: Callable[[argparse.Namespace], int], text: str) -> None:  # noqa: ANN401
    command = commands.add_parser(
        name,
        help=text,
        description=text,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    command.add_argument("-h", "--help", action=_ShowHelp, nargs=0, help="show this message and all arguments")
    command.set_defaults(command=function)
    command.add_argument(
        "id",
        nargs="?",
        default="EagleGym/Plots-v0",
        help=f"an environment's id: {', '.join(IDS)} (default: %(default)s)",
    )
    command.add_argument("arguments", nargs="*", metavar="name=value", help="arguments of the environment")
    if name == "info":
        command.add_argument(
            "--measure",
            action="store_true",
            help="also hold items out and measure how well their ratings are predicted from text (takes a while)",
        )
    if name == "animate":
        command.add_argument("--seed", type=int, default=0, help="seed of the episode (default: %(default)s)")
        command.add_argument("--out", type=Path, default=Path("episode.gif"), help="the file (default: %(default)s)")
    if name == "play":
        command.add_argument("--seed", type=int, default=None, help="seed of the episode (default: a random one)")
        command.add_argument("--user", default=None, help="id of the user (default: drawn)")
        command.add_argument("--item", default=None, help="id of the start item (default: drawn)")
        command.add_argument("--text", default=None, help="a start text of your own (default: the item's)")


class _ShowHelp(argparse.Action):
    """Prints the help of a command and the declared arguments of an environment."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from eagle_gym.envs.arguments import help_lines
        from eagle_gym.envs.settings import Settings

        parser.print_help()
        print("\narguments of an environment:", *help_lines(Settings.arguments()), sep="\n")
        parser.exit()


def keywords(pairs: Sequence[str]) -> dict[str, Any]:
    """Turn `name=value` pairs into keywords. A value that is not JSON is a string.

    Raises:
        ConfigurationError: A pair without "=".
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
        ConfigurationError: An unknown id.
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
        raise ConfigurationError(f"expected one of {', '.join(IDS)}, got {options.id!r}{suggest(options.id, IDS)}")
    env = gym.make(options.id, **keywords(pairs), **extra).unwrapped
    assert isinstance(env, EagleEnv)
    return env


def list_ids(options: argparse.Namespace) -> int:
    """Print the ids, one per line, with what each is and what it needs."""
    if options.json:
        found = {
            env_id: {"description": text, "task": task, "needs": needs, "kwargs": IDS[env_id]}
            for env_id, (text, task, needs) in ABOUT.items()
        }
        print(json.dumps(found, indent=2))
        return 0
    width = max(map(len, ABOUT)) + 2
    for env_id, (text, task, needs) in ABOUT.items():
        print(f"{env_id:<{width}}{text} (needs {needs}); {task}")
    return 0


def prepare(options: argparse.Namespace) -> int:
    """Open an environment once, which makes its latent space and surrogate if they are absent; then make its pools."""
    from eagle_gym.actions.pools import ItemPools

    env = open_env(options)
    candidates = env.world.resources.action_sets.candidates
    if isinstance(candidates, ItemPools):
        split = env.world.resources.split
        starts = [env.world.catalog.items[row].text for row in (*split.train_items, *split.test_items)]
        made = candidates.make(starts, progress=True)
        print(f"{candidates.path} holds the pools of {len(set(starts))} items; {made} of them are new.")
    print(f"{options.id} is prepared.")
    env.close()
    return 0


def info(options: argparse.Namespace) -> int:
    """Print what an environment is made of."""
    env = open_env(options)
    told = list(facts(env))
    width = max(len(name) for name, _ in told) + 2
    for name, value in told:
        print(f"{name:<{width}}{value}")
    if options.measure:
        print(*("", *cold_start(env)), sep="\n")
    env.close()
    return 0


def facts(env: EagleEnv) -> Iterator[tuple[str, str]]:
    """Names and values to print; an indented name is a part of the one above it."""
    from eagle_gym.actions.surrogate.make import advice
    from eagle_gym.envs.settings import Settings

    world = env.world
    catalog, space, parts, split = world.catalog, world.space, world.resources, world.resources.split
    yield "observation space", str(env.observation_space)
    yield "action space", str(env.action_space)
    yield (
        "catalog",
        f"{catalog.name}: {len(catalog.items):,} items, {len(catalog.users):,} users, "
        f"{len(catalog.ratings):,} ratings from {catalog.scale[0]:g} to {catalog.scale[1]:g}; {catalog.language}",
    )
    for skipped in catalog.skipped:
        yield "  note", str(skipped)
    for name, users, items in (
        ("train", split.train_users, split.train_items),
        ("test", split.test_users, split.test_items),
    ):
        mine = " (this environment's)" if name == world.settings.split else ""
        yield f"  {name} split", f"{len(users):,} users, {len(items):,} start items{mine}"
    model = world.model
    yield "language model", f"{model.name}, fingerprint {model.fingerprint}, writes {model.language}"
    yield "  deterministic", f"{world.resources.deterministic} (batch_invariant={world.settings.batch_invariant})"
    yield "latent space", f"dimension {space.dim}, radius {space.radius:.3f}, fingerprint {space.fingerprint}"
    for name, value in space.quality.facts(space.dim):
        yield f"  {name}", value
    if parts.surrogate_quality:
        yield "surrogate of the language model", "R² of predicted displacements, on texts unseen in the fit"
        yield from _surrogate_facts(parts.surrogate_quality)
        if not parts.speaks_plot_english and (said := advice(parts.surrogate_quality)):
            yield "  advice", said
    default = Settings().as_kwargs()
    changed = {name: value for name, value in world.settings.as_kwargs().items() if value != default[name]}
    yield "arguments", json.dumps(changed) if changed else "all as by default"


def _surrogate_facts(quality: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """R² for each kind of edit, with its interval and its upper bound under sampling noise."""
    from eagle_gym.actions.surrogate.make import SUFFIXES

    for suffix in SUFFIXES:
        if f"r2{suffix}" in quality:
            low, high = quality[f"r2_low{suffix}"], quality[f"r2_high{suffix}"]
            best = f", {quality[f'r2_ceiling{suffix}']:.2f} at best" if f"r2_ceiling{suffix}" in quality else ""
            yield (
                f"  r2{suffix.replace('_', ' ')}",
                f"{quality[f'r2{suffix}']:.2f} (95 % interval {low:.2f} to {high:.2f}{best}), "
                f"{quality[f'pairs{suffix}']:.0f} edits of {quality[f'start_texts{suffix}']:.0f} texts",
            )


def cold_start(env: EagleEnv) -> Iterator[str]:
    """Measure how well the latent space predicts ratings of held-out items, as lines of a table."""
    from eagle_gym.latent import cold_start_report

    world = env.world
    report = cold_start_report(world.catalog, world.resources.split, world.space.parameters, progress=True)
    splits = report.errors["all"].splits
    yield f"RMSE of ratings of items held out whole, in rating units, mean of {splits} splits"
    yield f"{'users':<10}{'user mean':>16}{'bias only':>20}{'z without bias':>20}{'text (all of z)':>20}"
    for who, found in report.errors.items():
        cells = "".join(
            f"{f'{getattr(found, name):.4f} ({found.gain(name):+.1f} %)':>20}"
            for name in ("bias_only", "taste_only", "text")
        )
        yield f"{who:<10}{found.user_mean:>16.4f}{cells}"


def play(options: argparse.Namespace) -> int:
    """Let a person choose the edits."""
    from eagle_gym.envs.render import draw_last

    env = open_env(options, render_mode="ansi")
    start = {name: getattr(options, name) for name in ("user", "item", "text") if getattr(options, name) is not None}
    env.reset(seed=options.seed, options=start)
    print(f"{PLAY_INTRODUCTION}\n\n{env.render()}")
    over = False
    while (answer := _ask(over)) is not None:
        if answer == "r":
            env.reset(options=start)
            over = False
            print(f"\n{'=' * 100}\n{env.render()}")
        elif not over and (action := _as_action(env, answer)) is not None:
            over = env.step(action)[2]
            print(f"\n{draw_last(env.world, env.frames)}")
        else:
            print(f"{answer!r} is not one of the choices")
    env.close()
    return 0


def animate(options: argparse.Namespace) -> int:
    """Play an episode with the greedy policy and write it as a GIF."""
    from eagle_gym.envs.animation import episode_images, play_greedily, save_gif

    env = open_env(options)
    save_gif(episode_images(env.world, play_greedily(env, options.seed)), options.out)
    print(f"{options.out}: {options.out.stat().st_size / 1024:.0f} KiB")
    env.close()
    return 0


def _ask(over: bool) -> str | None:
    """Read what the person types; None means quit."""
    try:
        answer = input(f"\n{'r for another episode, q to quit' if over else PLAY_HELP}: ").strip().lower()
    except EOFError:
        print()
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
    """Run every checker on an environment and print what it finds; the status is 1 if one fails."""
    from eagle_gym.envs.checks import CHECKS

    open_env(options).close()
    arguments = keywords(options.arguments)
    failures = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, function in CHECKS.items():
            found, problem = _found(function, options.id, arguments)
            failures += found == "FAIL"
            print(f"{found:4}  {name}{problem and f': {problem}'}")
    return 1 if failures else 0


def _found(function: Callable[[str, dict[str, Any]], None], env_id: str, arguments: dict[str, Any]) -> tuple[str, str]:
    """What a checker finds (`"ok"`, `"FAIL"`, or `"-"` if it is not installed), and why."""
    from eagle_gym.envs.checks import NotInstalledError

    try:
        function(env_id, dict(arguments))
    except NotInstalledError as error:
        return "-", f"not checked, it needs {error}"
    except Exception as error:  # noqa: BLE001 - a checker may raise anything, and the report goes on
        return "FAIL", f"{type(error).__name__}: {error}"
    return "ok", ""


if __name__ == "__main__":
    sys.exit(run_command(main))
