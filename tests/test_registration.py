"""Ids: registered on import, lightly and once; entry points load when an environment is made."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module, reload

import gymnasium as gym
import pytest

import eagle_gym
from eagle_gym.catalogs import CATALOGS
from eagle_gym.registration import ABOUT, IDS, register_envs
from eagle_gym.tasks import TASKS


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120).stdout


def test_importing_the_package_registers_and_loads_nothing_heavy() -> None:
    heavy = ["torch", "transformers", "pandas", "cvxpy", "scipy", "stable_baselines3", "eagle_gym.envs"]
    out = run(
        "import sys, eagle_gym, gymnasium\n"
        f"print([name for name in {heavy} if name in sys.modules])\n"
        "print(sorted(i for i in gymnasium.registry if i.startswith('EagleGym/')))"
    )
    loaded, ids = out.splitlines()
    assert loaded == "[]"
    assert ids == str(sorted(IDS))


@pytest.mark.parametrize("env_id", IDS)
def test_specs_name_their_entry_points_as_strings(env_id: str) -> None:
    spec = gym.spec(env_id)
    assert spec.entry_point == "eagle_gym.envs.eagle:EagleEnv"
    assert spec.vector_entry_point == "eagle_gym.envs.vector:EagleVectorEnv"
    assert spec.max_episode_steps is None, "the horizon belongs to the task: episodes terminate"
    assert spec.nondeterministic is False
    assert gym.envs.registration.EnvSpec.from_json(spec.to_json()) == spec
    for entry_point in (spec.entry_point, spec.vector_entry_point):
        module, name = entry_point.split(":")
        assert hasattr(import_module(module), name)


def test_ids_are_those_of_the_table_of_catalogs() -> None:
    plots, movielens, *others = CATALOGS.values()
    for spec in (plots, movielens):
        name = spec.env_id.removesuffix("-v0")
        titles = {"default": "", "easy": "Easy", "plan": "Plan", "hidden": "Hidden"}
        assert set(titles) == set(TASKS)
        for task, title in titles.items():
            env_id = f"{name}{title}-v0"
            assert {"task": "default"} | IDS[env_id] == {"catalog": spec.name, "task": task}
            assert ABOUT[env_id] == (spec.description, TASKS[task].about, spec.needs)
    assert {spec.env_id: IDS[spec.env_id] for spec in others} == {s.env_id: {"catalog": s.name} for s in others}
    assert len(IDS) == 2 * len(TASKS) + len(others)


def test_registering_twice_changes_nothing(recwarn: pytest.WarningsRecorder) -> None:
    before = {env_id: gym.spec(env_id) for env_id in IDS}
    register_envs()
    reload(eagle_gym)
    gym.register_envs(eagle_gym)
    assert {env_id: gym.spec(env_id) for env_id in IDS} == before
    assert not list(recwarn)


def test_public_names_are_there() -> None:
    for name in eagle_gym.__all__:
        assert getattr(eagle_gym, name) is not None
        assert name in dir(eagle_gym)
    assert len(set(eagle_gym.__all__)) == len(eagle_gym.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        eagle_gym.nothing  # noqa: B018


def test_the_version_is_the_project_files() -> None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        assert eagle_gym.__version__ == version("eagle_gym")
    except PackageNotFoundError:
        assert eagle_gym.__version__ == "0.0.0"


def test_an_id_with_its_module_needs_no_import() -> None:
    out = run(
        "import gymnasium as gym\n"
        "try:\n    gym.make('eagle_gym:EagleGym/Plots-v0', horizn=3)\n"
        "except ValueError as error:\n    print(error)"
    )
    assert "did you mean 'horizon'" in out
