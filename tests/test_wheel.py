"""The wheel is enough: it steps EagleGym/Plots-v0 in an environment of its own, with no network.

What is done, exactly: the wheel is built from the checkout; a new virtual environment is made and pip installs the
wheel into it. Its third-party packages are not downloaded again (torch alone is hundreds of megabytes): the
distributions that the wheel's own metadata requires, and what those require, are linked from the environment that runs
the tests. Nothing else is there: no extras, no test tools, no checkout. Network is taken away by a network namespace
where the machine allows one, and in any case by sockets that refuse to connect.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]

PROGRAM = """
import json, socket, sys

def refuse(*args, **kwargs):
    raise OSError("the network is unreachable in this test")

socket.socket.connect = refuse
socket.getaddrinfo = refuse

import gymnasium as gym
import eagle_gym

env = gym.make("EagleGym/Plots-v0", prepare="never")
observation, info = env.reset(seed=0)
texts, rewards = [info["text"]], []
for _ in range(2):
    observation, reward, terminated, truncated, info = env.step(int(info["action_mask"].argmax()))
    texts.append(info["text"])
    rewards.append(float(reward))
env.close()
print(json.dumps({"file": eagle_gym.__file__, "texts": texts, "rewards": rewards, "prefix": sys.prefix}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {
        "eagle_gym",
        "eagle_gym_verifiers.py",  # verifiers takes top-level modules only
        next(n for n in names if "dist-info" in n).split("/")[0],
    }
    tracked = subprocess.run(
        ["git", "ls-files", "eagle_gym"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    moved = {"eagle_gym/integrations/plugins/eagle_gym_verifiers.py"}
    missing = set(tracked) - set(names) - moved
    assert not missing, f"not in the wheel: {sorted(missing)}"
    assert not [name for name in names if "__pycache__" in name]
    assert wheel.stat().st_size < 40e6


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel and what it requires."""
    home = tmp_path_factory.mktemp("empty")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    python = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--quiet"]
    subprocess.run([*pip, "install", "--no-index", "--no-deps", str(wheel)], check=True, env=environment(home))
    (packages,) = home.glob("lib/python3*/site-packages")
    for found in closure(requirements(wheel)).values():
        link(found, packages)
    return python


def requirements(wheel: Path) -> list[str]:
    """What the wheel requires, without extras."""
    archive = zipfile.ZipFile(wheel)
    name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    lines = archive.read(name).decode().splitlines()
    return [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")]


def closure(wanted: list[str]) -> dict[str, Distribution]:
    """The installed distributions that requirements lead to."""
    found: dict[str, Distribution] = {}
    queue = [Requirement(text) for text in wanted]
    while queue:
        requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            # pyproject.toml's own requirements must be there; an optional one further down may not be.
            assert requirement.name not in {Requirement(text).name for text in wanted}, f"{name} is not installed"
            continue
        queue += [Requirement(text) for text in found[name].requires or []]
    return found


def link(found: Distribution, packages: Path) -> None:
    """Link every top-level file and folder of a distribution."""
    files = found.files or []
    for top in sorted({Path(str(file)).parts[0] for file in files} - {"..", "__pycache__"}):
        source, target = Path(str(found.locate_file(top))), packages / top
        if source.exists() and not target.exists():
            target.symlink_to(source, target_is_directory=source.is_dir())


def environment(home: Path) -> dict[str, str]:
    """A bare environment with a home of its own, so that no cache or setting of the machine helps."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "OMP_NUM_THREADS") if name in os.environ}
    return kept | {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "PYTHONWARNINGS": "error::UserWarning:eagle_gym",
    }


def without_network() -> list[str]:
    """A prefix that runs a command in an empty network namespace, where that is allowed."""
    prefix = ["unshare", "--map-root-user", "--net"]
    allowed = shutil.which("unshare") and subprocess.run([*prefix, "true"], capture_output=True).returncode == 0
    return prefix if allowed else []


def test_extras_are_not_needed_or_there(python: Path, tmp_path: Path) -> None:
    """The environment really is one without the test tools, so that the next test means something."""
    for module in ("pytest", "stable_baselines3", "matplotlib", "baselines"):
        command = [str(python), "-c", f"import {module}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment(tmp_path))
        assert "ModuleNotFoundError" in done.stderr, f"{module} should be absent"


def test_steps_without_network(python: Path, tmp_path: Path) -> None:
    command = [*without_network(), str(python), "-c", PROGRAM]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert Path(told["file"]).is_relative_to(told["prefix"])
    assert len(told["texts"]) == 3
    assert all(told["texts"])
    assert told["texts"][0] != told["texts"][2]
    assert any(told["rewards"])
