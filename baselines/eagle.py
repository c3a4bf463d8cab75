"""EAGLE: policy gradient with a value function, held near an analytic reference policy [1].

The objective is E[sum of gamma^t (r_t - alpha KL(pi(.|x_t) || pi_ref(.|x_t)))]. An iteration plays whole episodes on
train users, takes the KL at every state as a cost beside the reward, estimates advantages A of the regularised return
(GAE), and takes gradient steps up

    E[pi(a|x) / pi_old(a|x) A] - alpha KL(pi(.|x) || pi_ref(.|x)) - beta KL(pi(.|x) || pi_old(.|x)).

The KLs at the state itself are differentiated exactly, over all K actions; only what comes after is estimated from the
episodes. The last term is mirror descent [2]; it has no gradient where pi = pi_old, so that the fixed point is the soft
optimum pi* ∝ pi_ref exp(Q / alpha) of ``closed_form.py``. (Clipped ratios, as PPO has them, keep the pull of the KL
and drop a part of the push of the advantages: measured there, they stop short of it.)

Two policies: ``policy="language"`` is a language model that reads text, user and prompts (``language.py``), and
begins as a supervised agent; ``policy="latent"``, the light variant, scores latent observations with a small network,
and begins as an imitation of the reference policy where a recorded dataset is named. Both are equivariant under
permutation of actions. Where it departs from the paper: K actions are scored, not written token by token, so the
policy is a categorical distribution over what a state offers; and pi_ref is the analytic policy, floored with a uniform
share, not a network's copy of it.

Everything random in iteration i comes from (seed, i), so a run that is killed and resumed ends as if it had not been.

[1] Tennenholtz et al., "Embedding-Aligned Language Models", NeurIPS 2024, arXiv 2406.00024.
[2] Tomar et al., "Mirror Descent Policy Optimization", ICLR 2022, arXiv 2005.09814.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from baselines.agent import LATENT_KEYS, Probabilities, StochasticAgent, sample
from baselines.dataset import Recorded, load
from baselines.evaluate import shown
from baselines.networks import ActionScores, StateValue, latent_tensors
from baselines.reference import REFERENCES, divergence, floored, make_reference
from eagle_gym.errors import ConfigurationError

ALGORITHM = "eagle"
Batch = Any  # what a policy reads: tensors of latent observations, or readings of text observations


@dataclass(frozen=True)
class EagleConfig:
    """Hyperparameters; the horizon and the environment's temperature are arguments of the environment."""

    policy: Literal["latent", "language"] = "latent"
    """What the agent is: a small network on latent observations, or a language model that reads."""
    supervised: str = ""
    """Folder of the supervised run that a language model begins as; "" for the embedded model and blank heads."""
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
    """Root of recorded datasets; a small network begins as an imitation of the reference policy there. "" for none."""
    imitation_epochs: int = 30
    """Passes over the recorded steps before the first episode."""
    seed: int = 0
    """Of the networks, of sampling and of the episodes."""
    device: str = "cpu"
    """Where the networks are; small ones are fastest on a CPU."""

    def __post_init__(self) -> None:
        if self.policy not in ("latent", "language"):
            raise ConfigurationError(f'policy is "latent" or "language"; {self.policy!r} came')
        if (self.policy == "language" and self.dataset) or (self.policy == "latent" and self.supervised):
            raise ConfigurationError(
                f'a "latent" policy begins from a dataset, a "language" one from a supervised run; {self} came'
            )
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


class ActorCritic(Protocol):
    """A policy and a value function, whatever they read."""

    def __call__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Scores ``[B, K]`` and values ``[B]``."""
        ...

    def read(self, observation: object) -> Batch:
        """A batch from observations.

        Raises:
            ConfigurationError: Another kind of observation, or another K or n than it was made for.
        """
        ...

    def take(self, batch: Batch, rows: NDArray[np.int64]) -> Batch:
        """Some rows of a batch."""
        ...

    def join(self, batches: Sequence[Batch]) -> Batch:
        """Batches one after the other."""
        ...

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """What is trained: ``"policy"`` and ``"value"``, which have nothing in common."""
        ...

    def trained(self) -> dict[str, Tensor]:
        """Named weights that training changes."""
        ...

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Take weights over; RuntimeError where they are those of another model."""
        ...


