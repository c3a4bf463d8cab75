"""Supervised: a language-model policy that imitates a reference policy, and never sees a reward.

It reads the text, the user's profile and the K prompts, and scores each prompt (``language.py``). Training minimises
the cross-entropy to the reference policy's probabilities in the states that this policy came to in its recorded
episodes (behaviour cloning). It begins as the embedded model, or as any model in a Hugging Face folder, and trains all
weights or LoRA adapters.

It runs unchanged under ``accelerate launch``, on several processes and on GPUs: a batch is divided among the processes,
so that ``batch_size`` means the same whatever their number; the first process alone writes. Everything random in a step
comes from (seed, step, process), so a run that is killed and resumed ends as if it had not been.
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
from baselines.dataset import Recorded, load
from baselines.language import LanguagePolicy, Reading, read_texts
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
    """Where it begins: "embedded" or "transformers:PATH_OR_NAME"."""
    score: Literal["head", "likelihood"] = "head"
    """A prompt's score: a head on its last token, or its log-likelihood."""
    lora_rank: int = 0
    """Rank of LoRA adapters that are trained in place of all weights; 0 for none."""
    training_steps: int = 400
    """Updates."""
    batch_size: int = 32
    """Recorded steps in an update, all processes together."""
    learning_rate: float = 3e-4
    """AdamW's step size at the start; it falls linearly to 0."""
    dropout: float = 0.1
    """Share of hidden numbers that are dropped while training."""
    agent_temperature: float = 1.0
    """Temperature of the softmax over the scores."""
    max_grad_norm: float = 1.0
    """Length to which gradients are clipped."""
    seed: int = 0
    """Of the heads, of the batches, of dropout and of sampling."""
    device: str = "cpu"
    """Where it acts once it is trained; where it trains is accelerate's choice."""

    def __post_init__(self) -> None:
        if self.reference not in REFERENCES:
            raise ConfigurationError(f"reference is one of {', '.join(REFERENCES)}; {self.reference!r} came")
        if self.score not in ("head", "likelihood"):
            raise ConfigurationError(f'score is "head" or "likelihood"; {self.score!r} came')
        for name in ("training_steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is at least 1; {getattr(self, name)} came")
        if not (0 <= self.dropout < 1 and self.agent_temperature > 0 and self.lora_rank >= 0):
            raise ConfigurationError(f"0 <= dropout < 1, agent_temperature > 0 and lora_rank >= 0; {self} came")


@dataclass
class SupervisedAgent(StochasticAgent):
    """A language-model policy, ready to act and to be saved.

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
        """Arguments of its policy, for one that goes on from it."""
        config = self.config
        return {"spec": config.model, "score": config.score, "lora_rank": config.lora_rank}

    def probabilities(self, observation: object) -> Probabilities:
        """Probability of each action, ``[B, K]``, 0 where none is offered."""
        packed = self.policy.pack(read_texts(observation, self.actions)).to(self.config.device)
        with torch.no_grad():
            scores = self.policy(packed)[0].double() / self.config.agent_temperature
        probabilities: Probabilities = torch.softmax(scores, dim=-1).cpu().numpy()
        return probabilities

    def save(self, folder: Path, optimizer: torch.optim.Optimizer) -> None:
        """Write the run's folder."""
        tensors = {"agent": self.policy.trained(), "optimizer": run.optimizer_tensors(optimizer)}
        run.save(folder, ALGORITHM, self.config, tensors, self.curve, actions=self.actions, steps=self.steps)

    @classmethod
    def load(cls, folder: Path) -> SupervisedAgent:
        """Read a folder that :meth:`save` wrote; the model that it began as is opened by its name.

        Raises:
            PreparationError: A file is missing, broken or of another format.
        """
        header = run.read_header(folder, actions=int, steps=int)
        agent = make_agent(run.read_config(SupervisedConfig, header, folder), header["actions"])
        try:
            agent.policy.restore(run.read_tensors(folder, "agent"))
        except RuntimeError as error:
            raise run.unreadable(folder, error) from error
        agent.steps, agent.curve = header["steps"], run.read_curve(folder)
        return agent


