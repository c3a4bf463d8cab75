"""Stage 4: GRPO over codes, and over tokens for comparison [1].

For each state a group of rewrites is drawn. A rewrite's reward is what it gains in the environment's utility, less the
KL to the start policy: the sum over its codes (or tokens) of log pi - log pi_start, times `kl_weight`. Its advantage is
its reward less the group's mean, divided by the group's standard deviation. Every code (or token) of both turns is
pushed by the clipped probability ratio.

Over codes, only the policy over codes is trained, on the hidden states that were met while writing. Over tokens, the
whole base model is trained. Both see equally many states and rewrites, with equal numbers of updates.

TRL's trainer is not used. It takes utilities of rows well (they would be a column of its data set), but a sample there
is one sequence, and a rewrite here has two turns with prompts of their own, which the base model has to read apart.
`baselines.examples.trl_grpo_edits` uses it for the first turn.

[1] Shao et al., "DeepSeekMath", 2024, arXiv 2402.03300.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn

from baselines.cola.config import CoLAConfig
from baselines.cola.pairs import at_answers, sequences
from baselines.cola.turns import (
    ChooserMaker,
    Rewrite,
    Turn,
    by_codes,
    by_tokens,
    first_states,
    gains,
    is_followed,
    profile_of,
    rewrites,
)
from baselines.worlds import fresh_seeds
from eagle_gym.envs.world import RawState, World
from eagle_gym.language.codes import CodeModel, make_codes

CHUNK = 64  # turns in a forward pass
Floats = NDArray[np.float64]


class Actor(Protocol):
    """A policy that GRPO improves."""

    model: CodeModel

    def chooser(self, seeds: Sequence[int], max_tokens: int, temperature: float) -> ChooserMaker:
        """How it writes."""
        ...

    def weights(self) -> list[nn.Parameter]:
        """What is trained."""
        ...

    def log_probabilities(self, turns: Sequence[Turn], start: bool = False) -> tuple[Tensor, Tensor]:
        """Log-probability of each choice `[B, T]` and where there is one; of the start policy if `start`."""
        ...


class CodeActor:
    """The policy over codes; base and world model stay as they are.

    Args:
        model: The code model.
    """

    def __init__(self, model: CodeModel) -> None:
        self.model = model
        self.start = copy.deepcopy(model.policy).requires_grad_(False)

    def chooser(self, seeds: Sequence[int], max_tokens: int, temperature: float) -> ChooserMaker:
        """As in `Actor`."""
        return by_codes(self.model, seeds, max_tokens, temperature)

    def weights(self) -> list[nn.Parameter]:
        """The policy's."""
        return list(self.model.policy.parameters())

    def log_probabilities(self, turns: Sequence[Turn], start: bool = False) -> tuple[Tensor, Tensor]:
        """As in `Actor`, from the hidden states that were met while writing."""
        hidden = nn.utils.rnn.pad_sequence([turn.written.hidden for turn in turns], batch_first=True)
        codes = nn.utils.rnn.pad_sequence([torch.as_tensor(t.written.codes) for t in turns], True, -1.0)
        codes = codes.long().to(hidden.device)
        places = torch.arange(codes.shape[1], device=hidden.device)
        chosen = (codes >= 0) & (places % self.model.settings.every == 0)
        scores = (self.start if start else self.model.policy)(hidden).log_softmax(dim=-1)
        return scores.gather(2, codes.clamp_min(0)[..., None])[..., 0], chosen


class TokenActor:
    """The base model as a policy over tokens.

    Args:
        model: The code model whose base it is.
        start: The code model as it was before any training: a training that was cut begins with a tuned base.
    """

    def __init__(self, model: CodeModel, start: CodeModel) -> None:
        self.model = model
        model.base.requires_grad_(True)
        self._start = copy.deepcopy(start.base).requires_grad_(False).to(model.base.device)

    def chooser(self, seeds: Sequence[int], max_tokens: int, temperature: float) -> ChooserMaker:
        """As in `Actor`."""
        return by_tokens(self.model.base, seeds, max_tokens, temperature)

    def weights(self) -> list[nn.Parameter]:
        """The base model's."""
        return list(self.model.base.parameters())

    def log_probabilities(self, turns: Sequence[Turn], start: bool = False) -> tuple[Tensor, Tensor]:
        """As in `Actor`; the prompts are read again."""
        base = self._start if start else self.model.base
        pairs = [(turn.prompt, turn.written.tokens) for turn in turns]
        ids = sequences(pairs).to(base.device)
        answers = at_answers(base.base_model(input_ids=ids, use_cache=False).last_hidden_state, pairs)
        inside = answers.inside
        logits = base.get_output_embeddings()(answers.hidden[:, :-1][inside]).float().log_softmax(dim=-1)
        found = torch.zeros(inside.shape, device=ids.device)
        said = logits.gather(1, answers.tokens[inside][:, None])[:, 0]
        return found.masked_scatter(inside, said), inside


def make_actor(config: CoLAConfig, model: CodeModel) -> Actor:
    """The policy that a configuration improves, as it is before stage 4."""
    return CodeActor(model) if config.acts == "codes" else TokenActor(model, make_codes(config.sizes, config.seed))


