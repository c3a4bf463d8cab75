"""Puts a run's episodes before the judges. No episode is played, and nothing is trained."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.judging.judges import Judges
from benchmarks.judging.latent_map import draw_map
from benchmarks.judging.second_opinion import SecondOpinion
from benchmarks.running.cells import Cell
from benchmarks.running.files import write_json, write_table
from benchmarks.running.fingerprints import TESTED, Fingerprints, check_alike, check_made_of, opened
from benchmarks.running.runs import read_run, rows_of
from eagle_gym.errors import PreparationError
from eagle_gym.language.loading import load_language_model


def judge_run(folder: Path, *, language_model: str | None = None) -> None:
    """Judge the episodes of the complete seeds of a run; write `judgements.parquet` and `judges.json`.

    The latter holds facts about the judges, and a map of the latent space for reports, which open no environment.

    Args:
        folder: Folder of the run.
        language_model: Spec of a language model as a further judge (see `load_language_model`).

    Raises:
        CellsDiffer: The cells were made with several worlds, or with one that can no longer be opened.
        PreparationError: The folder holds no finished cells.
    """
    run = read_run(folder)
    if not run.done:
        raise PreparationError(f"{folder} holds no finished cells; run an experiment there first")
    check_alike(run.done)
    model = load_language_model(language_model) if language_model else None
    seconds: dict[tuple[str, str], SecondOpinion] = {}  # by the hashes of catalog and split
    judged: list[dict[str, Any]] = []
    facts = {}
    for name in run.environments:
        cells = [cell for cell in run.done if cell.environment == name]
        if not cells:
            continue
        cell = Cell(**cells[0].header["cell"])
        (env_id, kwargs), *_ = cell.environments()
        with opened(env_id, 1, **{**TESTED, **kwargs}) as envs:
            check_made_of(folder / cell.place, Fingerprints().of(cell))
            world, rows = envs.unwrapped.world, rows_of(cells)
            key = (world.catalog.hash, world.resources.split.hash)
            judges = Judges.of(world, model, seconds.get(key))
            if judges.second is not None:
                seconds[key] = judges.second
            judged += [{"environment": name, **asdict(row)} for row in judges.judge(rows)]
            facts[name] = {
                "second": str(judges.second.quality) if judges.second else None,
                "raters": len(judges.raters),
                "language_model": language_model,
                "map": asdict(draw_map(world, rows)),
            }
    write_table(judged, folder / "judgements.parquet")
    write_json(facts, folder / "judges.json")
