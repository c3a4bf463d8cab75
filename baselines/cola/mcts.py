"""Stage 5: Monte-Carlo tree search over codes, with two Q functions and steps of several tokens.

The Q functions score each code at a hidden state: the gain of the finished rewrite. They learn from rewrites of the
policy, towards the smaller of both target networks at the best code that the policy finds likely (double Q-learning).

A node of the tree is an *open* position of a rewrite: one where the squared TD error of the Q functions is large, so
that the choice matters. Where it is small, the policy's codes are taken as one macro step. Each simulation goes down
the tree by PUCT, tries a code at an open node, lets the policy finish the rewrite, and reads its utility. The best
rewrite that was tried is the result, so a search of n simulations takes the same rewrites as the best of n samples.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from baselines.cola.config import CoLAConfig
from baselines.cola.turns import EDIT_TOKENS, Rewrite, by_codes, first_states, gains, profile_of, rewrites
from baselines.worlds import fresh_seeds
from eagle_gym.envs.world import RawState, State, World
from eagle_gym.language.codes import CodeModel
from eagle_gym.language.codes.model import Codes

EXPLORATION = 1.0  # weight of the prior in PUCT, in utility
OPEN = 0.75  # share of the positions that macro steps run over: the threshold is this quantile of squared TD errors
RATE = 1e-3  # step size of the Q functions
AVERAGED = 0.05  # how far the target networks move at an update
Floats = NDArray[np.float64]
Place = tuple[int, int]  # turn and position


class DoubleQ(nn.Module):
    """Two Q functions over codes, and their target networks.

    Args:
        width: D.
        codes: N.
    """

    def __init__(self, width: int, codes: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, codes)) for _ in range(2)
        )
        self.targets = copy.deepcopy(self.heads).requires_grad_(False)
        self.threshold = nn.Parameter(torch.zeros(()), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """The smaller value of each code, `[..., D]` to `[..., N]`."""
        first, second = (head(x) for head in self.heads)
        return torch.minimum(first, second)

    def aims(self, rewards: Tensor, following: Tensor, likely: Tensor, over: Tensor) -> Tensor:
        """What both should predict, `[M]`.

        Args:
            rewards: `[M]`.
            following: `[M, D]` next hidden states.
            likely: `[M, N]` codes that the policy finds likely there.
            over: `[M]` whether the rewrite was finished.
        """
        with torch.no_grad():
            best = self(following).masked_fill(~likely, -torch.inf).argmax(dim=-1, keepdim=True)
            least = torch.minimum(*(head(following).gather(1, best)[:, 0] for head in self.targets))
        return rewards + torch.where(over, 0.0, least)

    def follow(self) -> None:
        """Move the target networks towards the Q functions."""
        for slow, fast in zip(self.targets.parameters(), self.heads.parameters(), strict=True):
            slow.data.lerp_(fast.data, AVERAGED)


@dataclass(frozen=True, eq=False)
class Steps:
    """Code steps of rewrites: hidden states and codes, what follows, and the gain at the end."""

    hidden: Tensor  # [M, D]
    codes: Tensor  # [M]
    following: Tensor  # [M, D]
    likely: Tensor  # [M, N]
    rewards: Tensor  # [M]
    over: Tensor  # [M]


def steps_of(model: CodeModel, found: Sequence[Rewrite], gained: Floats) -> Steps:
    """The code steps of rewrites, on the model's device; the second turn follows the first."""
    device = model.device
    columns: list[tuple[Tensor, ...]] = []
    for rewrite, gain in zip(found, gained, strict=True):
        kept = slice(None, None, model.settings.every)
        hidden = torch.cat([turn.written.hidden[kept] for turn in rewrite.turns])
        codes = torch.cat([torch.as_tensor(turn.written.codes[kept], device=device) for turn in rewrite.turns])
        with torch.no_grad():
            scores = [model.policy(turn.written.hidden[None])[0][kept] for turn in rewrite.turns]
        likely = torch.cat(scores).softmax(dim=-1) >= 1 / (4 * model.settings.codes)
        rewards, over = (torch.zeros(len(codes), dtype=kind, device=device) for kind in (torch.float32, torch.bool))
        rewards[-1], over[-1] = float(gain), True
        following = torch.cat([hidden[1:], hidden[-1:]])
        columns.append((hidden, codes, following, torch.cat([likely[1:], likely[-1:]]), rewards, over))
    return Steps(*(torch.cat(column) for column in zip(*columns, strict=True)))


def fit_q(model: CodeModel, config: CoLAConfig, world: World, batches: int = 4) -> DoubleQ:
    """Fit the Q functions to rewrites of the policy on train users; each turn counts as a generation."""
    rng = np.random.default_rng([config.seed, 14])
    parts = []
    for _ in range(batches):
        states = first_states(world, config.prompts * config.group_size, rng)
        chooser = by_codes(model, fresh_seeds(rng, len(states)), config.max_tokens, 1.0)
        texts, profiles = [s.text for s in states], [profile_of(world, s.user) for s in states]
        found = rewrites(model.base, model.format, texts, profiles, chooser, config.max_tokens)
        world.model.usage.add([said for row in found for said in row.completions()])
        parts.append(steps_of(model, found, gains(world, states, found)))
    steps = Steps(*(torch.cat([getattr(part, name) for part in parts]) for name in Steps.__dataclass_fields__))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        q = DoubleQ(model.width, config.codes).to(model.device)
    optimizer = torch.optim.AdamW(q.heads.parameters(), lr=RATE, weight_decay=1e-2)
    for _ in range(config.q_steps):
        rows = torch.as_tensor(rng.integers(len(steps.codes), size=min(512, len(steps.codes))), device=model.device)
        aims = q.aims(steps.rewards[rows], steps.following[rows], steps.likely[rows], steps.over[rows])
        chosen = steps.codes[rows][:, None]
        losses = [functional.mse_loss(head(steps.hidden[rows]).gather(1, chosen)[:, 0], aims) for head in q.heads]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        q.follow()
    errors = td_errors(q, steps)
    q.threshold.data = errors.quantile(OPEN)
    return q.eval().requires_grad_(False)


