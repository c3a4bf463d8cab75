"""PPO in one file, in the style of CleanRL: torch, Gymnasium and the vector environment.

    python -m baselines.examples.ppo_single_file --total-steps 8960

Three things are specific to this environment. One network scores every offered action. Actions outside the mask have
probability 0. With NEXT_STEP autoreset, the step after an episode's last one only resets, so the loss leaves it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Categorical
from tqdm import tqdm

import eagle_gym
from baselines.config import parse_arguments


@dataclass(frozen=True)
class PPOArgs:
    """Hyperparameters; each is an option of the command line."""

    env_id: str = "EagleGym/Plots-v0"
    """Id of the environment."""
    seed: int = 1
    """Seed of the weights, the episodes and the actions."""
    total_steps: int = 8_960
    """Environment steps, including those that only reset."""
    num_envs: int = 64
    """Number of environments."""
    num_steps: int = 12
    """Steps of each environment between updates: two episodes of five steps, and two resets."""
    learning_rate: float = 1e-3
    """Adam's step size, annealed to 0."""
    gamma: float = 1.0
    """Discount."""
    gae_lambda: float = 0.9
    """Trade-off between bias and variance of the advantages."""
    num_minibatches: int = 4
    """Minibatches in a rollout."""
    update_epochs: int = 10
    """Passes over a rollout."""
    clip_coef: float = 0.2
    """How far a probability ratio may move in one update."""
    ent_coef: float = 0.005
    """Weight of the entropy bonus."""
    vf_coef: float = 0.5
    """Weight of the value loss."""
    max_grad_norm: float = 0.5
    """Norm to which gradients are clipped."""


def layers(inputs: int, outputs: int, std: float) -> nn.Sequential:
    """Two hidden layers of width 64."""
    net = nn.Sequential(nn.Linear(inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, outputs))
    for module in net:
        if isinstance(module, nn.Linear):
            nn.init.orthogonal_(module.weight, 2**0.5)
            nn.init.zeros_(module.bias)
    last = net[-1]
    assert isinstance(last, nn.Linear)
    nn.init.orthogonal_(last.weight, std)
    return net


