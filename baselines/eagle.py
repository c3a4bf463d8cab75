"""EAGLE: policy gradient with a value function, held near an analytic reference policy [1].

The objective is E[sum of gamma^t (r_t - alpha KL(pi(.|x_t) || pi_ref(.|x_t)))]. Each iteration plays whole episodes on
train users, subtracts the KL at every state from the reward, estimates advantages A of this regularised return (GAE),
and takes gradient steps up

    E[pi(a|x) / pi_old(a|x) A] - alpha KL(pi(.|x) || pi_ref(.|x)) - beta KL(pi(.|x) || pi_old(.|x)).

The KLs at a state are differentiated exactly, over all K actions; only the return after it is estimated from episodes.
The last term is mirror descent [2]. Its gradient vanishes where pi = pi_old, so the fixed point is the soft optimum pi*
∝ pi_ref exp(Q / alpha), which a test verifies. (PPO's clipping keeps the whole gradient of the KL but drops part of the
gradient of the advantages, so in that test it stops short of the optimum.)

There are two policies. `policy="language"` is a language model that reads text, user and edits (`language.py`) and
starts as a supervised agent. `policy="latent"` is a small network that scores latent observations; given a recorded
dataset, it starts as an imitation of the reference policy. Both are equivariant under permutation of actions.

Differences from the paper: the policy scores K actions instead of writing tokens, so it is a categorical distribution
over what a state offers; and pi_ref is the analytic policy mixed with the uniform one, not a network's copy of it.

All randomness in iteration i comes from (seed, i), so a run that is killed and resumed ends as an uninterrupted one.

[1] Tennenholtz et al., "Embedding-Aligned Language Models", NeurIPS 2024, arXiv 2406.00024.
[2] Tomar et al., "Mirror Descent Policy Optimization", ICLR 2022, arXiv 2005.09814.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from baselines import run
from baselines.agent import Probabilities, StochasticAgent, sample
from baselines.config import check_above, check_at_least, check_choice
from baselines.dataset import RecordedSteps, load
from baselines.evaluate import shown
from baselines.networks import ActionScores, StateValue, latent_tensors
from baselines.reference import REFERENCES, divergence, floored, make_reference
from eagle_gym.envs.shaping import KINDS as SHAPES
from eagle_gym.envs.shaping import VectorShapedReward, reference_returns
from eagle_gym.envs.spaces import LatentLayout
from eagle_gym.errors import ConfigurationError

ALGORITHM = "eagle"
Batch = Any  # what a policy reads: tensors of latent observations, or parsed text observations


@dataclass(frozen=True)
class EagleConfig:
    """Hyperparameters; the horizon and the environment's temperature are arguments of the environment."""

    policy: Literal["latent", "language"] = "latent"
    """A small network on latent observations, or a language model that reads text observations."""
    supervised: str = ""
    """Folder of the supervised run that a language model starts from; "" for the embedded model and new heads."""
    reference: str = "g_optimal"
    """The reference policy pi_ref: "uniform", "optimistic" or "g_optimal"."""
    floor: float = 0.1
    """Share of the uniform policy that is mixed into it."""
    total_timesteps: int = 8_960
    """Environment steps in all, including those of the recorded dataset or the supervised run."""
    kl_weight: float = 0.05
    """alpha, in units of reward per nat."""
    policy_learning_rate: float = 1e-3
    """Adam's step size for the policy at the start."""
    value_learning_rate: float = 2e-3
    """Adam's step size for the value function at the start."""
    anneal: bool = True
    """Let both step sizes fall linearly to 0 over the training."""
    agent_temperature: float = 1.0
    """Temperature of the softmax over the scores, in training and in use."""
    gamma: float = 1.0
    """Discount; 1, because episodes are short and the sum of rewards is what counts."""
    gae_lambda: float = 0.9
    """Trade-off between bias and variance of the advantages."""
    n_epochs: int = 10
    """Passes over the episodes of an iteration."""
    batch_size: int | None = None
    """Steps in a minibatch, at most. None: a quarter of the steps of an iteration."""
    trust_weight: float = 1.0
    """beta, the weight of the KL to the last iteration's policy, in standard deviations of the advantages per nat."""
    max_grad_norm: float = 0.5
    """Norm to which the gradients of policy and value function are clipped, each on its own."""
    hidden: int = 64
    """Width of the networks' hidden layers."""
    dataset: str = ""
    """Root of recorded datasets from which a small network starts as an imitation of pi_ref; "" for none."""
    imitation_epochs: int = 30
    """Passes over the recorded steps before the first episode."""
    shaping: str = ""
    """Shape of the rewards in training: "par", "log_sigmoid", "min_max" or "clip"; "" for none."""
    references: int = 64
    """Episodes of the uniform policy, at whose returns the shape is centred; total_timesteps leaves them out."""
    seed: int = 0
    """Seed of the networks, of sampling and of the episodes."""
    device: str = "cpu"
    """Device of the networks; small ones are fastest on a CPU."""

    def __post_init__(self) -> None:
        check_choice(self, "policy", ("latent", "language"))
        check_choice(self, "reference", REFERENCES)
        check_choice(self, "shaping", ("", *SHAPES))
        if (self.policy == "language" and self.dataset) or (self.policy == "latent" and self.supervised):
            raise ConfigurationError(
                f'expected a dataset with policy="latent" or a supervised run with policy="language", got {self}'
            )
        check_at_least(self, 1, "total_timesteps", "n_epochs", "hidden", "references")
        if self.batch_size is not None:
            check_at_least(self, 1, "batch_size")
        check_above(self, 0, "agent_temperature", "policy_learning_rate", "value_learning_rate")
        check_at_least(self, 0, "kl_weight", "trust_weight")