class LatentActorCritic(nn.Module):
    """Scores and values of latent observations, in two networks that share nothing.

    Args:
        actions: K.
        dim: n, dimensions of the latent space.
        hidden: Width of the layers.
        device: Where they are.
    """

    def __init__(self, actions: int, dim: int, hidden: int, device: str) -> None:
        super().__init__()
        self.policy, self.value = ActionScores(dim, hidden), StateValue(dim, hidden)
        self._shape = (actions, dim, device)
        self.to(device)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Scores ``[B, K]`` and values ``[B]``."""
        return self.policy(batch), self.value(batch)

    def read(self, observation: object) -> dict[str, Tensor]:
        """Latent observations as tensors."""
        return latent_tensors(observation, *self._shape)

    def take(self, batch: dict[str, Tensor], rows: NDArray[np.int64]) -> dict[str, Tensor]:
        """Some rows of each tensor."""
        return {key: tensor[torch.as_tensor(rows, device=tensor.device)] for key, tensor in batch.items()}

    def join(self, batches: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Tensors one after the other."""
        return {key: torch.cat([batch[key] for batch in batches]) for key in batches[0]}

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """The two networks."""
        return {"policy": list(self.policy.parameters()), "value": list(self.value.parameters())}

    def trained(self) -> dict[str, Tensor]:
        """All weights."""
        return self.state_dict()

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """All weights."""
        self.load_state_dict(dict(weights))


def make_model(config: EagleConfig, actions: int, dim: int, language: Mapping[str, Any]) -> ActorCritic:
    """Networks that have learnt nothing yet; torch's global randomness is left as it is.

    Args:
        config: Hyperparameters.
        actions: K.
        dim: n.
        language: Arguments of a language model (see :class:`baselines.language.LanguagePolicy`).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        if config.policy == "latent":
            return LatentActorCritic(actions, dim, config.hidden, config.device)
        from baselines.language import LanguageActorCritic  # transformers comes with it

        return LanguageActorCritic(actions, config.device, **language)


@dataclass
class EagleAgent(StochasticAgent):
    """A trained agent, ready to act and to be saved.

    Attributes:
        model: Its policy and value function.
        config: What it was trained with.
        actions: K.
        dim: n.
        language: Arguments of its language model, where it is one.
        steps: Environment steps it has seen, recorded ones included.
        curve: One row per iteration.
    """

    model: ActorCritic
    config: EagleConfig
    actions: int
    dim: int
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
        """Probability of each action, ``[B, K]``, 0 where the mask is 0."""
        return self.judge(self.model.read(observation))[0]

    def judge(self, batch: Batch) -> tuple[Probabilities, NDArray[np.float64]]:
        """Probabilities ``[B, K]`` and values ``[B]``."""
        with torch.no_grad():
            scores, values = self.model(batch)
        policy: Probabilities = torch.softmax(scores.double() / self.config.agent_temperature, dim=-1).cpu().numpy()
        return policy, values.double().cpu().numpy()

    def save(self, folder: Path, optimizers: Optimizers | None = None) -> None:
        """Write the run's folder; what training needs to go on is left out where there are no optimizers."""
        state = optimizers.state() if optimizers else {}
        tensors = {"agent": self.model.trained(), **state}
        facts = {"actions": self.actions, "dim": self.dim, "language": dict(self.language), "steps": self.steps}
        run.save(folder, ALGORITHM, self.config, tensors, self.curve, **facts)

    @classmethod
    def load(cls, folder: Path) -> EagleAgent:
        """Read a folder that :meth:`save` wrote; the model that a language policy began as is opened by its name.

        Raises:
            PreparationError: A file is missing, broken or of another format.
        """
        header = run.read_header(folder, actions=int, dim=int, language=dict, steps=int)
        config = run.read_config(EagleConfig, header, folder)
        agent = make_agent(config, header["actions"], header["dim"], header["language"])
        try:
            agent.model.restore(run.read_tensors(folder, "agent"))
        except RuntimeError as error:
            raise run.unreadable(folder, error) from error
        agent.steps, agent.curve = header["steps"], run.read_curve(folder)
        return agent


def make_agent(
    config: EagleConfig, actions: int, dim: int, language: Mapping[str, Any] = MappingProxyType({})
) -> EagleAgent:
    """An agent that has learnt nothing yet; arguments as of :func:`make_model`."""
    return EagleAgent(make_model(config, actions, dim, language), config, actions, dim, language)


def begin(config: EagleConfig, actions: int, dim: int) -> EagleAgent:
    """An agent before its first episode: an imitation of its reference policy, where it is told from what.

    Raises:
        ConfigurationError: A supervised run with another K.
        PreparationError: The dataset, or the supervised run, is absent or broken.
    """
    if config.supervised:
        from baselines.supervised import SupervisedAgent

        earlier = SupervisedAgent.load(Path(config.supervised))
        if earlier.actions != actions:
            raise ConfigurationError(f"{config.supervised} has K = {earlier.actions} actions; here are {actions}")
        agent = make_agent(config, actions, dim, earlier.language)
        agent.model.restore(earlier.policy.trained())
        agent.steps = earlier.steps
        return agent
    agent = make_agent(config, actions, dim)
    if config.dataset:
        recorded = load(Path(config.dataset), [config.reference])
        imitate(agent, recorded)
        agent.steps = len(recorded)
    return agent


class Optimizers:
    """Adam for the policy and Adam for the value function, each with its own step size.

    Args:
        model: Whose parameters.
        config: Step sizes.
    """

    def __init__(self, model: ActorCritic, config: EagleConfig) -> None:
        self._config = config
        self._parts = model.parts()
        self._adams = {name: torch.optim.Adam(part, eps=1e-5) for name, part in self._parts.items()}
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
            nn.utils.clip_grad_norm_(self._parts[name], self._config.max_grad_norm)
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
        agent = begin(config, count, dim)
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
            f"EAGLE trains where the latent observation is, which its reference policy reads; the space is {space}. "
            'Make the environment with observation="latent".'
        )
    if envs.metadata.get("autoreset_mode") == AutoresetMode.SAME_STEP:
        raise ConfigurationError("whole episodes are played: make the environments without SAME_STEP")
    shapes = {key: space[key].shape for key in ("mask", "state")}
    assert shapes["mask"]
    assert shapes["state"]
    return shapes["mask"][0], shapes["state"][0]


@dataclass(frozen=True, eq=False)
class Episodes:
    """Whole episodes of one iteration; T steps of N environments.

    Attributes:
        batch: What the agent read, ``T * N`` rows, a step's environments beside each other.
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
        batch = agent.model.read(shown(agent, envs, observation))
        probabilities, value = agent.judge(batch)
        prior = floored(reference.probabilities(observation), observation["mask"] > 0.5, agent.config.floor)
        actions = sample(probabilities, rng)
        observation, rewards, terminated, truncated, _ = envs.step(actions)
        over = terminated | truncated
        batches.append(batch)
        columns.append((actions, probabilities, prior, rewards, divergence(probabilities, prior)))
        values.append(value)
    if not over.all():
        raise ConfigurationError("episodes should end together: all environments have one horizon")
    _, value = agent.judge(agent.model.read(shown(agent, envs, observation)))
    values.append(np.where(terminated, 0.0, value))
    chosen, policies, priors, paid, divergences = (np.stack(column) for column in zip(*columns, strict=True))
    return Episodes(agent.model.join(batches), chosen, policies, priors, paid, divergences, np.stack(values))


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
            scores, values = agent.model(agent.model.take(episodes.batch, part))
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
    batch = agent.model.read(recorded.observation)
    wanted = torch.as_tensor(recorded.probabilities(config.reference), device=config.device).float()
    returns = torch.as_tensor(recorded.returns, device=config.device).float()
    for _ in range(config.imitation_epochs):
        for part in np.array_split(rng.permutation(len(recorded)), max(1, len(recorded) // 64)):
            some = torch.as_tensor(part, device=config.device)
            scores, values = agent.model(agent.model.take(batch, part))
            log_policy = torch.log_softmax(scores / config.agent_temperature, dim=-1)
            choice = -(wanted[some] * log_policy).sum(-1).mean()
            optimizers.step(choice + functional.mse_loss(values, returns[some]))
