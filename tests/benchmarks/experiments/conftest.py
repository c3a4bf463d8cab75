"""Experiments on SB3's view of the known world."""

from __future__ import annotations

import sys
import types

import pytest

from tests.fakes import KnownVecEnv, KnownVectorEnv


@pytest.fixture
def known_sb3(known_world: list[KnownVectorEnv], monkeypatch: pytest.MonkeyPatch) -> None:
    """SB3's view of the known world stands where that of the real one is imported from."""

    def view(envs: KnownVectorEnv) -> KnownVecEnv:
        venv = KnownVecEnv(num_envs=envs.num_envs, horizon=envs.horizon)
        venv.envs = envs
        return venv

    module = types.ModuleType("eagle_gym.envs.sb3")
    module.SB3VecEnv = view  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "eagle_gym.envs.sb3", module)
