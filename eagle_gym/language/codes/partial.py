"""Answers that are being written under codes, a few tokens at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import torch
from torch import Tensor

from eagle_gym.language.codes.branches import Branches
from eagle_gym.language.codes.model import CodeModel
from eagle_gym.language.model import Completion

EDIT_TOKENS: Final = 40  # longest edit
TEXT_TOKENS: Final = 120  # longest text


@dataclass
class PartialAnswer:
    """The answer of one turn of a rewrite, as far as it is written.

    Attributes:
        prompt: Token ids of the turn's prompt.
        edit: The edit that the first turn wrote; None in the first turn.
        tokens: Tokens so far.
        hidden: `[t, D]` hidden states from which they were read.
        done: Whether the answer has ended.
    """

    prompt: list[int]
    edit: str | None = None
    tokens: list[int] = field(default_factory=list)
    hidden: list[Tensor] = field(default_factory=list)
    done: bool = False

    @property
    def longest(self) -> int:
        """Tokens that the answer may have at most."""
        return EDIT_TOKENS if self.edit is None else TEXT_TOKENS

    def copy(self) -> PartialAnswer:
        """An answer that goes on from here by itself."""
        return PartialAnswer(self.prompt, self.edit, list(self.tokens), list(self.hidden), self.done)

    def cut(self, length: int) -> PartialAnswer:
        """Its first tokens; done if these are all of them and it is done itself."""
        done = self.done and len(self.tokens) <= length
        return PartialAnswer(self.prompt, self.edit, self.tokens[:length], self.hidden[:length], done)

    def append(self, token: int, x: Tensor, stop: Sequence[int]) -> None:
        """Add a token, read from a hidden state `[D]`, unless the answer has ended."""
        if self.done:
            return
        self.tokens.append(token)
        self.hidden.append(x)
        self.done = token in stop or len(self.tokens) >= self.longest

    def said(self, model: CodeModel) -> str:
        """The text of its tokens, without the one that ends it."""
        tokens = self.tokens[:-1] if self.tokens and self.tokens[-1] in model.stop else self.tokens
        return model.format.read(tokens)[0].strip() if tokens else ""

    def stopped(self, model: CodeModel) -> bool:
        """Whether it ended by itself, not at its longest."""
        return self.tokens[-1] in model.stop

    def completion(self, model: CodeModel, before: int = 0) -> Completion:
        """What is counted as use of the language model, if `before` of its tokens were there already."""
        asked, written = len(self.prompt) + before, len(self.tokens) - before
        return Completion("", asked, written, "stop" if self.stopped(model) else "length")


class Reads(Protocol):
    """Reads one token of each row at a time."""

    hidden: Tensor

    def add(self, tokens: Tensor) -> None:
        """Read a token `[B]` of each row."""
        ...


@torch.no_grad()
def write_on(model: CodeModel, reader: Reads, answers: Sequence[PartialAnswer], codes: Tensor, count: int) -> None:
    """Write the next tokens of some answers.

    Args:
        model: The code model.
        reader: Has read the B answers.
        answers: `[B]` Answers, which are changed.
        codes: `[B]` Codes of the first span; the model's policy chooses those of further spans.
        count: Tokens of each answer at most.
    """
    for number in range(count):
        x = reader.hidden
        if number and number % model.settings.every == 0:
            codes = priors(model, answers, x).argmax(dim=-1)
        tokens = model.tokens_under(x, codes)
        for answer, token, own in zip(answers, tokens.tolist(), x, strict=True):
            answer.append(token, own, model.stop)
        if all(answer.done for answer in answers):
            break
        reader.add(tokens)


@torch.no_grad()
def finished(model: CodeModel, branches: Branches, answers: Sequence[PartialAnswer], count: int) -> list[PartialAnswer]:
    """Finish some answers under every code.

    Args:
        model: The code model; its policy chooses the codes after the first.
        branches: Has read the B answers, in one branch each.
        answers: `[B * N]` N copies of each, which are changed.
        count: N.
    """
    every, device = model.settings.every, model.device
    like = list(range(len(answers)))  # the answer that an answer equals from the end of a span on
    live = list(like)  # answers that go on
    at = [place // count for place in live]  # the branch in which each of these is read
    codes = torch.arange(count, device=device).repeat(len(answers) // count)
    for step in range(max(answer.longest for answer in answers)):
        x = branches.hidden[torch.tensor(at, device=device)]
        if step and step % every == 0:
            codes = priors(model, [answers[place] for place in live], x).argmax(dim=-1)
        tokens = model.tokens_under(x, codes)
        for place, token, own in zip(live, tokens.tolist(), x, strict=True):
            answers[place].append(token, own, model.stop)
        said = [(place // count, *answers[place].tokens) for place in live]
        if (step + 1) % every == 0:
            first: dict[tuple[int, ...], int] = {}
            for place, key in zip(live, said, strict=True):
                like[place] = first.setdefault(key, place)
        going = [i for i, place in enumerate(live) if like[place] == place and not answers[place].done]
        if not going:
            break
        newest: dict[tuple[int, ...], int] = {}  # what is said -> the first of `going` that says it
        for i in going:
            newest.setdefault(said[i], i)
        order = sorted(newest.values(), key=lambda i: at[i])
        branches.keep(torch.tensor([at[i] for i in order], device=device))
        branches.add(tokens[torch.tensor(order, device=device)])
        number = {said[i]: branch for branch, i in enumerate(order)}
        live, at = [live[i] for i in going], [number[said[i]] for i in going]
        codes = codes[torch.tensor(going, device=device)]
    return [answers[first_like(like, place)] for place in range(len(answers))]


def first_like(like: Sequence[int], place: int) -> int:
    """The answer that stands for another: `like` may lead there in several steps."""
    while like[place] != place:
        place = like[place]
    return place


def priors(model: CodeModel, answers: Sequence[PartialAnswer], x: Tensor) -> Tensor:
    """The policy's probabilities of the codes, `[B, N]`, of answers that are read to hidden states `[B, D]`."""
    paths = [torch.stack([*answer.hidden, own]) for answer, own in zip(answers, x, strict=True)]
    scores: Tensor = model.policy(torch.nn.utils.rnn.pad_sequence(paths, batch_first=True))
    last = torch.tensor([len(path) - 1 for path in paths], device=x.device)
    return scores[torch.arange(len(paths), device=x.device), last].softmax(dim=-1).float()
