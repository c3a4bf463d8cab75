"""Imports run one way: ``benchmarks -> baselines -> eagle_gym``, and inside the package only to the left."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("eagle_gym", "baselines", "benchmarks")

LEAVES = {"errors", "seeding", "progress", "plot_english"}

# room -> the rooms of eagle_gym that it may import, lazily or not (its own always)
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "seeding": set(),
    "progress": set(),
    "design": {"errors"},
    "plot_english": {"errors", "seeding"},
    "catalog": LEAVES,
    "language": LEAVES,
    "latent": {*LEAVES, "catalog", "language"},
    "actions": {*LEAVES, "design", "catalog", "language", "latent"},
    "envs": {*LEAVES, "design", "catalog", "language", "latent", "actions"},
    "registration": set(),
    "__init__": {"errors", "registration"},
}
ROOMS["__main__"] = set(ROOMS) - {"__main__"}
DESIGN_MAY_IMPORT = {"__future__", "numpy", "scipy", "cvxpy", "eagle_gym.errors"}
HEAVY = {"torch", "transformers", "accelerate"}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path, source: str | None = None) -> Iterator[str]:
    """Every module that a file imports, anywhere in it, as an absolute dotted name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text() if source is None else source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*parts[: len(parts) - node.level]] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            # "from eagle_gym import catalog" names the room in the alias
            yield from (f"{module}.{alias.name}" for alias in node.names)


def room(path: Path) -> str:
    parts = path.relative_to(ROOT / "eagle_gym").parts
    return parts[0].removesuffix(".py")


def rooms_used(path: Path, source: str | None = None) -> set[str]:
    names = (name.split(".") for name in imports(path, source))
    known = set(ROOMS)
    return {name[1] if len(name) > 1 and name[1] in known else "__init__" for name in names if name[0] == "eagle_gym"}


@pytest.mark.parametrize("path", sources("eagle_gym"), ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_import_only_from_their_left(path: Path) -> None:
    here = room(path)
    assert here in ROOMS, f"{here} is a new room: say in ROOMS what it may import"
    wrong = rooms_used(path) - ROOMS[here] - {here}
    assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}; {here} may import {sorted(ROOMS[here])}"


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_downwards(package: str) -> None:
    forbidden = {"eagle_gym": {"baselines", "benchmarks"}, "baselines": {"benchmarks"}, "benchmarks": set()}[package]
    forbidden = forbidden | {"tests"}
    for path in sources(package):
        wrong = {name.split(".")[0] for name in imports(path)} & forbidden
        assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"


@pytest.mark.parametrize("path", sources("eagle_gym/design"), ids=lambda path: path.name)
def test_designs_are_a_leaf(path: Path) -> None:
    """The files of `design` know arrays, and each other."""
    allowed = DESIGN_MAY_IMPORT | set(sys.stdlib_module_names)
    here = "eagle_gym.design"
    wrong = {
        name
        for name in imports(path)
        if not name.startswith(here) and not any(name == a or name.startswith(f"{a}.") for a in allowed)
    }
    assert not wrong, f"{path.name} imports {sorted(wrong)}"


@pytest.mark.parametrize("path", sources("eagle_gym/plot_english"), ids=lambda path: path.name)
def test_plot_english_knows_no_model(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & HEAVY


def test_the_walk_sees_wrong_arrows() -> None:
    catalog = ROOT / "eagle_gym/catalog/x.py"
    assert rooms_used(catalog, "from eagle_gym.language import model") == {"language"}
    assert rooms_used(catalog, "def f():\n    import eagle_gym.envs.eagle") == {"envs"}
    assert rooms_used(catalog, "from ..latent.space import LatentSpace") == {"latent"}
    assert rooms_used(catalog, "from eagle_gym import language") == {"language"}
    assert rooms_used(catalog, "from .. import language") == {"language"}
    assert rooms_used(catalog, "from . import splits") == {"catalog"}
    assert rooms_used(catalog, "import eagle_gym") == {"__init__"}


def test_import_is_light() -> None:
    heavy = sorted({*HEAVY, "pandas", "cvxpy", "stable_baselines3"})
    program = f"import sys, eagle_gym; print(sorted(set({heavy!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", f"import eagle_gym imports {done.stdout}"
