"""Supervised and EAGLE as language models that read text, next to small networks on latent observations.

On the default task of Plots, with the grammar as the environment's language model, so that the cost is that of the
agents. The agents are the embedded language model: it reads the user's profile and the state's text, and scores the
offered edits. EAGLE has a budget of environment steps, recorded ones included; supervised agents use only the recorded
ones. An imitator of the uniform policy cannot move: it is where EAGLE with that reference policy starts, and is
compared with nothing.

Every learner is tested twice, sampling its actions and taking the most probable one, and compared with others that
choose in the same way. `README.md` has the trials behind the settings, which were made on train users.
"""

from __future__ import annotations

from typing import Any

from benchmarks.experiments.reads_text.methods import methods
from benchmarks.experiments.reads_text.page import write_page
from benchmarks.running import Cell, Options, grid, run_cells

PLACE = ("plots", "EagleGym/Plots-v0", {"language_model": "grammar"})
USUAL: dict[str, Any] = {"seeds": 3, "episodes": 128, "num_envs": 64, "steps": 3_840, "recorded": 256}
TINY = {"seeds": 1, "episodes": 2, "num_envs": 2, "steps": 20, "recorded": 2}
SIZES: dict[str, dict[str, Any]] = {  # "reads": updates of the supervised language models, by reference policy
    "smoke": USUAL | TINY | {"reads": {"uniform": 1, "optimistic": 1}},
    "reference": USUAL | {"reads": {"uniform": 10, "optimistic": 120, "g_optimal": 60}},
}


def cells(options: Options) -> list[Cell]:
    """Every method with every seed."""
    size = SIZES[options.size]
    return grid([PLACE], list(methods(size)), **{name: size[name] for name in ("seeds", "episodes", "num_envs")})


def run(options: Options) -> None:
    """Run the cells, write and print the page."""
    run_cells(cells(options), options)
    print(write_page(options.out))
