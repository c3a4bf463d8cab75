"""Writes pages: the report of some runs, the page of an experiment, and that of the judges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.reporting import paper
from benchmarks.reporting.document import Block, Bullets, Heading, Text, read_page, write_html, write_markdown
from benchmarks.reporting.judged import judges
from benchmarks.reporting.lead import lead
from benchmarks.reporting.people import people
from benchmarks.reporting.sections import circumstances, cost_section, own_section, paper_sections
from benchmarks.reporting.standings import standings
from benchmarks.reporting.tables import GAIN_LEGEND
from benchmarks.reporting.targets import Target
from benchmarks.running.files import read_json
from benchmarks.running.runs import Run, by_method, has_cells, read_run
from eagle_gym.errors import PreparationError

PAGES = {
    "design": "Coverage and bias of action sets",
    "exploration": "Exploration",
    "throughput": "Throughput",
    "space": "The latent space",
}
FROM = {"design": "Action sets"}  # heading at which the part of a page begins that belongs into the report
JUDGES = (
    "Gains of the last text over the first. Reward, affinity, true taste and second opinion are in standard deviations "
    "of the catalog. If true taste or second opinion is smaller than the affinity, part of the reward comes from "
    "errors of the latent space. Intervals are 95 % bootstrap intervals over seeds and users."
)


def write_report(folders: Sequence[Path], out: Path, *, html: bool = True) -> list[Path]:
    """Write the report of some runs; no environment is opened and no model loaded.

    Args:
        folders: Folders of the runs.
        out: Folder to write.
        html: Whether to write `report.html` in addition to `REPORT.md`.

    Returns:
        The pages.

    Raises:
        PreparationError: A folder holds no run, or one of its files is broken.
    """
    blocks = report(folders)
    write_markdown(blocks, out / "REPORT.md")
    if html:
        write_html(blocks, out / "report.html")
    return [out / "REPORT.md", *([out / "report.html"] if html else [])]


def report(folders: Sequence[Path], *, absent: bool = True) -> list[Block]:
    """The blocks of a report; `absent`: say which experiments of the paper were not run."""
    runs = [read_run(folder) for folder in folders if has_cells(folder)]
    pages = [folder for folder in folders if not has_cells(folder)]
    blocks: list[Block] = [
        Heading("eagle_gym: report", 1),
        *lead(runs),
        *([Heading("About this report")] if runs else []),
        Text(
            "In eagle_gym a frozen language model is the environment: states are texts, actions are edits, and the "
            "reward lives in an embedding space learnt from ratings. The tables have the shape of those in the paper "
            f"({paper.CITATION}) and stand next to its claims, whether the numbers agree or not."
        ),
        Bullets([summary(run) for run in runs] + [f"{path}: a page of its own, below" for path in pages]),
        *paper_sections(runs, absent=absent),
    ]
    for folder in pages:
        blocks += own_page(folder)
    return [*blocks, *cost_section(runs), *(circumstances(runs) if runs else [])]


def summary(run: Run) -> str:
    """A run and how much of it is finished."""
    finished = len(run.plan) - len(run.failed) - len(run.missing)
    seeds = len({cell.seed for cell in run.done})
    words = f"{run.name}{f', size {run.size}' if run.size else ''}: "
    return f"{words}{finished} of {len(run.plan)} cells done, {len(run.failed)} failed, {seeds} seeds in the numbers"


def own_page(folder: Path) -> list[Block]:
    """The page of an experiment without cells.

    Raises:
        PreparationError: There is none.
    """
    page = folder / "REPORT.md"
    if not page.exists():
        raise PreparationError(f"{folder} holds neither cells nor a REPORT.md; run an experiment there first")
    header = read_json(folder / "run.json") if (folder / "run.json").exists() else {}
    name = str(header.get("experiment") or folder.name)
    blocks = read_page(page, 2)
    heading = FROM.get(name, "")
    begins = [i for i, block in enumerate(blocks) if isinstance(block, Heading) and block.text.startswith(heading)]
    shown = blocks[begins[0] :] if heading and begins else blocks
    return [Heading(PAGES.get(name, name)), *shown]


def write_page(
    run: Run,
    targets: Sequence[Target] = (),
    more: Callable[[Run, str], str] | None = None,
    *,
    draw: bool = False,
) -> str:
    """Write `REPORT.md` of the finished part of a run.

    Args:
        run: The run.
        targets: Targets of its methods.
        more: Further Markdown on an environment.
        draw: Whether to draw gains and learning curves.

    Returns:
        The page.
    """
    blocks: list[Block] = [Text(GAIN_LEGEND)]
    for environment in run.environments:
        blocks += own_section(run, environment, targets, more, draw=draw)
    return write_markdown(blocks, run.folder / "REPORT.md")


def write_judges_page(folder: Path) -> str:
    """Write `JUDGES.md` of a judged run; returns the page."""
    run = read_run(folder)
    blocks: list[Block] = [Heading("Judges", 1), Text(JUDGES)]
    for environment in run.environments:
        cells = run.of(environment)
        if cells:
            found = standings(run, environment)
            blocks += [Heading(cells[0].where), *judges(run, environment, by_method(cells), found, each=True)]
            blocks += people(run, environment)
    return write_markdown(blocks, folder / "JUDGES.md")