class ActorCritic(Protocol):
    """A policy and a value function, whatever they read."""

    def __call__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Scores `[B, K]` and values `[B]`."""
        ...

    def read(self, observation: object) -> Batch:
        """Make a batch of observations.

        Raises:
            ConfigurationError: It is another kind of observation, or has other parts than in training.
        """
        ...

    def take(self, batch: Batch, rows: NDArray[np.int64]) -> Batch:
        """Select rows of a batch."""
        ...

    def join(self, batches: Sequence[Batch]) -> Batch:
        """Concatenate batches."""
        ...

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """The trained parameters of `"policy"` and of `"value"`, which share none."""
        ...

    def trained(self) -> dict[str, Tensor]:
        """Named weights that training changes."""
        ...

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Load weights; RuntimeError if they are those of another model."""
        ...


class LatentActorCritic(nn.Module):
    """Scores and values of latent observations, in two networks that share nothing.

    Args:
        layout: The parts of the latent observation.
        hidden: Width of the hidden layers.
        device: Device of the networks.
    """

    def __init__(self, layout: LatentLayout, hidden: int, device: str) -> None:
        super().__init__()
        self.policy, self.value = ActionScores(layout, hidden), StateValue(layout, hidden)
        self._layout, self._device = layout, device
        self.to(device)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Scores `[B, K]` and values `[B]`."""
        return self.policy(batch), self.value(batch)

    def read(self, observation: object) -> dict[str, Tensor]:
        """Latent observations as tensors."""
        return latent_tensors(observation, self._layout, self._device)

    def take(self, batch: dict[str, Tensor], rows: NDArray[np.int64]) -> dict[str, Tensor]:
        """Select rows of each tensor."""
        return {key: tensor[torch.as_tensor(rows, device=tensor.device)] for key, tensor in batch.items()}

    def join(self, batches: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Concatenate the tensors."""
        return {key: torch.cat([batch[key] for batch in batches]) for key in batches[0]}

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """The parameters of the two networks."""
        return {"policy": list(self.policy.parameters()), "value": list(self.value.parameters())}

    def trained(self) -> dict[str, Tensor]:
        """All weights."""
        return self.state_dict()

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Load all weights."""
        self.load_state_dict(dict(weights))


def make_model(config: EagleConfig, layout: LatentLayout, language: Mapping[str, Any]) -> ActorCritic:
    """Make untrained networks; torch's global random state is left unchanged.

    Args:
        config: Hyperparameters.
        layout: The parts of the latent observation.
        language: Arguments of a language model (see `baselines.language.LanguagePolicy`).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        if config.policy == "latent":
            return LatentActorCritic(layout, config.hidden, config.device)
        from baselines.language import LanguageActorCritic  # imports transformers

        return LanguageActorCritic(layout.actions, config.device, **language)


