"""What an experiment is, and the cells that experiments are made of.

An experiment is a module of ``benchmarks.experiments`` with a docstring, a table ``SIZES`` and a function ``run``. Most
are made of cells: a cell is one agent with one seed in one environment; it trains where there is something to train,
meets its test episodes, and leaves a folder. A folder that is done is not done again.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from tqdm import tqdm

from baselines import registry
from baselines.agent import Agent
from baselines.evaluate import FIRST_SEED, Cost, EpisodeRow, Meter, evaluate, make_envs
from baselines.reference import REFERENCES, make_reference
from baselines.registry import LEARNERS
from benchmarks import experiments
from benchmarks.engines import make_engine
from benchmarks.results import circumstances, hashes, read_json, read_rows, write_json, write_rows
from eagle_gym.errors import ConfigurationError, EagleError, PreparationError


@dataclass(frozen=True)
class Options:
    """What the command line says to an experiment.

    Attributes:
        size: One of the experiment's ``SIZES``.
        out: Folder for everything it writes.
        data: Folder of a MovieLens data set, where one is given.
        fresh: Do cells again that are done.
        resume: Do cells again that have failed.
        jobs: Cells done at a time.
        engine: Where they are done: ``"local"`` or ``"ray"``.
        device: Where language models run; heeded by experiments on speed.
        figure: Draw the figure and measure nothing; heeded by ``design``.
        experiment: Name of the experiment.
    """

    size: str
    out: Path
    data: Path | None = None
    fresh: bool = False
    resume: bool = False
    jobs: int = 1
    engine: str = "local"
    device: str = "cpu"
    figure: bool = False
    experiment: str = ""


@dataclass(frozen=True)
class Cell:
    """One agent with one seed in one environment.

    Attributes:
        environment: Short name of the environment, for tables and folders.
        env_id: Its id.
        env_kwargs: Its further arguments, JSON values.
        agent: A reference policy or a learner.
        seed: Of the training and of the choice of test episodes.
        episodes: Test episodes.
        num_envs: Copies of the environment in a batch; ``episodes`` is a multiple of it.
        training: Hyperparameters of a learner.
    """

    environment: str
    env_id: str
    agent: str
    seed: int
    episodes: int
    num_envs: int
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Folder of the cell below ``cells/``."""
        return f"{self.environment}-{self.agent}-{self.seed}"


@dataclass(frozen=True)
class CellResult:
    """What a cell has left: its episodes, its costs and the rest of its ``run.json``."""

    cell: Cell
    rows: tuple[EpisodeRow, ...]
    evaluation: Cost
    training: Cost | None
    header: Mapping[str, Any]


@dataclass(frozen=True)
class Task:
    """A cell to do, the folder it leaves, and what its progress bars say."""

    cell: Cell
    folder: Path
    label: str


class CellsDiffer(ConfigurationError):
    """Cells that would stand in one report were made with different catalogs, spaces, models or surrogates."""


class CellsFailed(EagleError, RuntimeError):
    """Some cells of an experiment failed; the message lists them. They are never averaged in."""


def run_cells(cells: Sequence[Cell], options: Options) -> list[CellResult]:
    """Do every cell that is not done yet, and read them all.

    Args:
        cells: What to do, in this order.
        options: Where and how; whether done cells are done again, and failed ones tried again.

    Returns:
        One result for each cell.

    Raises:
        CellsDiffer: A done cell was made of other things than it would be made of now.
        CellsFailed: After all were tried, if some failed now or before. Those that are done stay done.
    """
    engine = make_engine(options.engine, options.jobs)
    tasks, failed = plan(cells, options)
    write_plan(cells, options)
    if options.jobs > 1:
        prepare([task.cell for task in tasks])
    with tqdm(total=len(tasks), desc="cells", unit="cell", disable=options.jobs == 1) as bar:
        for task, error in engine(do, tasks):
            bar.update()
            if error is not None:
                failed[task.cell.name] = error
                write_json({"cell": asdict(task.cell), "error": error}, task.folder / "error.json")
                tqdm.write(f"{task.cell.name} failed: {error}")
    if failed:
        listed = "\n".join(f"  {name}: {error}" for name, error in failed.items())
        raise CellsFailed(f"{len(failed)} of {len(cells)} cells failed; add --resume to do them again\n{listed}")
    results = [read_cell(cell, options.out / "cells" / cell.name) for cell in cells]
    check_alike(results)
    if len(commits(results)) > 1:
        tqdm.write(
            f"the cells in {options.out} come from {len(commits(results))} commits: {', '.join(commits(results))}"
        )
    return results


