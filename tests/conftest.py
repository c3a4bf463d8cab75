"""Settings that every test shares."""

from __future__ import annotations

import os

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
