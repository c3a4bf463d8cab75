"""A language-model policy that imitates a reference policy without any reward (behaviour cloning).

It reads the text, the user's profile and the K edits, and scores each edit (`language.py`). Training minimises the
cross-entropy to the reference policy's probabilities in the states of that policy's recorded episodes. It starts from
the embedded model, or from any model in a Hugging Face folder, and trains all weights or LoRA adapters.

It runs unchanged under `accelerate launch`, on several processes and on GPUs. A batch is divided among the processes,
so `batch_size` means the same whatever their number, and only the first process writes. All randomness in an update
comes from (seed, update, process), so a run that is killed and resumed ends as an uninterrupted one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray

from baselines import run
from baselines.agent import Probabilities, StochasticAgent
from baselines.config import check_above, check_at_least, check_choice
from baselines.dataset import RecordedSteps, load
from baselines.language import LanguagePolicy, ParsedObservation, Precision, read_texts
from baselines.reference import REFERENCES
from eagle_gym.errors import ConfigurationError

ALGORITHM = "supervised"


@dataclass(frozen=True)
class SupervisedConfig:
    """Hyperparameters; the paper lists training steps, batch size, learning rate and dropout."""

    dataset: str = "runs/data"
    """Root of recorded datasets."""
    reference: str = "g_optimal"
    """The policy that is imitated."""
    model: str = "embedded"
    """The model it starts from: "embedded" or "transformers:PATH_OR_NAME"."""
    score: Literal["head", "likelihood"] = "head"
    """An edit's score: a head on its last token, or its log-likelihood."""
    lora_rank: int = 0
    """Rank of LoRA adapters that are trained instead of all weights; 0 for none."""
    precision: Precision = "float32"
    """Precision of the model's matrix products: "bfloat16" is faster where the processor has it."""
    training_steps: int = 400
    """Number of updates."""
    batch_size: int = 32
    """Recorded steps in an update, over all processes."""
    learning_rate: float = 3e-4
    """AdamW's step size at the start; it falls linearly to 0."""
    dropout: float = 0.1
    """Share of hidden units that are dropped in training."""
    agent_temperature: float = 1.0
    """Temperature of the softmax over the scores."""
    max_grad_norm: float = 1.0
    """Norm to which gradients are clipped."""
    seed: int = 0
    """Seed of the heads, the batches, dropout and sampling."""
    device: str = "cpu"
    """Device of the trained agent; accelerate chooses the device of training, except that "cpu" keeps it on the CPU."""

    def __post_init__(self) -> None:
        check_choice(self, "reference", REFERENCES)
        check_choice(self, "score", ("head", "likelihood"))
        check_choice(self, "precision", ("float32", "bfloat16"))
        check_at_least(self, 1, "training_steps", "batch_size")
        check_at_least(self, 0, "dropout", "lora_rank")
        check_above(self, 0, "agent_temperature")
        if self.dropout >= 1:
            raise ConfigurationError(f"dropout: expected less than 1, got {self.dropout}")


@dataclass
class SupervisedAgent(StochasticAgent):
    """A language-model policy that can act and be saved.

    Attributes:
        policy: The language model and its heads.
        config: What it was trained with.
        actions: K.
        steps: Recorded steps it has learnt from.
        curve: The learning curve.
    """

    policy: LanguagePolicy
    config: SupervisedConfig
    actions: int
    steps: int = 0
    curve: run.Curve = field(default_factory=list)
    reads: Literal["text"] = "text"

    def __post_init__(self) -> None:
        super().__init__(np.random.default_rng(self.config.seed))

    @property
    def language(self) -> dict[str, Any]:
        """Arguments of its policy, for an agent that starts from it."""
        config = self.config
        return {
            "spec": config.model,
            "score": config.score,
            "lora_rank": config.lora_rank,
            "precision": config.precision,
        }

    def probabilities(self, observation: object) -> Probabilities:
        """Probability of each action, `[B, K]`, 0 where none is offered."""
        packed = self.policy.pack(read_texts(observation, self.actions)).to(self.config.device)
        with torch.no_grad():
            scores = self.policy(packed)[0].double() / self.config.agent_temperature
        probabilities: Probabilities = torch.softmax(scores, dim=-1).cpu().numpy()
        return probabilities

    def save(self, folder: Path, optimizer: torch.optim.Optimizer) -> None:
        """Write a checkpoint."""
        tensors = {"agent": self.policy.trained(), "optimizer": run.optimizer_tensors(optimizer)}
        run.save(folder, ALGORITHM, self.config, tensors, self.curve, actions=self.actions, steps=self.steps)

    @classmethod
    def load(cls, folder: Path) -> SupervisedAgent:
        """Read a checkpoint; the pretrained model is opened by its name.

        Raises:
            PreparationError: A file is missing, broken or of another format.
        """
        header = run.read_header(folder, actions=int, steps=int)
        agent = make_agent(run.read_config(SupervisedConfig, header, folder), header["actions"])
        run.load_weights(agent.policy.restore, folder, "agent")
        agent.steps, agent.curve = header["steps"], run.read_checkpoint_curve(folder)
        return agent


