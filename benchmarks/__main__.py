"""Experiments of eagle_gym.

from nothing to a report:
  python -m benchmarks list                                      all experiments; `list NAME` describes one
  python -m benchmarks run t1_methods --size small --jobs 2      run its cells, in runs/t1_methods
  python -m benchmarks judge runs/t1_methods                     independent judges rate the texts: JUDGES.md
  python -m benchmarks report runs/t1_methods --out runs/report  tables, curves, maps: REPORT.md and report.html

people as judges (docs/rating.md):
  python -m benchmarks rate runs/t1_methods --out study          a study: tasks for raters, drawn from a run
  python -m benchmarks invite study --raters 12                  links for raters
  python -m benchmarks serve study --port 8000                   the pages that raters see
  python -m benchmarks ratings study                             what they say: RATINGS.md, and a judge in reports

rewards of recorded rollouts, again:
  python -m benchmarks rescore rollouts.jsonl                    see python -m baselines rollouts --help

Maintainers of this repository use reference and readme to make the committed numbers.
Every command has its own help: python -m benchmarks run --help
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.experiments import find_experiments
from benchmarks.reporting.readme import keep_tasks, renew_episode, renew_latent, renew_results, renew_speed
from benchmarks.running.engines import NAMES as ENGINES
from benchmarks.running.files import REFERENCE, ROOT
from benchmarks.running.options import Options
from eagle_gym.errors import ConfigurationError, EagleError
from eagle_gym.terminal import run_command

Parser = argparse.ArgumentParser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = parser().parse_args(arguments)
    os.environ["MPLBACKEND"] = "agg"  # pictures are files; a notebook's backend may not exist in this process
    try:
        options.command(options)
    except EagleError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def explained(docstring: str | None) -> dict[str, Any]:
    """A docstring's first line as the description of a command, the rest as text below its options."""
    description, _, epilog = inspect.cleandoc(docstring or "").partition("\n\n")
    return {"description": description, "epilog": epilog, "formatter_class": argparse.RawDescriptionHelpFormatter}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m benchmarks", **explained(__doc__))
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], None]) -> Parser:
        texts = explained(command.__doc__)
        summary = texts["description"].rstrip(".")
        found = commands.add_parser(name, help=summary[0].lower() + summary[1:], **texts)
        found.set_defaults(command=command)
        return found

    lister = add("list", list_experiments)
    lister.add_argument("name", nargs="?", help="an experiment to describe")
    add_run(add("run", run_experiment))
    judge = add("judge", judge_episodes)
    judge.add_argument("run", type=Path, help="folder of a run, such as runs/learning")
    judge.add_argument("--language-model", help="a language model as a further judge, such as openai:MODEL@URL")
    report = add("report", report_runs)
    report.add_argument("runs", type=Path, nargs="+", help="folders of runs, such as runs/t1_methods")
    report.add_argument("--out", type=Path, required=True, help="folder for REPORT.md and report.html")
    add_rating(add)
    rescorer = add("rescore", rescore_rollouts)
    rescorer.add_argument("rollouts", type=Path, help="file of python -m baselines rollouts")
    rescorer.add_argument("--utility", help="another utility, as module:factory")
    rescorer.add_argument("--utility-kwargs", type=json_object, help="its keyword arguments, as JSON")
    rescorer.add_argument("--kwargs", type=json_object, default={}, help="other arguments of the environment, as JSON")
    rescorer.add_argument("--out", type=Path, help="file of the rescored rollouts (default: none)")
    reference = add("reference", pack_run)
    reference.add_argument("run", type=Path, help="folder of a run, such as runs/t1_methods")
    reference.add_argument("--out", type=Path, help="folder to write (default: benchmarks/reference/EXPERIMENT)")
    readme = add("readme", renew_pages)
    readme.add_argument("--demo", type=Path, help="a run of demo on Plots, for the episode of docs/introduction.md")
    readme.add_argument("--tasks", type=Path, help="a run of tasks, for the README's first table")
    readme.add_argument("--space", type=Path, help="a run of space, for the tables of eagle_gym/latent/README.md")
    readme.add_argument("--throughput", type=Path, help="a run of throughput, for the tables of docs/speed.md")
    return top


