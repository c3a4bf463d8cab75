"""Packs a run for the repository: what a report needs, in a few files of a few megabytes.

Of episodes that come from other catalogs than Plots only numbers are kept, and users are numbered anew; of Plots the
texts of the one episode that the latent map shows. Paths of the machine are cut down to their last part.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from baselines.evaluate import EpisodeRow
from benchmarks.judges import Judgement
from benchmarks.reporting.build import write_report
from benchmarks.reporting.runs import OWN_PAGE, PACKED, Done, Run, read_cells, read_run
from benchmarks.reporting.sections import PLOTS
from benchmarks.results import schema, write_json, write_table
from eagle_gym.errors import PreparationError

PLACES = 4  # decimals that are kept of utilities and judgements
_PATH = re.compile(r"(?<![\w.:/])(?:\.{1,2})?/(?:[\w.-]+/)+([\w.-]+)")


def pack(folder: Path, out: Path) -> None:
    """Pack a run that is judged, and write the report of what was packed beside it.

    Args:
        folder: Of the run.
        out: Folder to write; what it held is replaced.

    Raises:
        PreparationError: There is no such run, or it is not judged.
    """
    run = read_run(folder)
    if not run.judgements:
        raise PreparationError(f"{folder} is not judged; run `python -m benchmarks judge {folder}` first")
    plan, done, failed = read_cells(folder)
    kept = [cell for cell in done if cell.name in run.plan]
    users = Users()
    if out.exists():
        shutil.rmtree(out)
    packed = {
        "plan": plan,
        "done": {cell.name: {"header": cell.header, "curve": list(cell.curve)} for cell in kept},
        "failed": failed,
    }
    write_json(json.loads(without_paths(json.dumps(packed))), out / PACKED)
    rows = [{"environment": cell.environment, **asdict(row)} for cell in kept for row in reduced(cell, run, users)]
    write_table(rows, out / "episodes.parquet", schema(EpisodeRow, packed=True))
    judged = [{"environment": key[0], **rounded(asdict(item))} for key, item in judgements(run, kept, users)]
    write_table(judged, out / "judgements.parquet", schema(Judgement, packed=True))
    write_json(run.facts, out / "judges.json")
    if run.page is not None:
        copy_page(run.page, out)
    write_report([out], out, html=False)


def without_paths(text: str) -> str:
    """A text in which every path is cut down to its last part."""
    return _PATH.sub(r"\1", text)


class Users:
    """Numbers for the users of catalogs that are not ours."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}

    def of(self, environment: str, user: str) -> str:
        """The number of a user."""
        return self._known.setdefault((environment, user), str(len(self._known)))


def reduced(cell: Done, run: Run, users: Users) -> list[EpisodeRow]:
    """The episodes of a cell without what is not to be kept."""
    drawn = run.latent_map(cell.environment)
    ours = cell.header["cell"]["env_id"] == PLOTS
    kept = []
    for row in cell.rows:
        shown = drawn is not None and (row.seed, row.episode) == (drawn.seed, drawn.episode)
        kept.append(
            replace(
                row,
                user=row.user if ours else users.of(cell.environment, row.user),
                item=row.item if ours else "",
                utilities=tuple(round(value, PLACES) for value in row.utilities),
                texts=row.texts if ours and shown else (),
                edits=row.edits if ours and shown else (),
                z=row.z if shown else (),
            )
        )
    return kept


def judgements(run: Run, kept: Sequence[Done], users: Users) -> list[tuple[tuple[str, str, int, int], Judgement]]:
    """Judgements of the cells that are kept, users numbered as in the episodes."""
    ours = {cell.environment for cell in kept if cell.header["cell"]["env_id"] == PLOTS}
    return [
        (key, item if key[0] in ours else replace(item, user=users.of(key[0], item.user)))
        for key, item in run.judgements.items()
    ]


def rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its floats rounded."""
    return {name: round(value, PLACES) if isinstance(value, float) else value for name, value in row.items()}


def copy_page(page: Path, out: Path) -> None:
    """Keep the page that an experiment has written itself, with the pictures that it shows."""
    text = without_paths(page.read_text())
    (out / OWN_PAGE).write_text(text)
    for name in re.findall(r"\]\(([\w.-]+\.png)\)", text):
        shutil.copyfile(page.with_name(name), out / name)
