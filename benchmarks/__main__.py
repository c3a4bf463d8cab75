"""Run experiments from a terminal: ``python -m benchmarks list``, ``python -m benchmarks run NAME``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from benchmarks.engines import NAMES as ENGINES
from benchmarks.readme import renew, renew_latent, renew_speed
from benchmarks.results import REFERENCE, ROOT
from benchmarks.suite import Options, find_experiments
from eagle_gym.errors import ConfigurationError, EagleError

RUN = """examples:
  python -m benchmarks run demo
  python -m benchmarks run demo --data ml-latest-small        (into runs/demo-ml-latest-small)
  python -m benchmarks run learning --size reference --data ml-latest-small --out runs/learning --jobs 2
  python -m benchmarks run t1_methods --size small --jobs 2
  python -m benchmarks run t1_methods --size small --report-only        (of what is done so far, while it runs)

What is done is not done again: kill a run, start it once more with the same --out, and it goes on. A whole seed is done
at a time, so that a run that was stopped is a smaller run. Exit status 1 means that cells failed; they are listed with
those that need them, never averaged in, and done again with --resume.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = parser().parse_args(arguments)
    try:
        options.command(options)
    except EagleError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m benchmarks", description="Experiments of eagle_gym.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    lister = commands.add_parser("list", help="name the experiments and their sizes")
    lister.set_defaults(command=list_experiments)
    raw = argparse.RawDescriptionHelpFormatter
    runner = commands.add_parser("run", help="run an experiment", epilog=RUN, formatter_class=raw)
    runner.add_argument("name", help="one of those that `list` names")
    runner.add_argument("--size", default="small", help="one of the experiment's sizes (default: %(default)s)")
    runner.add_argument("--out", type=Path, help="folder to write (default: runs/NAME; with --data, runs/NAME-DATA)")
    runner.add_argument("--data", type=Path, help="folder of a data set: MovieLens; Amazon for t4_products")
    runner.add_argument("--fresh", action="store_true", help="do again what is done already")
    runner.add_argument("--device", default="cpu", help="where throughput is measured, such as cuda (default: cpu)")
    runner.add_argument("--figure", action="store_true", help="draw the figure alone, where an experiment has one")
    runner.add_argument("--resume", action="store_true", help="do again what has failed")
    runner.add_argument(
        "--report-only", action="store_true", help="do no cell: report on those that are done, say which are missing"
    )
    runner.add_argument(
        "--language-model", help="a general language model, such as openai:MODEL@URL (t4_products needs one)"
    )
    runner.add_argument("--jobs", type=int, default=1, help="cells done at a time (default: %(default)s)")
    runner.add_argument(
        "--engine", choices=ENGINES, default="local", help="processes here, or a Ray cluster (default: %(default)s)"
    )
    runner.set_defaults(command=run_experiment)
    judge = commands.add_parser("judge", help="put a run's episodes before judges who had no part in the training")
    judge.add_argument("run", type=Path, help="folder of a run, such as runs/learning")
    judge.add_argument("--language-model", help="a language model that judges too, such as openai:MODEL@URL")
    judge.set_defaults(command=judge_episodes)
    report = commands.add_parser("report", help="write the report of runs, from their files alone")
    report.add_argument("runs", type=Path, nargs="+", help="folders of runs, such as runs/t1_methods")
    report.add_argument("--out", type=Path, required=True, help="folder for REPORT.md and report.html")
    report.set_defaults(command=report_runs)
    reference = commands.add_parser("reference", help="pack a judged run into benchmarks/reference, for the repository")
    reference.add_argument("run", type=Path, help="folder of a run, such as runs/t1_methods")
    reference.add_argument("--out", type=Path, help="folder to write (default: benchmarks/reference/EXPERIMENT)")
    reference.set_defaults(command=pack_run)
    readme = commands.add_parser("readme", help="put what was measured into the pages")
    readme.add_argument("--demo", type=Path, help="a run of demo on Plots, for the episode")
    readme.add_argument("--space", type=Path, help="a run of space, for the tables of eagle_gym/latent/README.md")
    readme.add_argument("--throughput", type=Path, help="a run of throughput, for the tables of docs/speed.md")
    readme.set_defaults(command=renew_pages)
    return top


def renew_pages(options: argparse.Namespace) -> None:
    """``readme``."""
    renew(ROOT / "README.md", demo=options.demo)
    if options.space:
        renew_latent(ROOT / "eagle_gym" / "latent" / "README.md", options.space)
    if options.throughput:
        renew_speed(ROOT / "docs" / "speed.md", options.throughput)


def list_experiments(_: argparse.Namespace) -> None:
    """``list``."""
    for name, module in find_experiments().items():
        summary = (module.__doc__ or "").strip().splitlines()[0]
        print(f"{name:<16}{', '.join(module.SIZES):<32}{summary}")


def judge_episodes(options: argparse.Namespace) -> None:
    """``judge``."""
    from benchmarks.judging import judge_run

    print(judge_run(options.run, language_model=options.language_model))
    print(f"JUDGES.md, judges.png and judgements.parquet in {options.run}")


def report_runs(options: argparse.Namespace) -> None:
    """``report``."""
    from benchmarks.reporting.build import write_report

    for path in write_report(options.runs, options.out):
        print(path)


def pack_run(options: argparse.Namespace) -> None:
    """``reference``."""
    from benchmarks.reporting.reference import pack
    from benchmarks.reporting.runs import read_run

    out = options.out or REFERENCE / (read_run(options.run).experiment or options.run.name)
    pack(options.run, out)
    print(f"{out}: {sum(path.stat().st_size for path in out.iterdir()) / 1e6:.1f} MB")


def run_experiment(options: argparse.Namespace) -> None:
    """``run``."""
    found = find_experiments()
    if options.name not in found:
        raise ConfigurationError(f"no experiment {options.name!r}; there are {', '.join(found)}")
    module = found[options.name]
    if options.size not in module.SIZES:
        raise ConfigurationError(f"{options.name} has no size {options.size!r}; it has {', '.join(module.SIZES)}")
    if options.data and not options.data.is_dir():
        raise ConfigurationError(f"--data should be the folder of a data set; there is no folder {options.data}")
    data = f"-{options.data.resolve().name}" if options.data else ""
    out = options.out or Path("runs") / f"{options.name}{data}"
    given = {item.name for item in fields(Options)} - {"size", "out", "experiment"}
    module.run(Options(options.size, out, experiment=options.name, **{name: getattr(options, name) for name in given}))


if __name__ == "__main__":
    sys.exit(main())
