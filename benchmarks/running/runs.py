"""Reads a run from its files: finished, failed and missing cells, and what the judges say.

A run is stored in one of two ways: as it was made, a folder for each cell; or packed for the repository (see
`benchmarks.reporting.reference`). Nothing else is opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from baselines.evaluate import Cost, EpisodeRow
from benchmarks.running.files import read_json, read_rows, read_table
from benchmarks.running.headers import EPISODES, check_cell, check_header, check_own, check_part, part, read_header
from benchmarks.running.provenance import commits
from benchmarks.running.records import Judgement, LatentMap, Place, read_judgements
from eagle_gym.errors import PreparationError

PACKED = "packed.json"
MADE = ("hashes", "versions", "commit", "command", "machine")  # parts of headers that a packed run holds once
OWN_PAGE = "own.md"  # the experiment's own page in a packed run, whose REPORT.md is the report
Content = tuple[Mapping[str, Any], list["FinishedCell"], dict[str, str]]
"""Plan, finished cells and errors of a run."""


@dataclass(frozen=True, eq=False)
class FinishedCell:
    """A finished cell.

    Attributes:
        name: Name of the cell.
        header: Its `run.json`.
        rows: Its test episodes.
        curve: Its learning curve, empty without one.
    """

    name: str
    header: Mapping[str, Any]
    rows: tuple[EpisodeRow, ...]
    curve: Sequence[Mapping[str, float]] = ()

    @property
    def environment(self) -> str:
        """Short name of its environment."""
        return str(self.header["cell"]["environment"])

    @property
    def env_id(self) -> str:
        """Id of its environment."""
        return str(self.header["cell"]["env_id"])

    @property
    def where(self) -> str:
        """Id and task of its environment, in words."""
        task = self.header["cell"].get("env_kwargs", {}).get("task")
        return f"{self.env_id}, task {task}" if task else self.env_id

    @property
    def method(self) -> str:
        """Name of its method."""
        return method_of(self.header["cell"])

    @property
    def seed(self) -> int:
        """Its seed."""
        return int(self.header["cell"]["seed"])

    @property
    def training(self) -> Cost | None:
        """Cost of its training, recorded episodes and earlier agents included; None without training."""
        cost = self.header["cost"]["training"]
        return read_cost(cost) if cost else None

    @property
    def steps(self) -> int:
        """Environment steps of its training."""
        return int(self.header["cost"]["steps"])

    @property
    def surrogate(self) -> int:
        """Generations that the fit of its environment's surrogate took, once for all; 0 if they were not counted."""
        return int(self.header["cost"].get("surrogate", 0))

    @property
    def evaluation(self) -> Cost:
        """Cost of its test episodes."""
        return read_cost(self.header["cost"]["evaluation"])


@dataclass(frozen=True, eq=False)
class Run:
    """A run.

    Attributes:
        folder: Its folder.
        experiment: Name of the experiment.
        size: Its size.
        plan: Every planned cell, by name.
        done: Finished cells that count: none of a seed in `left_out`.
        failed: Errors of failed cells, by name.
        missing: Names of cells that neither finished nor failed.
        left_out: By environment, the unfinished seeds where others are finished, so that its methods share their seeds.
        judgements: Of its present episodes, by (environment, method, seed, episode); empty if it is not judged.
        facts: About its judges, by environment.
    """

    folder: Path
    experiment: str
    size: str
    plan: Mapping[str, Mapping[str, Any]]
    done: tuple[FinishedCell, ...]
    failed: Mapping[str, str]
    missing: tuple[str, ...]
    left_out: Mapping[str, tuple[int, ...]]
    judgements: Mapping[Place, Judgement]
    facts: Mapping[str, Mapping[str, Any]]

    @property
    def name(self) -> str:
        """Name of the experiment, or of the folder if that is unknown."""
        return self.experiment or self.folder.name

    @property
    def environments(self) -> list[str]:
        """Short names of its environments."""
        return list(dict.fromkeys(str(cell["environment"]) for cell in self.plan.values()))

    @property
    def commits(self) -> list[str]:
        """The commits that its cells come from, shortened."""
        return commits(cell.header for cell in self.done)

    def of(self, environment: str) -> list[FinishedCell]:
        """The cells that count in one environment, without those of incomplete methods."""
        holes = self.holes(environment)
        return [cell for cell in self.done if cell.environment == environment and cell.method not in holes]

    def holes(self, environment: str) -> dict[str, str]:
        """Incomplete methods of an environment, and why; no table shows numbers of them."""
        found: dict[str, str] = {}
        for name, cell in self.plan.items():
            if cell["environment"] != environment or cell["seed"] in self.left_out.get(environment, ()):
                continue
            if name in self.failed:
                found[method_of(cell)] = f"failed (seed {cell['seed']}): {self.failed[name]}"
            elif name in self.missing:
                found.setdefault(method_of(cell), f"not finished (seed {cell['seed']} is missing)")
        return found

    def judged(self, cells: Iterable[FinishedCell]) -> list[Judgement]:
        """The judgements of some cells' episodes, without the episodes that are not judged."""
        keys = ((cell.environment, row.method, row.seed, row.episode) for cell in cells for row in cell.rows)
        return [self.judgements[key] for key in keys if key in self.judgements]

    @property
    def page(self) -> Path | None:
        """The page that the experiment wrote."""
        page = self.folder / (OWN_PAGE if (self.folder / PACKED).exists() else "REPORT.md")
        return page if page.exists() else None

    def latent_map(self, environment: str) -> LatentMap | None:
        """The map that judging left; None if its episode was repeated since."""
        found = self.facts.get(environment, {}).get("map")
        drawn = LatentMap(**found) if found else None
        judged = {(where, seed, episode) for where, _, seed, episode in self.judgements}
        return drawn if drawn and (environment, drawn.seed, drawn.episode) in judged else None


