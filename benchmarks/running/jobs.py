"""One job: train and evaluate a cell, or record episodes. `run.json` is written last and marks the job as finished."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import numpy as np
from tqdm import tqdm

from baselines import registry
from baselines.agent import Agent, Writer
from baselines.evaluate import FIRST_SEED, Cost, CostMeter, evaluate
from benchmarks.running.cells import Cell, RecordedEpisodes, as_header
from benchmarks.running.files import write_json, write_rows
from benchmarks.running.fingerprints import TESTED, Fingerprints, hashes, opened
from benchmarks.running.headers import EPISODES, files_below, read_header, read_recording_header, sealed
from benchmarks.running.plan import Task
from benchmarks.running.provenance import circumstances
from benchmarks.running.runs import total
from eagle_gym.actions.surrogate.model import Surrogate
from eagle_gym.envs.world import World

UNTRAINED: Mapping[str, Any] = MappingProxyType({"training": None, "parts": {}, "steps": 0})


def do(task: Task) -> None:
    """Do a task; an engine calls this."""
    if isinstance(task.job, Cell):
        run_cell(task.job, task.out, label=task.label)
    else:
        run_recording(task.job, task.out / task.job.place)


def run_cell(cell: Cell, out: Path, *, label: str) -> None:
    """Train if there is something to train, evaluate on test users, and write the cell's folder.

    An interrupted cell starts from the beginning, so that its cost is that of one complete run.
    """
    folder = out / cell.place
    for name in ("run.json", "error.json"):
        (folder / name).unlink(missing_ok=True)
    agent, training = train_cell(cell, out, label) if cell.learns else (None, UNTRAINED)
    (env_id, kwargs), *_ = cell.environments()
    with opened(env_id, cell.num_envs, **{**TESTED, **kwargs}) as envs:
        if agent is None:
            made = str(out / "cells" / cell.agent_of / "agent") if cell.agent_of else cell.agent
            agent = registry.make(made, envs, np.random.default_rng(cell.seed))
        elif isinstance(agent, registry.Bound):
            agent.bind(envs)
        with tqdm(total=cell.episodes * horizon(envs), desc=f"{label} test", unit="step", disable=None) as bar:
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
        fingerprints, fit = Fingerprints().of(cell), calls_of_fit(envs)
    write_rows(done.rows, folder / EPISODES)
    cost = {"evaluation": asdict(done.cost), **training, "surrogate": fit}
    measured = {"quality": dict(agent.quality)} if isinstance(agent, Measured) else {}
    header = as_header(cell) | {"cost": cost, **measured, "hashes": fingerprints} | circumstances()
    write_json(sealed(header, folder, (EPISODES,)), folder / "run.json")


@runtime_checkable
class Measured(Protocol):
    """An agent that measured itself after its training, such as ELM its decoder."""

    quality: Mapping[str, float]


def calls_of_fit(envs: Any) -> int:  # noqa: ANN401 - any vector environment
    """Generations that the fit of an environment's surrogate took, once for all that use it; 0 without one."""
    world = getattr(envs.unwrapped, "world", None)
    effects = world.resources.action_sets.effects if isinstance(world, World) else None
    return int(effects.cost["calls"]) if isinstance(effects, Surrogate) else 0


def horizon(envs: Any) -> int:  # noqa: ANN401 - any vector environment
    """Steps of an episode, for a progress bar."""
    world = getattr(envs.unwrapped, "world", None)
    return int(world.settings.horizon if isinstance(world, World) else envs.unwrapped.horizon)


def first_episode(seed: int) -> int:
    """Seed of the first test episode: agents of one seed share their episodes, and seeds share none."""
    return FIRST_SEED * (1 + seed)


def train_cell(cell: Cell, out: Path, label: str) -> tuple[Agent | Writer | None, dict[str, Any]]:
    """Train a cell's agent on train users.

    Returns:
        The agent, None if it is that of another cell; and the cost of its training: `training`, the sum of its
        `parts` (recorded episodes and earlier agents included), and the environment `steps`.
    """
    earlier = cell.agent_of or cell.begins_as
    before = read_header(out / "cells" / earlier / "run.json")["cost"] if earlier else UNTRAINED
    if cell.agent_of:
        return None, {name: before[name] for name in UNTRAINED}
    settings = {"seed": cell.seed, **cell.training}
    parts: dict[str, Any] = dict(before["parts"])
    if cell.recording:
        settings["dataset"] = str(out / cell.recording.place)
        parts[cell.recording.name] = read_recording_header(out / cell.recording.place / "run.json")["cost"]
    if cell.begins_as:
        settings["supervised"] = str(out / "cells" / cell.begins_as / "agent")
    shutil.rmtree(out / cell.place / "agent", ignore_errors=True)
    with opened(cell.env_id, cell.num_envs, split="train", **cell.env_kwargs) as envs:
        meter = CostMeter(envs.unwrapped.usage)
        agent = registry.train(cell.agent, envs, settings, folder=out / cell.place / "agent", label=label)
        parts[cell.name] = asdict(meter.cost())
    spent = asdict(total(Cost(**part) for part in parts.values()))
    return agent, {"training": spent, "parts": parts, "steps": agent.steps}


def run_recording(recording: RecordedEpisodes, folder: Path) -> None:
    """Play and record episodes."""
    from baselines.dataset import RecordConfig, record  # imports minari

    shutil.rmtree(folder, ignore_errors=True)
    with opened(recording.env_id, recording.num_envs, split="train", **recording.env_kwargs) as envs:
        meter = CostMeter(envs.unwrapped.usage)
        record(envs, folder, RecordConfig((recording.policy,), recording.episodes, recording.seed))
        header = {"cost": asdict(meter.cost()), "hashes": hashes(envs)}
    header = as_header(recording) | header | circumstances()
    write_json(sealed(header, folder, files_below(folder)), folder / "run.json")
