"""Running experiments: cells and their plan, engines that do them, and the files that they leave.

`options` and `cells` say what is to be done, `grid` lists it, `plan` finds what is left to do, `run` does it with an
engine of `engines`, `jobs` does one piece of it. `files`, `provenance` and `fingerprints` are what is written; `runs`
reads it again. `pieces` runs experiments that are made of other work than cells.
"""

from benchmarks.running.cells import Cell
from benchmarks.running.fingerprints import opened
from benchmarks.running.grid import environments, grid, imitators, language_agents, rivals
from benchmarks.running.options import Options
from benchmarks.running.run import run_cells

__all__ = ["Cell", "Options", "environments", "grid", "imitators", "language_agents", "opened", "rivals", "run_cells"]