@dataclass(frozen=True, eq=False)
class Group:
    """The rewrites of an update.

    Attributes:
        states: `[B]` states, each `group_size` times.
        rewrites: `[B]` what was written.
        gains: `[B]` utility that they gain.
    """

    states: list[RawState]
    rewrites: list[Rewrite]
    gains: Floats


class GRPO:
    """Draws groups and improves a policy.

    Args:
        config: Hyperparameters.
        world: World of the train users.
        actor: The policy.
        accelerator: Places and scales gradients.
    """

    def __init__(self, config: CoLAConfig, world: World, actor: Actor, accelerator: Accelerator) -> None:
        self.config, self.world, self.actor, self._accelerator = config, world, actor, accelerator
        self.optimizer = torch.optim.AdamW(actor.weights(), lr=config.rl_learning_rate, weight_decay=0.0)

    def update(self, step: int) -> dict[str, float]:
        """Make update number `step`, drawn from (seed, step); returns what was measured before it."""
        group = self.draw(np.random.default_rng([self.config.seed, 13, step]))
        for entry in self.optimizer.param_groups:
            entry["lr"] = self.config.rl_learning_rate * (1 - step / self.config.rl_steps)
        parts = self.parts(group)
        divergence = self.divergences(parts, len(group.rewrites))
        advantages = self.advantages(group.gains - self.config.kl_weight * divergence)
        for _ in range(self.config.rl_epochs):
            self._step(parts, advantages)
        followed = [is_followed(old.text, new) for old, new in zip(group.states, group.rewrites, strict=True)]
        return {
            "return": float(group.gains.mean()),
            "kl": float(divergence.mean()),
            "parses": float(np.mean([row.parses for row in group.rewrites])),
            "followed": float(np.mean(followed)),
            "passes": float(sum(row.passes for row in group.rewrites)),
        }

    def draw(self, rng: np.random.Generator) -> Group:
        """Draw states and a group of rewrites for each; each turn counts as one generation."""
        config, world = self.config, self.world
        states = [s for s in first_states(world, config.prompts, rng) for _ in range(config.group_size)]
        chooser = self.actor.chooser(fresh_seeds(rng, len(states)), config.max_tokens, 1.0)
        model = self.actor.model
        texts, profiles = [s.text for s in states], [profile_of(world, s.user) for s in states]
        written = rewrites(model.base, model.format, texts, profiles, chooser, config.max_tokens)
        world.model.usage.add([said for row in written for said in row.completions()])
        return Group(states, written, gains(world, states, written))

    def advantages(self, rewards: Floats) -> Floats:
        """`[B]` rewards in standard deviations of their group, less its mean."""
        rows = rewards.reshape(-1, self.config.group_size)
        spread = rows.std(axis=1, keepdims=True)
        scaled: Floats = ((rows - rows.mean(axis=1, keepdims=True)) / (spread + 1e-4)).ravel()
        return scaled

    def parts(self, group: Group) -> list[Part]:
        """The turns in chunks of similar lengths, with the log-probabilities of the policy that wrote them."""
        turns = [(row, turn) for row, rewrite in enumerate(group.rewrites) for turn in rewrite.turns]
        turns.sort(key=lambda pair: len(pair[1].prompt) + len(pair[1].written.tokens))
        found = []
        for start in range(0, len(turns), CHUNK):
            rows, chunk = zip(*turns[start : start + CHUNK], strict=True)
            with torch.no_grad():
                old, chosen = self.actor.log_probabilities(chunk)
                first, _ = self.actor.log_probabilities(chunk, start=True)
            found.append(Part(np.array(rows), chunk, old, first, chosen))
        return found

    def divergences(self, parts: Sequence[Part], count: int) -> Floats:
        """`[B]` log pi - log pi_start of each rewrite."""
        found = np.zeros(count)
        for part in parts:
            own = ((part.old - part.start) * part.chosen).sum(dim=1)
            np.add.at(found, part.rows, own.double().cpu().numpy())
        return found

    def _step(self, parts: Sequence[Part], advantages: Floats) -> None:
        total = sum(int(part.chosen.sum()) for part in parts)
        self.optimizer.zero_grad(set_to_none=True)
        for part in parts:
            new, _ = self.actor.log_probabilities(part.turns)
            gain = torch.as_tensor(advantages[part.rows], device=new.device).float()[:, None]
            ratio = (new - part.old).exp()
            low, high = 1 - self.config.clip_range, 1 + self.config.clip_range
            pushed = torch.minimum(ratio * gain, ratio.clamp(low, high) * gain)
            self._accelerator.backward(-(pushed * part.chosen).sum() / total)
        self._accelerator.clip_grad_norm_(self.actor.weights(), self.config.max_grad_norm)
        self.optimizer.step()


@dataclass(frozen=True, eq=False)
class Part:
    """Some turns of an update.

    Attributes:
        rows: `[B]` the rewrite that each belongs to.
        turns: The turns.
        old: `[B, T]` log-probabilities of the policy that wrote them.
        start: `[B, T]` the same of the start policy.
        chosen: `[B, T]` where there is a choice.
    """

    rows: NDArray[np.int64]
    turns: Sequence[Turn]
    old: Tensor
    start: Tensor
    chosen: Tensor


__all__ = ["GRPO", "Actor", "CodeActor", "TokenActor", "make_actor"]
