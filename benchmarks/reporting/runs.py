"""Runs as their files tell them: what is done, what has failed, what is missing, what the judges say.

A run lies on disk in one of two ways: as it was made, a folder for each cell, or packed for the repository (see
`benchmarks.reporting.reference`). Nothing else is opened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from baselines.evaluate import Cost, EpisodeRow
from benchmarks.judges import Judgement
from benchmarks.latent_map import LatentMap, read_map
from benchmarks.results import read_json, read_rows, read_table
from eagle_gym.errors import PreparationError

PACKED = "packed.json"
OWN_PAGE = "own.md"  # what an experiment has written itself, in a packed run, where REPORT.md is the report
Curve = Sequence[Mapping[str, float]]


@dataclass(frozen=True, eq=False)
class Done:
    """A finished cell.

    Attributes:
        name: Of the cell.
        header: Its ``run.json``.
        rows: Its test episodes.
        curve: Its learning curve, empty without one.
    """

    name: str
    header: Mapping[str, Any]
    rows: tuple[EpisodeRow, ...]
    curve: Curve = ()

    @property
    def environment(self) -> str:
        """Short name of its environment."""
        return str(self.header["cell"]["environment"])

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
        """What its training cost, None where it has none."""
        cost = self.header["cost"]["training"]
        return read_cost(cost) if cost else None

    @property
    def evaluation(self) -> Cost:
        """What its test episodes cost."""
        return read_cost(self.header["cost"]["evaluation"])


@dataclass(frozen=True, eq=False)
class Run:
    """A run.

    Attributes:
        folder: Where it lies.
        experiment: Name of the experiment.
        size: Its size.
        plan: Every cell that it is to hold, by name.
        done: Those that are finished and count: none of a seed that `left_out` names.
        failed: Errors of those that failed, by name.
        missing: Names of those that are neither.
        left_out: Seeds that are not finished while others are, so that no method is averaged over more than others.
        judgements: By (environment, method, seed, episode); empty where the run is not judged.
        facts: About its judges, by environment.
    """

    folder: Path
    experiment: str
    size: str
    plan: Mapping[str, Mapping[str, Any]]
    done: tuple[Done, ...]
    failed: Mapping[str, str]
    missing: tuple[str, ...]
    left_out: tuple[int, ...]
    judgements: Mapping[tuple[str, str, int, int], Judgement]
    facts: Mapping[str, Mapping[str, Any]]

    @property
    def environments(self) -> list[str]:
        """Short names of its environments."""
        return list(dict.fromkeys(str(cell["environment"]) for cell in self.plan.values()))

    def of(self, environment: str) -> list[Done]:
        """The cells that count in one environment, those of methods with a hole left out."""
        holes = self.holes(environment)
        return [cell for cell in self.done if cell.environment == environment and cell.method not in holes]

    def holes(self, environment: str) -> dict[str, str]:
        """Methods of an environment that failed or are unfinished, and why; they stand in no table with numbers."""
        found: dict[str, str] = {}
        for name, cell in self.plan.items():
            if cell["environment"] != environment or cell["seed"] in self.left_out:
                continue
            if name in self.failed:
                found[method_of(cell)] = f"failed (seed {cell['seed']}): {self.failed[name]}"
            elif name in self.missing:
                found.setdefault(method_of(cell), f"not finished (seed {cell['seed']} is missing)")
        return found

    @property
    def page(self) -> Path | None:
        """The page that the experiment has written itself."""
        page = self.folder / (OWN_PAGE if (self.folder / PACKED).exists() else "REPORT.md")
        return page if page.exists() else None

    def latent_map(self, environment: str) -> LatentMap | None:
        """The map that judging has left."""
        found = self.facts.get(environment, {}).get("map")
        return read_map(found) if found else None


def read_cost(found: Mapping[str, Any]) -> Cost:
    """A cost; what a run counted beside is not read."""
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
        PreparationError: It holds no cells, or a file of it is broken.
    """
    if not has_cells(folder):
        raise PreparationError(f"{folder} holds no run; run an experiment there first")
    plan, done, failed = read_packed(folder) if (folder / PACKED).exists() else read_cells(folder)
    cells = plan.get("cells") or {cell.name: cell.header["cell"] for cell in done}
    finished = {cell.name for cell in done}
    failed = {name: error for name, error in failed.items() if name not in finished}
    missing = tuple(name for name in cells if name not in finished and name not in failed)
    left_out = unfinished_seeds(cells, missing)
    return Run(
        folder,
        str(plan.get("experiment") or guess_experiment(done)),
        str(plan.get("size", "")),
        cells,
        tuple(cell for cell in done if cell.seed not in left_out and cell.name in cells),
        failed,
        missing,
        left_out,
        read_judgements(folder),
        read_json(folder / "judges.json") if (folder / "judges.json").exists() else {},
    )


