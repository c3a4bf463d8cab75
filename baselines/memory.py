"""Networks with memory: what an agent without the user's taste guesses of it, and what it makes of the guess.

An LSTM reads what was paid and for which change of the text. A linear map of its output is the guess, a vector of Z. It
stands where the networks of `networks.py` put the taste that a task shows: its products with each action's move enter
the scores and the value.

The guess starts as a good one. The reward of a step is nearly linear in the change of the text, so the sum of reward
times change over the steps of an episode points along the taste (it is the first step of a regression by gradient
descent). The first cells of the LSTM start as that sum, and the map from edits to moves starts as what an edit asks for
less what it takes out. Everything is learnt from there.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from baselines.networks import MASKED, ActionFeatures, mlp, pooled
from eagle_gym.envs.spaces import LatentLayout

OPEN: Final = 3.0  # bias of an open gate, which lets 95 % through
INFLOW: Final = 0.3  # weight of reward times change in a cell, so that a whole episode's sum is below saturation
GUESS: Final = 2.0  # weight of the sum in the guess
OTHERS: Final = 0.1  # what is left of the other weights of the guess


class Feedback(BaseFeaturesExtractor):
    """Input of the LSTMs: the context of `ActionFeatures`, which ends with reward times change where both are shown."""

    def __init__(self, observation_space: spaces.Space[Any]) -> None:
        layout = LatentLayout.of(observation_space)
        features = ActionFeatures(layout, learns=False)  # SB3 refers to it by three names
        super().__init__(observation_space, features_dim=features.widths(layout)[1])
        self.features = features

    def forward(self, observation: dict[str, Tensor]) -> Tensor:
        """`[B, C]`."""
        context: Tensor = self.features(observation)[1]
        return context


class RememberingFeatures(nn.Module):
    """The inputs of the networks, with the guess in place of the taste, and the memory.

    Args:
        layout: The parts of the latent observation.
        memory: Width of the LSTM's output.
    """

    def __init__(self, layout: LatentLayout, memory: int) -> None:
        super().__init__()
        self.features = ActionFeatures(layout, guess=memory)
        self._start(layout.n)
        features, context = self.features.widths(layout, guess=memory)
        self.widths = features + memory, context + memory

    def _start(self, n: int) -> None:
        moves, taste = self.features.moves, self.features.taste
        with torch.no_grad():
            if moves is not None and moves.in_features >= 2 * n:
                moves.weight.zero_()
                moves.weight[:, :n] = torch.eye(n)
                moves.weight[:, n : 2 * n] = -2.0 * torch.eye(n)
            if taste is not None:
                taste.weight.mul_(OTHERS)
                taste.weight[:, :n] += GUESS * torch.eye(n)[:, : taste.in_features]

    def forward(self, observation: dict[str, Tensor], memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features of each action `[B, K, F]`, features of the state `[B, C]`, and the mask `[B, K]`."""
        features, context, mask = self.features(observation, memory)
        each = memory[:, None].expand(-1, mask.shape[1], -1)
        return torch.cat([features, each], dim=-1), torch.cat([context, memory], dim=-1), mask


class RememberingScores(nn.Module):
    """A score for each offered action; arguments as for `RememberingFeatures`, and the width of the hidden layers."""

    def __init__(self, layout: LatentLayout, memory: int, hidden: int) -> None:
        super().__init__()
        self.features = RememberingFeatures(layout, memory)
        self.net = mlp(self.features.widths[0], hidden, 1, gain=0.01)  # starts nearly uniform

    def forward(self, observation: dict[str, Tensor], memory: Tensor) -> Tensor:
        """Scores `[B, K]`, `MASKED` where no action is offered."""
        features, _, mask = self.features(observation, memory)
        scores: Tensor = self.net(features).squeeze(-1).masked_fill(~mask, MASKED)
        return scores


class RememberingValue(nn.Module):
    """A value for each state, from its context, the memory and all the actions; arguments as for the scores."""

    def __init__(self, layout: LatentLayout, memory: int, hidden: int) -> None:
        super().__init__()
        self.features = RememberingFeatures(layout, memory)
        features, context = self.features.widths
        self.embed = mlp(features, hidden, hidden)
        self.net = mlp(context + 2 * hidden, hidden, 1)

    def forward(self, observation: dict[str, Tensor], memory: Tensor) -> Tensor:
        """Values `[B, 1]`."""
        features, context, mask = self.features(observation, memory)
        value: Tensor = self.net(torch.cat([context, pooled(self.embed(features), mask)], dim=-1))
        return value


def start_as_sums(lstm: nn.LSTM, count: int) -> None:
    """Let the first cells of an LSTM start as running sums of its last `count` inputs, one cell for each input.

    Their gates stand open whatever comes in, and nothing but its own input flows into a cell.
    """
    hidden, kept = lstm.hidden_size, min(count, lstm.hidden_size)
    with torch.no_grad():
        for gate in range(4):  # input, forget, cell, output
            rows = slice(gate * hidden, gate * hidden + kept)
            for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
                getattr(lstm, name)[rows] = 0.0
            if gate != 2:
                lstm.bias_ih_l0[rows] = OPEN  # type: ignore[operator]
        first = lstm.input_size - count
        lstm.weight_ih_l0[2 * hidden : 2 * hidden + kept, first : first + kept] = INFLOW * torch.eye(kept)  # type: ignore[operator]
