"""Can PPO learn to steer a language model by codes, and what does it cost against K edits?

On Plots with the grammar as the language model, on the default task. The actions are the codes of the shipped code
model, one for each rewrite (`eagle_gym.envs.latent_actions`). First, what is there to learn: how much the choice of a
code, or of an edit, changes the gain of a rewrite, and how much of that can be predicted from an observation, with the
words of the edits to which the codes lead and without. Then PPO: on codes with words and without, and on K edits, after
equally many rewrites, and K edits also after a longer training. Where words are shown, PPO has the policy that scores
every action alike, for codes as for edits, with the same hyperparameters; without them it has SB3's own. The judge is
the users' true taste.

Each seed is a chain of pieces, which write a file each; a run that was stopped goes on with what is missing.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.experiments.code_actions.page import write_page
from benchmarks.experiments.code_actions.pieces import do, plan
from benchmarks.running import Options
from benchmarks.running.pieces import run_pieces

SMALL: dict[str, Any] = {
    "seeds": 3, "rewrites": 5_120, "marks": (1_280,), "long": 20_480, "envs": 64, "tested": 64,
    "reached": 64, "fitted": 192,
}  # fmt: skip
TINY = {"seeds": 1, "rewrites": 20, "marks": (10,), "long": 40, "envs": 2, "tested": 2, "reached": 2, "fitted": 8}
LARGE = {"seeds": 5, "rewrites": 20_480, "marks": (1_280, 5_120), "long": 102_400, "tested": 128, "fitted": 2_048}
SIZES: dict[str, dict[str, Any]] = {"smoke": TINY, "small": SMALL, "reference": SMALL | LARGE}


def run(options: Options) -> None:
    """Do the pieces that are not done, write and print the page."""
    size = SIZES[options.size]
    run_pieces(partial(do, size), plan(options.out, size), options, partial(write_page, options.out, size))
