"""Stages 1 to 3: codes and language world model, policy, and fine-tuning of the base model under action guidance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional

from baselines.cola.config import CoLAConfig
from baselines.cola.pairs import IGNORED, Answers, Stream, at_answers, sequences
from eagle_gym.language.codes import CodeModel
from eagle_gym.language.codes.networks import CodeHead

Loss = Callable[[int], tuple[Tensor, Mapping[str, float]]]


class Learning(nn.Module):
    """The code model and the inverse dynamics model that teaches it.

    Args:
        config: Hyperparameters.
        model: The code model.
    """

    def __init__(self, config: CoLAConfig, model: CodeModel) -> None:
        super().__init__()
        self.config, self.model = config, model
        self.inverse = CodeHead(model.width, config.layers, config.codes)

    def inferred(self, answers: Answers) -> Tensor:
        """Scores of the codes at each position, `[B, T, N]`: those of the end of the span that shares a code.

        The inverse dynamics model reads the hidden states shifted by one, so at the end of a span it has seen all of
        the span's tokens.
        """
        scores: Tensor = self.inverse(answers.hidden[:, 1:])
        every = self.config.every
        if every == 1:
            return scores
        places = torch.arange(scores.shape[1], device=scores.device)
        ends = ((places // every + 1) * every - 1)[None]
        last = answers.inside.sum(dim=1, keepdim=True) - 1
        ends = torch.minimum(ends, last.clamp_min(0))
        return scores.gather(1, ends[..., None].expand(-1, -1, scores.shape[2]))

    def starts(self, answers: Answers) -> Tensor:
        """`[B, T]` True where a code is chosen."""
        places = torch.arange(answers.tokens.shape[1], device=answers.tokens.device)
        return answers.inside & (places % self.config.every == 0)

    def decided(self, answers: Answers) -> Tensor:
        """The inverse dynamics model's most likely codes, `[B, T]`."""
        with torch.no_grad():
            return self.inferred(answers).argmax(dim=-1)


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    Attributes:
        name: Its name, for the curve.
        steps: Updates.
        rate: Step size at the start; it falls linearly to 0.
        weights: What is trained.
        loss: The loss of an update by its number, and what else was measured.
    """

    name: str
    steps: int
    rate: float
    weights: Sequence[nn.Parameter]
    loss: Loss


def stages(learning: Learning, stream: Stream) -> Iterator[Stage]:
    """The stages before RL, in order."""
    config, model = learning.config, learning.model
    taught = [*learning.inverse.parameters(), *model.codebook.parameters(), *model.world.parameters()]
    dynamics = Stage(
        "dynamics",
        config.dynamics_steps,
        config.learning_rate,
        taught,
        lambda step: dynamics_loss(learning, stream.batch(stream.rows(config.batch_size, config.seed, step)), step),
    )
    yield dynamics
    policy = Stage(
        "policy",
        config.policy_steps,
        config.learning_rate,
        list(model.policy.parameters()),
        lambda step: policy_loss(
            learning, *[stream.batch(stream.rows(config.batch_size, config.seed, 100_000 + step))] * 2
        ),
    )
    yield policy
    if config.guidance_steps:
        rate, weights = config.guidance_learning_rate, list(model.base.parameters())
        yield Stage("guidance", config.guidance_steps, rate, weights, lambda s: guidance_loss(learning, stream, s))
        again = list(model.policy.parameters())
        yield Stage(
            "guided_policy", config.guidance_steps, config.learning_rate / 4, again,
            lambda s: guided_policy_loss(learning, stream, s),
        )  # fmt: skip


def dynamics_loss(learning: Learning, answers: Answers, step: int) -> tuple[Tensor, Mapping[str, float]]:
    """Stage 1: cross-entropy of the next token under a sampled code, less bonuses on the codes' entropy."""
    config, model = learning.config, learning.model
    scores = learning.inferred(answers)
    inside = answers.inside
    chosen = straight_through(scores, config, step)
    logits = model.next_logits(answers.hidden[:, :-1][inside], chosen[inside])
    loss = functional.cross_entropy(logits, answers.tokens[inside])
    probabilities = scores[learning.starts(answers)].softmax(dim=-1)
    own, marginal = entropy(probabilities).mean(), entropy(probabilities.mean(dim=0))
    total = loss - config.entropy_weight * own - config.marginal_weight * marginal
    facts = {"nll": loss.item(), "entropy": own.item(), "perplexity": marginal.exp().item()}
    return total, facts


