"""Episodes and headers survive the disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from baselines.evaluate import evaluate
from baselines.reference import Uniform
from benchmarks.running.files import read_json, read_rows, write_json, write_rows
from benchmarks.running.provenance import circumstances
from eagle_gym.errors import PreparationError
from tests.fakes import KnownVectorEnv


def test_episodes_survive_parquet(tmp_path: Path, rng: np.random.Generator) -> None:
    rows = evaluate(Uniform(rng), KnownVectorEnv(num_envs=4), method="uniform", episodes=8).rows
    write_rows(rows, tmp_path / "deep" / "episodes.parquet")
    assert read_rows(tmp_path / "deep" / "episodes.parquet") == list(rows)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["episodes.parquet"]  # nothing half-written is left


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match=r"nothing\.parquet"):
        read_rows(tmp_path / "nothing.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 or not")
    with pytest.raises(PreparationError, match="run the experiment again"):
        read_rows(tmp_path / "broken.parquet")
    pq.write_table(pa.table({"gain": [1.0]}), tmp_path / "other.parquet")
    with pytest.raises(PreparationError, match="should have the columns"):
        read_rows(tmp_path / "other.parquet")
    (tmp_path / "run.json").write_text("[1]")
    with pytest.raises(PreparationError, match="JSON object"):
        read_json(tmp_path / "run.json")
    with pytest.raises(PreparationError, match="cannot be read"):
        read_json(tmp_path / "none.json")


def test_circumstances_name_versions_and_code(tmp_path: Path) -> None:
    found = circumstances()
    assert found["versions"]["numpy"] == np.__version__
    assert found["machine"]["cores"] >= 1
    write_json(found, tmp_path / "run.json")
    assert read_json(tmp_path / "run.json") == json.loads(json.dumps(found))
