"""Reading a study's ratings and writing what they say: pages, exports, and a judge in the runs that it was made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.rating.export import add_ratings, write_exports
from benchmarks.rating.page import write_page
from benchmarks.rating.results import RESULTS, Results
from benchmarks.rating.store import Store
from benchmarks.rating.study import Study, read_study
from benchmarks.running.files import write_json
from benchmarks.running.people import PEOPLE, People
from benchmarks.running.runs import Run, read_run
from eagle_gym.errors import PreparationError


def write_results(
    folder: Path, *, runs: Sequence[Path] | None = None, add: Sequence[Path] = (), replicates: int = 2000
) -> list[Path]:
    """Read a study's ratings and write what they say.

    Args:
        folder: Folder of the study.
        runs: Folders of the runs; those that the study was made of if None.
        add: Files of ratings to add first.
        replicates: Bootstrap replicates of each interval.

    Returns:
        The written files.

    Raises:
        PreparationError: There are no ratings, or the study was changed after the first.
    """
    with Store(read_study(folder)) as store:
        for path in add:
            add_ratings(store, path)
        results = Results.of(store, replicates)
    if not results.ratings:
        raise PreparationError(f"{folder} has no ratings yet: `invite` raters and `serve` it")
    out = folder / RESULTS
    judged = {}
    for run in found_runs(results.study, runs):
        held = {cell.environment for cell in run.done}
        judged[run] = {name: results.people(run, name) for name in results.environments if name in held}
    written = [*write_exports(results, out), write_page(results, judged, out)]
    for run, people in judged.items():
        write_json({name: as_json(item) for name, item in people.items()}, run.folder / PEOPLE)
        written.append(run.folder / PEOPLE)
    return written


def found_runs(study: Study, folders: Sequence[Path] | None) -> list[Run]:
    """The runs of a study that are there.

    Raises:
        PreparationError: A folder that was named holds no run.
    """
    named = [Path(item["folder"]) for item in study.facts["runs"]]
    return [read_run(path) for path in (named if folders is None else folders) if folders is not None or path.is_dir()]


def as_json(people: People) -> Mapping[str, Any]:
    """What people said, as JSON."""
    return asdict(people)