def by_method(cells: Iterable[FinishedCell]) -> dict[str, list[FinishedCell]]:
    """Cells by their method."""
    found: dict[str, list[FinishedCell]] = {}
    for cell in cells:
        found.setdefault(cell.method, []).append(cell)
    return found


def rows_of(cells: Iterable[FinishedCell]) -> list[EpisodeRow]:
    """Every episode of some cells."""
    return [row for cell in cells for row in cell.rows]


def total(costs: Iterable[Cost]) -> Cost:
    """Sum of costs."""
    found = list(costs)
    return Cost(**{item.name: sum(getattr(cost, item.name) for cost in found) for item in fields(Cost)})


def read_cost(found: Mapping[str, Any]) -> Cost:
    """A cost; further counts of a run are not read."""
    return Cost(**{item.name: found[item.name] for item in fields(Cost) if item.name in found})


def method_of(cell: Mapping[str, Any]) -> str:
    """Name of a cell's method."""
    return str(cell.get("label") or cell["agent"])


def has_cells(folder: Path) -> bool:
    """Whether a folder holds a run that is made of cells."""
    return any((folder / name).exists() for name in ("plan.json", "cells", PACKED))


def read_run(folder: Path) -> Run:
    """Read a run, as it was made or packed.

    Raises:
        PreparationError: The folder holds no cells, or one of its files is broken.
    """
    if not has_cells(folder):
        raise PreparationError(f"{folder} holds no cells; run an experiment there first")
    plan, done, failed = read_packed(folder) if (folder / PACKED).exists() else read_folders(folder)
    check_part(plan, "cells", Mapping, f"the plan of {folder}", default={})
    for name, cell in plan.get("cells", {}).items():
        check_cell({"cell": cell}, f"the plan of {folder}, {name}")
    cells = plan.get("cells") or {cell.name: cell.header["cell"] for cell in done}
    finished = {cell.name for cell in done}
    failed = {name: error for name, error in failed.items() if name not in finished}
    missing = tuple(name for name in cells if name not in finished and name not in failed)
    left_out = unfinished_seeds(cells, missing)
    rows = {(cell.environment, row.method, row.seed, row.episode): row for cell in done for row in cell.rows}
    return Run(
        folder,
        str(plan.get("experiment") or guess_experiment(done)),
        str(plan.get("size", "")),
        cells,
        tuple(cell for cell in done if cell.seed not in left_out.get(cell.environment, ()) and cell.name in cells),
        failed,
        missing,
        left_out,
        read_judgements(folder, rows, packed=(folder / PACKED).exists()),
        read_json(folder / "judges.json") if (folder / "judges.json").exists() else {},
    )


def guess_experiment(done: Sequence[FinishedCell]) -> str:
    """The experiment of a run without a plan, from its command."""
    words = str(done[0].header.get("command", "")).split() if done else []
    return words[words.index("run") + 1] if "run" in words[:-1] else ""


def unfinished_seeds(cells: Mapping[str, Mapping[str, Any]], missing: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Seeds with missing cells, by environment; not of environments where no seed is complete."""
    seeds, lacking = seeds_of(cells.values()), seeds_of(cells[name] for name in missing)
    return {name: tuple(sorted(some)) for name, some in lacking.items() if some < seeds[name]}


def seeds_of(cells: Iterable[Mapping[str, Any]]) -> dict[str, set[int]]:
    """The seeds of planned cells, by environment."""
    found: dict[str, set[int]] = {}
    for cell in cells:
        found.setdefault(str(cell["environment"]), set()).add(int(cell["seed"]))
    return found


def read_folders(folder: Path) -> Content:
    """Read a run as it was made."""
    plan = read_json(folder / "plan.json") if (folder / "plan.json").exists() else {}
    done = [read_cell(path.parent) for path in sorted(folder.glob("cells/*/run.json"))]
    errors = sorted(folder.glob("cells/*/error.json"))
    failed = {path.parent.name: str(part(read_json(path), "error", str(path))) for path in errors}
    return plan, done, failed


def read_cell(folder: Path) -> FinishedCell:
    """Read a finished cell.

    Raises:
        PreparationError: One of its files is broken or was changed, or they do not belong together.
    """
    path = folder / "agent" / "curve.json"
    curve = read_json(path, list) if path.exists() else ()
    header, rows = read_header(folder / "run.json"), tuple(read_rows(folder / EPISODES))
    check_own(folder.name, header, rows)
    return FinishedCell(folder.name, header, rows, curve)


def read_packed(folder: Path) -> Content:
    """Read a packed run."""
    packed = read_json(folder / PACKED)
    for name in ("plan", "done", "failed"):
        check_part(packed, name, Mapping, str(folder / PACKED))
    rows: dict[tuple[str, str, int], list[EpisodeRow]] = {}
    for found in read_table(folder / EPISODES, EpisodeRow, "environment"):
        environment = found.pop("environment")
        rows.setdefault((environment, found["method"], found["seed"]), []).append(EpisodeRow(**found))
    done = []
    for name, found in packed["done"].items():
        where = f"{folder / PACKED}, {name}"
        header, curve = dict(part(found, "header", where)), part(found, "curve", where)
        made = header.pop("made", None)
        if isinstance(made, int) and made < len(packed.get("made", ())):
            header |= packed["made"][made]
        check_header(header, where)
        cell = header["cell"]
        own = tuple(rows.get((cell["environment"], method_of(cell), cell["seed"]), ()))
        check_own(name, header, own)
        done.append(FinishedCell(name, header, own, curve))
    return packed["plan"], done, packed["failed"]
