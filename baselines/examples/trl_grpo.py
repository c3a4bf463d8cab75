"""GRPO of TRL: a chat model learns to choose edits by calling a tool.

    python -m baselines.examples.trl_grpo --model path/to/a/chat/model --out runs/grpo

TRL makes one `Writing` for every rollout and offers its public method to the chat model as a tool. All rollouts
of a group play the same episode, because their row of the dataset has one seed. The reward is the episode's return: the
utility of the last text minus that of the first. The template of the chat model must support tools, as those of Qwen
and Llama do.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym

import eagle_gym
from eagle_gym.errors import EpisodeError

TASK = "Rewrite the text below for its user, one numbered edit at a time. Call rewrite until the episode is over.\n\n"


class Writing:
    """An episode with the interface that TRL expects: `reset`, a tool and `get_reward`.

    Args:
        env_id: Id of the environment.
        **kwargs: Further arguments of the environment.
    """

    def __init__(self, env_id: str = "EagleGym/Plots-v0", **kwargs: Any) -> None:  # noqa: ANN401
        gym.register_envs(eagle_gym)
        self._env = gym.make(env_id, **{"split": "train"} | kwargs, observation="text")
        self._gain = 0.0
        self._failure: Exception | None = None

    def reset(self, seed: int | None = None, **row: Any) -> str:  # noqa: ANN401 - the dataset's other columns
        """Start an episode.

        Args:
            seed: Seed of the episode: its user, its text and every rewrite.
            **row: Other columns of the dataset, which are ignored.

        Returns:
            The text observation, which TRL appends to the prompt.
        """
        observation, _ = self._env.reset(seed=seed)
        self._gain, self._failure = 0.0, None
        return str(observation)

    def rewrite(self, edit: int) -> str:
        """Apply one of the numbered edits to the text.

        Args:
            edit: Number of the edit.

        Returns:
            The new text with its edits, or a message that the episode is over.
        """
        try:
            observation, reward, over, _, _ = self._env.step(edit)
        except EpisodeError:
            raise  # the chat model's own mistake, which TRL shows to it
        except Exception as error:
            self._failure = error  # TRL would show it to the chat model and continue: it must not become a reward
            raise
        self._gain += float(reward)
        return "The episode is over." if over else str(observation)

    def get_reward(self) -> float:
        """The return so far.

        Raises:
            EagleError: The error that `rewrite` failed with.
        """
        if self._failure is not None:
            raise self._failure
        return self._gain


def play(episode: Writing, choose: Callable[[str], int], seed: int) -> float:
    """Play an episode without TRL: `choose` reads what the chat model would read. Returns the episode's return."""
    answer = episode.reset(seed=seed)
    while answer != "The episode is over.":
        answer = episode.rewrite(choose(answer))
    return episode.get_reward()


def train(
    model: Any,  # noqa: ANN401
    out: Path,
    *,
    tokenizer: Any = None,  # noqa: ANN401
    environment: dict[str, Any] | None = None,
    episodes: int = 1_000,
    **settings: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Train a chat model.

    Args:
        model: A model of `transformers`, or the folder of one.
        out: Folder that TRL writes to.
        tokenizer: The model's tokenizer; not needed if the model is a folder.
        environment: Arguments of `Writing`.
        episodes: Number of different episodes.
        **settings: Arguments of TRL's `GRPOConfig`.

    Returns:
        The trainer.
    """
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    prompt = [{"role": "user", "content": TASK}]
    trainer = GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        args=GRPOConfig(output_dir=str(out), report_to="none", **settings),
        train_dataset=Dataset.from_list([{"prompt": prompt, "seed": seed} for seed in range(episodes)]),
        environment_factory=partial(Writing, **(environment or {})),
    )
    trainer.train()
    return trainer


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description="Train a chat model on eagle_gym with TRL's GRPO.")
    parser.add_argument("--model", required=True, help="folder or name of a chat model")
    parser.add_argument("--out", type=Path, required=True, help="folder that TRL writes to")
    parser.add_argument("--env-id", default="EagleGym/Plots-v0", help="id of the environment (default: %(default)s)")
    parser.add_argument("--max-steps", type=int, default=100, help="number of updates (default: %(default)s)")
    parser.add_argument("--num-generations", type=int, default=8, help="rollouts of an episode (default: %(default)s)")
    options = parser.parse_args(arguments)
    train(
        options.model,
        options.out,
        environment={"env_id": options.env_id},
        max_steps=options.max_steps,
        num_generations=options.num_generations,
        per_device_train_batch_size=options.num_generations,
        max_completion_length=8192,
    )


if __name__ == "__main__":
    main()
