"""Run experiments from a terminal: ``python -m benchmarks list``, ``python -m benchmarks run NAME``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import ModuleType

from benchmarks.engines import NAMES as ENGINES
from benchmarks.experiments import find_experiments
from benchmarks.readme import renew, renew_latent, renew_speed
from benchmarks.results import REFERENCE, ROOT
from benchmarks.suite import Options
from eagle_gym.errors import ConfigurationError, EagleError

Parser = argparse.ArgumentParser

TOP = """from nothing to a report:
  python -m benchmarks list                                      what there is to run; `list NAME` says more of one
  python -m benchmarks run t1_methods --size small --jobs 2      do its cells, into runs/t1_methods
  python -m benchmarks judge runs/t1_methods                     what do others think of the texts? JUDGES.md
  python -m benchmarks report runs/t1_methods --out runs/report  tables, curves, maps: REPORT.md and report.html

reference and readme are for those who change this repository: they make the numbers that are committed.
Every command explains itself: python -m benchmarks run --help
"""

LIST = """sizes:
  smoke      does it work? one seed, a few steps: seconds to minutes; its numbers mean nothing
  small      a first look: two seeds, meant for an hour at most on two cores; too few to tell close methods apart
  reference  what is reported: five seeds, hours; stop it and start it again as you like
  full       more than that: ten seeds (of design: large, huge)

docs/experiments.md says how long each takes, and how to read what comes out.
"""

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

JUDGE = """examples:
  python -m benchmarks judge runs/t1_methods
  python -m benchmarks judge runs/t1_methods --language-model openai:MODEL@http://localhost:8000/v1

Agents are rewarded by one latent space and can exploit its errors. The judges never took part: the true tastes behind
the ratings (Plots alone), a second space of other ratings, and a language model where one is named. They read the
run's episodes and play none. JUDGES.md says what they see of the reward; the report has their columns once they have
judged.
"""

REPORT = """examples:
  python -m benchmarks report runs/t1_methods --out runs/report
  python -m benchmarks report runs/t1_methods runs/t3_action_sets benchmarks/reference/design --out runs/report

No environment is opened and no model loaded, so it can be written while a run goes on, or on another machine. What is
missing is named, with the command that makes it. report.html holds its pictures: one file to send.
"""

PACK = """example:
  python -m benchmarks judge runs/t1_methods
  python -m benchmarks reference runs/t1_methods
  python -m benchmarks readme

A few small files take the place of the run's folders; `report` reads them like any run. Texts made from other
catalogs than Plots are left out, and paths of this machine.
"""

README = """examples:
  python -m benchmarks readme                        the README's table, from benchmarks/reference/t1_methods
  python -m benchmarks readme --demo runs/demo       the README's episode too
  python -m benchmarks readme --space runs/space     the tables of eagle_gym/latent/README.md too

Nothing in those pages is typed in by hand, and a test fails where the README and the reference run disagree.
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
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Experiments of eagle_gym.", epilog=TOP, formatter_class=raw
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, words: str, epilog: str, command: Callable[[argparse.Namespace], None]) -> Parser:
        says = f"{words[0].upper()}{words[1:]}."
        found = commands.add_parser(name, help=words, description=says, epilog=epilog, formatter_class=raw)
        found.set_defaults(command=command)
        return found

    lister = add("list", "name the experiments and their sizes", LIST, list_experiments)
    lister.add_argument("name", nargs="?", help="say more of this one")
    add_run(add("run", "run an experiment, or go on with it", RUN, run_experiment))
    judge = add("judge", "put a run's episodes before judges who had no part in the training", JUDGE, judge_episodes)
    judge.add_argument("run", type=Path, help="folder of a run, such as runs/learning")
    judge.add_argument("--language-model", help="a language model that judges too, such as openai:MODEL@URL")
    report = add("report", "write the report of runs, from their files alone", REPORT, report_runs)
    report.add_argument("runs", type=Path, nargs="+", help="folders of runs, such as runs/t1_methods")
    report.add_argument("--out", type=Path, required=True, help="folder for REPORT.md and report.html")
    reference = add("reference", "pack a judged run into benchmarks/reference, for the repository", PACK, pack_run)
    reference.add_argument("run", type=Path, help="folder of a run, such as runs/t1_methods")
    reference.add_argument("--out", type=Path, help="folder to write (default: benchmarks/reference/EXPERIMENT)")
    readme = add("readme", "put what was measured into the pages", README, renew_pages)
    readme.add_argument("--demo", type=Path, help="a run of demo on Plots, for the episode")
    readme.add_argument("--space", type=Path, help="a run of space, for the tables of eagle_gym/latent/README.md")
    readme.add_argument("--throughput", type=Path, help="a run of throughput, for the tables of docs/speed.md")
    return top


