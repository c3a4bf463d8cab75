"""Imports run one way: `benchmarks -> baselines -> eagle_gym`, and inside the package only to the left."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("eagle_gym", "baselines", "benchmarks")

LEAVES = {"errors", "seeding", "progress", "cache", "factories", "plot_english"}

# room -> the rooms of eagle_gym that it may import, lazily or not (its own always)
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "seeding": set(),
    "cache": {"errors"},
    "progress": set(),
    "terminal": set(),
    "factories": {"errors"},
    "design": {"errors"},
    "plot_english": {"errors", "seeding"},
    "catalog": LEAVES,
    "language": LEAVES,
    "latent": {*LEAVES, "catalog", "language"},
    "actions": {*LEAVES, "design", "catalog", "language", "latent"},
    "envs": {*LEAVES, "design", "catalog", "language", "latent", "actions", "catalogs", "tasks"},
    "catalogs": {"errors"},
    "tasks": set(),
    "registration": {"catalogs", "tasks"},
    "integrations": {"errors", "catalogs", "language", "envs", "__init__"},
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


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def module_graph(paths: Iterable[Path], read: Callable[[Path], str] = Path.read_text) -> dict[str, set[str]]:
    """module -> the modules of ours that it imports, at its top, in a function or for types only."""
    known = {module_name(path): path for path in paths}
    graph: dict[str, set[str]] = {name: set() for name in known}
    for name, path in known.items():
        for target in imports(path, read(path)):
            # "from a.b import c" names the module a.b.c where there is one, else something inside a.b
            found = target if target in known else target.rpartition(".")[0]
            if found in known and found != name:
                graph[name].add(found)
    return graph


def test_no_module_imports_itself_through_others() -> None:
    """No import circle, lazy imports and imports for types included."""
    graph = module_graph(path for package in PACKAGES for path in sources(package))
    assert sum(map(len, graph.values())) > 300, "the walk sees few imports: it is broken"
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_the_walk_sees_circles() -> None:
    texts = {
        ROOT / "eagle_gym/a.py": "from eagle_gym import b",
        ROOT / "eagle_gym/b.py": "def f():\n    from eagle_gym.a import g",
    }
    with pytest.raises(graphlib.CycleError):
        graphlib.TopologicalSorter(module_graph(texts, texts.__getitem__)).prepare()


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
    heavy = sorted({*HEAVY, "pandas", "cvxpy", "stable_baselines3", "verifiers", "openenv"})
    program = f"import sys, eagle_gym; print(sorted(set({heavy!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", f"import eagle_gym imports {done.stdout}"
