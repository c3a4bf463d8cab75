"""GRPO of TRL over tokens: the embedded language model learns to write an edit for a user.

    python -m baselines.examples.trl_grpo_edits --out runs/grpo_edits

TRL samples one sequence for a prompt. So the language model writes the edit only, and the environment's own language
model rewrites the text as it asks. The reward is what the rewrite gains for the user of the row, by the environment's
utility; user, item and text are columns of the data set. `baselines.cola` trains both turns of a rewrite.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from baselines.cola.turns import Rewrite, first_states, gains, is_proper, profile_of
from baselines.evaluate import make_envs
from baselines.worlds import fresh_seeds
from eagle_gym.envs.world import RawState, World
from eagle_gym.language.loading import load_language_model
from eagle_gym.language.prompts import Prompt, control_text
from eagle_gym.language.rewriting import next_texts, visible

Reward = Callable[..., list[float]]


def make_rows(world: World, count: int, seed: int) -> list[dict[str, Any]]:
    """Prompts for edits, with the text, user and item that the reward needs."""
    states = first_states(world, count, np.random.default_rng([seed, 41]))
    return [
        {
            "prompt": control_text(
                Prompt("propose", text=visible(state.text, "plot_english"), profile=profile_of(world, state.user))
            ),
            "text": state.text,
            "user": state.user,
            "item": state.item,
        }
        for state in states
    ]


def make_reward(world: World, seed: int) -> Reward:
    """The reward of edits: what a rewrite as they ask gains for the row's user; 0 for an empty edit.

    A failed generation raises; it never becomes a reward.
    """
    rng = np.random.default_rng([seed, 42])

    def reward(
        completions: Sequence[str],
        text: Sequence[str],
        user: Sequence[int],
        item: Sequence[int],
        **_: Any,  # noqa: ANN401 - what else TRL passes
    ) -> list[float]:
        found = np.zeros(len(completions))
        asked = [row for row, edit in enumerate(completions) if edit.strip()]
        prompts = [Prompt("rewrite", text=text[row], edit=completions[row].strip()) for row in asked]
        seeds = fresh_seeds(rng, len(asked))
        texts = next_texts(world.model, prompts, seeds, temperature=world.settings.temperature) if asked else []
        states = [RawState(text[row], user[row], item[row]) for row in asked]
        after = [Rewrite(prompt.edit, said, (), parses=True) for prompt, said in zip(prompts, texts, strict=True)]
        proper = [is_proper(world, state.text, new) for state, new in zip(states, after, strict=True)]
        after = [Rewrite(new.edit, new.text, (), parses=own) for new, own in zip(after, proper, strict=True)]
        found[asked] = gains(world, states, after) if asked else 0.0
        return [float(value) for value in found]

    return reward


def train(
    out: Path,
    *,
    states: int = 256,
    seed: int = 0,
    env_kwargs: dict[str, Any] | None = None,
    **settings: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Train the embedded model.

    Args:
        out: Folder that TRL writes to.
        states: Number of texts with users.
        seed: Seed of the states, of the rewrites and of TRL.
        env_kwargs: Arguments of the environment.
        **settings: Arguments of TRL's `GRPOConfig`.

    Returns:
        The trainer.
    """
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    envs = make_envs("EagleGym/Plots-v0", 1, **({"split": "train", "observation": "text"} | (env_kwargs or {})))
    try:
        world: World = envs.unwrapped.world  # type: ignore[attr-defined]
        source: Any = load_language_model("embedded")
        model, tokenizer = source.load()
        source.close()
        tokenizer.padding_side = "left"
        trainer = GRPOTrainer(
            model=model,
            processing_class=tokenizer,
            args=GRPOConfig(output_dir=str(out), report_to="none", seed=seed, **settings),
            reward_funcs=make_reward(world, seed),
            train_dataset=Dataset.from_list(make_rows(world, states, seed)),
        )
        trainer.train()
        return trainer
    finally:
        envs.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description="Train the embedded model to write edits, with TRL's GRPO.")
    parser.add_argument("--out", type=Path, required=True, help="folder that TRL writes to")
    parser.add_argument("--max-steps", type=int, default=100, help="number of updates (default: %(default)s)")
    parser.add_argument("--group-size", type=int, default=16, help="edits for each text (default: %(default)s)")
    parser.add_argument("--prompts", type=int, default=4, help="texts in an update (default: %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=1e-4, help="AdamW's step size (default: %(default)s)")
    parser.add_argument("--kl-weight", type=float, default=0.01, help="TRL's beta (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed (default: %(default)s)")
    options = parser.parse_args(arguments)
    train(
        options.out,
        seed=options.seed,
        max_steps=options.max_steps,
        num_generations=options.group_size,
        per_device_train_batch_size=options.group_size * options.prompts,
        learning_rate=options.learning_rate,
        beta=options.kl_weight,
        max_completion_length=40,
        temperature=1.0,
        top_k=0,
        logging_steps=1,
    )


if __name__ == "__main__":
    main()