@torch.no_grad()
def td_errors(q: DoubleQ, steps: Steps) -> Tensor:
    """Squared TD errors `[M]`."""
    aims = q.aims(steps.rewards, steps.following, steps.likely, steps.over)
    own: Tensor = q(steps.hidden).gather(1, steps.codes[:, None])[:, 0]
    return (aims - own) ** 2


@dataclass(eq=False)
class Node:
    """An open position.

    Attributes:
        place: Turn and position.
        codes: For each turn, the codes before.
        prior: `[N]` the policy's probabilities.
        value: `[N]` what is expected of each code: at first the Q functions' word, then the mean of what was tried.
        visits: `[N]` how often each code was tried.
        children: The next open node after a code; None where there is none.
    """

    place: Place
    codes: tuple[Codes, Codes]
    prior: Floats
    value: Floats
    visits: Floats
    children: dict[int, Node | None] = field(default_factory=dict)

    def choose(self) -> int:
        """The code that PUCT tries next; a code that leads to no open node is tried once."""
        bonus = EXPLORATION * self.prior * np.sqrt(1 + self.visits.sum()) / (1 + self.visits)
        done = np.array([self.children.get(code, self) is None for code in range(len(self.prior))])
        scores = np.where(done & ~done.all(), -np.inf, self.value + bonus)
        return int(scores.argmax())


class Tree:
    """Searches rewrites of several states, one tree each.

    Args:
        model: The code model.
        q: The Q functions.
        config: Hyperparameters.
        world: The world, whose utility is the reward.
    """

    def __init__(self, model: CodeModel, q: DoubleQ, config: CoLAConfig, world: World) -> None:
        self._model, self._q, self._config, self._world = model, q, config, world

    def search(self, states: Sequence[RawState | State], rng: np.random.Generator) -> list[Rewrite]:
        """The best rewrite of each state that `config.search` simulations find; each turn counts as a generation."""
        roots: list[Node | None] = [None] * len(states)
        best: list[tuple[float, Rewrite] | None] = [None] * len(states)
        for _ in range(self._config.search):
            paths = [self._descend(root) for root in roots]
            found = self._finish(states, [path[-1] if path else None for path in paths], rng)
            gained = gains(self._world, states, found)
            for row, (path, new, gain) in enumerate(zip(paths, found, gained, strict=True)):
                held = best[row]
                if held is None or gain > held[0]:
                    best[row] = float(gain), new
                child = self._opened(new, path[-1][0].place if path else None)
                if path:
                    self._back_up(path, child, float(gain))
                else:
                    roots[row] = child
        return [kept[1] for kept in best if kept is not None]

    def _descend(self, root: Node | None) -> list[tuple[Node, int]]:
        path: list[tuple[Node, int]] = []
        node = root
        while node is not None:
            code = node.choose()
            path.append((node, code))
            node = node.children.get(code)
        return path

    def _finish(
        self, states: Sequence[RawState | State], ends: Sequence[tuple[Node, int] | None], rng: np.random.Generator
    ) -> list[Rewrite]:
        """Rewrites that begin as the paths say and that the policy finishes."""
        forced = [np.full((len(states), size), -1) for size in (EDIT_TOKENS, self._config.max_tokens)]
        for row, end in enumerate(ends):
            if end is None:
                continue
            node, code = end
            for turn, codes in enumerate(node.codes):
                forced[turn][row, : len(codes)] = codes
            forced[node.place[0]][row, node.place[1]] = code
        model, config = self._model, self._config
        chooser = by_codes(model, fresh_seeds(rng, len(states)), config.max_tokens, 1.0, forced)
        texts, profiles = [s.text for s in states], [profile_of(self._world, s.user) for s in states]
        found = rewrites(model.base, model.format, texts, profiles, chooser, config.max_tokens)
        self._world.model.usage.add([said for row in found for said in row.completions()])
        return found

    def _opened(self, found: Rewrite, after: Place | None) -> Node | None:
        """The first open position of a rewrite after a place; None if there is none."""
        errors = td_errors(self._q, steps_of(self._model, [found], np.zeros(1))).tolist()
        every, number = self._model.settings.every, 0
        for turn, part in enumerate(found.turns):
            for position in range(0, len(part.written.tokens), every):
                place, error, number = (turn, position), errors[number], number + 1
                first = after is None and number == 1
                if first or ((after is None or place > after) and error > float(self._q.threshold)):
                    return self._node(found, place)
        return None

    @torch.no_grad()
    def _node(self, found: Rewrite, place: Place) -> Node:
        turn, position = place
        hidden = found.turns[turn].written.hidden
        scores = self._model.policy(hidden[None, : position + 1])[0, -1]
        before = [np.empty(0, np.int64)] * 2
        for earlier in range(turn):
            before[earlier] = found.turns[earlier].written.codes
        before[turn] = found.turns[turn].written.codes[:position]
        prior = scores.softmax(dim=-1).double().cpu().numpy()
        value = self._q(hidden[position]).double().cpu().numpy()
        return Node(place, (before[0], before[1]), prior, value, np.zeros(len(prior)))

    def _back_up(self, path: Sequence[tuple[Node, int]], child: Node | None, gain: float) -> None:
        last, code = path[-1]
        last.children.setdefault(code, child)
        for node, chosen in path:
            node.visits[chosen] += 1
            node.value[chosen] += (gain - node.value[chosen]) / node.visits[chosen]
