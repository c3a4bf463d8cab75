"""Writes the report of some runs: ``REPORT.md`` with its pictures, and one ``report.html``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.reporting import paper
from benchmarks.reporting.document import Block, Heading, Items, Text, read_page, write_html, write_markdown
from benchmarks.reporting.runs import Run, has_cells, read_run
from benchmarks.reporting.sections import circumstances, cost_section, paper_sections
from benchmarks.results import read_json
from eagle_gym.errors import PreparationError

PAGES = {
    "design": "Coverage and bias of action sets",
    "exploration": "Exploration",
    "throughput": "Throughput",
    "space": "The latent space",
}
FROM = {"design": "Action sets"}  # the part of a page that belongs here begins with this heading


def write_report(folders: Sequence[Path], out: Path, *, html: bool = True) -> list[Path]:
    """Write the report of some runs; no environment is opened and no model loaded.

    Args:
        folders: Of runs.
        out: Folder to write.
        html: Whether ``report.html`` is written too.

    Returns:
        The pages.

    Raises:
        PreparationError: A folder holds no run, or a file of one is broken.
    """
    blocks = report(folders)
    write_markdown(blocks, out / "REPORT.md")
    if html:
        write_html(blocks, out / "report.html")
    return [out / "REPORT.md", *([out / "report.html"] if html else [])]


def report(folders: Sequence[Path]) -> list[Block]:
    """The blocks of a report."""
    runs = [read_run(folder) for folder in folders if has_cells(folder)]
    pages = [folder for folder in folders if not has_cells(folder)]
    blocks: list[Block] = [
        Heading("eagle_gym: report", 1),
        Text(
            "A frozen language model is the environment, texts are its states, edits its actions; the reward "
            "lives in an embedding space that is learnt from ratings. The tables have the shape of the paper's "
            f"({paper.CITATION}) and stand beside what it claims, whether the numbers agree or not."
        ),
        Items([summary(run) for run in runs] + [f"{path}: a page of its own, below" for path in pages]),
        *paper_sections(runs),
    ]
    for folder in pages:
        blocks += own_page(folder)
    return [*blocks, *cost_section(runs), *(circumstances(runs) if runs else [])]


def summary(run: Run) -> str:
    """What a run is and how much of it there is."""
    finished = len(run.plan) - len(run.failed) - len(run.missing)
    seeds = len({cell.seed for cell in run.done})
    words = f"{run.experiment or run.folder.name}{f', size {run.size}' if run.size else ''}: "
    return f"{words}{finished} of {len(run.plan)} cells done, {len(run.failed)} failed, {seeds} seeds in the numbers"


def own_page(folder: Path) -> list[Block]:
    """The page that an experiment without cells has left.

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
