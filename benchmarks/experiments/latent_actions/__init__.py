"""What do codes of a language model know, and is RL over them better than RL over tokens? CoLA on Plots.

Five questions follow the paper's claims: do codes carry information about the next token; are texts under codes more
diverse than sampled ones, and as good; does GRPO over codes gain more than GRPO over tokens from equally many rewrites;
does a tree search over codes find better texts than as many samples; and how much computing does a gain take. Text
quality always stands next to diversity and to gain: the share of texts that parse, and the share that do what their
edit asks and change nothing else. N, the number of codes, is 4, 16 and 64. The judge is the users' true taste. Codes as
actions of the environment are another experiment, `code_actions`.

The step sizes of GRPO are chosen first: as many trials over codes as over tokens, with a training seed of their own,
judged by rewrites for train users. `--only 'trial_*'` does only these, and what they chose at size `small` stands in
`sizes`.

Each seed is a chain of pieces, which write a file each; a run that was stopped goes on with what is missing, and the
page is written from what is done.
"""

from __future__ import annotations

from functools import partial

from benchmarks.experiments.latent_actions.page import write_page
from benchmarks.experiments.latent_actions.pieces import do, plan
from benchmarks.experiments.latent_actions.sizes import SIZES
from benchmarks.running import Options
from benchmarks.running.pieces import run_pieces


def run(options: Options) -> None:
    """Do the pieces that are not done, write and print the page."""
    size = SIZES[options.size]
    run_pieces(partial(do, size), plan(options.out, size), options, partial(write_page, options.out, size))