def add_rating(add: Callable[[str, Callable[[argparse.Namespace], None]], Parser]) -> None:
    """The commands of studies with raters."""
    rate = add("rate", make_rating_study)
    rate.add_argument("runs", type=Path, nargs="+", help="folders of finished runs, such as runs/t1_methods")
    rate.add_argument("--out", type=Path, required=True, help="folder of the study to make")
    rate.add_argument("--scales", type=int, default=30, help="tasks with one text (default: %(default)s)")
    rate.add_argument("--pairs", type=int, default=30, help="tasks with two texts (default: %(default)s)")
    rate.add_argument("--methods", nargs="+", default=[], help="methods to compare (default: all of the runs)")
    rate.add_argument(
        "--settings", type=Path, help="consent, criteria, design, exclusion (default: benchmarks/rating/study.toml)"
    )
    rate.add_argument("--seed", type=int, default=0, help="draws and assigns the tasks (default: %(default)s)")
    invite = add("invite", invite_raters)
    invite.add_argument("study", type=Path, help="folder of a study")
    invite.add_argument("--raters", type=int, help="number of invitations to make")
    invite.add_argument("--days", type=float, default=30.0, help="days until they end (default: %(default)s)")
    invite.add_argument("--url", default="http://127.0.0.1:8000", help="where raters reach it (default: %(default)s)")
    invite.add_argument("--expire", nargs="+", metavar="RATER", help="end the invitations of these raters now")
    server = add("serve", serve_study)
    server.add_argument("study", type=Path, help="folder of a study")
    server.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s, this machine)")
    server.add_argument("--port", type=int, default=8000, help="port to listen at (default: %(default)s)")
    ratings = add("ratings", read_ratings)
    ratings.add_argument("study", type=Path, help="folder of a study")
    ratings.add_argument("--runs", type=Path, nargs="+", help="where the runs are now, if they were moved")
    ratings.add_argument("--add", type=Path, nargs="+", metavar="FILE", help="files of ratings to add before")
    ratings.add_argument("--replicates", type=int, default=2000, help="of each interval (default: %(default)s)")