def make_agent(config: SupervisedConfig, actions: int) -> SupervisedAgent:
    """An agent that has learnt nothing yet; torch's global randomness is left as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        policy = LanguagePolicy(config.model, score=config.score, dropout=config.dropout, lora_rank=config.lora_rank)
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
    """Imitate a reference policy.

    Args:
        envs: The environment that the dataset was recorded in; no step is taken.
        config: Hyperparameters; the defaults where None.
        folder: Where checkpoints and TensorBoard events go; nothing is written where None.
        resume: Go on from the checkpoint in ``folder`` where there is one.
        checkpoint_every: Updates between checkpoints.
        progress: Show a progress bar.
        label: Its name.

    Raises:
        ConfigurationError: ``resume`` finds another run, or the processes cannot share a batch equally.
        PreparationError: The recorded dataset, or the checkpoint to resume, is absent or broken.
    """
    config = config or SupervisedConfig()
    accelerator = Accelerator(cpu=config.device == "cpu")
    if config.batch_size % accelerator.num_processes:
        raise ConfigurationError(
            f"batch_size = {config.batch_size} should be a multiple of the {accelerator.num_processes} processes"
        )
    recorded = load(Path(config.dataset), [config.reference])
    again = resume and folder is not None and (folder / run.HEADER).exists()
    count = recorded.observation["mask"].shape[1]
    agent = SupervisedAgent.load(folder) if again and folder else make_agent(config, count)
    if again and folder:
        run.check_same_run(folder, agent.config, config, growing=("training_steps",))
        agent.config = config
    agent.steps = len(recorded)
    done = int(agent.curve[-1]["steps"]) if agent.curve else 0
    model, optimizer = accelerator.prepare(
        agent.policy, torch.optim.AdamW([weight for weight in agent.policy.parameters() if weight.requires_grad])
    )
    if again and folder:
        run.restore_optimizer(optimizer.optimizer, run.read_tensors(folder, "optimizer"))
    first = accelerator.is_main_process
    lessons = Lessons(recorded, config)
    with run.Log(
        config.training_steps,
        done,
        label,
        folder if first else None,
        agent.curve,
        progress=progress and first,
        unit="update",
    ) as log:
        for step in range(done, config.training_steps):
            loss = update(accelerator, model, optimizer, lessons, step)
            log.add(step + 1, {"loss": loss}, shown=("loss",))
            if folder and first and (step + 1) % checkpoint_every == 0:
                agent.save(folder, optimizer.optimizer)
    accelerator.wait_for_everyone()
    agent.policy.to(config.device).eval()
    if folder and first:
        agent.save(folder, optimizer.optimizer)
    return agent


class Lessons:
    """Recorded states, and what the reference policy does there.

    Args:
        recorded: The recorded steps.
        config: Hyperparameters.
    """

    def __init__(self, recorded: Recorded, config: SupervisedConfig) -> None:
        self.config = config
        self.wanted: NDArray[np.float64] = recorded.probabilities(config.reference)
        self.readings: list[Reading] = read_texts(recorded.texts, self.wanted.shape[1])

    def rows(self, step: int) -> list[int]:
        """Rows of an update's batch: each pass over the recorded steps has an order of its own."""
        size, total = self.config.batch_size, len(self.readings)
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
    lessons: Lessons,
    step: int,
) -> float:
    """One update; each process has its share of the batch, and their gradients are averaged. The mean loss."""
    config = lessons.config
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * (1 - step / config.training_steps)
    with accelerator.split_between_processes(lessons.rows(step)) as rows, torch.random.fork_rng():
        torch.manual_seed(np.random.SeedSequence([config.seed, step, accelerator.process_index]).generate_state(1)[0])
        model.train()
        policy = accelerator.unwrap_model(model)
        packed = policy.pack([lessons.readings[row] for row in rows]).to(accelerator.device)
        wanted = torch.as_tensor(lessons.wanted[rows], device=accelerator.device).float()
        scores, values = model(packed)
        log_policy = torch.log_softmax(scores / config.agent_temperature, dim=-1)
        # The values take no part in the imitation; a product with 0 tells the processes that they are not forgotten.
        loss = -(wanted * log_policy).sum(-1).mean() + 0 * values.sum()
        optimizer.zero_grad()
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), config.max_grad_norm)
        optimizer.step()
    return float(accelerator.reduce(loss.detach(), "mean"))
