"""PPO of RLlib with one network that scores every offered action.

    python -m venv .venv-rllib
    .venv-rllib/bin/pip install -e . -r baselines/examples/requirements-rllib.txt
    .venv-rllib/bin/python -m baselines.examples.rllib_ppo --total-steps 8960

RLlib pins one version of Gymnasium, so it needs a virtual environment of its own. The latent observation is passed
unchanged: an `RLModule` reads the mask and the actions by name. RLlib's stock networks expect the keys `action_mask`
and `observations`, which the wrapper `eagle_gym.envs.wrappers.MaskedObservation` provides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import ray
from ray.rllib.algorithms.ppo import PPO, PPOConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis.value_function_api import ValueFunctionAPI
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule
from ray.tune import register_env
from torch import Tensor
from tqdm import tqdm

import eagle_gym
from baselines.config import parse_arguments
from baselines.networks import ActionScores, StateValue
from eagle_gym.envs.spaces import LatentLayout


@dataclass(frozen=True)
class RLlibArgs:
    """Hyperparameters; each is an option of the command line. The names are RLlib's."""

    env_id: str = "EagleGym/Plots-v0"
    """Id of the environment."""
    seed: int = 1
    """Seed of RLlib."""
    total_steps: int = 8_960
    """Environment steps."""
    num_envs: int = 16
    """Number of environments, which are stepped one after the other."""
    train_batch_size: int = 640
    """Steps between updates."""
    minibatch_size: int = 160
    """Steps in a gradient step."""
    num_epochs: int = 10
    """Passes over a batch."""
    lr: float = 1e-3
    """Adam's step size."""
    entropy_coeff: float = 0.005
    """Weight of the entropy bonus."""


class ActionScoreModule(TorchRLModule, ValueFunctionAPI):  # type: ignore[misc]
    """Logits of the K actions, the masked ones far below the others, and the state's value."""

    def setup(self) -> None:
        """Make the networks."""
        layout = LatentLayout.of(self.observation_space)
        self.scores, self.value = ActionScores(layout, hidden=64), StateValue(layout, hidden=64)

    def _forward(self, batch: Mapping[str, Any], **_: object) -> dict[str, Tensor]:
        return {Columns.ACTION_DIST_INPUTS: self.scores(batch[Columns.OBS])}

    def compute_values(self, batch: Mapping[str, Any], embeddings: object = None) -> Tensor:
        """Values `[B]`."""
        values: Tensor = self.value(batch[Columns.OBS])
        return values


def make_algorithm(args: RLlibArgs) -> PPO:
    """Make PPO in this process, with environments of train users."""

    def make_env(config: Mapping[str, Any]) -> gym.Env[Any, Any]:
        gym.register_envs(eagle_gym)
        return gym.make(args.env_id, observation="latent", split="train")

    register_env("eagle_gym", make_env)
    config = (
        PPOConfig()
        .environment("eagle_gym")
        .env_runners(num_env_runners=0, num_envs_per_env_runner=args.num_envs)
        .learners(num_learners=0)
        .rl_module(rl_module_spec=RLModuleSpec(module_class=ActionScoreModule))
        .training(
            lr=args.lr,
            gamma=1.0,
            lambda_=0.9,
            train_batch_size_per_learner=args.train_batch_size,
            minibatch_size=args.minibatch_size,
            num_epochs=args.num_epochs,
            clip_param=0.2,
            entropy_coeff=args.entropy_coeff,
            use_kl_loss=False,
            grad_clip=0.5,
        )
        .debugging(seed=args.seed)
    )
    return config.build_algo()


def main(arguments: Sequence[str] | None = None) -> list[float]:
    """Read the command line and train; returns the mean return of recent episodes after each batch."""
    args = parse_arguments(RLlibArgs, "Train RLlib's PPO on eagle_gym.", arguments)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    curve: list[float] = []
    try:
        algorithm = make_algorithm(args)
        for _ in tqdm(range(-(-args.total_steps // args.train_batch_size)), desc="PPO", unit="batch", disable=None):
            curve.append(float(algorithm.train()["env_runners"]["episode_return_mean"]))
        algorithm.stop()
    finally:
        ray.shutdown()
    tqdm.write(f"mean return after the first batch {curve[0]:.2f}, after the last {curve[-1]:.2f}")
    return curve


if __name__ == "__main__":
    main()
