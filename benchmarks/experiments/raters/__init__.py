"""Do the statistics of a study with raters find what was put in? Simulated raters, on Plots.

Policies of known quality play test episodes. A study is made of them, and simulated raters take it: they know the true
tastes behind the ratings of Plots and make errors, small ones in the first study and larger ones in each that follows.
In every study two raters are careless and answer at random. The page compares the strengths that the study finds with
the true ones, shows how agreement falls as errors grow, and who is excluded. Nothing here is about people.
"""

from __future__ import annotations

from typing import Any

from benchmarks.experiments.raters.measure import measure
from benchmarks.experiments.raters.page import write_page
from benchmarks.running import Cell, Options, grid, run_cells
from eagle_gym.errors import ConfigurationError

SIZES: dict[str, dict[str, Any]] = {
    "smoke": {"episodes": 8, "seeds": 1, "scales": 8, "pairs": 12, "noises": (0.25, 4.0), "replicates": 100},
    "small": {"episodes": 64, "seeds": 2, "scales": 60, "pairs": 90, "noises": (0.25, 0.5, 1.0, 2.0, 4.0),
              "replicates": 2000},
}  # fmt: skip
METHODS = ("no_op", "uniform", "user_blind", "best_of_n:budget=8", "optimistic")
WORLD = ("plots", "EagleGym/Plots-v0", {"language_model": "grammar", "effects": "rollout"})


def cells(options: Options) -> list[Cell]:
    """Policies that need no training, with the grammar as the language model."""
    size = SIZES[options.size]
    methods = [{"agent": name, "label": name.partition(":")[0]} for name in METHODS]
    return grid([WORLD], methods, seeds=size["seeds"], episodes=size["episodes"], num_envs=size["episodes"])


def run(options: Options) -> None:
    """Play the episodes, make the studies, let simulated raters take them, write and print the page.

    Raises:
        ConfigurationError: Data are named: true tastes are only known on Plots.
    """
    if options.data:
        raise ConfigurationError("expected no --data: the true tastes of simulated raters are only known on Plots")
    run_cells(cells(options), options)
    found = [measure(options.out, noise, SIZES[options.size]) for noise in SIZES[options.size]["noises"]]
    print(write_page(options.out, found))
