"""Value-augmented sampling: a frozen policy, reweighted by a learnt value [1].

    pi(a|x) ∝ pi_ref(a|x) exp(V(x, a) / beta)

V(x, a) is the return that the reference policy still gains after taking a in x. It is fitted to the returns of that
policy's recorded episodes: learning takes no environment step, and choosing needs no call of the language model. pi_ref
is the analytic policy mixed with the uniform one.

Differences from the paper: actions are edits, not tokens, and V reads latent observations.

[1] Han et al., "Value Augmented Sampling for Language Model Alignment and Personalization", 2024, arXiv 2405.06639.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch.nn import functional

from baselines import run
from baselines.agent import Probabilities, StochasticAgent, read_latent
from baselines.config import check_above, check_at_least, check_choice
from baselines.dataset import RecordedSteps, load
from baselines.networks import ActionValues, latent_tensors
from baselines.reference import REFERENCES, ExpectedUtilities, floored, make_reference
from eagle_gym.envs.spaces import LatentLayout
from eagle_gym.errors import ConfigurationError

ALGORITHM = "vas"


@dataclass(frozen=True)
class VASConfig:
    """Hyperparameters."""

    dataset: str = "runs/data"
    """Root of recorded datasets."""
    reference: str = "g_optimal"
    """The policy that is reweighted, whose recorded episodes V is fitted to."""
    floor: float = 0.1
    """Share of the uniform policy that is mixed into it."""
    beta: float = 0.2
    """Temperature of the values, in units of reward."""
    n_epochs: int = 60
    """Passes over the recorded steps."""
    batch_size: int = 64
    """Recorded steps in an update."""
    learning_rate: float = 1e-3
    """AdamW's step size."""
    weight_decay: float = 1e-2
    """AdamW's weight decay."""
    hidden: int = 64
    """Width of the network's hidden layers."""
    seed: int = 0
    """Seed of the network, of the order of steps and of sampling."""
    device: str = "cpu"
    """Device of the network."""

    def __post_init__(self) -> None:
        check_choice(self, "reference", REFERENCES)
        check_at_least(self, 1, "n_epochs", "batch_size", "hidden")
        check_above(self, 0, "beta")


@dataclass
class VASAgent(StochasticAgent):
    """A reference policy, reweighted by values.

    Attributes:
        values: The network V.
        config: Hyperparameters.
        layout: The parts of the latent observation that it was trained with.
        steps: Recorded steps it has learnt from.
        curve: One row for each pass.
    """

    values: ActionValues
    config: VASConfig
    layout: LatentLayout
    steps: int = 0
    curve: run.Curve = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(np.random.default_rng(self.config.seed))
        self._env: Any = None

    def bind(self, env: Any) -> None:  # noqa: ANN401 - any environment of eagle_gym
        """Set the environment that it acts in, which the optimistic policy needs."""
        self._env = env.unwrapped

    def probabilities(self, observation: object) -> Probabilities:
        """Probability of each action, `[B, K]`, 0 where the mask is 0."""
        latent = read_latent(observation)
        batch = latent_tensors(observation, self.layout, self.config.device)
        if self._env is None and self.config.reference == "optimistic":
            raise ConfigurationError("the optimistic policy needs the environment it acts in: call bind(env) first")
        utilities = self._env if self._env is not None else ExpectedUtilities(np.zeros(latent.mask.shape))
        reference = make_reference(self.config.reference, utilities, self._rng)
        prior = floored(reference.probabilities(observation), latent.mask, self.config.floor)
        with torch.no_grad():
            scaled = self.values(batch).double().cpu().numpy() / self.config.beta
        weights = prior * np.exp(scaled - np.where(latent.mask, scaled, -np.inf).max(axis=1, keepdims=True))
        probabilities: Probabilities = weights / weights.sum(axis=1, keepdims=True)
        return probabilities

    def save(self, folder: Path, optimizer: torch.optim.Optimizer) -> None:
        """Write a checkpoint."""
        tensors = {"agent": self.values.state_dict(), "optimizer": run.optimizer_tensors(optimizer)}
        facts = {"layout": asdict(self.layout), "steps": self.steps}
        run.save(folder, ALGORITHM, self.config, tensors, self.curve, **facts)

    @classmethod
    def load(cls, folder: Path) -> VASAgent:
        """Read a checkpoint.

        Raises:
            PreparationError: A file is missing, broken or of another format.
        """
        header = run.read_header(folder, layout=dict, steps=int)
        agent = make_agent(run.read_config(VASConfig, header, folder), run.read_layout(header, folder))
        run.load_weights(agent.values.load_state_dict, folder, "agent")
        agent.steps, agent.curve = header["steps"], run.read_checkpoint_curve(folder)
        return agent


def make_agent(config: VASConfig, layout: LatentLayout) -> VASAgent:
    """Make an untrained agent; torch's global random state is left unchanged."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        values = ActionValues(layout, config.hidden).to(config.device)
    return VASAgent(values, config, layout)


def train(
    envs: gym.vector.VectorEnv[Any, Any, Any],
    config: VASConfig | None = None,
    *,
    folder: Path | None = None,
    resume: bool = False,
    progress: bool = True,
    label: str = "VAS",
) -> VASAgent:
    """Fit the values of a recorded policy.

    Args:
        envs: The environment that the dataset was recorded in; no step is taken.
        config: Hyperparameters; the defaults if None.
        folder: Where checkpoints and TensorBoard events go; nothing is written if None.
        resume: Continue from the checkpoint in `folder` if there is one.
        progress: Show a progress bar.
        label: Name shown next to the progress bar.

    Raises:
        ConfigurationError: `resume` finds another run.
        PreparationError: The dataset or the checkpoint is missing or broken, or a checkpoint cannot be written.
    """
    config = config or VASConfig()
    recorded = load(Path(config.dataset), [config.reference])
    latent = read_latent(recorded.observation)
    earlier = run.resumable(folder, resume)
    agent = VASAgent.load(earlier) if earlier else make_agent(config, latent.layout)
    optimizer = torch.optim.AdamW(agent.values.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    if earlier:
        run.check_same_run(earlier, agent.config, config, growing=("n_epochs",))
        run.restore_optimizer(optimizer, run.read_tensors(earlier, "optimizer"))
        agent.config = config
    agent.steps = len(recorded)
    agent.bind(envs)
    done = len(agent.curve)
    with run.TrainingLog(config.n_epochs, done, label, folder, agent.curve, progress=progress, unit="pass") as log:
        for epoch in range(done, config.n_epochs):
            loss = regress(agent, recorded, optimizer, np.random.default_rng([config.seed, epoch]))
            log.add(epoch + 1, {"loss": loss}, shown=("loss",))
    if folder:
        agent.save(folder, optimizer)
    return agent


def regress(
    agent: VASAgent, recorded: RecordedSteps, optimizer: torch.optim.Optimizer, rng: np.random.Generator
) -> float:
    """Fit the values of the chosen actions to their returns in one pass over all steps; returns the mean loss."""
    config = agent.config
    batch = latent_tensors(recorded.observation, agent.layout, config.device)
    actions = torch.as_tensor(recorded.actions, device=config.device)
    returns = torch.as_tensor(recorded.returns, dtype=torch.float32, device=config.device)
    losses = []
    for part in np.array_split(rng.permutation(len(recorded)), -(-len(recorded) // config.batch_size)):
        rows = torch.as_tensor(part, device=config.device)
        values = agent.values({key: tensor[rows] for key, tensor in batch.items()})
        loss = functional.mse_loss(values.gather(1, actions[rows, None])[:, 0], returns[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses))
