"""Networks that treat all offered actions alike, over the latent observation.

Every action is scored by the same small network, so that a permutation of the actions permutes the scores; a state's
value pools over its actions, and does not change. Actions outside the mask have a score so low that their probability
is 0, and no influence on the value.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from baselines.agent import LATENT_KEYS, read_latent
from eagle_gym.errors import ConfigurationError

MASKED = -1e8  # a finite logit: infinity would make the entropy's 0 * inf undefined


def action_features(observation: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """What the networks see.

    Products of an action with the taste and with the state stand in the input, since utility is built from them
    (affinity is a dot product, novelty depends on distances) and a small network learns products slowly.

    Args:
        observation: Latent observations, ``[B, ...]``.

    Returns:
        Features of each action ``[B, K, F]``, of state and user ``[B, C]``, and the mask ``[B, K]``.
    """
    state, user, mask = observation["state"], observation["user"], observation["mask"] > 0.5
    rows, dim = state.shape
    count = mask.shape[1]
    actions = observation["actions"].reshape(rows, count, dim)
    taste = user[:, :dim]
    progress = torch.stack([(state * taste).sum(-1), state.norm(dim=-1)], dim=-1)
    context = torch.cat([state, user, observation["time"], state * taste, progress], dim=-1)
    here, wish = state[:, None], taste[:, None]
    scalars = torch.stack(
        [
            (actions * wish).sum(-1),
            (actions * here).sum(-1),
            actions.norm(dim=-1),
            (actions + here).norm(dim=-1),
            observation["weights"] * count,  # 1 where the design is uniform, whatever K is
        ],
        dim=-1,
    )
    shared = context[:, None].expand(-1, count, -1)
    return torch.cat([actions, actions * wish, actions * here, scalars, shared], dim=-1), context, mask


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Two hidden layers with tanh, initialised orthogonally as SB3 does."""
    layers = nn.Sequential(
        nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, outputs)
    )
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight, gain=2**0.5)
            nn.init.zeros_(layer.bias)
    return layers


def pooled(embedded: Tensor, mask: Tensor) -> Tensor:
    """Mean and maximum over the offered actions, ``[B, 2 D]``, of ``embedded [B, K, D]`` brought into (-1, 1)."""
    embedded = torch.tanh(embedded)
    weights = mask.to(embedded.dtype)[..., None]
    mean = (embedded * weights).sum(1) / weights.sum(1).clamp_min(1)
    return torch.cat([mean, embedded.masked_fill(~mask[..., None], -1).amax(1)], dim=-1)


def widths(dim: int) -> tuple[int, int]:
    """F and C of :func:`action_features` in ``dim`` dimensions."""
    sizes = {"state": dim, "user": dim + 1, "actions": dim, "weights": 1, "mask": 1, "time": 1}
    features, context, _ = action_features({key: torch.zeros(1, size) for key, size in sizes.items()})
    return features.shape[-1], context.shape[-1]


class ActionScores(nn.Module):
    """A score for each offered action.

    Args:
        dim: n, dimensions of the latent space.
        hidden: Width of the hidden layers.
        gain: Scale of the last layer at the start; small, so that a policy starts nearly uniform.
    """

    def __init__(self, dim: int, hidden: int, gain: float = 0.01) -> None:
        super().__init__()
        self.net = mlp(widths(dim)[0], hidden, 1)
        last = self.net[-1]
        assert isinstance(last, nn.Linear)
        nn.init.orthogonal_(last.weight, gain=gain)

    def forward(self, observation: dict[str, Tensor]) -> Tensor:
        """Scores ``[B, K]``, :data:`MASKED` where no action is offered."""
        features, _, mask = action_features(observation)
        scores: Tensor = self.net(features).squeeze(-1).masked_fill(~mask, MASKED)
        return scores


class StateValue(nn.Module):
    """A value for each state, of its context and of all that it offers.

    Args:
        dim: n, dimensions of the latent space.
        hidden: Width of the hidden layers.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        features, context = widths(dim)
        self.embed = mlp(features, hidden, hidden)
        self.net = mlp(context + 2 * hidden, hidden, 1)

    def forward(self, observation: dict[str, Tensor]) -> Tensor:
        """Values ``[B]``."""
        features, context, mask = action_features(observation)
        value: Tensor = self.net(torch.cat([context, pooled(self.embed(features), mask)], dim=-1)).squeeze(-1)
        return value


class ActionValues(nn.Module):
    """A value for each offered action: what the state is worth, and what the action adds.

    Args:
        dim: n, dimensions of the latent space.
        hidden: Width of the hidden layers.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.scores, self.value = ActionScores(dim, hidden), StateValue(dim, hidden)

    def forward(self, observation: dict[str, Tensor]) -> Tensor:
        """Values ``[B, K]``, near :data:`MASKED` where no action is offered."""
        values: Tensor = self.scores(observation) + self.value(observation)[:, None]
        return values


def latent_tensors(observation: object, actions: int, dim: int, device: str) -> dict[str, Tensor]:
    """Latent observations as tensors ``[B, ...]``, for an agent that was trained with K actions in n dimensions.

    Raises:
        ConfigurationError: Another kind of observation, or another K or n.
    """
    latent = read_latent(observation)
    if latent.size[1:] != (actions, dim):
        raise ConfigurationError(
            f"this agent was trained with K = {actions} actions in {dim} dimensions; "
            f"the observation has K = {latent.size[1]} in {latent.size[2]}"
        )
    assert isinstance(observation, Mapping)
    rows = [np.asarray(observation[key], np.float32) for key in LATENT_KEYS]
    return {
        key: torch.as_tensor(row if latent.batched else row[None], device=device)
        for key, row in zip(LATENT_KEYS, rows, strict=True)
    }