class PPONetwork(nn.Module):
    """An actor that scores each action given the state, and a critic of the state and the mean action.

    Args:
        space: Space of the latent observation. Tasks differ in what they show, so sizes are measured on zeros.
    """

    def __init__(self, space: gym.spaces.Dict) -> None:
        super().__init__()
        empty = {key: torch.zeros(1, *(box.shape or ())) for key, box in space.items()}
        context, actions = self.inputs(empty)
        self.actor = layers(context.shape[1] + actions.shape[2], 1, std=0.01)
        self.critic = layers(context.shape[1] + actions.shape[2], 1, std=1.0)

    def inputs(self, obs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """What is known of the state `[B, C]` and of each action `[B, K, F]`, with products."""
        state = obs["state"]
        n = state.shape[1]
        context = torch.cat([obs[key] for key in ("state", "user", "reward", "time") if key in obs], dim=1)
        parts = [obs[key][..., None] for key in ("weights", "match") if key in obs]
        shown = "effects" if "effects" in obs else "actions"
        if shown in obs:
            actions = obs[shown].view(*obs["mask"].shape, -1)  # [B, K, m]
            moves = actions[..., :n]  # in the latent space
            parts += [actions, moves * state[:, None]]
            if "user" in obs:
                taste = moves * obs["user"][:, None, :n]
                parts += [taste, taste.sum(2, keepdim=True)]
        return context, torch.cat(parts, dim=2)

    def forward(self, obs: dict[str, Tensor]) -> tuple[Categorical, Tensor]:
        """Distribution over the K actions, and values `[B]`."""
        context, actions = self.inputs(obs)
        mask = obs["mask"] > 0.5
        contexts = context[:, None].expand(-1, actions.shape[1], -1)
        scores = self.actor(torch.cat([contexts, actions], dim=2)).squeeze(2)
        weights = mask[..., None].float()
        mean = (actions * weights).sum(1) / weights.sum(1)
        value: Tensor = self.critic(torch.cat([context, mean], dim=1)).squeeze(1)
        return Categorical(logits=scores.masked_fill(~mask, -1e8)), value


def tensors(observation: dict[str, Any]) -> dict[str, Tensor]:
    """The observation as tensors."""
    return {key: torch.as_tensor(value) for key, value in observation.items()}


def train(args: PPOArgs, envs: gym.vector.VectorEnv[Any, Any, Any], progress: bool = True) -> list[float]:
    """Train; returns the mean return of the episodes that ended in each rollout."""
    torch.manual_seed(args.seed)
    assert isinstance(envs.single_observation_space, gym.spaces.Dict)
    agent = PPONetwork(envs.single_observation_space)
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)
    next_obs = tensors(envs.reset(seed=args.seed)[0])
    next_done = torch.zeros(envs.num_envs)
    returns, curve = np.zeros(envs.num_envs), []
    updates = max(1, args.total_steps // (envs.num_envs * args.num_steps))
    shape = (args.num_steps, envs.num_envs)
    for update in tqdm(range(updates), desc="PPO", unit="update", disable=None if progress else True):
        optimizer.param_groups[0]["lr"] = args.learning_rate * (1 - update / updates)
        obs: list[dict[str, Tensor]] = []
        actions, logprobs, rewards, dones, values = (torch.zeros(shape) for _ in range(5))
        ended = []

        for step in range(args.num_steps):
            obs.append(next_obs)
            dones[step] = next_done  # if the last step ended the episode, this one only resets
            with torch.no_grad():
                policy, values[step] = agent(next_obs)
                actions[step] = policy.sample()
                logprobs[step] = policy.log_prob(actions[step])
            after, reward, terminated, truncated, _ = envs.step(actions[step].long().numpy())
            rewards[step] = torch.as_tensor(reward)
            done = terminated | truncated
            returns += reward
            ended += returns[done].tolist()
            returns[done] = 0.0
            next_obs, next_done = tensors(after), torch.as_tensor(done, dtype=torch.float32)

        with torch.no_grad():
            values_after = torch.cat([values[1:], agent(next_obs)[1][None]])
            dones_after = torch.cat([dones[1:], next_done[None]])
            advantages, following = torch.zeros(shape), torch.zeros(envs.num_envs)
            for step in reversed(range(args.num_steps)):
                going = 1 - dones_after[step]
                delta = rewards[step] + args.gamma * values_after[step] * going - values[step]
                following = delta + args.gamma * args.gae_lambda * going * following
                advantages[step] = following
            targets = advantages + values

        flat = {key: torch.cat([moment[key] for moment in obs]) for key in obs[0]}
        counts = torch.nonzero(dones.flatten() == 0)[:, 0]  # without the steps that only reset
        for _ in range(args.update_epochs):
            for rows in counts[torch.randperm(len(counts))].chunk(args.num_minibatches):
                policy, value = agent({key: column[rows] for key, column in flat.items()})
                ratio = (policy.log_prob(actions.flatten()[rows]) - logprobs.flatten()[rows]).exp()
                gain = advantages.flatten()[rows]
                gain = (gain - gain.mean()) / (gain.std() + 1e-8)
                clipped = ratio.clamp(1 - args.clip_coef, 1 + args.clip_coef)
                policy_loss = -torch.min(ratio * gain, clipped * gain).mean()
                value_loss = 0.5 * (value - targets.flatten()[rows]).pow(2).mean()
                loss = policy_loss + args.vf_coef * value_loss - args.ent_coef * policy.entropy().mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
                optimizer.step()
        curve.append(float(np.mean(ended)) if ended else float("nan"))
    return curve


def main(arguments: Sequence[str] | None = None) -> list[float]:
    """Read the command line, train and print the result."""
    args = parse_arguments(PPOArgs, "Train PPO on eagle_gym, in one file.", arguments)
    gym.register_envs(eagle_gym)
    envs = gym.make_vec(args.env_id, num_envs=args.num_envs, observation="latent")
    try:
        curve = train(args, envs)
    finally:
        envs.close()
    tqdm.write(f"mean return of the first rollout {curve[0]:.2f}, of the last {curve[-1]:.2f}")
    return curve


if __name__ == "__main__":
    main()