def guess_experiment(done: Sequence[Done]) -> str:
    """The experiment of a run without a plan, from the command that made it."""
    words = str(done[0].header.get("command", "")).split() if done else []
    return words[words.index("run") + 1] if "run" in words[:-1] else ""


def unfinished_seeds(cells: Mapping[str, Mapping[str, Any]], missing: Sequence[str]) -> tuple[int, ...]:
    """Seeds of which cells are missing, where other seeds are whole; none where no seed is."""
    seeds = {int(cell["seed"]) for cell in cells.values()}
    lacking = {int(cells[name]["seed"]) for name in missing}
    return tuple(sorted(lacking)) if lacking < seeds else ()


def read_cells(folder: Path) -> tuple[Mapping[str, Any], list[Done], dict[str, str]]:
    """Plan, finished cells and errors of a run as it was made."""
    plan = read_json(folder / "plan.json") if (folder / "plan.json").exists() else {}
    done = [read_cell(path.parent) for path in sorted(folder.glob("cells/*/run.json"))]
    failed = {path.parent.name: str(read_json(path)["error"]) for path in sorted(folder.glob("cells/*/error.json"))}
    return plan, done, failed


def read_cell(folder: Path) -> Done:
    """A finished cell from its folder."""
    rows = tuple(read_rows(folder / "episodes.parquet"))
    return Done(folder.name, read_json(folder / "run.json"), rows, read_curve(folder / "agent" / "curve.json"))


def read_packed(folder: Path) -> tuple[Mapping[str, Any], list[Done], dict[str, str]]:
    """Plan, finished cells and errors of a packed run."""
    packed = read_json(folder / PACKED)
    rows: dict[tuple[str, str, int], list[EpisodeRow]] = {}
    for environment, row in read_packed_rows(folder / "episodes.parquet"):
        rows.setdefault((environment, row.method, row.seed), []).append(row)
    done = [
        Done(name, found["header"], tuple(rows[key_of(found["header"]["cell"])]), found["curve"])
        for name, found in packed["done"].items()
    ]
    return packed["plan"], done, packed["failed"]


def key_of(cell: Mapping[str, Any]) -> tuple[str, str, int]:
    """What tells the episodes of a packed run apart."""
    return str(cell["environment"]), method_of(cell), int(cell["seed"])


def read_packed_rows(path: Path) -> list[tuple[str, EpisodeRow]]:
    """Environments and episodes of a packed run."""
    rows = read_table(path, ["environment", *(item.name for item in fields(EpisodeRow))])
    return [(str(row.pop("environment")), EpisodeRow(**row)) for row in rows]


def read_judgements(folder: Path) -> dict[tuple[str, str, int, int], Judgement]:
    """Judgements by (environment, method, seed, episode); none where the run is not judged."""
    path = folder / "judgements.parquet"
    if not path.exists():
        return {}
    found = {}
    for row in read_table(path, ["environment", *(item.name for item in fields(Judgement))]):
        environment = str(row.pop("environment"))
        judgement = Judgement(**row)
        found[environment, judgement.method, judgement.seed, judgement.episode] = judgement
    return found


def read_curve(path: Path) -> Curve:
    """A learning curve, empty where nothing was learnt.

    Raises:
        PreparationError: It is broken.
    """
    if not path.exists():
        return ()
    try:
        return tuple(json.loads(path.read_text()))
    except ValueError as error:
        raise PreparationError(f"{path} cannot be read ({error}); run the experiment again") from error