def straight_through(scores: Tensor, config: CoLAConfig, step: int) -> Tensor:
    """One-hot codes `[B, T, N]` of a Gumbel-softmax; positions that share a code share its noise."""
    generator = torch.Generator().manual_seed(1_000_003 * config.seed + step)
    spans = -(-scores.shape[1] // config.every)
    uniform = torch.rand((scores.shape[0], spans, scores.shape[2]), generator=generator).clamp(1e-9, 1 - 1e-7)
    noise = -torch.log(-torch.log(uniform)).to(scores.device)
    noise = noise.repeat_interleave(config.every, dim=1)[:, : scores.shape[1]]
    soft = ((scores + noise) / config.gumbel_temperature).softmax(dim=-1)
    hard = functional.one_hot(soft.argmax(dim=-1), soft.shape[-1]).to(soft.dtype)
    return hard + soft - soft.detach()


def policy_loss(learning: Learning, answers: Answers, frozen: Answers) -> tuple[Tensor, Mapping[str, float]]:
    """Stage 2: cross-entropy of the policy to the code that the inverse dynamics model finds most likely.

    Args:
        learning: The models.
        answers: What the policy reads.
        frozen: What the inverse dynamics model reads: the same answers in the base model's hidden states before
            stage 3.
    """
    starts = learning.starts(answers)
    scores = learning.model.policy(answers.hidden[:, :-1])[starts]
    target = learning.decided(frozen)[starts]
    loss = functional.cross_entropy(scores, target)
    return loss, {"cross_entropy": loss.item(), "accuracy": (scores.argmax(-1) == target).float().mean().item()}


def tuned_answers(learning: Learning, stream: Stream, rows: Sequence[int]) -> Answers:
    """Answers with the hidden states of the base model as it is now."""
    pairs = [stream.pairs[row] for row in rows]
    ids = sequences(pairs).to(learning.model.device)
    return at_answers(learning.model.hidden_states(ids), pairs)


def guidance_loss(learning: Learning, stream: Stream, step: int) -> tuple[Tensor, Mapping[str, float]]:
    """Stage 3: cross-entropy of the answers under their codes; base model and output layer are trained."""
    rows = stream.rows(learning.config.batch_size // 2, learning.config.seed, 200_000 + step)
    answers = tuned_answers(learning, stream, rows)
    codes = functional.one_hot(learning.decided(stream.batch(rows)), learning.config.codes).float()
    inside = answers.inside
    logits = learning.model.next_logits(answers.hidden[:, :-1][inside], codes[:, : inside.shape[1]][inside])
    loss = functional.cross_entropy(logits, answers.tokens[inside])
    return loss, {"nll": loss.item()}


def guided_policy_loss(learning: Learning, stream: Stream, step: int) -> tuple[Tensor, Mapping[str, float]]:
    """Stage 3, second half: the policy's cross-entropy again, on the hidden states of the tuned base model."""
    rows = stream.rows(learning.config.batch_size, learning.config.seed, 300_000 + step)
    with torch.no_grad():
        answers = tuned_answers(learning, stream, rows)
    return policy_loss(learning, answers, stream.batch(rows))


def entropy(probabilities: Tensor) -> Tensor:
    """Entropies in nats over the last axis."""
    parts: Tensor = torch.special.xlogy(probabilities, probabilities)
    return -parts.sum(dim=-1)


class Updater:
    """Takes the steps of one stage.

    Args:
        stage: The stage.
        max_grad_norm: Norm to which gradients are clipped.
        accelerator: Places and scales the gradients.
    """

    def __init__(self, stage: Stage, max_grad_norm: float, accelerator: Accelerator) -> None:
        self.stage, self._max_grad_norm, self._accelerator = stage, max_grad_norm, accelerator
        for weight in stage.weights:
            weight.requires_grad_(True)
        self.optimizer = torch.optim.AdamW(stage.weights, lr=stage.rate, weight_decay=0.0)

    def __call__(self, step: int) -> dict[str, float]:
        """Make update number `step` of the stage; returns what was measured before it."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.stage.rate * (1 - step / self.stage.steps)
        loss, facts = self.stage.loss(step)
        self.optimizer.zero_grad(set_to_none=True)
        self._accelerator.backward(loss)
        self._accelerator.clip_grad_norm_(self.stage.weights, self._max_grad_norm)
        self.optimizer.step()
        return dict(facts)


__all__ = ["IGNORED", "Learning", "Stage", "Updater", "stages"]
