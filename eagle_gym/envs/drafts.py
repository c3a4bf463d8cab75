"""Rewrites that are being written under codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import torch
from torch import Tensor

from eagle_gym.language.codes import CodeModel
from eagle_gym.language.codes.branches import Branches
from eagle_gym.language.model import Completion

EDIT_TOKENS: Final = 40  # longest edit
TEXT_TOKENS: Final = 120  # longest text


@dataclass
class Draft:
    """The present turn of a rewrite.

    Attributes:
        prompt: Token ids of the turn's prompt.
        edit: The edit of the first turn, None while it is being written.
        tokens: Tokens of the turn so far.
        hidden: `[t, D]` hidden states from which they were read.
        done: Whether the turn has ended.
    """

    prompt: list[int]
    edit: str | None = None
    tokens: list[int] = field(default_factory=list)
    hidden: list[Tensor] = field(default_factory=list)
    done: bool = False

    @property
    def longest(self) -> int:
        """Tokens that the turn may have at most."""
        return EDIT_TOKENS if self.edit is None else TEXT_TOKENS

    def copy(self) -> Draft:
        """A draft that goes on from here by itself."""
        return Draft(self.prompt, self.edit, list(self.tokens), list(self.hidden), self.done)

    def cut(self, length: int) -> Draft:
        """Its first tokens; it is done if those are all tokens of a draft that is."""
        done = self.done and len(self.tokens) <= length
        return Draft(self.prompt, self.edit, self.tokens[:length], self.hidden[:length], done)

    def append(self, token: int, x: Tensor, stop: Sequence[int]) -> None:
        """Add a token, read from a hidden state `[D]`, unless the turn has ended."""
        if self.done:
            return
        self.tokens.append(token)
        self.hidden.append(x)
        self.done = token in stop or len(self.tokens) >= self.longest

    def said(self, model: CodeModel) -> str:
        """The text of its tokens, without the one that ends it."""
        tokens = self.tokens[:-1] if self.tokens and self.tokens[-1] in model.stop else self.tokens
        return model.format.read(tokens)[0].strip() if tokens else ""

    def completion(self, model: CodeModel, before: int = 0) -> Completion:
        """What is counted as use of the language model, if `before` of its tokens were there already."""
        stopped = self.tokens[-1] in model.stop
        asked, written = len(self.prompt) + before, len(self.tokens) - before
        return Completion("", asked, written, "stop" if stopped else "length")


class Reads(Protocol):
    """Reads one token of each row at a time."""

    hidden: Tensor

    def add(self, tokens: Tensor) -> None:
        """Read a token `[B]` of each row."""
        ...


@torch.no_grad()
def write_on(model: CodeModel, reader: Reads, drafts: Sequence[Draft], codes: Tensor, count: int) -> None:
    """Write the next tokens of some drafts.

    Args:
        model: The code model.
        reader: Has read the B drafts.
        drafts: `[B]` Drafts, which are changed.
        codes: `[B]` Codes of the first span; the model's policy chooses those of further spans.
        count: Tokens of each draft at most.
    """
    for number in range(count):
        x = reader.hidden
        if number and number % model.settings.every == 0:
            codes = priors(model, drafts, x).argmax(dim=-1)
        tokens = model.tokens_under(x, codes)
        for draft, token, own in zip(drafts, tokens.tolist(), x, strict=True):
            draft.append(token, own, model.stop)
        if all(draft.done for draft in drafts):
            break
        reader.add(tokens)


@torch.no_grad()
def finished(model: CodeModel, branches: Branches, drafts: Sequence[Draft], count: int) -> list[Draft]:
    """Finish the present turn of some drafts under every code.

    Args:
        model: The code model; its policy chooses the codes after the first.
        branches: Has read the B drafts, in one branch each.
        drafts: `[B * N]` N copies of each, which are changed.
        count: N.
    """
    every, device = model.settings.every, model.device
    like = list(range(len(drafts)))  # the draft that a draft equals from the end of a span on
    live = list(like)  # drafts that go on
    at = [place // count for place in live]  # the branch in which each of these is read
    codes = torch.arange(count, device=device).repeat(len(drafts) // count)
    for step in range(max(draft.longest for draft in drafts)):
        x = branches.hidden[torch.tensor(at, device=device)]
        if step and step % every == 0:
            codes = priors(model, [drafts[place] for place in live], x).argmax(dim=-1)
        tokens = model.tokens_under(x, codes)
        for place, token, own in zip(live, tokens.tolist(), x, strict=True):
            drafts[place].append(token, own, model.stop)
        said = [(place // count, *drafts[place].tokens) for place in live]
        if (step + 1) % every == 0:
            first: dict[tuple[int, ...], int] = {}
            for place, key in zip(live, said, strict=True):
                like[place] = first.setdefault(key, place)
        going = [i for i, place in enumerate(live) if like[place] == place and not drafts[place].done]
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
    return [drafts[first_like(like, place)] for place in range(len(drafts))]


def first_like(like: Sequence[int], place: int) -> int:
    """The draft that stands for another: `like` may lead there in several steps."""
    while like[place] != place:
        place = like[place]
    return place


def priors(model: CodeModel, drafts: Sequence[Draft], x: Tensor) -> Tensor:
    """The policy's probabilities of the codes, `[B, N]`, of drafts that are read to hidden states `[B, D]`."""
    paths = [torch.stack([*draft.hidden, own]) for draft, own in zip(drafts, x, strict=True)]
    scores: Tensor = model.policy(torch.nn.utils.rnn.pad_sequence(paths, batch_first=True))
    last = torch.tensor([len(path) - 1 for path in paths], device=x.device)
    return scores[torch.arange(len(paths), device=x.device), last].softmax(dim=-1).float()
