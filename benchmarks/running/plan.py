"""The plan of a run: its jobs in order, and which of them are done, failed or left to do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.running.cells import Cell, Job, as_header
from benchmarks.running.engines import root_of
from benchmarks.running.files import read_json, write_json
from benchmarks.running.fingerprints import Fingerprints, check_made_of
from benchmarks.running.options import Options
from eagle_gym.errors import ConfigurationError


@dataclass(frozen=True)
class Task:
    """A job to do, the folder of its run, and the label of its progress bars."""

    job: Job
    out: Path
    label: str


def gather(cells: Sequence[Cell]) -> dict[str, Job]:
    """Cells by name, each after the recording that it needs.

    Raises:
        ConfigurationError: Two jobs have the same name, or one needs a job that does not come before it.
    """
    found: dict[str, Job] = {}
    for cell in cells:
        recording = cell.recording
        if recording is not None and found.setdefault(recording.name, recording) != recording:
            raise ConfigurationError(f"two different recordings are called {recording.name}: rename an environment")
        absent = [name for name in cell.needs if name not in found]
        if absent:
            raise ConfigurationError(f"{cell.name} needs {', '.join(absent)}, which should come before it")
        if cell.name in found:
            raise ConfigurationError(f"two cells are called {cell.name}: give one of them a label")
        found[cell.name] = cell
    return found


def plan(jobs: Mapping[str, Job], options: Options) -> tuple[dict[str, Task], dict[str, str]]:
    """The tasks to do, and the errors of jobs that failed before and are not repeated.

    A recording is only made for a cell that is still to be done.

    Raises:
        ConfigurationError: A finished job has other settings or fingerprints.
    """
    tasks: dict[str, Task] = {}
    failed: dict[str, str] = {}
    fingerprints = Fingerprints()
    for number, (name, job) in enumerate(jobs.items(), start=1):
        folder = options.out / job.place
        task = Task(job, options.out, label=f"[{number}/{len(jobs)}] {name}")
        lost = next((need for need in job.needs if need in failed), None)
        if options.fresh:
            tasks[name] = task
        elif is_done(job, folder):
            check_made_of(folder, fingerprints.of(job))
        elif lost is not None:
            failed[name] = f"{lost}, which it needs, failed: {root_of(failed[lost])}"
        elif not options.resume and (error := failure(folder)) is not None:
            failed[name] = error
        else:
            tasks[name] = task
    needed = {need for task in tasks.values() for need in task.job.needs}
    return {n: task for n, task in tasks.items() if isinstance(task.job, Cell) or n in needed}, failed


def matching(needs: Mapping[str, Sequence[str]], pattern: str) -> set[str]:
    """Names that match a pattern such as `plots-plan-*`, with those that they need.

    Args:
        needs: What each name needs; a name comes after those that it needs.
        pattern: The pattern.
    """
    chosen: set[str] = set()
    for name in reversed(list(needs)):
        if fnmatch(name, pattern) or name in chosen:
            chosen |= {name, *needs[name]}
    return chosen


def write_plan(cells: Sequence[Cell], options: Options) -> None:
    """Write all planned cells to `plan.json`, so that a report can say which are missing."""
    planned = {cell.name: asdict(cell) for cell in cells}
    write_json({"experiment": options.experiment, "size": options.size, "cells": planned}, options.out / "plan.json")


def failure(folder: Path) -> str | None:
    """The error of a failed job, None if it has not failed."""
    path = folder / "error.json"
    return str(read_json(path)["error"]) if path.exists() else None


def is_done(job: Job, folder: Path) -> bool:
    """Whether a folder holds this job, finished.

    Raises:
        ConfigurationError: It holds a job of the same name with other settings.
    """
    if not (folder / "run.json").exists():
        return False
    ((kind, wanted),) = json.loads(json.dumps(as_header(job))).items()
    found = read_json(folder / "run.json").get(kind)
    if found != wanted:
        raise ConfigurationError(
            f"{folder} holds a cell with other settings ({found}): name another --out, or add --fresh to repeat it"
        )
    return True