def plan(cells: Sequence[Cell], options: Options) -> tuple[list[Task], dict[str, str]]:
    """What there is to do, and the errors of the cells that failed before and are not tried again."""
    tasks: list[Task] = []
    failed: dict[str, str] = {}
    fingerprints = Fingerprints()
    for number, cell in enumerate(cells, start=1):
        folder = options.out / "cells" / cell.name
        task = Task(cell, folder, label=f"[{number}/{len(cells)}] {cell.name}")
        if options.fresh:
            tasks.append(task)
        elif is_done(cell, folder):
            check_made_of(folder, fingerprints.of(cell))
        else:
            error = None if options.resume else failure(folder)
            if error is None:
                tasks.append(task)
            else:
                failed[cell.name] = error
    return tasks, failed


def write_plan(cells: Sequence[Cell], options: Options) -> None:
    """Say in ``plan.json`` what the run is to hold, so that a report of its files knows what is missing."""
    planned = {cell.name: asdict(cell) for cell in cells}
    write_json({"experiment": options.experiment, "size": options.size, "cells": planned}, options.out / "plan.json")


def failure(folder: Path) -> str | None:
    """The error with which a cell failed; None where it did not."""
    path = folder / "error.json"
    return str(read_json(path)["error"]) if path.exists() else None


def prepare(cells: Sequence[Cell]) -> None:
    """Make what the cells share (latent spaces, surrogates) once, before several processes would."""
    made: list[tuple[str, Mapping[str, Any]]] = []
    for cell in cells:
        if (cell.env_id, cell.env_kwargs) not in made:
            made.append((cell.env_id, cell.env_kwargs))
            make_envs(cell.env_id, 1, **cell.env_kwargs).close()


def do(task: Task) -> None:
    """A task, for an engine."""
    run_cell(task.cell, task.folder, label=task.label)


def is_done(cell: Cell, folder: Path) -> bool:
    """Whether a folder holds this very cell, finished.

    Raises:
        ConfigurationError: It holds a cell of the same name with other settings.
    """
    if not (folder / "run.json").exists():
        return False
    found = read_json(folder / "run.json").get("cell")
    if found != asdict(cell):
        raise ConfigurationError(
            f"{folder} holds a cell with other settings ({found}). Name another --out, or add --fresh to do it again."
        )
    return True


class Fingerprints:
    """What cells would be made of now; each environment is opened once."""

    def __init__(self) -> None:
        self._known: list[tuple[str, Mapping[str, Any], dict[str, str]]] = []

    def of(self, cell: Cell) -> dict[str, str]:
        """Fingerprints by part (see :func:`benchmarks.results.hashes`)."""
        for env_id, kwargs, found in self._known:
            if (env_id, kwargs) == (cell.env_id, cell.env_kwargs):
                return found
        envs = make_envs(cell.env_id, 1, split="test", **cell.env_kwargs)
        try:
            self._known.append((cell.env_id, cell.env_kwargs, hashes(envs)))
        finally:
            envs.close()
        return self._known[-1][2]


def check_made_of(folder: Path, now: Mapping[str, str]) -> None:
    """Check that a done cell is made of what it would be made of now.

    Raises:
        CellsDiffer: It is not; the message names the parts.
    """
    differ = differences(read_json(folder / "run.json").get("hashes") or {}, now)
    if differ:
        raise CellsDiffer(
            f"{folder} was made with another {differ}. Name another --out, or add --fresh to do every cell again."
        )


def check_alike(results: Sequence[CellResult]) -> None:
    """Check that the cells of each environment are made of the same things.

    Raises:
        CellsDiffer: They are not; the message names two cells and the parts.
    """
    first: dict[str, CellResult] = {}
    for result in results:
        other = first.setdefault(result.cell.environment, result)
        differ = differences(other.header.get("hashes") or {}, result.header.get("hashes") or {})
        if differ:
            raise CellsDiffer(
                f"{result.cell.name} and {other.cell.name} cannot stand in one report: they differ in {differ}. "
                "Add --fresh to do every cell again."
            )


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """The parts in which two sets of fingerprints differ, for a message; "" where there is none."""
    names = [name for name in dict.fromkeys([*one, *other]) if one.get(name) != other.get(name)]
    return ", ".join(f"{name} ({_short(one.get(name))}, {_short(other.get(name))})" for name in names)


def _short(fingerprint: str | None) -> str:
    return "none" if fingerprint is None else f"{fingerprint:.28}"