@dataclass
class EagleAgent(StochasticAgent):
    """An agent that can act and be saved.

    Attributes:
        model: Its policy and value function.
        config: What it was trained with.
        layout: The parts of the latent observation that it was trained with.
        language: Arguments of its language model, if it is one.
        steps: Environment steps it has seen, including recorded ones.
        curve: One row for each iteration.
    """

    model: ActorCritic
    config: EagleConfig
    layout: LatentLayout
    language: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 0
    curve: run.Curve = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(np.random.default_rng(self.config.seed))

    @property
    def reads(self) -> Literal["latent", "text"]:
        """Which observation it takes."""
        return "text" if self.config.policy == "language" else "latent"

    def probabilities(self, observation: object) -> Probabilities:
        """Probability of each action, `[B, K]`, 0 where the mask is 0."""
        return self.evaluate(self.model.read(observation))[0]

    def evaluate(self, batch: Batch) -> tuple[Probabilities, NDArray[np.float64]]:
        """Probabilities `[B, K]` and values `[B]`."""
        with torch.no_grad():
            scores, values = self.model(batch)
        policy: Probabilities = torch.softmax(scores.double() / self.config.agent_temperature, dim=-1).cpu().numpy()
        return policy, values.double().cpu().numpy()

    def save(self, folder: Path, optimizers: Optimizers | None = None) -> None:
        """Write a checkpoint; it can be resumed if the optimizers are given."""
        tensors = {"agent": self.model.trained(), **(optimizers.state() if optimizers else {})}
        facts = {"layout": asdict(self.layout), "language": dict(self.language), "steps": self.steps}
        run.save(folder, ALGORITHM, self.config, tensors, self.curve, **facts)

    @classmethod
    def load(cls, folder: Path) -> EagleAgent:
        """Read a checkpoint; the pretrained model of a language policy is opened by its name.

        Raises:
            PreparationError: A file is missing, broken or of another format.
        """
        header = run.read_header(folder, layout=dict, language=dict, steps=int)
        config = run.read_config(EagleConfig, header, folder)
        agent = make_agent(config, run.read_layout(header, folder), header["language"])
        run.load_weights(agent.model.restore, folder, "agent")
        agent.steps, agent.curve = header["steps"], run.read_checkpoint_curve(folder)
        return agent


def make_agent(
    config: EagleConfig, layout: LatentLayout, language: Mapping[str, Any] = MappingProxyType({})
) -> EagleAgent:
    """Make an untrained agent; arguments as for `make_model`."""
    return EagleAgent(make_model(config, layout, language), config, layout, language)


def warm_start(config: EagleConfig, layout: LatentLayout) -> EagleAgent:
    """Make an agent as it is before its first episode: untrained, or an imitation of its reference policy.

    Raises:
        ConfigurationError: The supervised run has another K.
        PreparationError: The dataset or the supervised run is missing or broken.
    """
    if config.supervised:
        from baselines.supervised import SupervisedAgent

        earlier = SupervisedAgent.load(Path(config.supervised))
        if earlier.actions != layout.actions:
            raise ConfigurationError(
                f"{config.supervised}: expected a run with K = {layout.actions} actions, got K = {earlier.actions}: "
                "name a supervised run of this environment"
            )
        agent = make_agent(config, layout, earlier.language)
        agent.model.restore(earlier.policy.trained())
        agent.steps = earlier.steps
        return agent
    agent = make_agent(config, layout)
    if config.dataset:
        recorded = load(Path(config.dataset), [config.reference])
        imitate(agent, recorded)
        agent.steps = len(recorded)
    return agent


