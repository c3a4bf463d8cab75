"""EAGLE: policy gradient with a value function, held near an analytic reference policy [1].

The objective is E[sum of gamma^t (r_t - alpha KL(pi(.|x_t) || pi_ref(.|x_t)))]. An iteration plays whole episodes on
train users, takes the KL at every state as a cost beside the reward, estimates advantages A of the regularised return
(GAE), and takes gradient steps up

    E[pi(a|x) / pi_old(a|x) A] - alpha KL(pi(.|x) || pi_ref(.|x)) - beta KL(pi(.|x) || pi_old(.|x)).

The KLs at the state itself are differentiated exactly, over all K actions; only what comes after is estimated from the
episodes. The last term is mirror descent [2]; it has no gradient where pi = pi_old, so that the fixed point is the soft
optimum pi* ∝ pi_ref exp(Q / alpha) of ``closed_form.py``. (Clipped ratios, as PPO has them, keep the pull of the KL
and drop a part of the push of the advantages: measured there, they stop short of it.)

Where it departs from the paper: K actions are scored, not written token by token, so the policy is a categorical
distribution over what a state offers; pi_ref is the analytic policy, floored with a uniform share, not a network's copy
of it; and the light variant (``policy="latent"``) scores latent observations with a small network that is equivariant
under permutation of actions. It is initialised by imitating the reference policy where a recorded dataset is named.

Everything random in iteration i comes from (seed, i), so a run that is killed and resumed ends as if it had not been.

[1] Tennenholtz et al., "Embedding-Aligned Language Models", NeurIPS 2024, arXiv 2406.00024.
[2] Tomar et al., "Mirror Descent Policy Optimization", ICLR 2022, arXiv 2005.09814.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from baselines import run
from baselines.agent import LATENT_KEYS, Probabilities, StochasticAgent, sample
from baselines.dataset import Recorded, load
from baselines.networks import ActionScores, StateValue, latent_tensors
from baselines.reference import REFERENCES, divergence, floored, make_reference
from eagle_gym.errors import ConfigurationError

ALGORITHM = "eagle"
Batch = dict[str, Tensor]


@dataclass(frozen=True)
class EagleConfig:
    """Hyperparameters; the horizon and the environment's temperature are arguments of the environment."""

    policy: Literal["latent"] = "latent"
    """What the agent reads: "latent" scores latent observations with a small network."""
    reference: str = "g_optimal"
    """The reference policy pi_ref: "uniform", "optimistic" or "g_optimal"."""
    floor: float = 0.1
    """Share of the uniform policy that is mixed into it."""
    steps: int = 8_960
    """Training steps: steps of the environment in all, those of the recorded dataset included."""
    kl_weight: float = 0.05
    """alpha, in units of reward per nat."""
    policy_learning_rate: float = 1e-3
    """Adam's step size for the policy at the start."""
    value_learning_rate: float = 2e-3
    """Adam's step size for the value function at the start."""
    anneal: bool = True
    """Let both fall linearly to 0 at the end of the budget."""
    agent_temperature: float = 1.0
    """Temperature of the softmax over the scores, in training and in use."""
    discount: float = 1.0
    """gamma; 1, since episodes are short and the sum of rewards is what counts."""
    gae_lambda: float = 0.9
    """Trade of bias for variance in the advantages."""
    epochs: int = 10
    """Passes over the episodes of an iteration."""
    minibatches: int = 4
    """Parts into which they are cut for each pass."""
    trust_weight: float = 1.0
    """beta, the weight of the KL to the last iteration's policy, in standard deviations of the advantages per nat."""
    max_grad_norm: float = 0.5
    """Length to which gradients are clipped."""
    hidden: int = 64
    """Width of the networks' layers."""
    dataset: str = ""
    """Root of recorded datasets; the agent begins as an imitation of the reference policy there. "" for none."""
    imitation_epochs: int = 30
    """Passes over the recorded steps before the first episode."""
    seed: int = 0
    """Of the networks, of sampling and of the episodes."""
    device: str = "cpu"
    """Where the networks are; small ones are fastest on a CPU."""

    def __post_init__(self) -> None:
        if self.policy != "latent":
            raise ConfigurationError(f'policy is "latent"; {self.policy!r} came')
        if self.reference not in REFERENCES:
            raise ConfigurationError(f"reference is one of {', '.join(REFERENCES)}; {self.reference!r} came")
        for name in ("steps", "epochs", "minibatches", "hidden"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is at least 1; {getattr(self, name)} came")
        for name in ("agent_temperature", "policy_learning_rate", "value_learning_rate"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"{name} is above 0; {getattr(self, name)} came")
        if self.kl_weight < 0:
            raise ConfigurationError(f"kl_weight is at least 0; {self.kl_weight} came")


class LatentActorCritic(nn.Module):
    """Scores and values of latent observations, in two networks that share nothing.

    Args:
        dim: n, dimensions of the latent space.
        hidden: Width of the layers.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.policy = ActionScores(dim, hidden)
        self.value = StateValue(dim, hidden)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Scores ``[B, K]`` and values ``[B]``."""
        return self.policy(batch), self.value(batch)


@dataclass
class EagleAgent(StochasticAgent):
    """A trained agent, ready to act and to be saved.

    Attributes:
        model: The networks.
        config: What it was trained with.
        actions: K.
        dim: n.
        steps: Environment steps it has seen, recorded ones included.
        curve: One row per iteration.
    """

    model: LatentActorCritic
    config: EagleConfig
    actions: int
    dim: int
    steps: int = 0
    curve: run.Curve = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(np.random.default_rng(self.config.seed))

    def probabilities(self, observation: object) -> Probabilities:
        """Probability of each action, ``[B, K]``, 0 where the mask is 0."""
        batch = self.read(observation)
        with torch.no_grad():
            scores = self.model.policy(batch).double() / self.config.agent_temperature
        probabilities: Probabilities = torch.softmax(scores, dim=-1).cpu().numpy()
        return probabilities

    def read(self, observation: object) -> Batch:
        """Latent observations as tensors ``[B, ...]``.

        Raises:
            ConfigurationError: Another kind of observation, or another K or n than the agent was made for.
        """
        return latent_tensors(observation, self.actions, self.dim, self.config.device)

    def save(self, folder: Path, optimizers: Optimizers | None = None) -> None:
        """Write the run's folder; what training needs to go on is left out where there are no optimizers."""
        state = optimizers.state() if optimizers else {}
        tensors = {"agent": self.model.state_dict(), **state}
        shapes = {"actions": self.actions, "dim": self.dim, "steps": self.steps}
        run.save(folder, ALGORITHM, self.config, tensors, self.curve, **shapes)

    @classmethod
    def load(cls, folder: Path) -> EagleAgent:
        """Read a folder that :meth:`save` wrote.

        Raises:
            PreparationError: A file is missing, broken or of another format.
        """
        header = run.read_header(folder)
        config = run.read_config(EagleConfig, header, folder)
        agent = make_agent(config, header["actions"], header["dim"])
        run.load_weights(agent.model, folder, "agent")
        agent.steps, agent.curve = header["steps"], run.read_curve(folder)
        return agent


def make_agent(config: EagleConfig, actions: int, dim: int) -> EagleAgent:
    """An agent that has learnt nothing yet; torch's global randomness is left as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = LatentActorCritic(dim, config.hidden).to(config.device)
    return EagleAgent(model, config, actions, dim)


class Optimizers:
    """Adam for the policy and Adam for the value function, each with its own step size.

    Args:
        model: Whose parameters.
        config: Step sizes.
    """

    def __init__(self, model: LatentActorCritic, config: EagleConfig) -> None:
        self._config = config
        self._parts = {"policy": model.policy, "value": model.value}
        self._adams = {name: torch.optim.Adam(part.parameters(), eps=1e-5) for name, part in self._parts.items()}
        self.anneal(0.0)

    def anneal(self, done: float) -> None:
        """Set the step sizes for the share of the budget that is ``done``."""
        left = 1.0 - min(done, 1.0) if self._config.anneal else 1.0
        rates = {"policy": self._config.policy_learning_rate, "value": self._config.value_learning_rate}
        for name, adam in self._adams.items():
            adam.param_groups[0]["lr"] = rates[name] * left

    def step(self, loss: Tensor) -> None:
        """One step of both down a loss to which each part's parameters contribute apart."""
        for adam in self._adams.values():
            adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for name, adam in self._adams.items():
            nn.utils.clip_grad_norm_(self._parts[name].parameters(), self._config.max_grad_norm)
            adam.step()

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Named tensors, by file."""
        return {f"{name}_optimizer": run.optimizer_tensors(adam) for name, adam in self._adams.items()}

    def restore(self, folder: Path) -> None:
        """Go on from a run's folder."""
        for name, adam in self._adams.items():
            run.restore_optimizer(adam, run.read_tensors(folder, f"{name}_optimizer"))


def train(
    envs: gym.vector.VectorEnv[Any, Any, Any],
    config: EagleConfig | None = None,
    *,
    folder: Path | None = None,
    resume: bool = False,
    checkpoint_every: int = 10,
    progress: bool = True,
    label: str = "EAGLE",
) -> EagleAgent:
    """Train EAGLE.

    Args:
        envs: A vector environment with the latent observation; its episodes end together.
        config: Hyperparameters; the defaults where None.
        folder: Where checkpoints and TensorBoard events go; nothing is written where None.
        resume: Go on from the checkpoint in ``folder`` where there is one.
        checkpoint_every: Iterations between checkpoints.
        progress: Show a progress bar.
        label: Its name.

    Returns:
        The agent after ``config.steps`` steps of the environment, rounded up to whole episodes of all environments.

    Raises:
        ConfigurationError: The environment is of another kind, or ``resume`` finds another run.
        PreparationError: The recorded dataset, or the checkpoint to resume, is absent or broken.
    """
    config = config or EagleConfig()
    count, dim = check_environment(envs)
    if resume and folder and (folder / run.HEADER).exists():
        agent = EagleAgent.load(folder)
        run.check_same_run(folder, agent.config, config)
        agent.config = config
        optimizers = Optimizers(agent.model, config)
        optimizers.restore(folder)
    else:
        agent = make_agent(config, count, dim)
        if config.dataset:
            recorded = load(Path(config.dataset), [config.reference])
            imitate(agent, recorded)
            agent.steps = len(recorded)
        optimizers = Optimizers(agent.model, config)
    with run.Log(config.steps, agent.steps, label, folder, agent.curve, progress=progress) as log:
        while agent.steps < config.steps:
            iteration = len(agent.curve)
            rng = np.random.default_rng([config.seed, iteration])
            reference = make_reference(config.reference, envs.unwrapped, rng)  # type: ignore[arg-type]
            episodes = play(agent, envs, reference, rng)
            optimizers.anneal(agent.steps / config.steps)
            losses = improve(agent, episodes, optimizers, rng)
            agent.steps += episodes.rewards.size
            log.add(agent.steps, episodes.summary() | losses)
            if folder and (iteration + 1) % checkpoint_every == 0:
                agent.save(folder, optimizers)
    if folder:
        agent.save(folder, optimizers)
    return agent


def check_environment(envs: gym.vector.VectorEnv[Any, Any, Any]) -> tuple[int, int]:
    """K and n of an environment that EAGLE can train in.

    Raises:
        ConfigurationError: It has no latent observation, or resets within a step.
    """
    space = envs.single_observation_space
    if not isinstance(space, gym.spaces.Dict) or not set(LATENT_KEYS) <= set(space.spaces):
        raise ConfigurationError(
            f'EAGLE with policy="latent" reads the latent observation; the space is {space}. '
            'Make the environment with observation="latent".'
        )
    if envs.metadata.get("autoreset_mode") == AutoresetMode.SAME_STEP:
        raise ConfigurationError("whole episodes are played: make the environments without SAME_STEP")
    shapes = {key: space[key].shape for key in ("action_mask", "state")}
    assert shapes["action_mask"]
    assert shapes["state"]
    return shapes["action_mask"][0], shapes["state"][0]


@dataclass(frozen=True, eq=False)
class Episodes:
    """Whole episodes of one iteration; T steps of N environments.

    Attributes:
        batch: What the agent read, each ``[T * N, ...]``, a step's environments beside each other.
        actions: ``[T, N]``.
        probabilities: ``[T, N, K]`` of the policy that chose.
        reference: ``[T, N, K]`` floored reference policy in each state.
        rewards: ``[T, N]``.
        divergences: ``[T, N]`` KL of the policy to the reference policy, when it chose.
        values: ``[T + 1, N]`` value function; 0 after an episode that terminated.
    """

    batch: Batch
    actions: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    reference: NDArray[np.float64]
    rewards: NDArray[np.float64]
    divergences: NDArray[np.float64]
    values: NDArray[np.float64]

    def summary(self) -> dict[str, float]:
        """Means, for the learning curve."""
        return {"return": float(self.rewards.sum(0).mean()), "kl": float(self.divergences.mean())}

    def advantages(self, config: EagleConfig) -> NDArray[np.float64]:
        """``[T, N]`` GAE of the regularised return, in which the KL at every state is a cost."""
        regularised = self.rewards - config.kl_weight * self.divergences
        errors = regularised + config.discount * self.values[1:] - self.values[:-1]
        advantages = np.zeros_like(errors)
        ahead = np.zeros_like(errors[0])
        for step in reversed(range(len(errors))):
            ahead = errors[step] + config.discount * config.gae_lambda * ahead
            advantages[step] = ahead
        return advantages


def play(
    agent: EagleAgent, envs: gym.vector.VectorEnv[Any, Any, Any], reference: StochasticAgent, rng: np.random.Generator
) -> Episodes:
    """Play one episode in every environment; users, texts, generations and choices all come from ``rng``."""
    observation, _ = envs.reset(seed=int(rng.integers(2**31)))
    batches: list[Batch] = []
    columns: list[tuple[NDArray[Any], ...]] = []  # each of the fields between batch and values
    values: list[NDArray[np.float64]] = []
    over = np.zeros(envs.num_envs, np.bool_)
    while not over.any():
        batch, probabilities = agent.read(observation), agent.probabilities(observation)
        prior = floored(reference.probabilities(observation), observation["action_mask"] > 0.5, agent.config.floor)
        actions = sample(probabilities, rng)
        values.append(estimate(agent, batch))
        observation, rewards, terminated, truncated, _ = envs.step(actions)
        over = terminated | truncated
        batches.append(batch)
        columns.append((actions, probabilities, prior, rewards, divergence(probabilities, prior)))
    if not over.all():
        raise ConfigurationError("episodes should end together: all environments have one horizon")
    values.append(np.where(terminated, 0.0, estimate(agent, agent.read(observation))))
    joined = {key: torch.cat([batch[key] for batch in batches]) for key in batches[0]}
    chosen, policies, priors, paid, divergences = (np.stack(column) for column in zip(*columns, strict=True))
    return Episodes(joined, chosen, policies, priors, paid, divergences, np.stack(values))


def estimate(agent: EagleAgent, batch: Batch) -> NDArray[np.float64]:
    """The value function, ``[N]``."""
    with torch.no_grad():
        values: NDArray[np.float64] = agent.model.value(batch).double().cpu().numpy()
    return values


def improve(
    agent: EagleAgent, episodes: Episodes, optimizers: Optimizers, rng: np.random.Generator
) -> dict[str, float]:
    """Passes over the episodes; returns mean losses."""
    config = agent.config

    def column(values: NDArray[Any]) -> Tensor:  # [T, N, ...] -> [T * N, ...]
        return torch.as_tensor(values.reshape(-1, *values.shape[2:]), device=config.device)

    advantages = episodes.advantages(config)
    targets = column(advantages + episodes.values[:-1]).float()
    actions, old = column(episodes.actions), column(episodes.probabilities).float()
    chances = old.gather(1, actions[:, None])[:, 0]
    trust = config.trust_weight * float(advantages.std())
    gains = column(advantages - advantages.mean()).float()
    prior = column(episodes.reference).float()
    totals = np.zeros(2)
    rows = len(actions)
    for _ in range(config.epochs):
        for part in np.array_split(rng.permutation(rows), min(config.minibatches, rows)):
            some = torch.as_tensor(part, device=config.device)
            scores, values = agent.model({key: tensor[some] for key, tensor in episodes.batch.items()})
            log_policy = torch.log_softmax(scores / config.agent_temperature, dim=-1)
            ratio = log_policy.gather(1, actions[some, None])[:, 0].exp() / chances[some]
            gain = (ratio * gains[some]).mean() - config.kl_weight * kl(log_policy, prior[some]).mean()
            objective = gain - trust * kl(log_policy, old[some]).mean()
            value_loss = functional.mse_loss(values, targets[some])
            optimizers.step(value_loss - objective)
            totals += [-objective.item(), value_loss.item()]
    mean = totals / (config.epochs * min(config.minibatches, rows))
    return {"policy_loss": float(mean[0]), "value_loss": float(mean[1])}


def kl(log_policy: Tensor, reference: Tensor) -> Tensor:
    """KL(policy || reference) ``[B]``, differentiable; actions off the mask (reference 0) add nothing."""
    offered = reference > 0
    ratio = log_policy - torch.where(offered, reference, 1.0).log()
    return torch.where(offered, log_policy.exp() * ratio, 0.0).sum(-1)


def imitate(agent: EagleAgent, recorded: Recorded) -> None:
    """Begin as the reference policy: cross-entropy to its own probabilities, not floored, in the recorded states.

    The value function begins with the returns that it got there.
    """
    config, optimizers = agent.config, Optimizers(agent.model, agent.config)
    rng = np.random.default_rng([config.seed, 2**32 - 1])
    batch = agent.read(recorded.observation)
    wanted = torch.as_tensor(recorded.probabilities(config.reference), device=config.device).float()
    returns = torch.as_tensor(recorded.returns, device=config.device).float()
    for _ in range(config.imitation_epochs):
        for part in np.array_split(rng.permutation(len(recorded)), max(1, len(recorded) // 64)):
            some = torch.as_tensor(part, device=config.device)
            scores, values = agent.model({key: tensor[some] for key, tensor in batch.items()})
            log_policy = torch.log_softmax(scores / config.agent_temperature, dim=-1)
            choice = -(wanted[some] * log_policy).sum(-1).mean()
            optimizers.step(choice + functional.mse_loss(values, returns[some]))
