"""Experiments on the known world instead of a language model's."""

from __future__ import annotations

from typing import Any

import pytest

import benchmarks.running.fingerprints
from tests.fakes import KnownVectorEnv


@pytest.fixture
def known_world(monkeypatch: pytest.MonkeyPatch) -> list[KnownVectorEnv]:
    """Cells find the known world, whatever id they name; the list collects what was made."""
    made: list[KnownVectorEnv] = []

    def make(env_id: str, num_envs: int, **kwargs: Any) -> KnownVectorEnv:
        made.append(KnownVectorEnv(num_envs=num_envs, horizon=5))
        return made[-1]

    monkeypatch.setattr(benchmarks.running.fingerprints, "make_envs", make)
    return made
