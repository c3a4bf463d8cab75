"""Networks over the latent observation that treat all offered actions alike.

The same small network scores every action, so a permutation of the actions permutes the scores. A state's value pools
over its actions and does not change. Actions outside the mask get a score so low that their probability is 0, and they
do not influence the value.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from baselines.agent import read_latent
from eagle_gym.envs.spaces import LATENT_KEYS, latent_shapes
from eagle_gym.errors import ConfigurationError

MASKED = -1e8  # a finite logit: with infinity the entropy's 0 * inf would be undefined


def action_features(observation: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the inputs of the networks.

    They include products of an action with the user's taste and with the state: utility is built from such products
    (affinity is a dot product, novelty depends on distances), and a small network learns products slowly.

    Args:
        observation: Latent observations, `[B, ...]`.

    Returns:
        Features of each action `[B, K, F]`, features of state and user `[B, C]`, and the mask `[B, K]`.
    """
    state, user, mask = observation["state"], observation["user"], observation["mask"] > 0.5
    rows, dim = state.shape
    count = mask.shape[1]
    actions = observation["actions"].reshape(rows, count, dim)
    taste = user[:, :dim]
    progress = torch.stack([(state * taste).sum(-1), state.norm(dim=-1)], dim=-1)
    context = torch.cat([state, user, observation["time"], state * taste, progress], dim=-1)
    states, tastes = state[:, None], taste[:, None]
    scalars = torch.stack(
        [
            (actions * tastes).sum(-1),
            (actions * states).sum(-1),
            actions.norm(dim=-1),
            (actions + states).norm(dim=-1),
            observation["weights"] * count,  # 1 where the design is uniform, whatever K is
        ],
        dim=-1,
    )
    shared = context[:, None].expand(-1, count, -1)
    return torch.cat([actions, actions * tastes, actions * states, scalars, shared], dim=-1), context, mask


def mlp(inputs: int, hidden: int, outputs: int, gain: float | None = None) -> nn.Sequential:
    """Two hidden layers with tanh and SB3's orthogonal initialisation; `gain` scales the last layer, if given."""
    first, second, last = nn.Linear(inputs, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, outputs)
    for layer in (first, second, last):
        nn.init.orthogonal_(layer.weight, gain=2**0.5)
        nn.init.zeros_(layer.bias)
    if gain is not None:
        nn.init.orthogonal_(last.weight, gain=gain)
    return nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), last)


def mean_over_offered(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the offered actions, `[B, D]`, of `values` `[B, K, D]`."""
    weights = mask.to(values.dtype)[..., None]
    return (values * weights).sum(1) / weights.sum(1).clamp_min(1)


def pooled(embedded: Tensor, mask: Tensor) -> Tensor:
    """Mean and maximum over the offered actions, `[B, 2 D]`, of `embedded` `[B, K, D]` after a tanh."""
    embedded = torch.tanh(embedded)
    return torch.cat([mean_over_offered(embedded, mask), embedded.masked_fill(~mask[..., None], -1).amax(1)], dim=-1)


def widths(dim: int) -> tuple[int, int]:
    """F and C of `action_features` in `dim` dimensions."""
    observation = {key: torch.zeros(1, *shape) for key, shape in latent_shapes(n=dim, actions=1).items()}
    features, context, _ = action_features(observation)
    return features.shape[-1], context.shape[-1]


class ActionScores(nn.Module):
    """A score for each offered action.

    Args:
        dim: n, dimensions of the latent space.
        hidden: Width of the hidden layers.
        gain: Scale of the last layer at the start; it is small, so that a policy starts nearly uniform.
    """

    def __init__(self, dim: int, hidden: int, gain: float = 0.01) -> None:
        super().__init__()
        self.net = mlp(widths(dim)[0], hidden, 1, gain)

    def forward(self, observation: dict[str, Tensor]) -> Tensor:
        """Scores `[B, K]`, `MASKED` where no action is offered."""
        features, _, mask = action_features(observation)
        scores: Tensor = self.net(features).squeeze(-1).masked_fill(~mask, MASKED)
        return scores


class StateValue(nn.Module):
    """A value for each state, computed from its context and from all the actions it offers.

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
        """Values `[B]`."""
        features, context, mask = action_features(observation)
        value: Tensor = self.net(torch.cat([context, pooled(self.embed(features), mask)], dim=-1)).squeeze(-1)
        return value


class ActionValues(nn.Module):
    """A value for each offered action: the state's value plus what the action adds.

    Args:
        dim: n, dimensions of the latent space.
        hidden: Width of the hidden layers.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.scores, self.value = ActionScores(dim, hidden), StateValue(dim, hidden)

    def forward(self, observation: dict[str, Tensor]) -> Tensor:
        """Values `[B, K]`, near `MASKED` where no action is offered."""
        values: Tensor = self.scores(observation) + self.value(observation)[:, None]
        return values


def latent_tensors(observation: object, actions: int, dim: int, device: str) -> dict[str, Tensor]:
    """Latent observations as tensors `[B, ...]`, for an agent that was trained with K actions in n dimensions.

    Raises:
        ConfigurationError: It is another kind of observation, or has another K or n.
    """
    latent = read_latent(observation)
    if latent.size[1:] != (actions, dim):
        raise ConfigurationError(
            f"expected K = {actions} actions in {dim} dimensions, as in training, "
            f"got K = {latent.size[1]} in {latent.size[2]}: make the environment with the settings of the training"
        )
    assert isinstance(observation, Mapping)
    rows = {key: np.asarray(observation[key], np.float32) for key in LATENT_KEYS}
    return {key: torch.as_tensor(row if latent.batched else row[None], device=device) for key, row in rows.items()}
