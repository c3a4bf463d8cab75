"""What an experiment is, and the cells that experiments are made of.

An experiment is a module of ``benchmarks.experiments`` with a docstring, a table ``SIZES`` and a function ``run``. Most
are made of cells: a cell is one method with one seed in one environment; it trains where there is something to train,
meets its test episodes, and leaves a folder. A folder that is done is not done again. A cell may need others: the
recorded episodes of a reference policy, or the agent of another cell. What these have cost is charged to it too.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np
from tqdm import tqdm

from baselines import registry
from baselines.agent import Agent, Writer
from baselines.evaluate import FIRST_SEED, Cost, CostMeter, EpisodeRow, evaluate, make_envs
from baselines.reference import REFERENCES
from baselines.registry import LEARNERS
from benchmarks import experiments
from benchmarks.engines import make_engine, root_of
from benchmarks.results import circumstances, hashes, read_json, read_rows, shortened, write_json, write_rows
from eagle_gym.errors import ConfigurationError, EagleError, PreparationError


@dataclass(frozen=True)
class Options:
    """What the command line says to an experiment.

    Attributes:
        size: One of the experiment's ``SIZES``.
        out: Folder for everything it writes.
        data: Folder of a data set (MovieLens; Amazon for ``t4_products``), where one is given.
        fresh: Do cells again that are done.
        resume: Do cells again that have failed.
        jobs: Cells done at a time.
        engine: Where they are done: ``"local"`` or ``"ray"``.
        device: Where language models run; heeded by experiments on speed.
        figure: Draw the figure and measure nothing; heeded by ``design``.
        experiment: Name of the experiment.
        report_only: Do no cell: report on those that are done, and say which are missing.
        language_model: A general language model's spec; heeded by ``t4_products``.
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
    report_only: bool = False
    language_model: str | None = None


@dataclass(frozen=True)
class Cell:
    """One method with one seed in one environment.

    Attributes:
        environment: Short name of the environment, for tables and folders.
        env_id: Its id.
        agent: A policy that needs no training, a learner, or a method that does not learn with its settings
            (``"beam:budget=640"``); see :func:`baselines.registry.make`.
        seed: Of the training and of the choice of test episodes.
        episodes: Test episodes. All cells of a seed meet the same ones; who has fewer meets the first of them.
        num_envs: Copies of the environment in a batch; ``episodes`` is a multiple of it.
        env_kwargs: Further arguments of the environment, JSON values.
        training: Hyperparameters of a learner.
        label: Name of the method, for tables and folders; that of the agent where "".
        test_env_kwargs: What is otherwise in the environment of the test episodes.
        recorded: Episodes of its reference policy that are recorded for a learner (its hyperparameter ``dataset``).
        begins_as: Name of the cell whose agent a learner begins as (its hyperparameter ``supervised``).
        agent_of: Name of the cell whose agent is tested here; nothing is trained.
        sample: Let a trained agent sample its actions; else it takes the most probable one.
    """

    environment: str
    env_id: str
    agent: str
    seed: int
    episodes: int
    num_envs: int
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    test_env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    recorded: int = 0
    begins_as: str = ""
    agent_of: str = ""
    sample: bool = False

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.label or self.agent

    @property
    def name(self) -> str:
        """Name of the cell, and of its folder below ``cells/``."""
        return f"{self.environment}-{self.method}-{self.seed}"

    @property
    def place(self) -> Path:
        """Its folder, below that of the run."""
        return Path("cells", self.name)

    @property
    def learns(self) -> bool:
        """Whether its agent is a trained one."""
        return self.agent in LEARNERS

    @property
    def recording(self) -> Recording | None:
        """The recorded episodes that it needs."""
        if not self.recorded:
            return None
        policy = registry.make_config(self.agent, self.training).reference
        batch = min(self.num_envs, self.recorded)
        return Recording(self.environment, self.env_id, policy, self.seed, self.recorded, batch, self.env_kwargs)

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of what must be done before it."""
        recording = self.recording
        found = (recording.name if recording else "", self.begins_as, self.agent_of)
        return tuple(name for name in found if name)

    def environments(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Id and arguments of the environment of its test episodes, and of the one that it is trained in."""
        yield self.env_id, {**self.env_kwargs, **self.test_env_kwargs}
        if self.learns:
            yield self.env_id, dict(self.env_kwargs)