class Optimizers:
    """One Adam for the policy and one for the value function, each with its own step size.

    Args:
        model: The model whose parameters are trained.
        config: Hyperparameters.
    """

    def __init__(self, model: ActorCritic, config: EagleConfig) -> None:
        self._config = config
        self._parts = model.parts()
        self._adams = {name: torch.optim.Adam(part, eps=1e-5) for name, part in self._parts.items()}
        self.anneal(0.0)

    def anneal(self, done: float) -> None:
        """Set the step sizes for a share `done` of the training."""
        left = 1.0 - min(done, 1.0) if self._config.anneal else 1.0
        rates = {"policy": self._config.policy_learning_rate, "value": self._config.value_learning_rate}
        for name, adam in self._adams.items():
            adam.param_groups[0]["lr"] = rates[name] * left

    def step(self, loss: Tensor) -> None:
        """Take one step of both down a loss, with the gradient of each part clipped on its own."""
        for adam in self._adams.values():
            adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for name, adam in self._adams.items():
            nn.utils.clip_grad_norm_(self._parts[name], self._config.max_grad_norm)
            adam.step()

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Named tensors, by file."""
        return {f"{name}_optimizer": run.optimizer_tensors(adam) for name, adam in self._adams.items()}

    def restore(self, folder: Path) -> None:
        """Load the state from a run's folder."""
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
        envs: A vector environment with the latent observation, whose episodes end together.
        config: Hyperparameters; the defaults if None.
        folder: Where checkpoints and TensorBoard events go; nothing is written if None.
        resume: Continue from the checkpoint in `folder` if there is one.
        checkpoint_every: Iterations between checkpoints.
        progress: Show a progress bar.
        label: Name shown next to the progress bar.

    Returns:
        The agent after `config.total_timesteps` environment steps, rounded up to whole episodes of all environments.

    Raises:
        ConfigurationError: The environment is of another kind, or `resume` finds another run.
        PreparationError: The dataset or the checkpoint is missing or broken, or a checkpoint cannot be written.
    """
    config = config or EagleConfig()
    layout = check_environment(envs)
    if config.shaping:
        known = reference_returns(envs, config.references, config.seed)
        envs = VectorShapedReward(envs, config.shaping, known.tolist())
    if run.resumable(folder, resume) and folder:
        agent = EagleAgent.load(folder)
        run.check_same_run(folder, agent.config, config, growing=("total_timesteps",))
        agent.config = config
        optimizers = Optimizers(agent.model, config)
        optimizers.restore(folder)
    else:
        agent = warm_start(config, layout)
        optimizers = Optimizers(agent.model, config)
    with run.TrainingLog(config.total_timesteps, agent.steps, label, folder, agent.curve, progress=progress) as log:
        while agent.steps < config.total_timesteps:
            iteration = len(agent.curve)
            rng = np.random.default_rng([config.seed, iteration])
            reference = make_reference(config.reference, envs.unwrapped, rng)  # type: ignore[arg-type]
            episodes = play(agent, envs, reference, rng)
            optimizers.anneal(agent.steps / config.total_timesteps)
            losses = improve(agent, episodes, optimizers, rng)
            agent.steps += episodes.rewards.size
            log.add(agent.steps, episodes.means() | losses)
            if folder and (iteration + 1) % checkpoint_every == 0:
                agent.save(folder, optimizers)
    if folder:
        agent.save(folder, optimizers)
    return agent


def check_environment(envs: gym.vector.VectorEnv[Any, Any, Any]) -> LatentLayout:
    """The parts of the latent observation of an environment that EAGLE can train in.

    Raises:
        ConfigurationError: It does not have the latent observation, or resets within a step.
    """
    if envs.metadata.get("autoreset_mode") == AutoresetMode.SAME_STEP:
        raise ConfigurationError("expected NEXT_STEP autoreset, got SAME_STEP: make the environments without SAME_STEP")
    return LatentLayout.of(envs.single_observation_space)


@dataclass(frozen=True, eq=False)
class EpisodeBatch:
    """Whole episodes of one iteration; T steps of N environments.

    Attributes:
        batch: What the agent read, `T * N` rows, the environments of a step next to each other.
        actions: `[T, N]`.
        probabilities: `[T, N, K]` of the policy that chose.
        reference: `[T, N, K]` floored reference policy in each state.
        rewards: `[T, N]`.
        divergences: `[T, N]` KL of the policy that chose to the reference policy.
        values: `[T + 1, N]` value function; 0 after an episode that terminated.
    """

    batch: Batch
    actions: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    reference: NDArray[np.float64]
    rewards: NDArray[np.float64]
    divergences: NDArray[np.float64]
    values: NDArray[np.float64]

    def means(self) -> dict[str, float]:
        """Mean return and mean KL, for the learning curve."""
        return {"return": float(self.rewards.sum(0).mean()), "kl": float(self.divergences.mean())}

    def advantages(self, config: EagleConfig) -> NDArray[np.float64]:
        """`[T, N]` GAE of the regularised return, in which the KL at every state is a cost."""
        regularised = self.rewards - config.kl_weight * self.divergences
        errors = regularised + config.gamma * self.values[1:] - self.values[:-1]
        advantages = np.zeros_like(errors)
        following = np.zeros_like(errors[0])
        for step in reversed(range(len(errors))):
            following = errors[step] + config.gamma * config.gae_lambda * following
            advantages[step] = following
        return advantages


def play(
    agent: EagleAgent, envs: gym.vector.VectorEnv[Any, Any, Any], reference: StochasticAgent, rng: np.random.Generator
) -> EpisodeBatch:
    """Play one episode in every environment; users, texts, generations and choices are all drawn from `rng`."""
    observation, _ = envs.reset(seed=int(rng.integers(2**31)))
    batches: list[Batch] = []
    columns: list[tuple[NDArray[Any], ...]] = []  # the fields between `batch` and `values`
    values: list[NDArray[np.float64]] = []
    over = np.zeros(envs.num_envs, np.bool_)
    while not over.any():
        batch = agent.model.read(shown(agent, envs, observation))
        probabilities, value = agent.evaluate(batch)
        prior = floored(reference.probabilities(observation), observation["mask"] > 0.5, agent.config.floor)
        actions = sample(probabilities, rng)
        observation, rewards, terminated, truncated, _ = envs.step(actions)
        over = terminated | truncated
        batches.append(batch)
        columns.append((actions, probabilities, prior, rewards, divergence(probabilities, prior)))
        values.append(value)
    if not over.all():
        raise ConfigurationError("expected episodes that end together, got different lengths: use one horizon for all")
    _, value = agent.evaluate(agent.model.read(shown(agent, envs, observation)))
    values.append(np.where(terminated, 0.0, value))
    chosen, policies, priors, paid, divergences = (np.stack(column) for column in zip(*columns, strict=True))
    return EpisodeBatch(agent.model.join(batches), chosen, policies, priors, paid, divergences, np.stack(values))


def improve(
    agent: EagleAgent, episodes: EpisodeBatch, optimizers: Optimizers, rng: np.random.Generator
) -> dict[str, float]:
    """Make several passes over the episodes; returns mean losses."""
    config = agent.config

    def column(values: NDArray[Any]) -> Tensor:  # [T, N, ...] -> [T * N, ...]
        return torch.as_tensor(values.reshape(-1, *values.shape[2:]), device=config.device)

    advantages = episodes.advantages(config)
    targets = column(advantages + episodes.values[:-1]).float()
    actions, old = column(episodes.actions), column(episodes.probabilities).float()
    trust = config.trust_weight * float(advantages.std())
    gains = column(advantages - advantages.mean()).float()
    prior = column(episodes.reference).float()
    losses = []
    for _ in range(config.n_epochs):
        for part in minibatches(len(actions), config.batch_size, rng):
            rows = torch.as_tensor(part, device=config.device)
            scores, values = agent.model(agent.model.take(episodes.batch, part))
            log_policy = torch.log_softmax(scores / config.agent_temperature, dim=-1)
            gain = policy_gain(log_policy, actions[rows], old[rows], gains[rows])
            penalty = config.kl_weight * kl(log_policy, prior[rows]).mean() + trust * kl(log_policy, old[rows]).mean()
            value_loss = functional.mse_loss(values, targets[rows])
            optimizers.step(value_loss + penalty - gain)
            losses.append(((penalty - gain).item(), value_loss.item()))
    policy_loss, value_loss = np.mean(losses, axis=0)
    return {"policy_loss": float(policy_loss), "value_loss": float(value_loss)}


def minibatches(rows: int, size: int | None, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """A random division of row numbers into nearly equal parts of at most `size`; into four if `size` is None."""
    parts = min(4, rows) if size is None else -(-rows // size)
    return np.array_split(rng.permutation(rows), parts)


def policy_gain(log_policy: Tensor, actions: Tensor, old: Tensor, gains: Tensor) -> Tensor:
    """Mean advantage under the new policy, `E[pi(a|x) / pi_old(a|x) A]`."""
    chosen = actions[:, None]
    return (log_policy.gather(1, chosen).exp() / old.gather(1, chosen))[:, 0].mul(gains).mean()


def kl(log_policy: Tensor, reference: Tensor) -> Tensor:
    """KL(policy || reference) `[B]`, differentiable; actions off the mask (reference 0) add nothing."""
    offered = reference > 0
    ratio = log_policy - torch.where(offered, reference, 1.0).log()
    return torch.where(offered, log_policy.exp() * ratio, 0.0).sum(-1)


def imitate(agent: EagleAgent, recorded: RecordedSteps) -> None:
    """Fit the policy to the reference policy's own probabilities, not floored, in the recorded states.

    The loss is their cross-entropy. The value function is fitted to the recorded returns.
    """
    config, optimizers = agent.config, Optimizers(agent.model, agent.config)
    rng = np.random.default_rng([config.seed, 2**32 - 1])
    batch = agent.model.read(recorded.observation)
    targets = torch.as_tensor(recorded.probabilities(config.reference), device=config.device).float()
    returns = torch.as_tensor(recorded.returns, device=config.device).float()
    for _ in range(config.imitation_epochs):
        for part in np.array_split(rng.permutation(len(recorded)), max(1, len(recorded) // 64)):
            rows = torch.as_tensor(part, device=config.device)
            scores, values = agent.model(agent.model.take(batch, part))
            log_policy = torch.log_softmax(scores / config.agent_temperature, dim=-1)
            cross_entropy = -(targets[rows] * log_policy).sum(-1).mean()
            optimizers.step(cross_entropy + functional.mse_loss(values, returns[rows]))