def make_agent(config: SupervisedConfig, actions: int) -> SupervisedAgent:
    """Make an untrained agent; torch's global random state is left unchanged."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        policy = LanguagePolicy(
            config.model,
            score=config.score,
            dropout=config.dropout,
            lora_rank=config.lora_rank,
            precision=config.precision,
        )
    return SupervisedAgent(policy.to(config.device).eval(), config, actions)


def train(
    envs: gym.vector.VectorEnv[Any, Any, Any],
    config: SupervisedConfig | None = None,
    *,
    folder: Path | None = None,
    resume: bool = False,
    checkpoint_every: int = 50,
    progress: bool = True,
    label: str = "supervised",
) -> SupervisedAgent:
    """Train a language model to imitate a reference policy.

    Args:
        envs: The environment that the dataset was recorded in; no step is taken.
        config: Hyperparameters; the defaults if None.
        folder: Where checkpoints and TensorBoard events go; nothing is written if None.
        resume: Continue from the checkpoint in `folder` if there is one.
        checkpoint_every: Updates between checkpoints.
        progress: Show a progress bar.
        label: Name shown next to the progress bar.

    Raises:
        ConfigurationError: `resume` finds another run, or a batch cannot be divided equally among the processes.
        PreparationError: The dataset or the checkpoint is missing or broken, or a checkpoint cannot be written.
    """
    config = config or SupervisedConfig()
    accelerator = Accelerator(cpu=config.device == "cpu")
    if config.batch_size % accelerator.num_processes:
        raise ConfigurationError(
            f"batch_size: expected a multiple of the {accelerator.num_processes} processes, got {config.batch_size}"
        )
    recorded = load(Path(config.dataset), [config.reference])
    earlier = run.resumable(folder, resume)
    agent = SupervisedAgent.load(earlier) if earlier else make_agent(config, recorded.observation["mask"].shape[1])
    if earlier:
        run.check_same_run(earlier, agent.config, config, growing=("training_steps",))
        agent.config = config
    agent.steps = len(recorded)
    done = int(agent.curve[-1]["steps"]) if agent.curve else 0
    model, optimizer = accelerator.prepare(
        agent.policy, torch.optim.AdamW([weight for weight in agent.policy.parameters() if weight.requires_grad])
    )
    if earlier:
        run.restore_optimizer(optimizer.optimizer, run.read_tensors(earlier, "optimizer"))
    first = accelerator.is_main_process
    examples = Examples(recorded, config)
    with run.TrainingLog(
        config.training_steps,
        done,
        label,
        folder if first else None,
        agent.curve,
        progress=progress and first,
        unit="update",
    ) as log:
        for step in range(done, config.training_steps):
            loss = update(accelerator, model, optimizer, examples, step)
            log.add(step + 1, {"loss": loss}, shown=("loss",))
            if folder and first and (step + 1) % checkpoint_every == 0:
                agent.save(folder, optimizer.optimizer)
    accelerator.wait_for_everyone()
    agent.policy.to(config.device).eval()
    if folder and first:
        agent.save(folder, optimizer.optimizer)
    return agent


class Examples:
    """Recorded states with the reference policy's probabilities as targets.

    Args:
        recorded: The recorded steps.
        config: Hyperparameters.
    """

    def __init__(self, recorded: RecordedSteps, config: SupervisedConfig) -> None:
        self.config = config
        self.targets: NDArray[np.float64] = recorded.probabilities(config.reference)
        self.observations: list[ParsedObservation] = read_texts(recorded.texts, self.targets.shape[1])

    def rows(self, step: int) -> list[int]:
        """Rows of an update's batch; each pass over the recorded steps has its own order."""
        size, total = self.config.batch_size, len(self.observations)
        places = range(step * size, (step + 1) * size)
        orders = {
            number: np.random.default_rng([self.config.seed, number]).permutation(total)
            for number in {place // total for place in places}
        }
        return [int(orders[place // total][place % total]) for place in places]


def update(
    accelerator: Accelerator,
    model: Any,  # noqa: ANN401 - as accelerate prepared it
    optimizer: Any,  # noqa: ANN401
    examples: Examples,
    step: int,
) -> float:
    """Make one update and return the mean loss.

    Each process takes its share of the batch, and their gradients are averaged.
    """
    config = examples.config
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * (1 - step / config.training_steps)
    with accelerator.split_between_processes(examples.rows(step)) as rows, torch.random.fork_rng():
        torch.manual_seed(np.random.SeedSequence([config.seed, step, accelerator.process_index]).generate_state(1)[0])
        model.train()
        policy = accelerator.unwrap_model(model)
        packed = policy.pack([examples.observations[row] for row in rows]).to(accelerator.device)
        targets = torch.as_tensor(examples.targets[rows], device=accelerator.device).float()
        scores, values = model(packed)
        log_policy = torch.log_softmax(scores / config.agent_temperature, dim=-1)
        # The values are not trained; the product with 0 gives them the gradient that distributed training requires.
        loss = -(targets * log_policy).sum(-1).mean() + 0 * values.sum()
        optimizer.zero_grad()
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), config.max_grad_norm)
        optimizer.step()
    return float(accelerator.reduce(loss.detach(), "mean"))