def commits(results: Sequence[CellResult]) -> list[str]:
    """The commits that results come from, shortened; a ``+`` says that tracked files differed from it."""
    found = dict.fromkeys(str(result.header.get("commit")) for result in results)
    return [f"{commit[:10]}{'+' if commit.endswith('+') else ''}" for commit in found]


def run_cell(cell: Cell, folder: Path, *, label: str) -> None:
    """Train if there is something to train, evaluate on test users, write the folder; ``run.json`` comes last.

    A cell that was killed begins again, so that its cost is the cost of one whole run.
    """
    (folder / "run.json").unlink(missing_ok=True)
    (folder / "error.json").unlink(missing_ok=True)
    agent, training = train_cell(cell, folder, label) if cell.agent in LEARNERS else (None, None)
    envs = make_envs(cell.env_id, cell.num_envs, split="test", **cell.env_kwargs)
    try:
        if agent is None:
            agent = make_reference(cell.agent, envs.unwrapped, np.random.default_rng(cell.seed))  # type: ignore[arg-type]
        with tqdm(total=cell.episodes * horizon(envs), desc=f"{label} test", unit="step") as bar:
            done = evaluate(
                agent,
                envs,
                method=cell.agent,
                episodes=cell.episodes,
                first_seed=first_episode(cell.seed),
                seed=cell.seed,
                deterministic=cell.agent in LEARNERS,
                bar=bar,
            )
        made_of = hashes(envs)
    finally:
        envs.close()
    write_rows(done.rows, folder / "episodes.parquet")
    cost = {"evaluation": asdict(done.cost), "training": training and asdict(training)}
    write_json({"cell": asdict(cell), "cost": cost, "hashes": made_of} | circumstances(), folder / "run.json")


def horizon(envs: Any) -> int:  # noqa: ANN401 - any vector environment
    """Steps of an episode, for a progress bar."""
    world = getattr(envs.unwrapped, "world", None)
    return int(world.settings.horizon if world else envs.unwrapped.horizon)


def train_cell(cell: Cell, folder: Path, label: str) -> tuple[Agent, Cost]:
    """Train a cell's agent on train users."""
    settings = {"seed": cell.seed, **cell.training}
    envs = make_envs(cell.env_id, cell.num_envs, split="train", **cell.env_kwargs)
    meter = Meter(envs.unwrapped.usage)  # type: ignore[attr-defined]
    try:
        agent = registry.train(cell.agent, envs, settings, folder=folder / "agent", label=label)
        return agent, meter.cost()
    finally:
        envs.close()


def first_episode(seed: int) -> int:
    """Seed of the first test episode of a run: every run meets episodes of its own, every agent of a run the same."""
    return FIRST_SEED * (1 + seed)


def read_cell(cell: Cell, folder: Path) -> CellResult:
    """Read what :func:`run_cell` wrote."""
    header = read_json(folder / "run.json")
    cost = header["cost"]
    training = Cost(**cost["training"]) if cost["training"] else None
    rows = tuple(read_rows(folder / "episodes.parquet"))
    return CellResult(cell, rows, Cost(**cost["evaluation"]), training, header)


def read_run(folder: Path) -> list[CellResult]:
    """Every finished cell of a run, in the order of their names.

    Raises:
        PreparationError: There is none.
    """
    found = sorted((folder / "cells").glob("*/run.json"))
    if not found:
        raise PreparationError(f"{folder} holds no finished cells; run an experiment there first")
    return [read_cell(Cell(**read_json(path)["cell"]), path.parent) for path in found]


def agents_by_seed(agents: Sequence[str] = ("ppo", *REFERENCES), seeds: Sequence[int] = (0,)) -> list[tuple[str, int]]:
    """Every agent with every seed, a whole seed at a time, so that a part of an experiment is a smaller experiment."""
    return [(agent, seed) for seed in seeds for agent in agents]


def find_experiments() -> dict[str, ModuleType]:
    """Every experiment by name.

    Raises:
        ConfigurationError: A module of ``benchmarks.experiments`` lacks what an experiment has.
    """
    found = {}
    for item in pkgutil.iter_modules(experiments.__path__):
        module = importlib.import_module(f"{experiments.__name__}.{item.name}")
        missing = [name for name in ("__doc__", "SIZES", "run") if not getattr(module, name, None)]
        if missing:
            raise ConfigurationError(f"benchmarks/experiments/{item.name}.py should have {missing}")
        found[item.name] = module
    return found
