"""`from eagle_gym import design` works by itself: no torch, no Gymnasium, and cvxpy only when it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# The package's own __init__ registers environments with Gymnasium; the module needs nothing of that, so it is left out.
BARE = f"""
import sys, types
package = types.ModuleType("eagle_gym")
package.__path__ = [{str(ROOT / "eagle_gym")!r}]
sys.modules["eagle_gym"] = package
"""
USE = """
from eagle_gym import design
assert design.solve([[1, -1], [1, 0], [1, 1]]).weights.round(6).tolist() == [0.5, 0.0, 0.5]
assert design.select([[1, -1], [1, 0], [1, 1]], 2).indices.tolist() == [0, 2]
"""
SAY = """
import sys
print(*sorted({name.split(".")[0] for name in sys.modules} | {name for name in sys.modules if "eagle" in name}))
"""


HEAVY = {"torch", "gymnasium", "transformers", "cvxpy", "pandas", "matplotlib"}


def loaded(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code + SAY], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_module_needs_neither_torch_nor_gymnasium_nor_the_rest_of_the_package() -> None:
    found = loaded(BARE + USE)
    assert not found & HEAVY
    ours = {name for name in found if name.startswith("eagle_gym.")}
    assert ours == {
        "eagle_gym.errors",
        "eagle_gym.design",
        *(f"eagle_gym.design.{part}" for part in ("geometry", "select", "solve", "solvers", "subset")),
    }


def test_cvxpy_comes_with_the_solver_that_needs_it() -> None:
    ask = 'assert design.solve([[1, -1], [1, 0], [1, 1]], solver="cvxpy", tol=1e-4).certified\n'
    found = loaded(BARE + USE + ask)
    assert "cvxpy" in found
    assert not found & {"torch", "gymnasium"}


def test_as_users_import_it_torch_stays_out_and_gymnasium_comes_from_the_registration_alone() -> None:
    package, module = loaded("import eagle_gym\n"), loaded(USE)
    assert "torch" not in module
    assert not (module - package) & HEAVY