def add_run(runner: Parser) -> None:
    """The arguments of ``run``."""
    runner.add_argument("name", help="one of those that `list` names")
    runner.add_argument(
        "--size", default="small", help="how much: smoke, small, reference, …; `list` names them (default: %(default)s)"
    )
    runner.add_argument("--data", type=Path, help="folder of a data set: MovieLens; Amazon for t4_products")
    runner.add_argument("--out", type=Path, help="folder to write (default: runs/NAME; with --data, runs/NAME-DATA)")
    cells = runner.add_argument_group("cells")
    cells.add_argument("--jobs", type=int, default=1, help="cells done at a time (default: %(default)s)")
    cells.add_argument(
        "--engine", choices=ENGINES, default="local", help="processes here, or a Ray cluster (default: %(default)s)"
    )
    cells.add_argument("--resume", action="store_true", help="do again what has failed")
    cells.add_argument("--fresh", action="store_true", help="do again what is done already")
    cells.add_argument(
        "--report-only", action="store_true", help="do no cell: report on those that are done, say which are missing"
    )
    some = runner.add_argument_group("heeded by some experiments")
    some.add_argument("--device", default="cpu", help="throughput: where it is measured, such as cuda (default: cpu)")
    some.add_argument("--figure", action="store_true", help="design: draw the figure alone")
    some.add_argument("--language-model", help="t4_products: a general language model, such as openai:MODEL@URL")


def renew_pages(options: argparse.Namespace) -> None:
    """``readme``."""
    renew(ROOT / "README.md", demo=options.demo)
    if options.space:
        renew_latent(ROOT / "eagle_gym" / "latent" / "README.md", options.space)
    if options.throughput:
        renew_speed(ROOT / "docs" / "speed.md", options.throughput)


def list_experiments(options: argparse.Namespace) -> None:
    """``list``."""
    found = find_experiments()
    if options.name:
        module = experiment(options.name)
        print((module.__doc__ or "").strip().replace("``", "`"))
        for size, settings in module.SIZES.items():
            shown = settings if isinstance(settings, Mapping) else vars(settings)
            print(f"\n{size}: {', '.join(f'{name} {value}' for name, value in shown.items())}")
        return
    for name, module in found.items():
        summary = (module.__doc__ or "").strip().splitlines()[0].replace("``", "`")
        print(f"{name:<16}{summary}\n{'':<16}sizes: {', '.join(module.SIZES)}")
    print("\npython -m benchmarks list NAME says more of one, and list --help what the sizes are;")
    print("python -m benchmarks run NAME --size smoke tries it.")


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


def experiment(name: str) -> ModuleType:
    """An experiment by name.

    Raises:
        ConfigurationError: There is none of that name.
    """
    found = find_experiments()
    if name not in found:
        raise ConfigurationError(f"no experiment {name!r}; there are {', '.join(found)}")
    return found[name]


def run_experiment(options: argparse.Namespace) -> None:
    """``run``."""
    module = experiment(options.name)
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
