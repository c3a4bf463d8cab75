"""What do codes of a language model know, and is RL over them better than RL over tokens? CoLA on Plots.

Five questions follow the paper's claims: do codes carry information about the next token; are texts under codes more
diverse than sampled ones, and as good; does GRPO over codes gain more than GRPO over tokens from equally many rewrites;
does a tree search over codes find better texts than as many samples; and how much computing does a gain take. A sixth
question is about codes as actions of the environment: what does PPO learn with them, and with K edits, from equally
many rewrites? Text quality always stands next to diversity and to gain: the share of texts that parse, and the share
that do what their edit asks and change nothing else. N, the number of codes, is 4, 16 and 64. The judge is the users'
true taste.

Each seed is a chain of pieces, which write a file each; a run that was stopped goes on with what is missing, and the
page is written from what is done.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.experiments.latent_actions.page import write_page
from benchmarks.experiments.latent_actions.pieces import Piece, do, plan
from benchmarks.running import Options
from benchmarks.running.engines import make_engine
from eagle_gym.errors import PreparationError

TRAINING: dict[str, Any] = {  # of `CoLAConfig`; the same for every number of codes
    "pairs": 800,
    "batch_size": 48,
    "dynamics_steps": 150,
    "policy_steps": 100,
    "prompts": 2,
    "rl_epochs": 1,
    "rl_learning_rate": 1e-3,
}
SMALL: dict[str, Any] = {
    "seeds": 3,
    "codes": (16, 4, 64),
    "training": TRAINING,
    "rl_steps": 16,
    "long_steps": 48,
    "codes_rate": 1e-3,
    "tokens_rate": 3e-4,
    "held_out": 192,
    "texts": 10,
    "samples": 6,
    "tested": 48,
    "searched": 6,
    "simulations": 8,
    "q_steps": 200,
    "rewrites": 2_560,
    "ppo_envs": 32,
    "ppo_tested": 64,
    "long_ppo": {"rewrites": 8_192, "ppo_envs": 64},
}
TINY_TRAINING = TRAINING | {
    "pairs": 16, "batch_size": 8, "dynamics_steps": 2, "policy_steps": 2, "prompts": 1, "group_size": 2,
    "max_tokens": 24,
}  # fmt: skip
TINY = {
    "seeds": 1, "codes": (4,), "training": TINY_TRAINING, "rl_steps": 1, "long_steps": 1,
    "held_out": 8, "texts": 2, "samples": 2,
    "tested": 2, "searched": 1, "simulations": 2, "q_steps": 2,
    "rewrites": 10, "ppo_envs": 2, "ppo_tested": 2,
    "long_ppo": {"rewrites": 10, "ppo_envs": 2},
}  # fmt: skip
LONG = {"pairs": 8_000, "batch_size": 64, "dynamics_steps": 1_000, "policy_steps": 600, "prompts": 4}
SIZES: dict[str, dict[str, Any]] = {
    "smoke": SMALL | TINY,
    "small": SMALL,
    "reference": SMALL
    | {"training": TRAINING | LONG, "rl_steps": 100, "long_steps": 400, "texts": 64, "samples": 8, "tested": 128}
    | {"searched": 32, "rewrites": 20_480, "ppo_envs": 64, "ppo_tested": 128}
    | {"long_ppo": {"rewrites": 102_400, "ppo_envs": 64}},
}


def run(options: Options) -> None:
    """Do the pieces that are not done, write and print the page.

    Raises:
        PreparationError: Nothing is done, or pieces failed; the page is written all the same if something is.
    """
    size = SIZES[options.size]
    pieces: dict[str, Piece] = {} if options.report_only else plan(options.out, size, fresh=options.fresh)
    failed = []
    engine = make_engine(options.engine, options.jobs)
    for name, error in engine(partial(do, size), pieces, {name: piece.needs for name, piece in pieces.items()}):
        if error is not None:
            failed.append(f"{name}: {error}")
    print(write_page(options.out, size))
    if failed:
        raise PreparationError("pieces failed; start the run again to repeat them\n" + "\n".join(failed))
