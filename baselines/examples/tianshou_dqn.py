"""DQN of Tianshou 2: the action mask in Tianshou's own dialect, which its DQN reads by itself.

    python -m baselines.examples.tianshou_dqn --total-steps 8960

``MaskedObservation(env, "mask", "obs")`` is all that stands between the environment and Tianshou; the network is one
that scores every offered action alike. Tianshou's vector environments step one environment after the other, so a step
costs a call of the language model of its own: it is slower than what steps a batch at once. Tianshou explores with
NumPy's global generator; here exploration has one of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
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
from baselines.agent import LATENT_KEYS
from baselines.networks import ActionValues
from eagle_gym.envs.wrappers import MaskedObservation

MakeEnv = Callable[[], gym.Env[Any, Any]]


@dataclass(frozen=True)
class Args:
    """Hyperparameters, all of them options of the command line."""

    env_id: str = "EagleGym/Plots-v0"
    """Id of the environment."""
    seed: int = 1
    """Of weights, episodes and exploration; Tianshou's replay draws from one stream, the same for every seed."""
    total_steps: int = 8_960
    """Environment steps."""
    num_envs: int = 16
    """Environments."""
    learning_rate: float = 1e-3
    """Adam's step size."""
    exploration: float = 0.3
    """Share of random actions at the start; it falls linearly to 0.02."""
    updates_per_step: float = 0.5
    """Gradient steps for each step of an environment."""
    batch_size: int = 128
    """Of a gradient step."""
    target_every: int = 100
    """Gradient steps between copies to the target network."""


class Scores(nn.Module):
    """Q-values of the K actions from a latent observation, as Tianshou calls its networks.

    Args:
        dim: n, dimensions of the latent space.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.net = ActionValues(dim, hidden=64)

    def forward(self, obs: Batch, state: object = None, info: object = None) -> tuple[Tensor, object]:
        """Values ``[B, K]`` and the state that came."""
        return self.net({key: torch.as_tensor(obs[key], dtype=torch.float32) for key in LATENT_KEYS}), state


class SeededPolicy(DiscreteQLearningPolicy[Any]):  # type: ignore[misc]  # mypy passes Tianshou over
    """Greedy in Q-values but for a share of random actions, of those that the mask allows.

    Args:
        rng: of the random actions.
        settings: of Tianshou's policy.
    """

    def __init__(self, rng: np.random.Generator, **settings: Any) -> None:  # noqa: ANN401
        super().__init__(**settings)
        self._rng = rng

    def add_exploration_noise(self, act: Any, batch: Any) -> Any:  # noqa: ANN401
        """Actions ``[B]``, some of them replaced at random."""
        allowed = np.asarray(batch.obs.mask)
        at_random = (self._rng.random(allowed.shape) + allowed).argmax(axis=1)
        share = self.eps_training if self.is_within_training_step else self.eps_inference
        return np.where(self._rng.random(len(act)) < share, at_random, act)


class Speechless(gym.Wrapper[Any, Any, Any, Any]):
    """Leaves the info out: Tianshou's buffer stores it, and its texts and prompts have no place there."""

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:  # noqa: ANN401
        """The observation alone."""
        return super().reset(**kwargs)[0], {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:  # noqa: ANN401
        """Everything but the info."""
        return (*super().step(action)[:4], {})


def make_vector_env(make_env: MakeEnv, count: int, seed: int) -> DummyVectorEnv:
    """Environments that speak Tianshou's dialect, seeded."""
    envs = DummyVectorEnv([lambda: Speechless(MaskedObservation(make_env(), "mask", "obs"))] * count)
    envs.seed(seed)
    return envs


def train(args: Args, make_env: MakeEnv, progress: bool = True) -> DQN[Any]:
    """Train DQN with Tianshou's own trainer."""
    torch.manual_seed(args.seed)
    envs = make_vector_env(make_env, args.num_envs, args.seed)
    first: Any = envs.workers[0]
    space = first.env.observation_space  # envs.observation_space is that of the environments without their wrappers
    policy = SeededPolicy(
        np.random.default_rng(args.seed),
        model=Scores(space["obs"]["state"].shape[0]),
        action_space=envs.action_space[0],
        observation_space=space,
    )
    algorithm: DQN[Any] = DQN(
        policy=policy, optim=AdamOptimizerFactory(args.learning_rate), gamma=1.0, target_update_freq=args.target_every
    )
    buffer = VectorReplayBuffer(args.total_steps, args.num_envs)

    def explore(epoch: int, steps: int) -> None:
        policy.set_eps_training(0.02 + (args.exploration - 0.02) * max(0.0, 1 - steps / args.total_steps))

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
    """Read the command line, train, play with test users; returns their mean return."""
    parser = argparse.ArgumentParser(description="DQN of Tianshou.")
    parser.add_argument("--episodes", type=int, default=64, help="of test users, to see what was learnt")
    for item in fields(Args):
        parser.add_argument(f"--{item.name.replace('_', '-')}", type=type(item.default), default=item.default)
    options = vars(parser.parse_args(arguments))
    episodes, args = options.pop("episodes"), Args(**options)
    gym.register_envs(eagle_gym)
    algorithm = train(args, lambda: gym.make(args.env_id, observation="latent", split="train"))
    gained = mean_return(algorithm, lambda: gym.make(args.env_id, observation="latent", split="test"), episodes)
    tqdm.write(f"mean return of {episodes} episodes of test users: {gained:.2f}")
    return gained


if __name__ == "__main__":
    main()
