"""Runs the cells of an experiment that are not finished yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from tqdm import tqdm

from benchmarks.running.cells import Cell, as_header
from benchmarks.running.engines import make_engine
from benchmarks.running.files import write_json
from benchmarks.running.fingerprints import check_alike, opened
from benchmarks.running.jobs import do
from benchmarks.running.options import Options
from benchmarks.running.plan import Task, failure, gather, is_done, matching, plan, write_plan
from benchmarks.running.runs import Run, read_run
from eagle_gym.errors import EagleError, PreparationError


class CellsFailed(EagleError, RuntimeError):
    """Some cells of an experiment failed; the message lists them. They enter no average."""


def run_cells(cells: Sequence[Cell], options: Options) -> Run:
    """Do every cell that is not done yet, and read the run.

    Args:
        cells: The cells in order; a cell comes after those that it needs.
        options: Where and how; whether finished and failed cells are repeated.

    Raises:
        CellsDiffer: Cells were made with different catalogs, spaces, models or surrogates.
        CellsFailed: Some cells failed now or before; the others were done all the same.
        ConfigurationError: Two cells have the same name, or one needs a cell that does not come before it.
        PreparationError: With `report_only`, no cell is finished.
    """
    jobs = gather(cells)
    if options.report_only:
        list_missing(cells, options)
    else:
        engine = make_engine(options.engine, options.jobs)
        tasks, failed = plan(jobs, options)
        needs = {name: task.job.needs for name, task in tasks.items()}
        chosen = matching(needs, options.only)
        tasks = {name: task for name, task in tasks.items() if name in chosen}
        write_plan(cells, options)
        hidden = True if options.jobs == 1 else None
        with prepared(tasks.values()), tqdm(total=len(tasks), desc="cells", disable=hidden) as bar:
            for name, error in engine(do, tasks, needs):
                bar.update()
                if error is not None:
                    failed[name] = error
                    write_json(as_header(jobs[name]) | {"error": error}, options.out / jobs[name].place / "error.json")
                    tqdm.write(f"{name} failed: {error}")
        if failed:
            listed = "\n".join(f"  {name}: {error}" for name, error in failed.items())
            raise CellsFailed(f"{len(failed)} of {len(jobs)} cells failed; add --resume to repeat them\n{listed}")
    run = read_run(options.out)
    check_alike(run.done)
    if len(run.commits) > 1:
        tqdm.write(f"the cells in {options.out} come from {len(run.commits)} commits: {', '.join(run.commits)}")
    return run


def list_missing(cells: Sequence[Cell], options: Options) -> None:
    """Print the cells that are not finished, and why.

    Raises:
        PreparationError: None is finished.
    """
    missing = [cell for cell in cells if not is_done(cell, options.out / cell.place)]
    if len(missing) == len(cells):
        raise PreparationError(f"{options.out} holds no finished cells; run the experiment there first")
    for cell in missing:
        tqdm.write(f"missing: {cell.name} ({failure(options.out / cell.place) or 'not done yet'})")


@contextmanager
def prepared(tasks: Iterable[Task]) -> Iterator[None]:
    """Make what cells share (latent spaces, surrogates) once, before several processes would, and keep it open."""
    made: list[tuple[str, Mapping[str, Any]]] = []
    with ExitStack() as stack:
        for environment in (environment for task in tasks for environment in task.job.environments()):
            if environment not in made:
                made.append(environment)
                stack.enter_context(opened(environment[0], 1, **environment[1]))
        yield