@dataclass(frozen=True)
class Recording:
    """Episodes of a reference policy, recorded once with train users for all cells that learn from them.

    Attributes:
        environment: As of :class:`Cell`.
        env_id: As of :class:`Cell`.
        policy: The reference policy.
        seed: Of the episodes; recordings for one seed of the experiment have it.
        episodes: How many.
        num_envs: Copies of the environment in a batch; ``episodes`` is a multiple of it.
        env_kwargs: As of :class:`Cell`.
    """

    environment: str
    env_id: str
    policy: str
    seed: int
    episodes: int
    num_envs: int
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def needs(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    @property
    def name(self) -> str:
        """Name of the recording, and of its folder below ``recorded/``."""
        return f"{self.environment}-{self.episodes}-{self.policy}-episodes-{self.seed}"

    @property
    def place(self) -> Path:
        """Its folder, below that of the run."""
        return Path("recorded", self.name)

    def environments(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Id and arguments of its environment."""
        yield self.env_id, dict(self.env_kwargs)


Job = Cell | Recording
OF_TRAINING = " of training"  # ends the names of fingerprints of an environment that was only trained in


@dataclass(frozen=True)
class CellResult:
    """What a cell has left: its episodes, its costs and the rest of its ``run.json``.

    Attributes:
        cell: The cell.
        rows: Its test episodes.
        evaluation: What they cost.
        training: What all of its training cost, recorded episodes and earlier agents included; None where it has none.
        header: The rest; ``header["cost"]["steps"]`` are the training's environment steps.
    """

    cell: Cell
    rows: tuple[EpisodeRow, ...]
    evaluation: Cost
    training: Cost | None
    header: Mapping[str, Any]


@dataclass(frozen=True)
class Task:
    """A cell or a recording to do, the folder of the run, and what its progress bars say."""

    job: Job
    out: Path
    label: str


class CellsDiffer(ConfigurationError):
    """Cells that would stand in one report were made with different catalogs, spaces, models or surrogates."""


class CellsFailed(EagleError, RuntimeError):
    """Some cells of an experiment failed; the message lists them. They are never averaged in."""


def run_cells(cells: Sequence[Cell], options: Options) -> list[CellResult]:
    """Do every cell that is not done yet, and read them all.

    Args:
        cells: What to do, in this order; what a cell needs comes before it.
        options: Where and how; whether done cells are done again, and failed ones tried again.

    Returns:
        One result for each cell; with ``report_only``, for each that is done.

    Raises:
        CellsDiffer: A done cell was made of other things than it would be made of now.
        CellsFailed: After all were tried, if some failed now or before. Those that are done stay done.
        ConfigurationError: Two cells have one name, or one needs another that does not come before it.
        PreparationError: ``report_only``, and none is done.
    """
    jobs = gather(cells)
    if options.report_only:
        return read_done(cells, options.out)
    engine = make_engine(options.engine, options.jobs)
    tasks, failed = plan(jobs, options)
    write_plan(cells, options)
    needs = {name: task.job.needs for name, task in tasks.items()}
    with prepared(tasks.values()), tqdm(total=len(tasks), desc="cells", unit="cell", disable=options.jobs == 1) as bar:
        for name, error in engine(do, tasks, needs):
            bar.update()
            if error is not None:
                failed[name] = error
                write_json(described(jobs[name]) | {"error": error}, options.out / jobs[name].place / "error.json")
                tqdm.write(f"{name} failed: {error}")
    if failed:
        listed = "\n".join(f"  {name}: {error}" for name, error in failed.items())
        raise CellsFailed(f"{len(failed)} of {len(jobs)} cells failed; add --resume to do them again\n{listed}")
    results = [read_cell(cell, options.out / cell.place) for cell in cells]
    check_alike(results)
    if len(commits(results)) > 1:
        tqdm.write(
            f"the cells in {options.out} come from {len(commits(results))} commits: {', '.join(commits(results))}"
        )
    return results


def gather(cells: Sequence[Cell]) -> dict[str, Job]:
    """Cells by name, each after the recordings that it needs.

    Raises:
        ConfigurationError: Two have one name, or one needs another that does not come before it.
    """
    found: dict[str, Job] = {}
    for cell in cells:
        recording = cell.recording
        if recording is not None and found.setdefault(recording.name, recording) != recording:
            raise ConfigurationError(f"two recordings are called {recording.name} and are not the same")
        absent = [name for name in cell.needs if name not in found]
        if absent:
            raise ConfigurationError(f"{cell.name} needs {', '.join(absent)}, which should come before it")
        if cell.name in found:
            raise ConfigurationError(f"two cells are called {cell.name}; give one of them a label")
        found[cell.name] = cell
    return found


def plan(jobs: Mapping[str, Job], options: Options) -> tuple[dict[str, Task], dict[str, str]]:
    """What there is to do, and the errors of what failed before and is not tried again.

    A recording that nothing needs any more is not made.
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
        else:
            error = None if options.resume else failure(folder)
            if error is None:
                tasks[name] = task
            else:
                failed[name] = error
    needed = {need for task in tasks.values() for need in task.job.needs}
    return {n: task for n, task in tasks.items() if isinstance(task.job, Cell) or n in needed}, failed


def missing(folder: Path) -> dict[str, str]:
    """The cells that a run lacks, by name, and why: they were not done yet, or their errors."""
    names = read_json(folder / "plan.json")["cells"] if (folder / "plan.json").exists() else []
    lacking = [name for name in names if not (folder / "cells" / name / "run.json").exists()]
    return {name: failure(folder / "cells" / name) or "not done yet" for name in lacking}


def read_done(cells: Sequence[Cell], out: Path) -> list[CellResult]:
    """Those of some cells that are done; the others are listed.

    Raises:
        CellsDiffer: They cannot stand in one report.
        PreparationError: None is done.
    """
    done = [cell for cell in cells if is_done(cell, out / cell.place)]
    if not done:
        raise PreparationError(f"{out} holds no finished cells; run the experiment there first")
    results = [read_cell(cell, out / cell.place) for cell in done]
    check_alike(results)
    lacking = [cell for cell in cells if cell not in done]
    for cell in lacking:
        tqdm.write(f"missing: {cell.name} ({failure(out / cell.place) or 'not done yet'})")
    return results


def described(job: Job) -> dict[str, Any]:
    """A cell or a recording, for a ``run.json``."""
    return {"cell" if isinstance(job, Cell) else "recording": asdict(job)}


def write_plan(cells: Sequence[Cell], options: Options) -> None:
    """Say in ``plan.json`` what the run is to hold, so that a report of its files knows what is missing."""
    planned = {cell.name: asdict(cell) for cell in cells}
    write_json({"experiment": options.experiment, "size": options.size, "cells": planned}, options.out / "plan.json")


def failure(folder: Path) -> str | None:
    """The error with which a cell failed; None where it did not."""
    path = folder / "error.json"
    return str(read_json(path)["error"]) if path.exists() else None


@contextmanager
def prepared(tasks: Iterable[Task]) -> Iterator[None]:
    """Make what the cells share (latent spaces, surrogates) once, before several processes would, and keep it open."""
    made: list[tuple[str, Mapping[str, Any]]] = []
    with ExitStack() as stack:
        for environment in (environment for task in tasks for environment in task.job.environments()):
            if environment not in made:
                made.append(environment)
                stack.enter_context(opened(environment[0], 1, **environment[1]))
        yield


def do(task: Task) -> None:
    """A task, for an engine."""
    if isinstance(task.job, Cell):
        run_cell(task.job, task.out, label=task.label)
    else:
        run_recording(task.job, task.out / task.job.place)


def is_done(job: Job, folder: Path) -> bool:
    """Whether a folder holds this very cell or recording, finished.

    Raises:
        ConfigurationError: It holds a cell of the same name with other settings.
    """
    if not (folder / "run.json").exists():
        return False
    ((kind, wanted),) = json.loads(json.dumps(described(job))).items()
    found = read_json(folder / "run.json").get(kind)
    if found != wanted:
        raise ConfigurationError(
            f"{folder} holds a cell with other settings ({found}). Name another --out, or add --fresh to do it again."
        )
    return True


class Fingerprints:
    """What cells would be made of now; each environment is opened once."""

    def __init__(self) -> None:
        self._known: list[tuple[str, Mapping[str, Any], dict[str, str]]] = []

    def of(self, job: Job) -> dict[str, str]:
        """Fingerprints by part, of the environment of the test episodes and of another that it was trained in."""
        return made_of([self._of(env_id, kwargs) for env_id, kwargs in job.environments()])

    def _of(self, env_id: str, kwargs: Mapping[str, Any]) -> dict[str, str]:
        for known_id, known_kwargs, found in self._known:
            if (known_id, known_kwargs) == (env_id, kwargs):
                return found
        with opened(env_id, 1, split="test", **kwargs) as envs:
            self._known.append((env_id, kwargs, hashes(envs)))
        return self._known[-1][2]


def made_of(parts: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Fingerprints of the environment of the test episodes, with those of the training's that are others."""
    test = dict(parts[0])
    apart = {name: value for other in parts[1:] for name, value in other.items() if value != test.get(name)}
    return test | {f"{name}{OF_TRAINING}": value for name, value in apart.items()}


@contextmanager
def opened(env_id: str, num_envs: int, **kwargs: Any) -> Iterator[Any]:  # noqa: ANN401 - any environment's
    """A vector environment that is closed when it is left."""
    envs = make_envs(env_id, num_envs, **kwargs)
    try:
        yield envs
    finally:
        envs.close()


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
    """Check that the cells of each environment are made of the same things, and those of a method also trained so.

    Raises:
        CellsDiffer: They are not; the message names two cells and the parts.
    """
    first: dict[tuple[str, ...], CellResult] = {}
    for result in results:
        cell = result.cell
        for key, parts in (((cell.environment,), tested_with), ((cell.environment, cell.method), all_parts)):
            other = first.setdefault(key, result)
            differ = differences(parts(other), parts(result))
            if differ:
                raise CellsDiffer(
                    f"{cell.name} and {other.cell.name} cannot stand in one report: they differ in {differ}. "
                    "Add --fresh to do every cell again."
                )


def all_parts(result: CellResult) -> dict[str, str]:
    """Fingerprints of everything that a cell was made of."""
    return dict(result.header.get("hashes") or {})


def tested_with(result: CellResult) -> dict[str, str]:
    """Those of the environment of its test episodes; agents may have been trained in different ones."""
    return {name: value for name, value in all_parts(result).items() if not name.endswith(OF_TRAINING)}


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """The parts in which two sets of fingerprints differ, for a message; "" where there is none."""
    names = [name for name in dict.fromkeys([*one, *other]) if one.get(name) != other.get(name)]
    return ", ".join(f"{name} ({_short(one.get(name))}, {_short(other.get(name))})" for name in names)


def _short(fingerprint: str | None) -> str:
    return "none" if fingerprint is None else f"{fingerprint:.28}"


def commits(results: Sequence[CellResult]) -> list[str]:
    """The commits that results come from, shortened; a ``+`` says that tracked files differed from it."""
    return list(dict.fromkeys(shortened(result.header.get("commit")) for result in results))


def run_cell(cell: Cell, out: Path, *, label: str) -> None:
    """Train if there is something to train, evaluate on test users, write the folder; ``run.json`` comes last.

    A cell that was killed begins again, so that its cost is the cost of one whole run.
    """
    folder = out / cell.place
    for name in ("run.json", "error.json"):
        (folder / name).unlink(missing_ok=True)
    agent, training = train_cell(cell, out, label) if cell.learns else (None, UNTRAINED)
    (env_id, kwargs), *_ = cell.environments()
    with opened(env_id, cell.num_envs, split="test", **kwargs) as envs:
        if agent is None:
            made = str(out / "cells" / cell.agent_of / "agent") if cell.agent_of else cell.agent
            agent = registry.make(made, envs, np.random.default_rng(cell.seed))
        elif isinstance(agent, registry.Bound):
            agent.bind(envs)
        with tqdm(total=cell.episodes * horizon(envs), desc=f"{label} test", unit="step") as bar:
            done = evaluate(
                agent,
                envs,
                method=cell.method,
                episodes=cell.episodes,
                first_seed=first_episode(cell.seed),
                seed=cell.seed,
                deterministic=cell.learns and not cell.sample,
                bar=bar,
            )
        fingerprints = Fingerprints().of(cell)
    write_rows(done.rows, folder / "episodes.parquet")
    cost = {"evaluation": asdict(done.cost), **training}
    write_json(described(cell) | {"cost": cost, "hashes": fingerprints} | circumstances(), folder / "run.json")


UNTRAINED: Mapping[str, Any] = MappingProxyType({"training": None, "parts": {}, "steps": 0})


def horizon(envs: Any) -> int:  # noqa: ANN401 - any vector environment
    """Steps of an episode, for a progress bar."""
    world = getattr(envs.unwrapped, "world", None)
    return int(world.settings.horizon if world else envs.unwrapped.horizon)


def train_cell(cell: Cell, out: Path, label: str) -> tuple[Agent | Writer | None, dict[str, Any]]:
    """Train a cell's agent on train users, where it is not that of another (None).

    Returns:
        The agent, and the cost of its training: ``training``, the sum of its ``parts``, and ``steps``, those of the
        environment. What was recorded for it and what it began as are parts.
    """
    earlier = cell.agent_of or cell.begins_as
    before = read_json(out / "cells" / earlier / "run.json")["cost"] if earlier else UNTRAINED
    if cell.agent_of:
        return None, {name: before[name] for name in UNTRAINED}
    settings = {"seed": cell.seed, **cell.training}
    parts: dict[str, Any] = dict(before["parts"])
    if cell.recording:
        settings["dataset"] = str(out / cell.recording.place)
        parts[cell.recording.name] = read_json(out / cell.recording.place / "run.json")["cost"]
    if cell.begins_as:
        settings["supervised"] = str(out / "cells" / cell.begins_as / "agent")
    shutil.rmtree(out / cell.place / "agent", ignore_errors=True)
    with opened(cell.env_id, cell.num_envs, split="train", **cell.env_kwargs) as envs:
        meter = CostMeter(envs.unwrapped.usage)
        agent = registry.train(cell.agent, envs, settings, folder=out / cell.place / "agent", label=label)
        parts[cell.name] = asdict(meter.cost())
    spent = asdict(total(Cost(**part) for part in parts.values()))
    return agent, {"training": spent, "parts": parts, "steps": agent.steps}


def total(costs: Iterable[Cost]) -> Cost:
    """The sum of costs."""
    found = list(costs)
    return Cost(**{item.name: sum(getattr(cost, item.name) for cost in found) for item in fields(Cost)})


def run_recording(recording: Recording, folder: Path) -> None:
    """Play and record the episodes anew; ``run.json`` comes last."""
    from baselines.dataset import RecordConfig, record  # minari comes with it

    shutil.rmtree(folder, ignore_errors=True)
    with opened(recording.env_id, recording.num_envs, split="train", **recording.env_kwargs) as envs:
        meter = CostMeter(envs.unwrapped.usage)
        record(envs, folder, RecordConfig((recording.policy,), recording.episodes, recording.seed))
        header = {"cost": asdict(meter.cost()), "hashes": hashes(envs)}
    write_json(described(recording) | header | circumstances(), folder / "run.json")


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


World = tuple[str, str, dict[str, Any]]
"""Short name, id and arguments of an environment."""


def worlds(options: Options) -> list[World]:
    """Name, id and arguments of the environments: Plots, and MovieLens where its data are given."""
    found: list[World] = [("plots", "EagleGym/Plots-v0", {})]
    if options.data:
        found.append(("movielens", "EagleGym/MovieLens-v0", {"root": str(options.data)}))
    return found


def grid(
    where: Sequence[World], methods: Sequence[Mapping[str, Any]], *, seeds: int, episodes: int, num_envs: int
) -> list[Cell]:
    """A cell for each method in each environment with each seed.

    A whole seed at a time, so that a part of an experiment is a smaller experiment.

    Args:
        where: The environments (see :func:`worlds`).
        methods: What differs between the cells of a seed, by the names of :class:`Cell`'s fields. ``begins_as`` and
            ``agent_of`` are methods of the same seed and environment, ``env_kwargs`` go beside those of the
            environment, and ``setting`` goes behind its name, where they make it another one.
        seeds: How many.
        episodes: Where a method does not say otherwise.
        num_envs: Likewise; never more than there are episodes.
    """
    usual = {"episodes": episodes, "num_envs": num_envs}
    return [_cell(world, usual | dict(method), seed) for seed in range(seeds) for world in where for method in methods]


def _cell(world: World, method: dict[str, Any], seed: int) -> Cell:
    name, env_id, kwargs = world
    setting = method.pop("setting", "")
    environment = f"{name}-{setting}" if setting else name
    method["num_envs"] = min(method["num_envs"], method["episodes"])
    method["env_kwargs"] = {**kwargs, **method.get("env_kwargs", {})}
    method |= {key: f"{environment}-{method[key]}-{seed}" for key in ("begins_as", "agent_of") if key in method}
    return Cell(environment, env_id, seed=seed, **method)


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
        lacks = [name for name in ("__doc__", "SIZES", "run") if not getattr(module, name, None)]
        if lacks:
            raise ConfigurationError(f"benchmarks/experiments/{item.name}.py should have {lacks}")
        found[item.name] = module
    return found
