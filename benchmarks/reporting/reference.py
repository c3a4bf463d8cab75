"""Packs a run for the repository: what its tables need, in a few files of a megabyte or two.

Texts and the utilities between the first and the last are only kept of the episode that the latent map shows, texts
only on Plots. Users of other catalogs are renumbered. Paths of the machine are cut down to their last part. The page
has the pictures of the first environment only.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from baselines.evaluate import EpisodeRow
from benchmarks.reporting.build import report
from benchmarks.reporting.document import Block, Heading, Picture, PictureRow, write_markdown
from benchmarks.reporting.episodes import PLOTS
from benchmarks.reporting.sections import shows_page
from benchmarks.reporting.verdicts import VERDICTS
from benchmarks.running.files import schema, write_json, write_table
from benchmarks.running.headers import unsealed
from benchmarks.running.people import PEOPLE
from benchmarks.running.records import Judgement
from benchmarks.running.runs import MADE, OWN_PAGE, PACKED, FinishedCell, Run, read_folders, read_run
from eagle_gym.errors import PreparationError

PLACES = 2  # decimals of gains, utilities, judgements, learning curves and maps
SHOWN = ("scores", "gain", "steps", "judges", "map")  # last words of the names of pictures that a packed run has
REALS = ("gain", "affinity_gain", "novelty_gain", "drift", "cost", "start_percentile", "percentile")
_PATH = re.compile(r"(?<![\w.:/])(?:\.{1,2})?/(?:[\w.-]+/)+([\w.-]+)")


def pack(folder: Path, out: Path) -> None:
    """Pack a judged run, and write its report into the same folder.

    Args:
        folder: Folder of the run.
        out: Folder to write; its content is replaced.

    Raises:
        PreparationError: There is no such run, or it is not judged.
    """
    run = read_run(folder)
    if not run.judgements:
        raise PreparationError(f"{folder} is not judged; run `python -m benchmarks judge {folder}` first")
    plan, done, failed = read_folders(folder)
    kept = [cell for cell in done if cell.name in run.plan]
    numbers = UserNumbers()
    if out.exists():
        shutil.rmtree(out)
    made: list[dict[str, Any]] = []
    packed = {
        "plan": plan,
        "done": {cell.name: {"header": shortened(cell, made), "curve": curve(cell)} for cell in kept},
        "made": made,
        "failed": failed,
    }
    write_json(json.loads(without_paths(json.dumps(packed))), out / PACKED, compact=True)
    rows = [{"environment": cell.environment, **asdict(row)} for cell in kept for row in reduced(cell, run, numbers)]
    write_table(rows, out / "episodes.parquet", schema(EpisodeRow, packed=True))
    judged = [{"environment": key[0], **rounded(asdict(item))} for key, item in judgements(run, kept, numbers)]
    write_table(judged, out / "judgements.parquet", schema(Judgement, packed=True))
    write_json(rounded(run.facts), out / "judges.json", compact=True)
    for name in (PEOPLE, VERDICTS):
        if (folder / name).exists():
            shutil.copyfile(folder / name, out / name)
    if run.page is not None and shows_page(run):
        copy_page(run.page, out)
    first = f"{out.name}-{run.environments[0]}-"
    write_markdown(list(with_few_pictures(report([out], absent=False), first)), out / "REPORT.md")


def shortened(cell: FinishedCell, made: list[dict[str, Any]]) -> dict[str, Any]:
    """A header in which the number of an entry of `made` stands for what many cells share; it is added if missing."""
    header = unsealed(cell.header)
    common = {name: header.pop(name) for name in MADE if name in header}
    if common not in made:
        made.append(common)
    return {**header, "made": made.index(common)}


def curve(cell: FinishedCell) -> list[dict[str, float]]:
    """A learning curve with only what is drawn."""
    rows = ({name: row[name] for name in ("steps", "return") if name in row} for row in cell.curve)
    return [rounded(row) for row in rows]


def with_few_pictures(blocks: Sequence[Block], first: str) -> Iterator[Block]:
    """The blocks of a report without the pictures of environments but the first, whose names begin with `first`.

    A heading under which nothing is left is left out too.
    """

    def kept(picture: Picture) -> bool:
        name, _, kind = picture.name.rpartition("-")
        return kind == "scores" or (f"{name}-" == first and kind in SHOWN)

    heading: Heading | None = None
    for block in blocks:
        if isinstance(block, PictureRow):
            few: list[Block] = [picture for picture in block.pictures if kept(picture)]
        else:
            few = [] if isinstance(block, Picture) and not kept(block) else [block]
        if few and heading and not (isinstance(few[0], Heading) and few[0].level <= heading.level):
            yield heading
        if few:
            heading = few[0] if isinstance(few[0], Heading) else None
            yield from few if heading is None else ()


def without_paths(text: str) -> str:
    """A text with every path cut down to its last part."""
    return _PATH.sub(r"\1", text)


class UserNumbers:
    """Numbers for the users of catalogs other than Plots."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}

    def of(self, environment: str, user: str) -> str:
        """The number of a user."""
        return self._known.setdefault((environment, user), str(len(self._known)))


def reduced(cell: FinishedCell, run: Run, numbers: UserNumbers) -> list[EpisodeRow]:
    """The episodes of a cell, with only what may be kept."""
    drawn = run.latent_map(cell.environment)
    ours = cell.env_id == PLOTS
    kept = []
    for row in cell.rows:
        shown = drawn is not None and (row.seed, row.episode) == (drawn.seed, drawn.episode)
        kept.append(
            replace(
                row,
                user=row.user if ours else numbers.of(cell.environment, row.user),
                item=row.item if ours else "",
                **{name: round(getattr(row, name), PLACES) for name in REALS},
                utilities=tuple(round(value, PLACES) for value in row.utilities[:: 1 if shown else row.steps]),
                texts=row.texts if ours and shown else (),
                edits=row.edits if ours and shown else (),
                z=row.z if shown else (),
                rewrites=(),
            )
        )
    return kept


def judgements(
    run: Run, kept: Sequence[FinishedCell], numbers: UserNumbers
) -> list[tuple[tuple[str, str, int, int], Judgement]]:
    """Judgements of the kept cells, with users numbered as in the episodes."""
    ours = {cell.environment for cell in kept if cell.env_id == PLOTS}
    return [
        (key, item if key[0] in ours else replace(item, user=numbers.of(key[0], item.user)))
        for key, item in run.judgements.items()
    ]


def rounded(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    """A JSON value with rounded numbers."""
    if isinstance(value, float):
        return round(value, PLACES)
    if isinstance(value, Mapping):
        return {name: rounded(item) for name, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list | tuple) else value


def copy_page(page: Path, out: Path) -> None:
    """Copy the page that the experiment wrote, and its pictures."""
    text = without_paths(page.read_text())
    (out / OWN_PAGE).write_text(text)
    for name in re.findall(r"\]\(([\w.-]+\.png)\)", text):
        shutil.copyfile(page.with_name(name), out / name)
