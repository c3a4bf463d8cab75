"""Settings that every test shares."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# One thread a process: the arrays are small, and results do not depend on how sums are split.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# No test may reach a model hub, whatever a configuration file of this machine says.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

settings.register_profile(
    "project",
    max_examples=30,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "project"))


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _one_program_a_test() -> Iterator[None]:
    """Let each test choose its own precision: accelerate keeps the first choice of a process for good."""
    yield
    if "accelerate.state" in sys.modules:
        from accelerate.state import AcceleratorState

        AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def amazon(tmp_path: Path) -> Path:
    """A folder in Amazon's format: the films of a small world, sold as products."""
    from eagle_gym.catalog import plots_world

    folder = tmp_path / "amazon"
    folder.mkdir()
    catalog = plots_world.make_plots(seed=3, films=60, users=40).catalog
    ratings = zip(catalog.ratings.user, catalog.ratings.item, catalog.ratings.value, strict=True)
    reviews = [
        {"user_id": f"A{user}", "parent_asin": f"B{item}", "rating": float(np.ceil(value)), "timestamp": row}
        for row, (user, item, value) in enumerate(ratings)
    ]
    products = [
        {"parent_asin": f"B{row}", "title": item.title, "description": [item.text], "features": []}
        for row, item in enumerate(catalog.items)
    ]
    for name, records in (("Films.jsonl", reviews), ("meta_Films.jsonl", products)):
        (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder
