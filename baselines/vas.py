"""Value-augmented sampling: a frozen policy's choices, reweighted by a learnt value [1].

    pi(a|x) ∝ pi_ref(a|x) exp(V(x, a) / beta)

V(x, a) is what the reference policy still gains once a has been taken in x. It is learnt from the recorded episodes of
that policy alone, by regression on their returns: no step of the environment is taken for it, and the language model is
not called to choose. pi_ref is the analytic policy, floored with a uniform share. Where it departs from the paper:
actions are edits, not tokens, and V reads latent observations.

[1] Han et al., "Value Augmented Sampling for Language Model Alignment and Personalization", 2024, arXiv 2405.06639.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch.nn import functional

from baselines import run
from baselines.agent import Probabilities, StochasticAgent, read_latent
from baselines.dataset import Recorded, load
from baselines.networks import ActionValues, latent_tensors
from baselines.reference import REFERENCES, Foreseen, floored, make_reference
from eagle_gym.errors import ConfigurationError

ALGORITHM = "vas"


@dataclass(frozen=True)
class VASConfig:
    """Hyperparameters."""

    dataset: str = "runs/data"
    """Root of recorded datasets."""
    reference: str = "g_optimal"
    """The policy that is reweighted, and whose recorded episodes say what actions are worth."""
    floor: float = 0.1
    """Share of the uniform policy that is mixed into it."""
    beta: float = 0.2
    """Temperature of the values, in units of reward."""
    epochs: int = 60
    """Passes over the recorded steps."""
    batch: int = 64
    """Steps in an update."""
    learning_rate: float = 1e-3
    """Adam's step size."""
    weight_decay: float = 1e-2
    """How strongly weights are drawn to 0 (AdamW)."""
    hidden: int = 64
    """Width of the network's layers."""
    seed: int = 0
    """Of the network, of the order of steps and of sampling."""
    device: str = "cpu"
    """Where the network is."""

    def __post_init__(self) -> None:
        if self.reference not in REFERENCES:
            raise ConfigurationError(f"reference is one of {', '.join(REFERENCES)}; {self.reference!r} came")
        for name in ("epochs", "batch", "hidden"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is at least 1; {getattr(self, name)} came")
        if not self.beta > 0:
            raise ConfigurationError(f"beta is above 0; {self.beta} came")


@dataclass
class VASAgent(StochasticAgent):
    """A reference policy and the values that reweight it.

    Attributes:
        values: The network.
        config: Hyperparameters.
        actions: K.
        dim: n.
        steps: Recorded steps it has learnt from.
        curve: One row per pass.
    """

    values: ActionValues
    config: VASConfig
    actions: int
    dim: int
    steps: int = 0
    curve: run.Curve = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(np.random.default_rng(self.config.seed))
        self._env: Any = None

    def bind(self, env: Any) -> None:  # noqa: ANN401 - anything with expected_utility()
        """Say where it acts, which the optimistic policy must know."""
        self._env = env.unwrapped

    def probabilities(self, observation: object) -> Probabilities:
        """Probability of each action, ``[B, K]``, 0 where the mask is 0."""
        latent = read_latent(observation)
        batch = latent_tensors(observation, self.actions, self.dim, self.config.device)
        if self._env is None and self.config.reference == "optimistic":
            raise ConfigurationError("the optimistic policy looks ahead in an environment: call bind(env) first")
        foresight = self._env if self._env is not None else Foreseen(np.zeros(latent.mask.shape))
        reference = make_reference(self.config.reference, foresight, self._rng)
        prior = floored(reference.probabilities(observation), latent.mask, self.config.floor)
        with torch.no_grad():
            worth = self.values(batch).double().cpu().numpy() / self.config.beta
        weights = prior * np.exp(worth - np.where(latent.mask, worth, -np.inf).max(axis=1, keepdims=True))
        probabilities: Probabilities = weights / weights.sum(axis=1, keepdims=True)
        return probabilities

    def save(self, folder: Path, optimizer: torch.optim.Optimizer) -> None:
        """Write the run's folder."""
        tensors = {"agent": self.values.state_dict(), "optimizer": run.optimizer_tensors(optimizer)}
        shapes = {"actions": self.actions, "dim": self.dim, "steps": self.steps}
        run.save(folder, ALGORITHM, self.config, tensors, self.curve, **shapes)

    @classmethod
    def load(cls, folder: Path) -> VASAgent:
        """Read a folder that :meth:`save` wrote.

        Raises:
            PreparationError: A file is missing, broken or of another format.
        """
        header = run.read_header(folder, actions=int, dim=int, steps=int)
        agent = make_agent(run.read_config(VASConfig, header, folder), header["actions"], header["dim"])
        run.load_weights(agent.values, folder, "agent")
        agent.steps, agent.curve = header["steps"], run.read_curve(folder)
        return agent


def make_agent(config: VASConfig, actions: int, dim: int) -> VASAgent:
    """An agent that has learnt nothing yet; torch's global randomness is left as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        values = ActionValues(dim, config.hidden).to(config.device)
    return VASAgent(values, config, actions, dim)


def train(
    envs: gym.vector.VectorEnv[Any, Any, Any],
    config: VASConfig | None = None,
    *,
    folder: Path | None = None,
    resume: bool = False,
    progress: bool = True,
    label: str = "VAS",
) -> VASAgent:
    """Learn the values of a recorded policy.

    Args:
        envs: The environment that the dataset was recorded in; no step is taken.
        config: Hyperparameters; the defaults where None.
        folder: Where checkpoints and TensorBoard events go; nothing is written where None.
        resume: Go on from the checkpoint in ``folder`` where there is one.
        progress: Show a progress bar.
        label: Its name.

    Raises:
        ConfigurationError: ``resume`` finds another run.
        PreparationError: The recorded dataset, or the checkpoint to resume, is absent or broken.
    """
    config = config or VASConfig()
    recorded = load(Path(config.dataset), [config.reference])
    latent = read_latent(recorded.observation)
    again = resume and folder is not None and (folder / run.HEADER).exists()
    agent = VASAgent.load(folder) if again and folder else make_agent(config, *latent.size[1:])
    optimizer = torch.optim.AdamW(agent.values.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    if again and folder:
        run.check_same_run(folder, agent.config, config, growing=("epochs",))
        run.restore_optimizer(optimizer, run.read_tensors(folder, "optimizer"))
        agent.config = config
    agent.steps = len(recorded)
    agent.bind(envs)
    done = len(agent.curve)
    with run.Log(config.epochs, done, label, folder, agent.curve, progress=progress, unit="pass") as log:
        for epoch in range(done, config.epochs):
            loss = regress(agent, recorded, optimizer, np.random.default_rng([config.seed, epoch]))
            log.add(epoch + 1, {"loss": loss}, shown=("loss",))
    if folder:
        agent.save(folder, optimizer)
    return agent


def regress(agent: VASAgent, recorded: Recorded, optimizer: torch.optim.Optimizer, rng: np.random.Generator) -> float:
    """One pass over the recorded steps: values of the actions taken towards the returns they had; the mean loss."""
    config = agent.config
    batch = latent_tensors(recorded.observation, agent.actions, agent.dim, config.device)
    actions = torch.as_tensor(recorded.actions, device=config.device)
    returns = torch.as_tensor(recorded.returns, dtype=torch.float32, device=config.device)
    losses = []
    for part in np.array_split(rng.permutation(len(recorded)), -(-len(recorded) // config.batch)):
        some = torch.as_tensor(part, device=config.device)
        values = agent.values({key: tensor[some] for key, tensor in batch.items()})
        loss = functional.mse_loss(values.gather(1, actions[some, None])[:, 0], returns[some])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses))
