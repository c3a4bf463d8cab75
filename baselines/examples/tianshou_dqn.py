"""DQN of Tianshou 2, which reads the action mask by itself.

    python -m baselines.examples.tianshou_dqn --total-steps 8960

The wrapper `MaskedObservation(env, "mask", "obs")` gives the observation the keys that Tianshou expects, and one
network scores every offered action. Tianshou's vector environments step one environment after the other, so every step
is a separate call of the language model and training is slower than with a batch. Tianshou explores with NumPy's global
generator; here exploration has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from tianshou.algorithm import DQN
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Batch, Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.trainer import OffPolicyTrainerParams
from torch import Tensor, nn
from tqdm import tqdm

import eagle_gym
from baselines.config import parse_arguments
from baselines.networks import ActionValues
from eagle_gym.envs.spaces import LatentLayout
from eagle_gym.envs.wrappers import MaskedObservation

MakeEnv = Callable[[], gym.Env[Any, Any]]


@dataclass(frozen=True)
class TianshouArgs:
    """Hyperparameters; each is an option of the command line."""

    env_id: str = "EagleGym/Plots-v0"
    """Id of the environment."""
    seed: int = 1
    """Seed of weights, episodes and exploration; Tianshou's replay always draws from the same stream."""
    total_steps: int = 8_960
    """Environment steps."""
    num_envs: int = 16
    """Number of environments."""
    learning_rate: float = 1e-3
    """Adam's step size."""
    eps_training: float = 0.3
    """Share of random actions at the start; it falls linearly to 0.02."""
    updates_per_step: float = 0.5
    """Gradient steps for each environment step."""
    batch_size: int = 128
    """Replayed steps in a gradient step."""
    target_update_freq: int = 100
    """Gradient steps between two updates of the target network."""
    episodes: int = 64
    """Episodes of test users to evaluate the agent on."""


class ActionValueNet(nn.Module):
    """Q-values of the K actions from a latent observation, with the signature that Tianshou expects.

    Args:
        layout: The parts of the latent observation.
    """

    def __init__(self, layout: LatentLayout) -> None:
        super().__init__()
        self.keys = tuple(layout.shapes)
        self.net = ActionValues(layout, hidden=64)

    def forward(self, obs: Batch, state: object = None, info: object = None) -> tuple[Tensor, object]:
        """Values `[B, K]` and the unchanged state."""
        return self.net({key: torch.as_tensor(obs[key], dtype=torch.float32) for key in self.keys}), state


class SeededPolicy(DiscreteQLearningPolicy[Any]):  # type: ignore[misc]  # mypy passes Tianshou over
    """Takes the greedy action, or with some probability a random one that the mask allows.

    Args:
        rng: Generator of the random actions.
        **settings: Arguments of Tianshou's policy.
    """

    def __init__(self, rng: np.random.Generator, **settings: Any) -> None:  # noqa: ANN401
        super().__init__(**settings)
        self._rng = rng

    def add_exploration_noise(self, act: Any, batch: Any) -> Any:  # noqa: ANN401
        """Replace some of the actions `[B]` at random."""
        allowed = np.asarray(batch.obs.mask)
        at_random = (self._rng.random(allowed.shape) + allowed).argmax(axis=1)
        share = self.eps_training if self.is_within_training_step else self.eps_inference
        return np.where(self._rng.random(len(act)) < share, at_random, act)


class WithoutInfo(gym.Wrapper[Any, Any, Any, Any]):
    """Removes the info, because Tianshou's buffer would store its texts and edits."""

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:  # noqa: ANN401
        """The observation and an empty info."""
        return super().reset(**kwargs)[0], {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:  # noqa: ANN401
        """The step with an empty info."""
        return (*super().step(action)[:4], {})


def make_vector_env(make_env: MakeEnv, count: int, seed: int) -> DummyVectorEnv:
    """Make seeded environments with the keys that Tianshou expects."""
    envs = DummyVectorEnv([lambda: WithoutInfo(MaskedObservation(make_env(), "mask", "obs"))] * count)
    envs.seed(seed)
    return envs


def train(args: TianshouArgs, make_env: MakeEnv, progress: bool = True) -> DQN[Any]:
    """Train DQN with Tianshou's own trainer."""
    torch.manual_seed(args.seed)
    envs = make_vector_env(make_env, args.num_envs, args.seed)
    first: Any = envs.workers[0]
    space = first.env.observation_space  # envs.observation_space is that of the environments without their wrappers
    policy = SeededPolicy(
        np.random.default_rng(args.seed),
        model=ActionValueNet(LatentLayout.of(space["obs"])),
        action_space=envs.action_space[0],
        observation_space=space,
    )
    algorithm: DQN[Any] = DQN(
        policy=policy,
        optim=AdamOptimizerFactory(args.learning_rate),
        gamma=1.0,
        target_update_freq=args.target_update_freq,
    )
    buffer = VectorReplayBuffer(args.total_steps, args.num_envs)

    def explore(epoch: int, steps: int) -> None:
        policy.set_eps_training(0.02 + (args.eps_training - 0.02) * max(0.0, 1 - steps / args.total_steps))

    params = OffPolicyTrainerParams(
        training_collector=Collector(algorithm, envs, buffer, exploration_noise=True),
        training_fn=explore,
        max_epochs=1,
        epoch_num_steps=args.total_steps,
        collection_step_num_env_steps=args.num_envs,
        update_step_num_gradient_steps_per_sample=args.updates_per_step,
        batch_size=args.batch_size,
        verbose=False,
        show_progress=progress,
    )
    algorithm.run_training(params)
    envs.close()
    return algorithm


def mean_return(algorithm: DQN[Any], make_env: MakeEnv, episodes: int, seed: int = 1_000_000) -> float:
    """Mean return of episodes that are played without exploration."""
    envs = make_vector_env(make_env, min(episodes, 16), seed)
    collector: Collector[Any] = Collector(algorithm, envs)
    returns = collector.collect(n_episode=episodes, reset_before_collect=True).returns
    envs.close()
    return float(np.mean(returns))


def main(arguments: Sequence[str] | None = None) -> float:
    """Read the command line, train and evaluate on test users; returns the mean return."""
    args = parse_arguments(TianshouArgs, "Train Tianshou's DQN on eagle_gym.", arguments)
    gym.register_envs(eagle_gym)
    algorithm = train(args, lambda: gym.make(args.env_id, observation="latent", split="train"))
    gained = mean_return(algorithm, lambda: gym.make(args.env_id, observation="latent", split="test"), args.episodes)
    tqdm.write(f"mean return of {args.episodes} episodes of test users: {gained:.2f}")
    return gained


if __name__ == "__main__":
    main()