def json_object(text: str) -> dict[str, Any]:
    """Parse a JSON object, for argparse."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def add_run(runner: Parser) -> None:
    """The arguments of `run`."""
    runner.add_argument("name", help="an experiment that `list` names")
    runner.add_argument(
        "--size", default="small", help="smoke, small, reference, …; `list` names the sizes (default: %(default)s)"
    )
    runner.add_argument("--data", type=Path, help="folder of a data set: MovieLens; Amazon for t4_products")
    runner.add_argument("--out", type=Path, help="folder to write (default: runs/NAME; with --data, runs/NAME-DATA)")
    cells = runner.add_argument_group("cells")
    cells.add_argument("--jobs", type=int, default=1, help="cells to run at a time (default: %(default)s)")
    cells.add_argument(
        "--engine", choices=ENGINES, default="local", help="local processes, or a Ray cluster (default: %(default)s)"
    )
    cells.add_argument(
        "--only",
        default="*",
        help="do only the cells that match, such as 'plots-plan-*', and what they need; of throughput, editing and "
        "serving, only these sections, texts or models",
    )
    cells.add_argument("--resume", action="store_true", help="repeat failed cells")
    cells.add_argument("--fresh", action="store_true", help="repeat finished cells")
    cells.add_argument(
        "--report-only", action="store_true", help="run no cell: report on the finished ones, list the missing ones"
    )
    some = runner.add_argument_group("options of single experiments")
    some.add_argument("--device", default="cpu", help="throughput: device, such as cuda (default: cpu)")
    some.add_argument("--figure", action="store_true", help="design: draw the figure and measure nothing")
    some.add_argument("--language-model", help="t4_products, free_text, editing: a general language model")
    some.add_argument("--judge", help="editing: language models that say whether edits were carried out")


def renew_pages(options: argparse.Namespace) -> None:
    """Write measured numbers into README and docs.

    The README's tables always come from the committed runs in benchmarks/reference.

    Examples:
      python -m benchmarks readme                        the README's tables
      python -m benchmarks readme --tasks runs/tasks     the page in benchmarks/reference/tasks, and the README's tables
      python -m benchmarks readme --demo runs/demo       the episode of docs/introduction.md
      python -m benchmarks readme --space runs/space     the tables of eagle_gym/latent/README.md

    No number on these pages is typed by hand, and a test fails if the README and the reference run disagree.
    """
    if options.tasks:
        keep_tasks(options.tasks)
    renew_results(ROOT / "README.md")
    if options.demo:
        renew_episode(ROOT / "docs" / "introduction.md", options.demo)
    if options.space:
        renew_latent(ROOT / "eagle_gym" / "latent" / "README.md", options.space)
    if options.throughput:
        renew_speed(ROOT / "docs" / "speed.md", options.throughput)


def list_experiments(options: argparse.Namespace) -> None:
    """List the experiments and their sizes.

    sizes:
      smoke      a test that it works: one seed, a few steps, seconds to minutes; its numbers mean nothing
      small      a first look: two seeds, at most an hour on two cores; too few to tell close methods apart
      reference  the reported size: five seeds, hours; it can be interrupted and continued at any time
      full       ten seeds (design has large and huge instead)

    docs/experiments.md says how long each size takes, and how to read the results.
    """
    found = find_experiments()
    if options.name:
        module = experiment(options.name)
        print((module.__doc__ or "").strip())
        for size, settings in module.SIZES.items():
            shown = settings if isinstance(settings, Mapping) else vars(settings)
            print(f"\n{size}: {', '.join(f'{name} {value}' for name, value in shown.items())}")
        return
    for name, module in found.items():
        summary = (module.__doc__ or "").strip().splitlines()[0]
        print(f"{name:<16}{summary}\n{'':<16}sizes: {', '.join(module.SIZES)}")
    print("\npython -m benchmarks list NAME describes an experiment, `list --help` the sizes;")
    print("python -m benchmarks run NAME --size smoke tries it.")


def judge_episodes(options: argparse.Namespace) -> None:
    """Let judges that took no part in training rate a run's episodes.

    Examples:
      python -m benchmarks judge runs/t1_methods
      python -m benchmarks judge runs/t1_methods --language-model openai:MODEL@http://localhost:8000/v1

    Agents are rewarded by one latent space and can exploit its errors. The judges took no part in training: the true
    tastes behind the ratings (only on Plots), a second space of other ratings, and a language model if one is named.
    They read the run's episodes and play none. JUDGES.md says how much of the reward they confirm, and
    reports of a judged run include their columns.
    """
    from benchmarks.judging.judge_run import judge_run
    from benchmarks.reporting.build import write_judges_page

    judge_run(options.run, language_model=options.language_model)
    print(write_judges_page(options.run))
    print(f"JUDGES.md with its plots, judgements.parquet and judges.json in {options.run}")


def rescore_rollouts(options: argparse.Namespace) -> None:
    """Compute the rewards of recorded rollouts again, without a language model.

    Examples:
      python -m benchmarks rescore rollouts.jsonl                                           the recorded rewards again
      python -m benchmarks rescore rollouts.jsonl --utility-kwargs '{"weight": 0.5}'        less weight of novelty
      python -m benchmarks rescore rollouts.jsonl --kwargs '{"affinity": "absolute", "edit_cost": 0.1}'
      python -m benchmarks rescore rollouts.jsonl --kwargs '{"dim": 16}' --out other.jsonl  in another latent space

    Rewards are computed from the recorded texts. The table compares the returns of the episodes. With --out, a file
    with the new rewards is written; its messages, edits and calls stay as they were recorded.
    """
    from benchmarks.judging.rescore import rescore, summary

    changes = dict(options.kwargs)
    changes |= {name: value for name in ("utility", "utility_kwargs") if (value := getattr(options, name)) is not None}
    print(summary(*rescore(options.rollouts, changes, options.out)))
    if options.out:
        print(f"wrote the rescored rollouts to {options.out}")


def report_runs(options: argparse.Namespace) -> None:
    """Write the report of some runs from their files.

    Examples:
      python -m benchmarks report runs/t1_methods --out runs/report
      python -m benchmarks report runs/t1_methods runs/t3_action_sets benchmarks/reference/design --out runs/report

    No environment is opened and no model loaded, so a report can be written while a run goes on, or on another machine.
    The report names what is missing and the command that makes it. report.html is one self-contained file.
    """
    from benchmarks.reporting.build import write_report

    for path in write_report(options.runs, options.out):
        print(path)


def make_rating_study(options: argparse.Namespace) -> None:
    """Make a study for raters out of finished runs.

    Examples:
      python -m benchmarks rate runs/t1_methods --out study
      python -m benchmarks rate runs/t1_methods --out study --methods eagle-g_optimal ppo uniform --pairs 60 --scales 0
      python -m benchmarks rate runs/t1_methods --out study --settings my.toml --seed 1

    Episodes are drawn in turn by method, user and seed. A task shows a user, the original and one text, for five-point
    scales, or two texts of different methods, which raters do not know. study/study.toml holds the consent text, the
    criteria and the rule that excludes raters. Change it now if you must: the first rating fixes it.
    """
    from benchmarks.rating.make import describe_study, make_study
    from benchmarks.rating.settings import DEFAULTS

    study = make_study(
        options.runs,
        options.out,
        scales=options.scales,
        pairs=options.pairs,
        methods=options.methods,
        settings=options.settings or DEFAULTS,
        seed=options.seed,
    )
    print(describe_study(study))


def invite_raters(options: argparse.Namespace) -> None:
    """Make links for raters, end them, or list raters.

    Examples:
      python -m benchmarks invite study --raters 12 --days 14 --url https://rating.example.org
      python -m benchmarks invite study                      (who has rated how much)
      python -m benchmarks invite study --expire r1a2b3c4d

    Each link is shown once: the study keeps only a hash of it. Give every rater a link of their own. A rater who
    comes back with it goes on where they were. Invitations can be made and ended while the server runs.
    """
    from benchmarks.rating.invitations import expire, invite, overview

    if options.expire:
        expire(options.study, options.expire)
    if options.raters is not None:
        for line in invite(options.study, options.raters, options.days, options.url):
            print(line)
    else:
        print(overview(options.study))


def serve_study(options: argparse.Namespace) -> None:
    """Put a study before raters, as web pages.

    Examples:
      python -m benchmarks serve study
      python -m benchmarks serve study --port 8080

    Raters open the links that `invite` made. The server listens on this machine only; to let others in, put a reverse
    proxy with HTTPS before it (docs/rating.md). It can be stopped, or killed, at any moment: every rating that a rater
    saw confirmed is on the disk. A study that was changed after its first rating is refused.
    """
    from benchmarks.rating.server import serve

    serve(options.study, options.host, options.port)


def read_ratings(options: argparse.Namespace) -> None:
    """Read a study's ratings: tables, files, and a judge for reports.

    Examples:
      python -m benchmarks ratings study
      python -m benchmarks ratings study --runs moved/t1_methods
      python -m benchmarks ratings study --add other/results/ratings.jsonl other/results/raters.jsonl
      python -m benchmarks ratings study --add label_studio_export.json

    Writes study/results: RATINGS.md (agreement between raters, mean opinions, strengths of the methods, position bias,
    checks, exclusions), ratings.csv, ratings.jsonl, raters.jsonl, and the study as tasks for Label Studio. It leaves
    people.json in the folders of the runs, so that their reports show people next to the other judges.
    """
    from benchmarks.rating.write import write_results

    for path in write_results(options.study, runs=options.runs, add=options.add or (), replicates=options.replicates):
        print(path)


def pack_run(options: argparse.Namespace) -> None:
    """Pack a judged run into benchmarks/reference, for the repository.

    Example:
      python -m benchmarks judge runs/t1_methods
      python -m benchmarks reference runs/t1_methods

    A few small files take the place of the run's folders; `report` reads them like any run. They contain no texts of
    catalogs other than Plots, and no paths of this machine.
    """
    from benchmarks.reporting.reference import pack
    from benchmarks.running.runs import read_run

    out = options.out or REFERENCE / (read_run(options.run).experiment or options.run.name)
    pack(options.run, out)
    print(f"{out}: {sum(path.stat().st_size for path in out.iterdir()) / 1e6:.1f} MB")


def experiment(name: str) -> ModuleType:
    """An experiment by name.

    Raises:
        ConfigurationError: There is none of that name.
    """
    found = find_experiments()
    if name not in found:
        raise ConfigurationError(f"no experiment {name!r}: name one of {', '.join(found)}")
    return found[name]


def run_experiment(options: argparse.Namespace) -> None:
    """Run an experiment, or continue it.

    Examples:
      python -m benchmarks run demo
      python -m benchmarks run demo --data ml-latest-small        (into runs/demo-ml-latest-small)
      python -m benchmarks run learning --size reference --data ml-latest-small --out runs/learning --jobs 2
      python -m benchmarks run t1_methods --size small --jobs 2
      python -m benchmarks run t1_methods --size small --report-only        (on the finished cells, while it runs)

    Finished cells are not repeated: to continue a run that was stopped, start it again with its --out. Most experiments
    do all cells of a seed before the next, so that an interrupted run is a smaller one. Exit status 1 means that cells
    failed. The page lists them and the cells that need them, and leaves them out of averages; --resume repeats them.
    """
    module = experiment(options.name)
    if options.size not in module.SIZES:
        raise ConfigurationError(f"{options.name} has no size {options.size!r}; it has {', '.join(module.SIZES)}")
    if options.data and not options.data.is_dir():
        raise ConfigurationError(f"--data should be the folder of a data set, but there is no folder {options.data}")
    data = f"-{options.data.resolve().name}" if options.data else ""
    out = options.out or Path("runs") / f"{options.name}{data}"
    given = {item.name for item in fields(Options)} - {"size", "out", "experiment"}
    module.run(Options(options.size, out, experiment=options.name, **{name: getattr(options, name) for name in given}))


if __name__ == "__main__":
    sys.exit(run_command(main))
